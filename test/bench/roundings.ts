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
  /** Largest difference before the quantizer of an element that flips, in levels. */
  apart: number;
}

/** The decisions of all quantizers of a step. */
export interface StepRoundings extends RoundingFlips {
  /**
   * The first quantizer of the forward pass, by the name of its scale, that has flips. Nothing was rounded otherwise before it, so that all of them should be ties; later
   * ones see values that are whole levels apart.
   */
  first?: RoundingFlips & { quantizer: string };
}

/** Share of a level within which two values at a boundary count as the same. */
export const TIE = 1e-3;

/** Calls `visit` for each run of elements that share a scale: its number, the first element, and the one behind the last. */
function forScales({ shape, axis, scale }: Pick<QuantizerValues, 'shape' | 'axis' | 'scale'>, elements: number, visit: (s: number, from: number, to: number) => void): void {
  const length = scale.length === 1 ? elements : shape.slice(axis + 1).reduce((product, d) => product * d, 1);
  for (let from = 0, run = 0; from < elements; from += length, run++) visit(run % scale.length, from, from + length);
}

/**
 * Counts the elements of a quantizer that two engines decide differently.
 * @param x what each reads
 * @param quantized what each gives
 */
export function roundingFlips(quantizer: QuantizerValues, [xa, xb]: readonly [Float32Array, Float32Array], [qa, qb]: readonly [Float32Array, Float32Array]): RoundingFlips {
  const { lowest, highest } = quantizer, elements = xa.length;
  let flips = 0, ties = 0, clips = 0, apart = 0;
  forScales(quantizer, elements, (s, from, to) => {
    const scale = quantizer.scale[s], offset = quantizer.offset[s], half = scale / 2, tie = TIE * scale;
    const isInside = (value: number): boolean => {
      const v = Math.fround(Math.fround(value - offset) / scale);
      return v > lowest && v < highest;
    };
    for (let at = from; at < to; at++) {
      if (Math.abs(qa[at] - qb[at]) > half) {
        const distance = Math.abs(xa[at] - xb[at]);
        flips++;
        if (distance < tie) ties++;
        apart = Math.max(apart, distance / scale);
      }
      if (xa[at] !== xb[at] && isInside(xa[at]) !== isInside(xb[at])) clips++;
    }
  });
  return { elements, flips, ties, clips, apart };
}

/**
 * The values that a quantizer reads, those near a boundary (between two levels, or of the range) moved away from it, on the side where they are, to
 * {@link TIE} of a level: whatever an engine's last digit, it decides the same.
 */
export function awayFromBoundaries(quantizer: QuantizerValues, x: Float32Array): Float32Array {
  const { lowest, highest } = quantizer, moved = x.slice();
  forScales(quantizer, x.length, (s, from, to) => {
    const scale = quantizer.scale[s], offset = quantizer.offset[s];
    for (let at = from; at < to; at++) {
      const v = (x[at] - offset) / scale, middle = Math.floor(v) + 0.5;
      const boundary = Math.abs(v - lowest) < TIE ? lowest : Math.abs(v - highest) < TIE ? highest : v > lowest && v < highest && Math.abs(v - middle) < TIE ? middle : undefined;
      if (boundary !== undefined) moved[at] = (v > boundary ? boundary + TIE : boundary - TIE) * scale + offset;
    }
  });
  return moved;
}

/** All quantizers of a step together. @param all in the order of the forward pass, with their names */
export function stepRoundings(all: readonly (RoundingFlips & { quantizer: string })[]): StepRoundings {
  const sum = (of: (f: RoundingFlips) => number): number => all.reduce((total, f) => total + of(f), 0);
  return {
    elements: sum((f) => f.elements), flips: sum((f) => f.flips), ties: sum((f) => f.ties), clips: sum((f) => f.clips), apart: Math.max(0, ...all.map((f) => f.apart)),
    first: all.find((f) => f.flips > 0),
  };
}
