import { sizeOf } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';

/** 32-bit words that an image of a height and width (the same where it is left out) is packed into, four bytes to a word, the first byte lowest; the last word is filled up with zeros. */
export const wordsOf = (height: number, width = height): number => Math.ceil((height * width * 3) / 4);

/** RGB pixels of images [B, height, width, 3] as words [B, {@link wordsOf}]: the same memory where no word has to be filled up (processors are little-endian). */
export function packedImages(pixels: Uint8Array, height: number, width = height): Int32Array {
  const bytes = height * width * 3, words = wordsOf(height, width), count = pixels.length / bytes;
  if (words * 4 === bytes && pixels.byteOffset % 4 === 0) return new Int32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
  const packed = new Uint8Array(count * words * 4);
  for (let i = 0; i < count; i++) packed.set(pixels.subarray(i * bytes, (i + 1) * bytes), i * words * 4);
  return new Int32Array(packed.buffer);
}

/**
 * Images from their words.
 * @param words int32 [B, {@link wordsOf}]; negative where an image's byte is above 127
 * @returns pixels 0..255 as float32 [B, height, width, 3]
 */
export function unpackedImages(words: Tensor, height: number, width = height): Tensor {
  const [B, W] = words.shape, bytes = height * width * 3;
  const shifted = tf.floorDiv(tf.reshape(words, [B, W, 1]), tf.tensor1d([1, 2 ** 8, 2 ** 16, 2 ** 24], 'int32'));
  const above = tf.mul(tf.floorDiv(shifted, tf.scalar(256, 'int32')), tf.scalar(256, 'int32'));
  return tf.reshape(tf.slice(tf.reshape(tf.cast(tf.sub(shifted, above), 'float32'), [B, 4 * W]), [0, 0], [B, bytes]), [B, height, width, 3]);
}

/**
 * The images of a batch out of a packed data set, mirrored left to right where that is wanted.
 * @param packed words of all images, int32 [N, {@link wordsOf}]
 * @param indices which images, int32 [B]
 * @param mirrored 1 where the mirror image is meant, else 0, int32 [B]
 * @returns pixels 0..255 as float32 [B, size, size, 3]
 * @throws when the data set has 2^31 words or more: a GPU counts them in 32 bits
 */
export function gatheredImages(packed: Tensor, indices: Tensor, mirrored: Tensor, size: number): Tensor {
  if (sizeOf(packed.shape) >= 2 ** 31) throw new Error(`a packed data set of shape [${packed.shape.join(', ')}] has ${sizeOf(packed.shape)} words; fewer than 2^31 can be addressed: give the step batches of images instead`);
  const images = unpackedImages(tf.gather(packed, indices), size);
  return tf.where(tf.cast(tf.reshape(mirrored, [-1, 1, 1, 1]), 'bool'), tf.reverse(images, 2), images);
}
