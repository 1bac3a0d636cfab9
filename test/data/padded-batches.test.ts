import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { canvasGrid, canvasOf, checkCanvases, type Canvas } from '../../src/data/canvas.js';
import { decodeAndTransform } from '../../src/data/decode-image.js';
import { decodePool } from '../../src/data/decode-pool.js';
import { evaluationBatches, paddedBatches, type PaddedBatchSettings } from '../../src/data/padded-batches.js';
import type { ImageDataset, PaddedBatch } from '../../src/data/image-dataset.js';
import { DETR_EVALUATION, DETR_TRAINING, evaluationPlan, scaledTransforms, transformPlan, type TransformSettings } from '../../src/data/transforms.js';
import { openVocFolder } from '../../src/data/voc-reader.js';
import { UserError } from '../../src/errors.js';
import { RandomStream } from '../../src/tensor/random.js';
import { jpegOf, scratchFolder, vocXml, writeVoc } from './readers.js';

const { folder: root, remove } = scratchFolder('padded-batches');
test.after.always(remove);

const training = scaledTransforms(DETR_TRAINING, 0.08), evaluation = scaledTransforms(DETR_EVALUATION, 0.08);
const sizes = [[64, 48], [48, 64], [64, 43], [50, 50], [64, 20], [40, 60], [64, 48], [30, 30], [64, 48], [48, 64]] as const;

let made = 0;
/** Ten images; `broken` is what lies in the place of some. */
async function folderOf(broken: Readonly<Record<number, Uint8Array>> = {}): Promise<ImageDataset> {
  const folder = path.join(root, String(made++));
  const images = await Promise.all(sizes.map(async ([width, height], i) => [`image-${i}`, {
    xml: vocXml(width, height, [['dog', 1, 1, width, height], ['cat', 5, 5, 20, 18], ['person', 2, 2, 8, 8, 1]]), image: broken[i] ?? await jpegOf(width, height, 20 * i, 255 - 20 * i),
  }] as const));
  writeVoc(folder, 'val', Object.fromEntries(images));
  return openVocFolder({ folder, split: 'val' });
}
const settingsOf = (dataset: ImageDataset, transforms: TransformSettings, more: Partial<PaddedBatchSettings> = {}): PaddedBatchSettings => ({ dataset, batchSize: 3, transforms, canvases: canvasGrid(transforms, 3), workers: 0, ...more });

test('by hand: an image lies in the upper left corner, its box is normalized by its own size', async (t) => {
  const dataset = await folderOf(), batches = evaluationBatches({ ...settingsOf(dataset, evaluation), batchSize: 2, canvases: [{ height: 128, width: 128 }] });
  const batch = await batches.batch(0);
  t.deepEqual([batch.height, batch.width, batches.length, batches.objects], [128, 128, 5, 8]);
  t.deepEqual([...batch.sizes], [64, 85, 85, 64]);
  t.deepEqual([...batch.originalSizes], [48, 64, 64, 48]);
  t.deepEqual([...batch.indices, ...batch.counts], [0, 1, 2, 2]);
  t.deepEqual([...batch.labels.subarray(0, 8)], [11, 7, -1, -1, -1, -1, -1, -1], 'the difficult person is not among them');
  t.deepEqual([...batch.boxes.subarray(0, 8)], [0.5, 0.5, 1, 1, 12 / 64, 11 / 48, 16 / 64, 14 / 48].map(Math.fround));
  const entry = dataset.entry(0), { pixels } = await decodeAndTransform({ file: entry.file, width: 64, height: 48, plan: evaluationPlan(entry, evaluation) });
  for (let y = 0; y < 128; y++) for (let x = 0; x < 128; x++) {
    const at = (y * 128 + x) * 3, inside = y < 64 && x < 85, expected = inside ? pixels.subarray((y * 85 + x) * 3, (y * 85 + x) * 3 + 3) : [0, 0, 0];
    if (expected.some((value, c) => value !== batch.pixels[at + c])) t.fail(`pixel ${x}, ${y}`);
  }
  await batches.close();
});

test('evaluation goes through all images in order; the last batch is filled with none', async (t) => {
  const dataset = await folderOf(), batches = evaluationBatches({ ...settingsOf(dataset, evaluation), batchSize: 4 });
  t.is(batches.length, 3);
  const all = await Promise.all([0, 1, 2].map((step) => batches.batch(step)));
  t.deepEqual(all.flatMap(({ indices }) => [...indices]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -1]);
  t.deepEqual([...all[2].sizes.subarray(4)], [1, 1, 1, 1]);
  await t.throwsAsync(batches.batch(3), { instanceOf: UserError, message: /there is no batch 3/ });
  t.is(evaluationBatches({ ...settingsOf(dataset, evaluation), count: 5 }).length, 2);
});

