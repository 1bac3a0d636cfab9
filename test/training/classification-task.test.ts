import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { batchAt, flipSample } from '../../src/data/batches.js';
import { cachedDataset } from '../../src/data/cached-dataset.js';
import type { DetectionDataset } from '../../src/data/dataset.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { classificationTask, pooledClassificationTask, type SpriteSource } from '../../src/training/classification-task.js';
import { readMetrics } from '../../src/training/metrics-log.js';
import { train } from '../../src/training/train.js';
import { RUN_ID, tinySettings } from './tiny-detector.js';

/** Images of one colour, which is the class. */
const source: SpriteSource = {
  length: 9, size: 8, classes: ['red', 'green', 'blue'],
  sprites: (index) => ({ image: Uint8Array.from({ length: 192 }, (_, i) => (i % 3 === index % 3 ? 200 : 20 + (index % 7))), label: index % 3 }),
};
const backbone = { stem: 4, widths: [4], blocks: [1], strides: [2] };

test('step n sees sprites n B to (n + 1) B - 1, with their labels', (t) => {
  const task = classificationTask(backbone, source, tinySettings({ batchSize: 4 }));
  const { images, labels } = task.batch(5);
  t.deepEqual([...labels], [20, 21, 22, 23].map((index) => index % 3));
  t.deepEqual((images as Float32Array).slice(192, 384), normalizedPixels(source.sprites(21).image));
  t.is(task.stepsPerEpoch, 2);
});

test.serial('the loss begins near log K and falls when colours are told apart', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-classifier-'));
  const settings = tinySettings({ steps: 60, batchSize: 6, checkpointInterval: 60, dropAt: 1 });
  const parameters = await train(classificationTask(backbone, source, settings), { folder, runId: RUN_ID, settings, threads: 1 });
  t.true(['fc.weight', 'backbone.0.body.conv1.weight', 'backbone.0.body.bn1.running_var'].every((name) => name in parameters));
  const losses = readMetrics(folder).map(({ loss }) => Number(loss));
  t.log(losses[0], losses.at(-1));
  t.true(Math.abs(losses[0] - Math.log(3)) < 0.7 && losses.at(-1)! < 0.2);
});

/** The same as a pool; the left half is brighter, so that a mirror image differs. */
const pool: DetectionDataset = {
  length: 9, size: 8, classes: source.classes, dataHash: '6'.repeat(64),
  sample: (index) => {
    const { image, label } = source.sprites(index);
    return { id: String(index), image: image.map((v, i) => (i % 24 < 12 ? v + 40 : v)), objects: [{ label, box: [0, 0, 8, 8], difficult: false, truncated: false, occluded: false, crowd: false }] };
  },
};

test('of a pool, every epoch shows each image once, in a new order, some mirrored; batches bring the images, or which ones they are of those that stay', (t) => {
  const settings = tinySettings({ batchSize: 3, steps: 6 }), coming = pooledClassificationTask(backbone, pool, settings, 0);
  t.is(coming.stepsPerEpoch, 3);
  const orders = [0, 1].map((epoch) => [0, 1, 2].map((step) => batchAt(pool, { batchSize: 3, seed: settings.seed, flip: true, step: 3 * epoch + step, withImages: false })));
  for (const order of orders) t.deepEqual(order.flatMap(({ indices }) => [...indices]).sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  t.notDeepEqual(orders[0].map(({ indices }) => indices), orders[1].map(({ indices }) => indices));
  const batches = orders.flat();
  t.deepEqual(new Set(batches.flatMap(({ mirrored }) => [...mirrored])), new Set([0, 1]));
  const staying = pooledClassificationTask(backbone, cachedDataset(pool), settings, 1 << 20);
  t.deepEqual(Object.keys(staying.inputs).sort(), ['indices', 'labels', 'mirrored']);
  batches.forEach(({ indices, mirrored }, step) => {
    const { images, labels } = coming.batch(step);
    t.deepEqual([...labels], [...indices].map((index) => index % 3));
    indices.forEach((index, i) => {
      const plain = pool.sample(index);
      t.deepEqual((images as Float32Array).slice(i * 192, (i + 1) * 192), normalizedPixels((mirrored[i] ? flipSample(plain, 8) : plain).image));
    });
    t.deepEqual(staying.batch(step), { indices, labels, mirrored: Int32Array.from(mirrored) });
  });
  t.true('images' in pooledClassificationTask(backbone, cachedDataset(pool), { ...settings, steps: 2 }, 1 << 20).inputs, 'less than an epoch: no image is composed that no batch shows');
});

test.serial('the losses of a pool are the same, to 1e-5, whether it stays with the engine or not', async (t) => {
  const settings = tinySettings({ steps: 8, batchSize: 4, checkpointInterval: 8 });
  const [coming, staying] = await Promise.all([0, 1 << 20].map(async (bytes) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-pool-'));
    await train(pooledClassificationTask(backbone, cachedDataset(pool), settings, bytes), { folder, runId: RUN_ID, settings, threads: 1 });
    return readMetrics(folder).map(({ loss }) => Number(loss));
  }));
  t.is(coming.length, 8);
  t.true(coming.every((loss, i) => Math.abs(loss - staying[i]) <= 1e-5 * loss), `${staying.join()} instead of ${coming.join()}`);
});
