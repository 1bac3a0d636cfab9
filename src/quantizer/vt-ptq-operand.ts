import { sizeOf, type ArrayValue, type ParameterValues } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { fakeQuantizeActivation } from './fake-quantize.js';
import { levels } from './levels.js';
import { largestMagnitude, symmetricScale } from './percentile.js';
import { isReal } from './precision.js';
import { fromRange, type ScaleAndOffset } from './scale-search.js';
import type { ValueHistogram } from './value-histogram.js';
import type { Captured } from './vt-ptq-capture.js';
import type { VtPtqSettings } from './vt-ptq-settings.js';

/** An activation whose scales are searched: its quantizer, one or one for each head. */
export interface Operand {
  quantized: boolean;
  /** Q_a(x) with the starting scales times `factors`; x itself at 32 bits. */
  quantize: (x: Tensor, factors: readonly number[]) => Tensor;
  /** `<quantizer>.scale` and, on the grid with an offset, `<quantizer>.offset`; nothing at 32 bits. */
  parameters: (factors: readonly number[]) => ParameterValues;
}

/** Values as a parameter [n]. */
export const vector = (values: ArrayLike<number>): ArrayValue => ({ shape: [values.length], data: Float32Array.from(values) });

/**
 * The quantizer of an activation whose range at factor 1 is the one that was seen: [min, max] with an offset, so that f gives [f min, f max], or
 * the largest magnitude without one.
 * @param seen a histogram for each scale
 * @param axis the axis of x that several scales run along
 */
export function activationOperand(quantizer: string, seen: readonly ValueHistogram[], bits: number, axis: number, grid: VtPtqSettings['grid']): Operand {
  if (isReal(bits)) return { quantized: false, quantize: (x) => x, parameters: () => ({}) };
  const range = levels(bits);
  const at = (factors: readonly number[]): ScaleAndOffset[] => seen.map((h, i) => {
    if (grid === 'symmetric') return { scale: symmetricScale(largestMagnitude(h) * factors[i], range), offset: 0 };
    return fromRange(h.min * factors[i], h.max * factors[i], range);
  });
  return {
    quantized: true,
    quantize: (x, factors) => {
      const found = at(factors);
      return fakeQuantizeActivation(x, tf.tensor1d(found.map((f) => f.scale)), tf.tensor1d(found.map((f) => f.offset)), { ...range, axis, gradientScale: 1 });
    },
    parameters: (factors) => {
      const found = at(factors);
      const scale = { [`${quantizer}.scale`]: vector(found.map((f) => f.scale)) };
      return grid === 'symmetric' ? scale : { ...scale, [`${quantizer}.offset`]: vector(found.map((f) => f.offset)) };
    },
  };
}

/** What was captured as one tensor [I, ...shape]. */
export function toTensor({ images, shape, pieces }: Captured): Tensor {
  const data = new Float32Array(images * sizeOf(shape));
  pieces.reduce((at, piece) => (data.set(piece, at), at + piece.length), 0);
  return tf.tensor(data, [images, ...shape]);
}
