import type { Parameters } from '../tensor/parameters.js';
import type { Tensor } from '../tensor/tf.js';
import type { Observer } from './observer.js';
import { isReal } from './precision.js';

/**
 * Q_w(w), Eq. 2.24: one scale for each output channel, no offset. Real-valued (the identity) at 32 bits.
 * @param quantizer `<module>.weight_quantizer`; its parameter is `<quantizer>.scale` [out]
 * @param w linear weight [out, in] (axis 0) or convolution kernel HWIO (axis 3)
 * @param axis the axis of the output channels
 */
export function quantizeWeight(parameters: Parameters, quantizer: string, w: Tensor, _axis: number, bits: number, observe?: Observer): Tensor {
  observe?.(quantizer, w);
  if (isReal(bits)) return w;
  throw new Error('not built yet');
}

/**
 * Q_a(x), Eq. 2.24: one scale and one real offset for the tensor. Real-valued (the identity) at 32 bits.
 * @param quantizer `<module>.input_quantizer`; its parameters are `<quantizer>.scale` [1] and `<quantizer>.offset` [1]
 * @param x any shape
 */
export function quantizeActivation(parameters: Parameters, quantizer: string, x: Tensor, bits: number, observe?: Observer): Tensor {
  observe?.(quantizer, x);
  if (isReal(bits)) return x;
  throw new Error('not built yet');
}

/**
 * Q_a of an attention operand (Eq. 2.26): q, k, v, or the attention weights A after the softmax; a scale and an offset for
 * each head (decisions A3, A6). Real-valued (the identity) at 32 bits.
 * @param quantizer `<module>.q_quantizer`, `k_`, `v_` or `a_`; its parameters are `<quantizer>.scale` [N] and `<quantizer>.offset` [N]
 * @param x [B, N, T, D]
 */
export function quantizeOperand(parameters: Parameters, quantizer: string, x: Tensor, bits: number, observe?: Observer): Tensor {
  observe?.(quantizer, x);
  if (isReal(bits)) return x;
  throw new Error('not built yet');
}
