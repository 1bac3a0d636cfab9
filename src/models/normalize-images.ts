import { tf, type Tensor } from '../tensor/tf.js';

/** ImageNet's mean and standard deviation of each colour, for pixels in 0..1 (torchvision). */
export const IMAGE_MEAN = [0.485, 0.456, 0.406] as const, IMAGE_DEVIATION = [0.229, 0.224, 0.225] as const;

/** The 256 values of each colour. */
const TABLE = Float32Array.from({ length: 3 * 256 }, (_, i) => (Math.floor(i / 3) / 255 - IMAGE_MEAN[i % 3]) / IMAGE_DEVIATION[i % 3]);

/**
 * Pixels 0..255 as models read them: (x / 255 - mean) / deviation.
 * @param pixels RGB, [..., 3]
 * @param out where to write; default a new array
 */
export function normalizedPixels(pixels: Uint8Array, out = new Float32Array(pixels.length)): Float32Array {
  for (let i = 0; i < pixels.length; i += 3) {
    out[i] = TABLE[pixels[i] * 3];
    out[i + 1] = TABLE[pixels[i + 1] * 3 + 1];
    out[i + 2] = TABLE[pixels[i + 2] * 3 + 2];
  }
  return out;
}

/** The same, for a tensor of pixels 0..255 [..., 3], which need not be whole numbers: (x - 255 mean) / (255 deviation). */
export function normalizedImages(images: Tensor): Tensor {
  const mean = tf.tensor1d(IMAGE_MEAN.map((m) => 255 * m)), scale = tf.tensor1d(IMAGE_DEVIATION.map((d) => 1 / (255 * d)));
  return tf.mul(tf.sub(images, mean), scale);
}

/**
 * Padded pixels 0..255 as models read them: normalized, and 0 where there is padding.
 * @param images [B, H, W, 3]
 * @param imageSizes height and width of each image in the upper left corner, int32 [B, 2]
 */
export function normalizedPaddedImages(images: Tensor, imageSizes: Tensor): Tensor {
  const [batch, height, width] = images.shape as [number, number, number];
  const inside = (axis: 0 | 1, length: number): Tensor => {
    const places = tf.tensor2d(Int32Array.from({ length }, (_, i) => i), [1, length], 'int32');
    return tf.cast(tf.less(places, tf.slice(imageSizes, [0, axis], [batch, 1])), 'float32');
  };
  const mask = tf.mul(tf.reshape(inside(0, height), [batch, height, 1, 1]), tf.reshape(inside(1, width), [batch, 1, width, 1]));
  return tf.mul(normalizedImages(images), mask);
}
