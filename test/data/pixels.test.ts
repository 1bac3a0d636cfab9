import test from 'ava';
import fc from 'fast-check';
import { paintBackground, type Background } from '../../src/data/minivoc/background.js';
import { finishPixels } from '../../src/data/minivoc/finish.js';
import { paintItem } from '../../src/data/minivoc/paint-item.js';
import { Sprite } from '../../src/data/minivoc/sprite.js';
import { plainItem, solidSprite } from './scenes.js';

const plain = { blur: 0, contrast: 1, brightness: 0, noise: 0, noiseSeed: 1 };

/** A 8x4 panorama whose red is 10 times the column, green 10 times the row, blue 7. */
const picture = { width: 8, height: 4, channels: 3, data: Uint8Array.from({ length: 96 }, (_, i) => [10 * (Math.floor(i / 3) % 8), 10 * Math.floor(i / 24), 7][i % 3]) };
const crop = (changes: object): Background => ({ kind: 'panorama', picture, yaw: 0.5, pitch: 0, width: 0.25, roll: 0, mirrored: false, gain: [1, 1, 1], ...changes });

function paint(background: Background, size: number): Float32Array {
  const out = new Float32Array(size * size * 3);
  paintBackground(out, size, background);
  return out;
}

test('by hand: a crop two pixels wide around the middle of a panorama', (t) => {
  // Two pixels at columns 4 -+ 0.5 and, the panorama being half as high as wide, at rows 2 -+ 0.5.
  t.deepEqual([...paint(crop({}), 2)], [35, 15, 7, 45, 15, 7, 35, 25, 7, 45, 25, 7]);
  t.deepEqual([...paint(crop({ mirrored: true }), 2)], [45, 15, 7, 35, 15, 7, 45, 25, 7, 35, 25, 7]);
  t.deepEqual([...paint(crop({ gain: [2, 1, 0] }), 2)].slice(0, 3), [70, 15, 0]);
});

test('a panorama goes round: a crop at its seam mixes its last and first columns', (t) => {
  t.is(paint(crop({ yaw: 7.5 / 8, width: 0.001 }), 1)[0], 35);
  t.deepEqual(paint(crop({ yaw: 0 }), 4), paint(crop({ yaw: 1 }), 4));
});

test('no crop leaves the picture', (t) => {
  const part = fc.double({ min: -1, max: 1, noNaN: true });
  fc.assert(fc.property(fc.double({ min: 0, max: 1, noNaN: true }), part, part, fc.boolean(), (yaw, pitch, roll, mirrored) => {
    const values = paint(crop({ yaw, pitch, roll, mirrored, width: 0.3 }), 8);
    t.true(values.every((value) => value >= 0 && value <= 70));
  }), { numRuns: 200 });
});

test('by hand: a gradient from black to white along x', (t) => {
  const values = paint({ kind: 'gradient', from: [0, 0, 0], to: [255, 255, 255], direction: [1, 0], noise: 0, cells: 4, squares: 0, seed: 1 }, 5);
  t.deepEqual([0, 1, 2, 3, 4].map((x) => Math.round(values[x * 3])), [26, 77, 128, 179, 230]);
});

test('value noise stays within its amplitude and depends on its seed', (t) => {
  const noisy = (seed: number): Background => ({ kind: 'gradient', from: [100, 100, 100], to: [100, 100, 100], direction: [1, 0], noise: 30, cells: 8, squares: 0, seed });
  const values = paint(noisy(3), 32);
  t.true(values.every((value) => Math.abs(value - 100) <= 30) && Math.max(...values) - Math.min(...values) > 20);
  t.deepEqual(paint(noisy(3), 32), values);
  t.notDeepEqual(paint(noisy(4), 32), values);
});

