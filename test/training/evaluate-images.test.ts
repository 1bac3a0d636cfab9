import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { openCocoFolder } from '../../src/data/coco-reader.js';
import { writeCocoFolder } from '../../src/data/coco-folder.js';
import { decodeImage } from '../../src/data/decode-image.js';
import { limitedDataset } from '../../src/data/limited-dataset.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { openVocFolder } from '../../src/data/voc-reader.js';
import { writeVocFolder } from '../../src/data/voc-folder.js';
import { UserError } from '../../src/errors.js';
import { evaluateFolder } from '../../src/experiments/evaluate-folder.js';
import { predictionModel } from '../../src/experiments/prediction-model.js';
import { createDetectorEvaluator } from '../../src/training/evaluate-detector.js';

const COUNT = 80;
const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-evaluate-images-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const val = openMiniVoc({ split: 'val', size: 64 });
const detector = predictionModel('data-manifests/weights/minivoc-minutes.safetensors', {});

test.before('write the same images in both formats', async () => {
  const settings = { split: 'val', count: COUNT };
  await writeVocFolder(val, { folder: path.join(folder, 'voc'), ...settings }, () => undefined);
  await writeCocoFolder(val, { folder: path.join(folder, 'coco'), ...settings }, () => undefined);
});

test.serial('images written as VOC and as COCO and read again: the numbers of the very same pixels in memory', async (t) => {
  const dataset = openVocFolder({ folder: path.join(folder, 'voc'), split: 'val' });
  const pixels = await Promise.all(Array.from({ length: COUNT }, async (_, index) => (await decodeImage(dataset.entry(index).file)).pixels));
  const evaluator = createDetectorEvaluator(detector.settings, detector.quantization);
  const wanted = await evaluator.evaluate(detector.parameters, { ...limitedDataset(val, COUNT), sample: (index) => ({ ...val.sample(index), image: pixels[index] }) });
  await evaluator.dispose();
  t.true(wanted.ap50 > 0.3, 'the shipped weights detect something');
  const voc = await evaluateFolder({ detector, dataset, workers: 0 });
  const coco = await evaluateFolder({ detector, dataset: openCocoFolder({ folder: path.join(folder, 'coco'), split: 'val' }), workers: 0 });
  for (const key of ['ap', 'ap50', 'ap75', 'apSmall', 'ar100'] as const) {
    t.true(Math.abs(voc.summary[key] - wanted[key]) < 1e-3, `${key}: ${voc.summary[key]} and ${wanted[key]}`);
    t.is(coco.summary[key], voc.summary[key], `${key}: the same images and boxes`);
  }
});

test.serial('several images at once, the last batch not full: the same detections as one by one, and none for images that are not there', async (t) => {
  const dataset = openVocFolder({ folder: path.join(folder, 'voc'), split: 'val' });
  const one = await evaluateFolder({ detector, dataset, images: 10, workers: 0 }), many = await evaluateFolder({ detector, dataset, images: 10, batchSize: 4, workers: 0 });
  t.is(many.detections.scores.length, 10 * detector.settings.queries);
  t.deepEqual(many.detections.imageIds, one.detections.imageIds);
  t.true(many.detections.scores.every((score, n) => Math.abs(score - one.detections.scores[n]) < 1e-4));
  t.is(many.truth.images.length, 10);
});

test.serial('a detector of fewer classes than the data set has', async (t) => {
  const error = await t.throwsAsync(evaluateFolder({ detector: { ...detector, settings: { ...detector.settings, classes: 3 } }, dataset: openVocFolder({ folder: path.join(folder, 'voc'), split: 'val' }) }), { instanceOf: UserError });
  t.regex(error.message, /detects 3 classes, and voc-val has 20: give a detector of the same classes$/);
});