test('a batch depends on data, seed and step alone: not on threads, nor on what was asked for before', async (t) => {
  const dataset = await folderOf();
  const read = async (workers: number, prefetch: number, steps: number[], seed = 3): Promise<PaddedBatch[]> => {
    const batches = paddedBatches({ ...settingsOf(dataset, training, { workers, prefetch }), seed }), read: PaddedBatch[] = [];
    for (const step of steps) read.push(await batches.batch(step));
    await batches.close();
    return read;
  };
  const [plain, other] = [await read(0, 0, [0, 1, 2, 3, 4]), await read(0, 0, [0], 4)];
  t.deepEqual(await read(2, 2, [0, 1, 2, 3, 4]), plain);
  t.deepEqual(await read(1, 5, [4, 0, 3]), [plain[4], plain[0], plain[3]]);
  t.notDeepEqual(other[0], plain[0]);
  t.is(new Set(plain.slice(0, 3).flatMap(({ indices }) => [...indices])).size, 9, 'an epoch shows no image twice');
});

test('a broken image is fatal, or the next sound one of the data set comes in its place', async (t) => {
  const whole = await folderOf(), half = (await jpegOf(64, 43)).subarray(0, 200), dataset = await folderOf({ 2: half, 3: await jpegOf(49, 50) });
  const steps = [0, 1]; // all images
  const stopping = paddedBatches({ ...settingsOf(dataset, training, { batchSize: 5 }), seed: 1 }), failed = await Promise.allSettled(steps.map((step) => stopping.batch(step)));
  const reasons = failed.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
  t.true(reasons.length > 0 && reasons.every((reason) => /UserError: .*image-(2\.jpg can't be decoded|3\.jpg has 49x50 pixels, but its annotation says 50x50)/.test(reason)), reasons.join());
  const expected = paddedBatches({ ...settingsOf(whole, training, { batchSize: 5 }), seed: 1 });
  for (const workers of [0, 2]) {
    const told: string[] = [], batches = paddedBatches({ ...settingsOf(dataset, training, { batchSize: 5, workers, onBroken: 'skip', told: (reason) => told.push(reason) }), seed: 1 });
    for (const step of [...steps, ...steps]) {
      const { indices } = await batches.batch(step);
      t.deepEqual([...indices], [...(await expected.batch(step)).indices].map((index) => (index === 2 || index === 3 ? 4 : index)));
    }
    t.deepEqual(batches.broken.map(({ name }) => name).sort(), ['image-2', 'image-3']);
    t.is(told.length, 2);
    await batches.close();
  }
  const evaluated = evaluationBatches(settingsOf(dataset, evaluation, { onBroken: 'skip' })), batch = await evaluated.batch(0);
  t.deepEqual([[...batch.indices], [...batch.counts], [...batch.sizes.subarray(4)]], [[0, 1, -1], [2, 2, 0], [1, 1]]);
});

test('where no image can be decoded, that is said', async (t) => {
  const dataset = await folderOf(Object.fromEntries(sizes.map((_, i) => [i, Buffer.from('x')])));
  await t.throwsAsync(paddedBatches({ ...settingsOf(dataset, training, { onBroken: 'skip' }), seed: 1 }).batch(0), { instanceOf: UserError, message: /10 images one behind another can't be decoded/ });
});

test('closed threads reject what they had not done, and wrong settings are named', async (t) => {
  const dataset = await folderOf(), pool = decodePool(1), { file, width, height } = dataset.entry(0);
  const pending = pool.decode({ file, width, height, plan: evaluationPlan({ width, height }, evaluation) });
  const rejected = t.throwsAsync(pending, { message: /have ended/ });
  await pool.close();
  await rejected;
  await t.throwsAsync(pool.decode({ file, width, height, plan: evaluationPlan({ width, height }, evaluation) }), { message: /have ended/ });
  const batches = paddedBatches({ ...settingsOf(dataset, training, { workers: 1, onBroken: 'skip' }), seed: 1 });
  await batches.close();
  await t.throwsAsync(batches.batch(0), { message: /have ended/ });
  t.deepEqual(batches.broken, [], 'no image is to blame');
  t.throws(() => decodePool(1.5), { instanceOf: UserError, message: /'workers' is 1\.5/ });
  t.throws(() => paddedBatches({ ...settingsOf(dataset, training, { batchSize: 11 }), seed: 1 }), { instanceOf: UserError, message: /batchSize is 11/ });
  t.throws(() => paddedBatches({ ...settingsOf(dataset, training, { canvases: [{ height: 64, width: 128 }] }), seed: 1 }), { instanceOf: UserError, message: /no canvas holds images of 128x128/ });
  t.throws(() => evaluationBatches({ ...settingsOf(dataset, evaluation), batchSize: 0 }), { instanceOf: UserError, message: /batchSize is 0/ });
});

test('canvases by hand: DETR\'s with three sides; the smallest that holds a batch is taken', (t) => {
  const sides = (grid: { height: number }[]): number[] => [...new Set(grid.map(({ height }) => height))];
  t.deepEqual(sides(canvasGrid(DETR_TRAINING, 1)), [1344]);
  t.deepEqual(sides(canvasGrid(DETR_TRAINING, 2)), [800, 1344]);
  t.deepEqual(sides(canvasGrid(DETR_TRAINING)), [800, 1088, 1344]);
  t.deepEqual(sides(canvasGrid(DETR_TRAINING, 5)), [640, 800, 992, 1184, 1344]);
  const grid = canvasGrid(DETR_EVALUATION);
  t.is(grid.length, 9);
  t.deepEqual(canvasOf([{ width: 1066, height: 800 }], grid), { height: 800, width: 1088 });
  t.deepEqual(canvasOf([{ width: 1066, height: 800 }, { width: 600, height: 800 }], grid), { height: 800, width: 1088 });
  t.deepEqual(canvasOf([{ width: 1066, height: 800 }, { width: 800, height: 1066 }], grid), { height: 1088, width: 1088 });
  t.throws(() => canvasOf([{ width: 1400, height: 800 }], grid), { instanceOf: UserError, message: /no canvas holds images of 1400x800/ });
  t.throws(() => canvasGrid(DETR_TRAINING, 0), { instanceOf: UserError, message: /'sides' of the canvases is 0/ });
});

test('every grid holds whatever its transforms give', (t) => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 8, max: 900 }), { minLength: 1, maxLength: 4 }), fc.integer({ min: 8, max: 1400 }), fc.integer({ min: 1, max: 7 }), (shorter, maxSize, sides) => {
    const transforms = { sizes: shorter, maxSize, flip: 0 };
    t.notThrows(() => checkCanvases(canvasGrid(transforms, sides), transforms));
    t.true(canvasGrid(transforms, sides).every(({ height, width }) => height % 32 === 0 && width % 32 === 0));
  }), { numRuns: 200 });
});

