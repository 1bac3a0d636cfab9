import test from 'ava';
import { gatheredImages, packedImages, unpackedImages, wordsOf } from '../../src/data/packed-images.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { trace } from '../../src/tensor/trace.js';
import { backends } from '../tensor/backends.js';

const numbers = (x: Tensor): number[] => Array.from(x.dataSync());

/** Red 1, 4, 7, 10, green 2, ..., with bytes above 127 in every place of a word. */
const HAND = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 255, 200, 11, 128);

for (const backend of backends) {
  test.serial(`${backend}: by hand: an image of 2x2 pixels is three words; mirrored, its columns change places`, async (t) => {
    await useBackend(backend);
    const words = packedImages(HAND, 2);
    t.is(wordsOf(2), 3);
    t.deepEqual([...words], [0x04030201, 0x08070605, 0x800bc8ff | 0]);
    t.is(words.buffer, HAND.buffer, 'nothing is copied');
    tf.tidy(() => {
      const packed = tf.tensor2d([...words, ...words.map((w) => ~w)], [2, 3], 'int32');
      const images = gatheredImages(packed, tf.tensor1d([0, 0, 1], 'int32'), tf.tensor1d([0, 1, 0], 'int32'), 2);
      t.deepEqual(images.shape, [3, 2, 2, 3]);
      t.deepEqual(numbers(images), [...HAND, 4, 5, 6, 1, 2, 3, 200, 11, 128, 7, 8, 255, ...HAND.map((b) => 255 - b)]);
    });
  });
}

test.serial('an image whose bytes fill no whole number of words is filled up', async (t) => {
  await useBackend('cpu');
  const pixels = Uint8Array.from({ length: 2 * 27 }, (_, i) => 200 + i);
  const words = packedImages(pixels, 3);
  t.is(words.length, 2 * 7);
  tf.tidy(() => t.deepEqual(numbers(unpackedImages(tf.tensor2d(words, [2, 7], 'int32'), 3)), [...pixels]));
  const shifted = new Uint8Array(HAND.length + 1);
  shifted.set(HAND, 1);
  t.deepEqual(packedImages(shifted.subarray(1), 2), packedImages(HAND, 2), 'pixels that do not begin at a whole word');
});

test('a data set of 2^31 words or more is refused', (t) => {
  const words = wordsOf(128), packed = { shape: [Math.ceil(2 ** 31 / words), words], dtype: 'int32' as const };
  const one = { shape: [1], dtype: 'int32' as const };
  t.throws(() => trace((x) => ({ y: gatheredImages(x.packed, x.indices, x.mirrored, 128) }), { packed, indices: one, mirrored: one }), { message: /has 2147487744 words; fewer than 2\^31 can be addressed/ });
});
