import { tf, type Tensor } from '../tensor/tf.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { levels } from './levels.js';
import type { Observer } from './observer.js';
import { largestMagnitude, percentileScaleAndOffset, symmetricScale } from './percentile.js';
import { isReal, type Precision } from './precision.js';
import { fromRange, searchScale, searchScaleAndOffset } from './scale-search.js';
import { unsignedQuantizer } from './scales.js';
import { ValueHistogram } from './value-histogram.js';

/**
 * Rules for scales and offsets from calibration batches. LSQ+ is the paper's "Baseline" (learnable offset, signed grid), LSQ the one without offset
 * (decision A1): both are where training starts. `Percentile` and `Min-max` are used without training: on LSQ+'s grid, activations by percentiles or
 * by min and max, softmax outputs included, weights by the largest magnitude of each output channel.
 */
export type QuantizerMethod = 'LSQ' | 'LSQ+' | 'Percentile' | 'Min-max';

/** Where learned weight scales start: `LSQ` 2 mean|w| / sqrt(Qp) of each output channel (decision A4), `least-error` the least squared error of each. */
export type WeightStart = 'LSQ' | 'least-error';

/** What a method may be told. */
export interface QuantizerMethodOptions {
  /** `Percentile`: which one, in per cent; default 99.999. */
  percentile?: number;
  /** `LSQ`: the unsigned grid for values that are never negative, the default; else the signed grid everywhere. */
  unsigned?: boolean;
  /** `LSQ` and `LSQ+`: where weight scales start; default `LSQ`. */
  weights?: WeightStart;
}

/** A calibration under way: what it observes, and the quantizer parameters that follow. */
export interface Calibration {
  /** To be handed to the forward pass of the real-valued model, on an eager backend, for about 8 batches. */
  observe: Observer;
  /** What each quantizer has seen so far, a histogram for each of its scales. */
  histograms: ReadonlyMap<string, readonly ValueHistogram[]>;
  /**
   * Initial scales and offsets of every quantizer that was observed and isn't real-valued.
   * @param precision one for the whole model, or a function of the module's name
   */
  quantizerParameters: (precision: Precision | ((module: string) => Precision), method?: QuantizerMethod, options?: QuantizerMethodOptions) => ParameterValues;
}

/** Bits that a precision gives to a quantizer. */
export function bitsOf(quantizer: string, precision: Precision | ((module: string) => Precision)): number {
  const of = typeof precision === 'function' ? precision(moduleOf(quantizer)) : precision, kind = kindOf(quantizer);
  return kind === 'weight' ? of.weightBits : kind === 'input' ? of.activationBits : of.attentionBits;
}

/**
 * Initial scales and offsets from what the real-valued model computes; those of LSQ+ and LSQ (decision A4): weights 2 mean|w| / sqrt(Qp) for each
 * output channel; activations by least squared error; the softmax outputs of attention the full range [0, 1], since their
 * peaks, which carry the attention, are too rare to count in a squared error.
 * @param isWanted which quantizers are observed, by their name; default all
 */
export function createCalibration(isWanted: (quantizer: string) => boolean = () => true): Calibration {
  const histograms = new Map<string, ValueHistogram[]>();
  return {
    histograms,
    observe: (quantizer, values) => {
      if (kindOf(quantizer) === '' || !isWanted(quantizer)) return; // the former: what a distribution alignment reads
      const known = histograms.get(quantizer);
      if (known && kindOf(quantizer) === 'weight') return; // the same in every batch
      const axis = scaleAxis(quantizer, values);
      const shape = values.shape as number[];
      const size = axis === null ? 1 : shape[axis];
      const seen = known ?? Array.from({ length: size }, () => new ValueHistogram());
      const data = values.dataSync();
      const run = axis === null ? data.length : shape.slice(axis + 1).reduce((product, d) => product * d, 1);
      seen.forEach((histogram, n) => histogram.add(data, n * run, run, Math.max(run * size, 1)));
      histograms.set(quantizer, seen);
    },
    quantizerParameters: (precision, method = 'LSQ+', options = {}) => {
      const entries = [...histograms].map(([quantizer, seen]) => {
        const bits = bitsOf(quantizer, precision);
        return isReal(bits) ? {} : initialParameters(quantizer, seen, bits, method, options);
      });
      return Object.assign({}, ...entries) as ParameterValues;
    },
  };
}

