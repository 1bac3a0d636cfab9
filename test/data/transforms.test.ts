import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { decodeAndTransform } from '../../src/data/decode-image.js';
import type { AnnotatedObject } from '../../src/data/dataset.js';
import { checkTransforms, cropBox, DETR_EVALUATION, DETR_TRAINING, evaluationPlan, flipBox, resizeBox, scaledTransforms, sizeWithAspectRatio, transformObjects, transformPlan, type TransformPlan } from '../../src/data/transforms.js';
import { UserError } from '../../src/errors.js';
import { sha256 } from '../../src/files.js';

/** facebookresearch/detr on Pillow 13.0.0, torchvision 0.29.2: test/fixtures/make-transforms.py. */
const { sizes, chains } = JSON.parse(readFileSync('test/fixtures/transforms.json', 'utf8')) as {
  sizes: [number, number, number, number | null, number, number][];
  chains: { file: string; boxes: AnnotatedObject['box'][]; cases: { plan: TransformPlan; sha256: string; kept: number[]; boxes: number[][] }[] };
};
const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-transforms-'));
test.after.always(() => rmSync(folder, { recursive: true }));

test('by hand: 640x480 becomes 1066x800; 1000x400 is as long as it may be', (t) => {
  t.deepEqual(sizeWithAspectRatio({ width: 640, height: 480 }, 800, 1333), { width: 1066, height: 800 });
  t.deepEqual(sizeWithAspectRatio({ width: 1000, height: 400 }, 800, 1333), { width: 1332, height: 533 });
  t.deepEqual(flipBox([1, 2, 4, 8], 10), [6, 2, 9, 8]);
  t.deepEqual(resizeBox([1, 2, 4, 8], { width: 10, height: 10 }, { width: 20, height: 5 }), [2, 1, 8, 4]);
  t.deepEqual(cropBox([1, 2, 4, 8], { x: 2, y: 0, width: 5, height: 5 }), [0, 2, 2, 5]);
  t.is(cropBox([1, 2, 4, 8], { x: 4, y: 0, width: 5, height: 5 }), undefined);
});

test('sizes are DETR\'s, roundings included', (t) => {
  for (const [width, height, size, longest, toWidth, toHeight] of sizes)
    t.deepEqual(sizeWithAspectRatio({ width, height }, size, longest ?? undefined), { width: toWidth, height: toHeight }, `${width}x${height} to ${size}, ${longest}`);
});

test('mirror, crop and resize: pixels are DETR\'s on Pillow, byte for byte, and so are the boxes', async (t) => {
  const file = path.join(folder, 'scene.png'), image = { width: 96, height: 64 };
  writeFileSync(file, Buffer.from(chains.file, 'base64'));
  const objects = chains.boxes.map((box, label): AnnotatedObject => ({ label, box, difficult: false, truncated: false, occluded: false, crowd: false }));
  for (const { plan, sha256: expected, kept, boxes } of chains.cases) {
    const { pixels, width, height } = await decodeAndTransform({ file, ...image, plan });
    t.deepEqual({ width, height }, plan.size);
    t.is(sha256(pixels), expected);
    const transformed = transformObjects(objects, image, plan);
    t.deepEqual(transformed.map(({ label }) => label), kept);
    transformed.forEach(({ box }, i) => box.forEach((value, k) => t.true(Math.abs(value - boxes[i][k]) < 1e-4, `${value} ${boxes[i][k]}`)));
  }
});

const side = fc.integer({ min: 20, max: 2000 });
const image = fc.record({ width: side, height: side }).filter(({ width, height }) => Math.max(width / height, height / width) < 15);
const source = fc.record({ seed: fc.nat(), step: fc.nat(1e6), position: fc.nat(15) });

test('a plan depends on its arguments alone, and keeps to the settings', (t) => {
  let cropped = 0, flipped = 0, runs = 0;
  fc.assert(fc.property(image, source, (size, from) => {
    const plan = transformPlan(size, DETR_TRAINING, from);
    t.deepEqual(transformPlan({ ...size }, { ...DETR_TRAINING }, { ...from }), plan);
    const shorter = Math.min(plan.size.width, plan.size.height), longer = Math.max(plan.size.width, plan.size.height);
    t.true(longer <= 1344 && (DETR_TRAINING.sizes.includes(shorter) || longer > 1300), JSON.stringify(plan));
    runs++;
    flipped += Number(plan.flip);
    if (!plan.crop) return;
    cropped++;
    const { size: { width, height }, region } = plan.crop;
    t.true([400, 500, 600].includes(Math.min(width, height)));
    for (const length of [region.width, region.height]) t.true(length >= 384 && length <= 600);
    t.true(region.x >= 0 && region.y >= 0 && region.x + region.width <= width && region.y + region.height <= height);
  }), { numRuns: 400 });
  for (const count of [cropped, flipped]) t.true(count > 0.35 * runs && count < 0.65 * runs, `${count} of ${runs}`);
});

test('boxes stay in the image, whatever is done to it', (t) => {
  fc.assert(fc.property(image, source, fc.array(fc.tuple(...[0, 1, 2, 3].map(() => fc.double({ min: 0, max: 1, noNaN: true }))), { maxLength: 5 }), (size, from, corners) => {
    const objects = corners.map(([a, b, c, d], label): AnnotatedObject => ({
      label, box: [Math.min(a, c) * size.width, Math.min(b, d) * size.height, Math.max(a, c) * size.width, Math.max(b, d) * size.height], difficult: false, truncated: false, occluded: false, crowd: false,
    }));
    const plan = transformPlan(size, DETR_TRAINING, from);
    for (const { box: [left, top, right, bottom] } of transformObjects(objects, size, plan)) t.true(left >= -1e-9 && top >= -1e-9 && right <= plan.size.width + 1e-6 && bottom <= plan.size.height + 1e-6 && left <= right && top <= bottom);
  }), { numRuns: 200 });
});

test('transforms for small images are the same, scaled; evaluation does one thing only', (t) => {
  const small = scaledTransforms(DETR_TRAINING, 0.1);
  t.deepEqual([small.sizes[0], small.sizes.at(-1), small.maxSize], [48, 80, 133]);
  t.deepEqual(small.crop, { from: [40, 50, 60], least: 38, most: 60 });
  t.notThrows(() => checkTransforms(small));
  t.deepEqual(evaluationPlan({ width: 640, height: 480 }, DETR_EVALUATION), { flip: false, size: { width: 1066, height: 800 } });
});

test('wrong settings are named', (t) => {
  const wrong: [object, RegExp][] = [
    [{ sizes: [] }, /'sizes' of the transforms is empty/], [{ sizes: [480, 0] }, /'sizes' of the transforms is 0/], [{ maxSize: 1.5 }, /'maxSize'/], [{ flip: 2 }, /'flip' of the transforms is 2/],
    [{ crop: { from: [400], least: 500, most: 600 } }, /'crop\.least' of the transforms is 500.*at most 400/], [{ crop: { from: [400.5], least: 500, most: 600 } }, /'crop\.from'/],
  ];
  for (const [change, message] of wrong) t.throws(() => checkTransforms({ ...DETR_TRAINING, ...change }), { instanceOf: UserError, message });
});
