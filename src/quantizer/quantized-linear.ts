import { tf, type Tensor } from '../tensor/tf.js';
import type { Parameters } from '../tensor/parameters.js';
import type { Observer } from './observer.js';
import type { Precision } from './precision.js';
import { quantizeActivation, quantizeWeight } from './quantize.js';

/**
 * Q-FC (Eq. 2.25): Q_a(x) Q_w(w)^T + b; an ordinary linear layer at 32 bits.
 * @param name module name: weight `<name>.weight` [out, in], bias `<name>.bias` [out] where there is one, quantizers
 *   `<name>.weight_quantizer`, `<name>.input_quantizer`
 * @param x [..., in]
 * @returns [..., out]
 */
export function linear(parameters: Parameters, name: string, x: Tensor, precision: Precision, observe?: Observer): Tensor {
  return linearWith(parameters, name, parameters[`${name}.weight`], parameters[`${name}.bias`], x, precision, observe);
}

/**
 * `linear` with the weight and bias given, for rows of a packed matrix such as `in_proj_weight` [3C, C]; `name` gives the
 * quantizers' names only.
 * @param weight [out, in]
 * @param bias [out] or undefined
 * @param x [..., in]
 * @returns [..., out]
 */
export function linearWith(parameters: Parameters, name: string, weight: Tensor, bias: Tensor | undefined, x: Tensor, precision: Precision, observe?: Observer): Tensor {
  const [outputs, inputs] = weight.shape;
  const xq = quantizeActivation(parameters, `${name}.input_quantizer`, x, precision.activationBits, observe);
  const wq = quantizeWeight(parameters, `${name}.weight_quantizer`, weight, 0, precision.weightBits, observe);
  const product = tf.matMul(tf.reshape(xq, [-1, inputs]), wq, false, true);
  const y = bias ? tf.add(product, bias) : product;
  return tf.reshape(y, [...x.shape.slice(0, -1), outputs]);
}
