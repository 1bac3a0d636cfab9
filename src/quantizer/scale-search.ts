import type { Levels } from './levels.js';
import { LOWEST_SCALE } from './scales.js';
import type { ValueHistogram } from './value-histogram.js';

/** Scale alpha and offset z of an activation quantizer. */
export interface ScaleAndOffset {
  scale: number;
  offset: number;
}

/** The scale and offset whose lowest level is `low` and whose highest is `high`. */
export function fromRange(low: number, high: number, { lowest, highest }: Levels): ScaleAndOffset {
  const scale = Math.max((high - low) / (highest - lowest), LOWEST_SCALE);
  return { scale, offset: low - scale * lowest };
}

/** Mean squared error of Q_a over the histogram's values. */
export function meanSquaredError(histogram: ValueHistogram, { scale, offset }: ScaleAndOffset, range: Levels): number {
  return errorOf(histogram.points(), { scale, offset }, range) / histogram.total;
}

/**
 * Scale and offset of least squared error on the grid (LSQ+'s initialisation, decision A4). Both ends of the range shrink
 * from min and max towards the middle of the values in a coarse search; from the best few, values are assigned to levels
 * and the line value = scale * level + offset is fitted to them in turn, which lowers the error until nothing changes.
 */
export function searchScaleAndOffset(histogram: ValueHistogram, range: Levels): ScaleAndOffset {
  const points = histogram.points();
  const middle = median(points, histogram.total);
  const candidates = SHRINKS.flatMap((i) => SHRINKS.map((j) => fromRange(middle + (histogram.min - middle) * i, middle + (histogram.max - middle) * j, range)));
  return leastError(points, range, candidates, true);
}

/** Scale of least squared error with offset 0: LSQ's activations. */
export function searchScale(histogram: ValueHistogram, range: Levels): number {
  const { lowest, highest } = range;
  const widest = Math.max(histogram.max / highest, lowest < 0 ? histogram.min / lowest : 0, LOWEST_SCALE);
  return leastError(histogram.points(), range, SHRINKS.map((i) => ({ scale: Math.max(widest * i, LOWEST_SCALE), offset: 0 })), false).scale;
}

/** 1 to 0.02: one outlier may make the range many times too wide. */
const SHRINKS = Array.from({ length: 13 }, (_, i) => 0.72 ** i);
const STARTS = 8;
const ROUNDS = 30;

type Points = ReturnType<ValueHistogram['points']>;

const levelOf = (x: number, { scale, offset }: ScaleAndOffset, { lowest, highest }: Levels): number => Math.min(Math.max(Math.round((x - offset) / scale), lowest), highest);

function errorOf({ centres, counts }: Points, at: ScaleAndOffset, range: Levels): number {
  let sum = 0;
  for (let i = 0; i < centres.length; i++) {
    const error = levelOf(centres[i], at, range) * at.scale + at.offset - centres[i];
    sum += counts[i] * error * error;
  }
  return sum;
}

function leastError(points: Points, range: Levels, candidates: readonly ScaleAndOffset[], withOffset: boolean): ScaleAndOffset {
  const ranked = (of: readonly ScaleAndOffset[]): ScaleAndOffset[] => of.map((at) => ({ at, error: errorOf(points, at, range) })).sort((a, b) => a.error - b.error).map(({ at }) => at);
  const starts = ranked(candidates).slice(0, STARTS);
  return ranked([...starts, ...starts.map((at) => descend(points, range, at, withOffset))])[0];
}

/** Alternates between assigning values to levels and fitting the line through (level, value). */
function descend(points: Points, range: Levels, start: ScaleAndOffset, withOffset: boolean): ScaleAndOffset {
  let at = start;
  for (let round = 0; round < ROUNDS; round++) {
    const next = fitLine(points, range, at, withOffset);
    if (!next || Math.abs(next.scale - at.scale) + Math.abs(next.offset - at.offset) < 1e-6 * at.scale) break;
    at = next;
  }
  return at;
}

function fitLine({ centres, counts }: Points, range: Levels, at: ScaleAndOffset, withOffset: boolean): ScaleAndOffset | null {
  let n = 0, sumL = 0, sumX = 0, sumLL = 0, sumLX = 0;
  for (let i = 0; i < centres.length; i++) {
    const x = centres[i], c = counts[i], level = levelOf(x, at, range);
    n += c;
    sumL += c * level;
    sumX += c * x;
    sumLL += c * level * level;
    sumLX += c * level * x;
  }
  const [mean, variance, covariance] = withOffset ? [sumL / n, sumLL - (sumL * sumL) / n, sumLX - (sumL * sumX) / n] : [0, sumLL, sumLX];
  const scale = covariance / variance;
  if (!(scale > LOWEST_SCALE)) return null; // all values on one level
  return { scale, offset: withOffset ? sumX / n - scale * mean : 0 };
}

function median({ centres, counts }: Points, total: number): number {
  let below = 0;
  for (let i = 0; i < centres.length; i++) {
    below += counts[i];
    if (below >= total / 2) return centres[i];
  }
  return 0;
}
