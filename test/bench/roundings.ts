import type { Levels } from '../../src/quantizer/levels.js';

/** A quantizer of a step: its parameters, and which of its elements share a scale. */
export interface QuantizerValues extends Levels {
  shape: readonly number[];
  /** The axis that a scale of more than one element runs along. */
  axis: number;
  scale: Float32Array;
  /** Zeros where there is none. */
  offset: Float32Array;
}

/** How the decisions of two engines at quantizers differ. */
export interface RoundingFlips {
  elements: number;
  /** Elements whose levels differ. */
  flips: number;
  /** Those of them whose values before the quantizer differ by less than {@link TIE} of a level: both lie on the boundary. */
  ties: number;
  /** Elements that only one engine counts as clipped, so that only there the gradient stops. */
  clips: number;
}

/** Share of a level within which two values at a boundary count as the same. */
export const TIE = 1e-3;

/** Index of each element's scale: [outer, n, inner] -> outer * n * inner + i * inner + ... has i. */
function scaleIndex({ shape, axis, scale }: Pick<QuantizerValues, 'shape' | 'axis' | 'scale'>): (at: number) => number {
  if (scale.length === 1) return () => 0;
  const inner = shape.slice(axis + 1).reduce((product, d) => product * d, 1);
  return (at) => Math.floor(at / inner) % scale.length;
}

/**
 * Counts the elements of a quantizer that two engines decide differently.
 * @param x what each reads
 * @param quantized what each gives
 */
export function roundingFlips(quantizer: QuantizerValues, x: readonly [Float32Array, Float32Array], quantized: readonly [Float32Array, Float32Array]): RoundingFlips {
  const { scale, offset, lowest, highest } = quantizer, indexOf = scaleIndex(quantizer), elements = x[0].length;
  let flips = 0, ties = 0, clips = 0;
  const isInside = (value: number, s: number): boolean => {
    const v = Math.fround(Math.fround(value - offset[s]) / scale[s]);
    return v > lowest && v < highest;
  };
  for (let at = 0; at < elements; at++) {
    const s = indexOf(at);
    if (Math.abs(quantized[0][at] - quantized[1][at]) > scale[s] / 2) {
      flips++;
      if (Math.abs(x[0][at] - x[1][at]) < TIE * scale[s]) ties++;
    }
    if (x[0][at] !== x[1][at] && isInside(x[0][at], s) !== isInside(x[1][at], s)) clips++;
  }
  return { elements, flips, ties, clips };
}

/**
 * The values that a quantizer reads, those near a boundary (between two levels, or of the range) moved away from it, on the side where they are, to
 * {@link TIE} of a level: whatever an engine's last digit, it decides the same.
 */
export function awayFromBoundaries(quantizer: QuantizerValues, x: Float32Array): Float32Array {
  const { scale, offset, lowest, highest } = quantizer, indexOf = scaleIndex(quantizer);
  return x.map((value, at) => {
    const s = indexOf(at), v = (value - offset[s]) / scale[s];
    const boundary = v <= lowest - TIE || v >= highest + TIE ? undefined : [lowest, highest, Math.floor(v) + 0.5].find((b) => Math.abs(v - b) < TIE);
    return boundary === undefined ? value : (v > boundary ? boundary + TIE : boundary - TIE) * scale[s] + offset[s];
  });
}

/** The sum over quantizers. */
export const totalFlips = (all: readonly RoundingFlips[]): RoundingFlips => all.reduce((a, b) => ({ elements: a.elements + b.elements, flips: a.flips + b.flips, ties: a.ties + b.ties, clips: a.clips + b.clips }), { elements: 0, flips: 0, ties: 0, clips: 0 });
