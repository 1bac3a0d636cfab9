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

/** The decisions of all quantizers and ReLUs of a step. */
export interface StepRoundings extends RoundingFlips {
  /** ReLU's elements that are above 0 on one engine alone, and all of its elements. */
  signs: { elements: number; flips: number };
  /**
   * Where in the forward pass flips begin, a quantizer by the name of its scale. Nothing was decided otherwise before, so that all of these should be ties; later
   * ones see values that are whole levels apart.
   */
  first?: RoundingFlips & { name: string };
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

/** ReLU's decisions, as {@link roundingFlips} counts them, in units of 1: what it reads is normalized. */
export function signFlips([a, b]: readonly [Float32Array, Float32Array]): RoundingFlips {
  let flips = 0, ties = 0, apart = 0;
  for (let at = 0; at < a.length; at++) {
    if (a[at] > 0 === b[at] > 0) continue;
    const distance = Math.abs(a[at] - b[at]);
    flips++;
    if (distance < TIE) ties++;
    apart = Math.max(apart, distance);
  }
  return { elements: a.length, flips, ties, clips: 0, apart };
}

/** {@link awayFromBoundaries} of ReLU. */
export const awayFromZero = (x: Float32Array): Float32Array => x.map((v) => (Math.abs(v) >= TIE ? v : v > 0 ? TIE : -TIE));

/** All of a step's together. @param all in the order of the forward pass, with their names */
export function stepRoundings(all: readonly (RoundingFlips & { name: string })[]): StepRoundings {
  const sum = (some: readonly RoundingFlips[], of: (f: RoundingFlips) => number): number => some.reduce((total, f) => total + of(f), 0);
  const signs = all.filter(({ name }) => name === RELU), levels = all.filter(({ name }) => name !== RELU);
  return {
    elements: sum(levels, (f) => f.elements), flips: sum(levels, (f) => f.flips), ties: sum(levels, (f) => f.ties), clips: sum(levels, (f) => f.clips), apart: levels.reduce((most, f) => Math.max(most, f.apart), 0),
    signs: { elements: sum(signs, (f) => f.elements), flips: sum(signs, (f) => f.flips) },
    first: all.find((f) => f.flips > 0),
  };
}

/** What ReLUs are called. */
export const RELU = 'ReLU';