test('by hand: rounding, clamping, contrast and brightness', (t) => {
  const values = Float32Array.from([-5, 0.4, 0.6, 254.6, 300, 128, 28, 228, 128, 0, 0, 0]);
  t.deepEqual([...finishPixels(values, 2, plain)], [0, 0, 1, 255, 255, 128, 28, 228, 128, 0, 0, 0]);
  t.deepEqual([...finishPixels(values, 2, { ...plain, contrast: 0.5, brightness: 10 })].slice(5, 9), [138, 88, 188, 138]);
});

test('by hand: one bright pixel blurred once is the 3x3 binomial kernel; a constant stays', (t) => {
  const values = new Float32Array(75);
  values.fill(160, 36, 39);
  const out = finishPixels(values, 5, { ...plain, blur: 1 });
  t.deepEqual([6, 7, 8, 11, 12, 13, 16, 17, 18].map((pixel) => out[pixel * 3]), [10, 20, 10, 20, 40, 20, 10, 20, 10]);
  t.true(finishPixels(new Float32Array(75).fill(77), 5, { ...plain, blur: 2 }).every((value) => value === 77));
});

test('noise has the amplitude that it is given, mean 0, and follows its seed', (t) => {
  const grey = (): Float32Array => new Float32Array(64 * 64 * 3).fill(128);
  const noisy = finishPixels(grey(), 64, { ...plain, noise: 12 });
  const mean = noisy.reduce((sum, value) => sum + value, 0) / noisy.length;
  t.true(Math.abs(mean - 128) < 0.4, `${mean}`);
  t.true(noisy.every((value) => Math.abs(value - 128) <= 13) && Math.max(...noisy) > 136);
  t.deepEqual(finishPixels(grey(), 64, { ...plain, noise: 12 }), noisy);
  t.notDeepEqual(finishPixels(grey(), 64, { ...plain, noise: 12, noiseSeed: 99 }), noisy);
});

test('halvings of a solid sprite are solid, of half its size, and the rim stays invisible', (t) => {
  const { levels } = solidSprite(32, 64);
  t.deepEqual(levels.map(({ width, height, scale }) => [width, height, scale]), [[32, 64, 1], [16, 32, 2], [8, 16, 4]]);
  for (const { data, width, height } of levels)
    for (let y = 0; y < height + 2; y++)
      for (let x = 0; x < width + 2; x++) {
        const at = (y * (width + 2) + x) * 4, rim = x === 0 || y === 0 || x > width || y > height;
        if ([0, 1, 2, 3].some((c) => data[at + c] !== (rim ? 0 : [200, 100, 50, 255][c]))) t.fail(`${x}, ${y} of ${width}x${height}`);
      }
  t.pass();
});

test('by hand: a sprite half see-through mixes equally with what is behind and still counts as visible', (t) => {
  const data = new Uint8Array(8 * 8 * 4).fill(0).map((_, i) => [200, 100, 50, 128][i % 4]);
  const sprite = new Sprite({ data, width: 8, height: 8, channels: 4 }, [0, 0, 8, 8]);
  const out = new Float32Array(16 * 16 * 3), instances = new Int8Array(256).fill(-1);
  t.deepEqual(paintItem(out, instances, 16, plainItem(sprite, 3, 0.5, 0.5, 0.5)), { inside: 64, whole: 64 });
  const middle = 8 * 16 + 8;
  t.is(instances[middle], 3);
  [100, 50, 25].forEach((value, c) => t.true(Math.abs(out[middle * 3 + c] - value) <= 1));
});

test('outside of the image nothing is written, and what is cut off is counted as a whole', (t) => {
  const out = new Float32Array(16 * 16 * 3), instances = new Int8Array(256).fill(-1);
  const { inside, whole } = paintItem(out, instances, 16, plainItem(solidSprite(8, 8), 0, 0, 0.5, 0.5));
  t.is(inside, 32);
  t.true(Math.abs(whole - 64) < 1);
  t.deepEqual(paintItem(out, instances, 16, plainItem(solidSprite(8, 8), 1, -2, 0.5, 0.5)).inside, 0);
});
