import { tf, type Tensor } from '../tensor/tf.js';
import type { Forward } from './forward.js';

/** eps of Eq. 2.32. */
export const ALIGNMENT_EPSILON = 1e-5;

/**
 * Distribution alignment (DA), Eq. 2.32: q* = (q - mean) / sqrt(variance + eps) * gamma + beta, for each token and head over the
 * head's width (decision A11), with gamma and beta shared by the heads.
 * @param q [B, N, T, D]
 * @param gamma [D]
 * @param beta [D]
 */
export function distributionAlignment(q: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const centred = tf.sub(q, tf.mean(q, -1, true));
  const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), ALIGNMENT_EPSILON));
  return tf.add(tf.mul(tf.div(centred, deviation), gamma), beta);
}

/**
 * An attention operand as its quantizer will see it: aligned where the model has the parameters `<operand>_alignment.gamma` and
 * `.beta`, else as it is. An observer hears the operand before, as `<operand>_alignment`.
 * @param operand `<attention>.q`, `.k` or `.v`
 * @param x [B, N, T, D]
 */
export function align({ parameters, observe }: Forward, operand: string, x: Tensor): Tensor {
  const name = `${operand}_alignment`;
  const gamma = parameters[`${name}.gamma`];
  if (!gamma) return x;
  observe?.(name, x);
  return distributionAlignment(x, gamma, parameters[`${name}.beta`]);
}