/** Widths, heights and shares of images as COCO's are, about: landscapes and portraits of 4:3 and 3:2 above all. */
const COCO_LIKE = [[640, 480, 29], [640, 427, 25], [480, 640, 11], [427, 640, 7], [500, 375, 5], [640, 360, 3], [500, 333, 3], [640, 400, 3], [640, 512, 2], [640, 640, 2], [375, 500, 2], [612, 612, 2], [333, 500, 1], [360, 640, 1], [640, 320, 1], [480, 360, 1]] as const;

/** Pixels of the canvases per pixel of the images. @param grid undefined: canvases as small as the batch allows */
function padding(transforms: TransformSettings, batchSize: number, grid?: readonly Canvas[]): number {
  const images = COCO_LIKE.flatMap(([width, height, share]) => Array.from({ length: share }, () => ({ width, height }))), random = new RandomStream(0, 1);
  let canvases = 0, pixels = 0;
  for (let step = 0; step < 8000 / batchSize; step++) {
    const placed = Array.from({ length: batchSize }, (_, position) => transformPlan(images[random.integer(images.length)], transforms, { seed: 0, step, position }).size);
    const canvas = grid ? canvasOf(placed, grid) : { height: Math.max(...placed.map(({ height }) => height)), width: Math.max(...placed.map(({ width }) => width)) };
    canvases += batchSize * canvas.height * canvas.width;
    pixels += placed.reduce((sum, { height, width }) => sum + height * width, 0);
  }
  return canvases / pixels;
}

test('padding on images like COCO\'s is what canvasGrid says: more canvases, less of it', (t) => {
  const table = { 2: [1.61, 1.96], 3: [1.44, 1.64], 5: [1.22, 1.49] };
  for (const [sides, [single, pair]] of Object.entries(table)) {
    const grid = canvasGrid(DETR_TRAINING, Number(sides));
    t.log(sides, ...[1, 2, 4, 8].map((batchSize) => `${padding(DETR_TRAINING, batchSize, grid).toFixed(2)} (${padding(DETR_EVALUATION, batchSize, canvasGrid(DETR_EVALUATION, Number(sides))).toFixed(2)})`));
    t.true(Math.abs(padding(DETR_TRAINING, 1, grid) - single) < 0.02 && Math.abs(padding(DETR_TRAINING, 2, grid) - pair) < 0.02);
  }
  t.log('exact', ...[1, 2, 4, 8].map((batchSize) => `${padding(DETR_TRAINING, batchSize).toFixed(2)} (${padding(DETR_EVALUATION, batchSize).toFixed(2)})`));
});
