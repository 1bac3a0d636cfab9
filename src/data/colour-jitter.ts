import { RandomStream } from '../tensor/random.js';
import { tf, type Tensor } from '../tensor/tf.js';

/** Stream of random numbers that jitter uses. */
const JITTER = 103;
/** Weights of the colours in a pixel's grey (torchvision, ITU-R BT.601). */
const GREY = [0.2989, 0.587, 0.114] as const;

/**
 * Factors of brightness, contrast and saturation [B, 3] of a training step's images, each uniform from max(0, 1 - strength) to 1 + strength, as
 * torchvision's ColorJitter draws them. They depend on strength, seed and step only.
 */
export function jitterFactors(strength: number, { batchSize, seed, step }: { batchSize: number; seed: number; step: number }): Float32Array {
  const stream = new RandomStream(seed, JITTER, step);
  return Float32Array.from({ length: batchSize * 3 }, () => stream.uniform(Math.max(0, 1 - strength), 1 + strength));
}

/**
 * torchvision's ColorJitter, without hue: brightness b, contrast c and saturation s, one after the other (torchvision shuffles them):
 * x = clip(b x), x = clip(c x + (1 - c) m) with m the mean of the image's grey, x = clip(s x + (1 - s) g) with g the pixel's grey
 * 0.2989 R + 0.587 G + 0.114 B. Nothing is rounded to whole numbers in between.
 * @param images pixels 0..255, float32 [B, H, W, 3]
 * @param factors b, c, s of each image, float32 [B, 3]
 */
export function colourJitter(images: Tensor, factors: Tensor): Tensor {
  const [B, H, W] = images.shape;
  const [brightness, contrast, saturation] = [0, 1, 2].map((k) => tf.reshape(tf.slice(factors, [0, k], [B, 1]), [B, 1, 1, 1]));
  const grey = (x: Tensor): Tensor => GREY.map((weight, k) => tf.mul(tf.slice(x, [0, 0, 0, k], [B, H, W, 1]), weight)).reduce((sum, part) => tf.add(sum, part));
  const blended = (x: Tensor, other: Tensor, factor: Tensor): Tensor => tf.clipByValue(tf.add(tf.mul(x, factor), tf.mul(other, tf.sub(1, factor))), 0, 255);
  const bright = tf.clipByValue(tf.mul(images, brightness), 0, 255);
  const contrasted = blended(bright, tf.mean(grey(bright), [1, 2], true), contrast);
  return blended(contrasted, grey(contrasted), saturation);
}
