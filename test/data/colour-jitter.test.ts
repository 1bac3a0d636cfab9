import { readFileSync } from 'node:fs';
import test from 'ava';
import { colourJitter, jitterFactors } from '../../src/data/colour-jitter.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf } from '../../src/tensor/tf.js';
import { backends } from '../tensor/backends.js';

interface Fixture { shape: [number, number, number, number]; images: number[]; factors: number[]; jittered: number[] }
const { shape, images, factors, jittered } = JSON.parse(readFileSync('test/fixtures/colour-jitter.json', 'utf8')) as Fixture;

const apply = (pixels: readonly number[], [B, H, W]: readonly number[], bcs: ArrayLike<number>): number[] =>
  tf.tidy(() => Array.from(colourJitter(tf.tensor4d([...pixels], [B, H, W, 3]), tf.tensor2d(Float32Array.from(bcs), [B, 3])).dataSync()));

const near = (got: readonly number[], wanted: readonly number[], tolerance: number): boolean => got.length === wanted.length && wanted.every((v, i) => Math.abs(got[i] - v) <= tolerance);

for (const backend of backends) {
  test.serial(`${backend}: by hand: two pixels, one factor at a time`, async (t) => {
    await useBackend(backend);
    const pixels = [100, 200, 50, 0, 10, 255], size = [1, 1, 2];
    t.true(near(apply(pixels, size, [2, 1, 1]), [200, 255, 100, 0, 20, 255], 1e-3));
    const grey = [152.99, 34.94]; // 0.2989 R + 0.587 G + 0.114 B
    const mean = (grey[0] + grey[1]) / 2;
    t.true(near(apply(pixels, size, [1, 0.5, 1]), pixels.map((v) => 0.5 * v + 0.5 * mean), 1e-3));
    t.true(near(apply(pixels, size, [1, 1, 0]), [grey[0], grey[0], grey[0], grey[1], grey[1], grey[1]], 1e-3));
    t.true(near(apply(pixels, size, [1, 1, 1.5]), pixels.map((v, i) => Math.max(0, Math.min(255, 1.5 * v - 0.5 * grey[Math.floor(i / 3)]))), 1e-3));
  });

  test.serial(`${backend}: as torchvision 0.29.2 adjusts brightness, contrast and saturation, one after the other`, async (t) => {
    await useBackend(backend);
    const got = apply(images, shape, factors);
    // torchvision's grey has weights 0.2989, 0.587, 0.114 of floats too
    t.true(near(got, jittered, 2e-3), `${Math.max(...jittered.map((v, i) => Math.abs(v - got[i])))} apart`);
  });
}

test('factors lie within the strength around 1, depend on seed and step, and are the same whatever was drawn before', (t) => {
  const at = { batchSize: 200, seed: 3, step: 7 };
  const drawn = [...jitterFactors(0.3, at)];
  t.is(drawn.length, 600);
  t.true(drawn.every((f) => f >= Math.fround(0.7) && f <= Math.fround(1.3)));
  t.true(Math.min(...drawn) < 0.72 && Math.max(...drawn) > 1.28);
  t.notDeepEqual(jitterFactors(0.3, { ...at, step: 8 }), jitterFactors(0.3, at));
  t.notDeepEqual(jitterFactors(0.3, { ...at, seed: 4 }), jitterFactors(0.3, at));
  t.deepEqual([...jitterFactors(0.3, at)], drawn);
  t.true(jitterFactors(0, at).every((f) => f === 1));
});
