import test from 'ava';
import fc from 'fast-check';
import { centreCrop, IMAGENET_TRANSFORMS, randomResizedCrop } from '../../src/data/classification-transforms.js';

test('by hand: the middle of evaluated images, as torchvision has it', (t) => {
  t.deepEqual(centreCrop({ width: 500, height: 375 }, IMAGENET_TRANSFORMS), { flip: false, crop: { size: { width: 341, height: 256 }, region: { x: 58, y: 16, width: 224, height: 224 } }, size: { width: 224, height: 224 } }); // (341 - 224) / 2 = 58.5, which Python rounds to the even
  t.deepEqual(centreCrop({ width: 64, height: 64 }, { side: 32, resizedTo: 37 }).crop, { size: { width: 37, height: 37 }, region: { x: 2, y: 2, width: 32, height: 32 } });
});

test('random crops lie in the image, have RandomResizedCrop\'s areas and ratios, and depend on seed, step and position alone', (t) => {
  let mirrored = 0, all = 0;
  fc.assert(fc.property(fc.integer({ min: 2, max: 900 }), fc.integer({ min: 2, max: 900 }), fc.nat(1e6), (width, height, step) => {
    const of = (at: number) => randomResizedCrop({ width, height }, 224, { seed: 3, step: at, position: 1 });
    const plan = of(step), { x, y, width: w, height: h } = plan.crop!.region;
    t.true(x >= 0 && y >= 0 && w >= 1 && h >= 1 && x + w <= width && y + h <= height);
    t.deepEqual([plan.size, plan.crop!.size], [{ width: 224, height: 224 }, { width, height }]);
    t.deepEqual(of(step), plan);
    if (width > 100 && height > 100 && Math.max(width / height, height / width) < 4 / 3) {
      t.true((w * h) / (width * height) > 0.07);
      t.true(w / h > 0.7 && w / h < 1.42);
    }
    mirrored += Number(plan.flip);
    all++;
  }), { numRuns: 300 });
  t.true(mirrored > 0.35 * all && mirrored < 0.65 * all);
});

test('an image that no crop fits into gives its middle in the nearest ratio', (t) => {
  const { region } = randomResizedCrop({ width: 1000, height: 2 }, 8, { seed: 0, step: 0, position: 0 }).crop!;
  t.true(region.height <= 2 && region.width <= 4, JSON.stringify(region));
});
