import { UserError } from '../errors.js';
import type { Parameters } from '../tensor/parameters.js';
import type { Tensor } from '../tensor/tf.js';
import { fakeQuantizeActivation, fakeQuantizeWeight, gradientScale } from './fake-quantize.js';
import { levels } from './levels.js';
import type { Observer } from './observer.js';
import { isReal } from './precision.js';
import { unsignedQuantizer } from './scales.js';

/**
 * Q_w(w), Eq. 2.24: one scale for each output channel, no offset (decision A3). The identity at 32 bits.
 * @param quantizer `<module>.weight_quantizer`; its parameter is `<quantizer>.scale` [out]
 * @param w linear weight [out, in] (axis 0) or convolution kernel HWIO (axis 3)
 * @param axis the axis of the output channels
 * @throws UserError when the parameter is missing or of another size, or `bits` is none of 2 to 8 and 32.
 */
export function quantizeWeight(parameters: Parameters, quantizer: string, w: Tensor, axis: number, bits: number, observe?: Observer): Tensor {
  observe?.(quantizer, w);
  if (isReal(bits)) return w;
  const range = levels(bits);
  const scale = quantizerParameter(parameters, `${quantizer}.scale`, w.shape[axis]);
  return fakeQuantizeWeight(w, scale, { ...range, axis, gradientScale: gradientScale(w.size, range) });
}

/**
 * Q_a(x), Eq. 2.24: one scale and one real offset for the tensor (decisions A1-A3). The identity at 32 bits.
 *
 * Which parameters the quantizer has decides its kind, so that a checkpoint describes itself:
 * LSQ+ `<quantizer>.scale` and `<quantizer>.offset`; LSQ `<quantizer>.scale` alone, on the signed grid, or
 * `<module>.unsigned_input_quantizer.scale`, on the unsigned one, for values that are never negative.
 * @param quantizer `<module>.input_quantizer`
 * @param x any shape
 * @throws UserError when a parameter is missing or of another size, or `bits` is none of 2 to 8 and 32.
 */
export function quantizeActivation(parameters: Parameters, quantizer: string, x: Tensor, bits: number, observe?: Observer): Tensor {
  observe?.(quantizer, x);
  return isReal(bits) ? x : quantizeAlong(parameters, quantizer, x, 0, 1, bits);
}

/**
 * Q_a of an attention operand (Eq. 2.26): q, k, v, or the attention weights A after the softmax; a scale and an offset for
 * each head (decisions A3, A6). The identity at 32 bits. Kinds as for `quantizeActivation`.
 * @param quantizer `<module>.q_quantizer`, `k_`, `v_` or `a_`; its parameters have shape [N]
 * @param x [B, N, T, D]
 * @throws UserError when a parameter is missing or of another size, or `bits` is none of 2 to 8 and 32.
 */
export function quantizeOperand(parameters: Parameters, quantizer: string, x: Tensor, bits: number, observe?: Observer): Tensor {
  observe?.(quantizer, x);
  return isReal(bits) ? x : quantizeAlong(parameters, quantizer, x, 1, (x.shape as number[])[1], bits);
}

/** Quantizes x with `size` scales along `axis`; g counts `count` elements, those of x where it isn't given. */
export function quantizeAlong(parameters: Parameters, quantizer: string, x: Tensor, axis: number, size: number, bits: number, count = x.size): Tensor {
  const unsignedScale = `${unsignedQuantizer(quantizer)}.scale`;
  const unsigned = unsignedScale in parameters;
  const range = levels(bits, !unsigned);
  const attributes = { ...range, axis, gradientScale: gradientScale(count, range) };
  if (unsigned) return fakeQuantizeWeight(x, quantizerParameter(parameters, unsignedScale, size), attributes);
  const scale = quantizerParameter(parameters, `${quantizer}.scale`, size);
  if (!(`${quantizer}.offset` in parameters)) return fakeQuantizeWeight(x, scale, attributes);
  return fakeQuantizeActivation(x, scale, quantizerParameter(parameters, `${quantizer}.offset`, size), attributes);
}

function quantizerParameter(parameters: Parameters, name: string, size: number): Tensor {
  const value = parameters[name];
  if (!value) throw new UserError(`quantizer parameter ${name} is missing: calibrate the model at this bit-width before quantizing it`);
  if (value.size !== size) throw new UserError(`quantizer parameter ${name} holds ${value.size} values where ${size} are needed: calibrate the model again`);
  return value;
}
