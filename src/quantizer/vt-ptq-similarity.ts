import { tf, type Tensor } from '../tensor/tf.js';

/** Outputs minus their mean over an image, and the norm of that: [I, m] and [I]. */
interface Centred {
  values: Tensor;
  norm: Tensor;
}

/** Outputs [I, m] as deviations from the mean of each image. */
export function centre(outputs: Tensor): Centred {
  const values = tf.sub(outputs, tf.mean(outputs, 1, true));
  return { values, norm: tf.sqrt(tf.sum(tf.square(values), 1)) };
}

/**
 * Pearson's correlation of a layer's outputs before and after quantization, for each image: Eq. 11 of VT-PTQ. 0 where one of them is constant.
 * @param real `centre` of the real-valued outputs, which stay while many scales are tried
 * @param quantized [I, m]
 * @returns [I]
 */
export function pearsonCorrelation(real: Centred, quantized: Tensor): Tensor {
  const { values, norm } = centre(quantized);
  return tf.div(tf.sum(tf.mul(real.values, values), 1), tf.maximum(tf.mul(real.norm, norm), 1e-20));
}
