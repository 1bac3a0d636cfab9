import test from 'ava';
import fc from 'fast-check';
import { IMAGE_DEVIATION, IMAGE_MEAN, normalizedImages, normalizedPixels } from '../../src/models/normalize-images.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf } from '../../src/tensor/tf.js';

test('by hand: black, white and a grey', (t) => {
  const got = normalizedPixels(Uint8Array.of(0, 0, 0, 255, 255, 255, 128, 128, 128));
  const wanted = [
    -0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225,
    0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225,
    (128 / 255 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (128 / 255 - 0.406) / 0.225,
  ];
  wanted.forEach((v, i) => t.true(Math.abs(got[i] - v) < 1e-6, `${i}`));
});

test('every pixel is its colour\'s straight line; the input stays; a given array is written in place', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    const pixels = bytes.slice(0, bytes.length - (bytes.length % 3)), before = Uint8Array.from(pixels);
    const out = new Float32Array(pixels.length);
    t.is(normalizedPixels(pixels, out), out);
    t.deepEqual(pixels, before);
    out.forEach((v, i) => t.is(v, Math.fround((pixels[i] / 255 - IMAGE_MEAN[i % 3]) / IMAGE_DEVIATION[i % 3])));
  }));
});

test.serial('a tensor of all 256 values in every colour is normalized to the same numbers, to 1e-6', async (t) => {
  await useBackend('wasm');
  const pixels = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.floor(i / 3)), wanted = normalizedPixels(pixels);
  const got = tf.tidy(() => normalizedImages(tf.tensor2d(Float32Array.from(pixels), [256, 3])).dataSync());
  wanted.forEach((v, i) => t.true(Math.abs(got[i] - v) <= 1e-6, `${pixels[i]}: ${got[i]} instead of ${v}`));
});
