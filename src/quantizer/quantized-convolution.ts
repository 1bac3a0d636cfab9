import { tf, type Tensor } from '../tensor/tf.js';
import type { Parameters } from '../tensor/parameters.js';
import type { Observer } from './observer.js';
import { isReal, type Precision } from './precision.js';
import { quantizeAlong, quantizeWeight } from './quantize.js';

/** Stride and padding of a square convolution, in pixels, as PyTorch's Conv2d has them. */
export interface ConvolutionSettings {
  stride: number;
  padding: number;
}

/**
 * Quantized 2-D convolution of Q_a(x) with Q_w(w), plus bias; an ordinary one at 32 bits. Where the input is quantized the
 * border is the quantized zero, Q_a(0), so that it lies on the grid too: x is padded with 0 first and quantized then, which
 * also gives scale and offset the border's part of their gradient.
 * @param name module name: kernel `<name>.weight` [height, width, in, out], bias `<name>.bias` [out] where there is one,
 *   quantizers `<name>.weight_quantizer`, `<name>.input_quantizer`
 * @param x [B, H, W, in]
 * @returns [B, H', W', out], H' = floor((H + 2 padding - height) / stride) + 1
 */
export function conv2d(parameters: Parameters, name: string, x: Tensor, { stride, padding }: ConvolutionSettings, precision: Precision, observe?: Observer): Tensor {
  const quantizer = `${name}.input_quantizer`;
  const wq = quantizeWeight(parameters, `${name}.weight_quantizer`, parameters[`${name}.weight`], 3, precision.weightBits, observe);
  const bias = parameters[`${name}.bias`];
  observe?.(quantizer, x);
  let y: Tensor;
  if (isReal(precision.activationBits)) y = tf.conv2d(x as tf.Tensor4D, wq as tf.Tensor4D, stride, padding);
  else {
    const bordered = padding === 0 ? x : tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]]);
    y = tf.conv2d(quantizeAlong(parameters, quantizer, bordered, 0, 1, precision.activationBits, x.size) as tf.Tensor4D, wq as tf.Tensor4D, stride, 'valid');
  }
  return bias ? tf.add(y, bias) : y;
}
