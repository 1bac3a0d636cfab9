import { tf, type Tensor } from '../tensor/tf.js';

/**
 * Scales gradients so that their global L2 norm is at most `maxNorm`, as torch.nn.utils.clip_grad_norm_ does: multiplied by
 * min(1, maxNorm / (norm + 1e-6)).
 * @param gradients any shapes
 * @returns gradients of the same shapes, and the norm before clipping (scalar)
 */
export function clipGradientNorm(gradients: readonly Tensor[], maxNorm: number): { gradients: Tensor[]; norm: Tensor } {
  const squares = gradients.map((g) => tf.sum(tf.square(g)));
  const norm = tf.sqrt(squares.reduce((total, s) => tf.add(total, s)));
  const factor = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1);
  return { gradients: gradients.map((g) => tf.mul(g, factor)), norm };
}
