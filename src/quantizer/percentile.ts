import { UserError } from '../errors.js';
import type { Levels } from './levels.js';
import { fromRange, type ScaleAndOffset } from './scale-search.js';
import { LOWEST_SCALE } from './scales.js';
import type { ValueHistogram } from './value-histogram.js';

/**
 * The percentile of the baseline "Percentile", in per cent: 99.999, the default of FQ-ViT's code (Lin et al., IJCAI 2022, percentile.py), which the
 * paper cites for it without a number of its own. FQ-ViT moves an average over batches; here one histogram holds all batches.
 */
export const PERCENTILE = 99.999;

/**
 * Scale and offset whose lowest level is the (100 - p)th percentile of the activations seen and whose highest is the p-th: values outside are clipped.
 * p = 100 is min-max.
 * @param p above 50, at most 100
 * @throws UserError for another p
 */
export function percentileScaleAndOffset(histogram: ValueHistogram, range: Levels, p: number = PERCENTILE): ScaleAndOffset {
  if (!(p > 50 && p <= 100)) throw new UserError(`percentile ${p} leaves no range: choose more than 50 and at most 100, such as ${PERCENTILE}`);
  return fromRange(histogram.percentile(100 - p), histogram.percentile(p), range);
}

/**
 * Scale without offset that spans the largest magnitude: max|x| / ((Qp - Qn)/2), FQ-ViT's rule for weights, which clips a positive maximum by half a level.
 * @param magnitude max|x|
 */
export const symmetricScale = (magnitude: number, { lowest, highest }: Levels): number => Math.max((2 * magnitude) / (highest - lowest), LOWEST_SCALE);

/** The largest magnitude that a histogram has seen. */
export const largestMagnitude = ({ min, max }: ValueHistogram): number => Math.max(-min, max);
