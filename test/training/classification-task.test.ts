import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { classificationTask, type SpriteSource } from '../../src/training/classification-task.js';
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
