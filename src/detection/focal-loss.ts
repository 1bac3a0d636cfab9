import { tf, type Tensor } from '../tensor/tf.js';

/** Weight of what is there; what is not weighs 1 - alpha. */
export const FOCAL_ALPHA = 0.25;

/**
 * Sigmoid focal loss of each element (Lin et al., ICCV 2017; `sigmoid_focal_loss` of torchvision with reduction 'none'), alpha 0.25, gamma 2 (PAPER.md 3.5):
 * alpha_t (1 - p_t)^2 CE(p, t), p = sigmoid(logit). Since t is 0 or 1, (1 - p_t)^2 is (t - p)^2. The cross-entropy is
 * (x + |x|) / 2 - x t + log(1 + exp(-|x|)), which stays finite for every logit x and whose gradient is right at 0 too.
 * @param logits any shape
 * @param wanted t: 0 or 1, of the same shape; a constant to the gradient
 */
export function sigmoidFocalLoss(logits: Tensor, wanted: Tensor): Tensor {
  const size = tf.abs(logits);
  const crossEntropy = tf.add(tf.sub(tf.mul(tf.add(logits, size), 0.5), tf.mul(logits, wanted)), tf.log(tf.add(tf.exp(tf.neg(size)), 1)));
  const weight = tf.add(tf.mul(wanted, 2 * FOCAL_ALPHA - 1), 1 - FOCAL_ALPHA);
  return tf.mul(tf.mul(weight, crossEntropy), tf.square(tf.sub(wanted, tf.sigmoid(logits))));
}
