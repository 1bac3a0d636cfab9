import { tf, type Tensor } from '../tensor/tf.js';

/** ImageNet's mean and standard deviation of each colour, for pixels in 0..1 (torchvision). */
export const IMAGE_MEAN = [0.485, 0.456, 0.406] as const, IMAGE_DEVIATION = [0.229, 0.224, 0.225] as const;

/** Pixels 0..255, [B, H, W, 3], as models read them. */
export function normalizeImages(pixels: Tensor): Tensor {
  const scale = tf.tensor1d(IMAGE_DEVIATION.map((d) => 1 / (255 * d)));
  const shift = tf.tensor1d(IMAGE_DEVIATION.map((d, i) => -IMAGE_MEAN[i] / d));
  return tf.add(tf.mul(pixels, scale), shift);
}