/**
 * Runs the real-valued forward pass over the batches and returns the initial quantizer parameters.
 * @param batches about 8 of them
 * @param forward the model on one batch; it hands `observe` to its layers. What it returns is disposed.
 */
export function calibrate<Batch>(batches: Iterable<Batch>, forward: (batch: Batch, observe: Observer) => unknown, precision: Precision | ((module: string) => Precision), method: QuantizerMethod = 'LSQ+', options: QuantizerMethodOptions = {}): ParameterValues {
  const calibration = createCalibration();
  for (const batch of batches) tf.tidy(() => void forward(batch, calibration.observe));
  return calibration.quantizerParameters(precision, method, options);
}

const kindOf = (quantizer: string): string => /([a-z]+)_quantizer$/.exec(quantizer)?.[1] ?? '';
const moduleOf = (quantizer: string): string => quantizer.slice(0, quantizer.lastIndexOf('.'));

/** The axis that the quantizer's scales run along: output channels of a weight, heads of an attention operand, none for an input. */
function scaleAxis(quantizer: string, values: Tensor): number | null {
  const kind = kindOf(quantizer);
  if (kind === 'input') return null;
  if (kind === 'weight') return values.rank === 2 ? 0 : values.rank - 1;
  return 1;
}

function initialParameters(quantizer: string, seen: readonly ValueHistogram[], bits: number, method: QuantizerMethod, { percentile, unsigned = true, weights = 'LSQ' }: QuantizerMethodOptions): ParameterValues {
  const vector = (values: number[]) => ({ shape: [values.length], data: Float32Array.from(values) });
  const kind = kindOf(quantizer), range = levels(bits);
  const learned = method === 'LSQ' || method === 'LSQ+';
  if (kind === 'weight') {
    const byLsq = weightScales(seen, range.highest);
    const scales = !learned ? seen.map((h) => symmetricScale(largestMagnitude(h), range)) : weights === 'LSQ' ? byLsq : seen.map((h, i) => (h.sumOfMagnitudes > 0 ? searchScale(h, range) : byLsq[i]));
    return { [`${quantizer}.scale`]: vector(scales) };
  }
  if (method === 'LSQ') {
    const isUnsigned = unsigned && seen.every((histogram) => histogram.min >= 0);
    const grid = levels(bits, !isUnsigned);
    const scales = seen.map((histogram) => (kind === 'a' ? 1 / grid.highest : searchScale(histogram, grid)));
    return { [`${isUnsigned ? unsignedQuantizer(quantizer) : quantizer}.scale`]: vector(scales) };
  }
  const found = seen.map((histogram) => {
    if (!learned) return percentileScaleAndOffset(histogram, range, method === 'Min-max' ? 100 : percentile);
    return kind === 'a' ? fromRange(0, 1, range) : searchScaleAndOffset(histogram, range);
  });
  return { [`${quantizer}.scale`]: vector(found.map((f) => f.scale)), [`${quantizer}.offset`]: vector(found.map((f) => f.offset)) };
}

/** 2 mean|w| / sqrt(Qp); a channel of zeros takes the mean over the tensor, a tensor of zeros 0.01. */
function weightScales(channels: readonly ValueHistogram[], highest: number): number[] {
  const scaleOf = (magnitudes: number, total: number): number => (2 * magnitudes) / total / Math.sqrt(highest);
  const sum = (of: (h: ValueHistogram) => number): number => channels.reduce((s, h) => s + of(h), 0);
  const overall = scaleOf(sum((h) => h.sumOfMagnitudes), sum((h) => h.total)) || 0.01;
  return channels.map((h) => scaleOf(h.sumOfMagnitudes, h.total) || overall);
}
