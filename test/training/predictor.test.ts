import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { UserError } from '../../src/errors.js';
import { plainPng } from '../../src/figures/picture.js';
import { realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { detrSettings, fullSizeDetectors, modelOf } from '../../src/models/settings.js';
import { loadDetectorWeights } from '../../src/models/weights/load-weights.js';
import { RandomStream } from '../../src/tensor/random.js';
import { createDetectorEvaluator } from '../../src/training/evaluate-detector.js';
import { createPredictor } from '../../src/training/predictor.js';

const scratch = mkdtempSync(path.join(tmpdir(), 'qdetr-predictor-'));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

for (const name of ['minutes', 'minutes-smca']) {
  test(`${name}: an image of MiniVOC in a file gives what the evaluation of the data set finds in it`, async (t) => {
    const { settings, parameters } = loadDetectorWeights(`data-manifests/weights/minivoc-${name}.safetensors`);
    const dataset = openMiniVoc({ split: 'test', size: 64 }), file = path.join(scratch, `${name}.png`), index = 3;
    writeFileSync(file, plainPng(dataset.sample(index).image, 64, 64));
    const evaluator = createDetectorEvaluator(settings, realValued), predictor = createPredictor(settings, parameters, realValued);
    const wanted = await evaluator.detect(parameters, dataset, index + 1), { detections, width, height, seen } = await predictor.predict(file);
    t.deepEqual([width, height, seen], [64, 64, { width: 64, height: 64 }]);
    const rows = Array.from(wanted.scores, (score, row) => ({ row, score })).filter(({ row }) => wanted.imageIds[row] === index).sort((a, b) => b.score - a.score);
    t.is(detections.length, rows.length);
    detections.forEach(({ label, score, box: [x0, y0, x1, y1] }, i) => {
      const { row } = rows[i], close = (a: number, b: number, what: string): boolean => t.true(Math.abs(a - b) < 1e-3, `${what}: ${a} instead of ${b}`);
      t.is(label, wanted.categoryIds[row]);
      close(score, wanted.scores[row], 'score');
      [x0, y0, x1 - x0, y1 - y0].forEach((v, k) => close(v, wanted.boxes[4 * row + k], 'box'));
    });
    await evaluator.dispose();
    await predictor.dispose();
  });
}

test('images are seen as DETR\'s test images are, in proportion to the size of the model\'s', (t) => {
  const seen = (model: typeof detrSettings.smoke, width: number, height: number): number[] => {
    const size = createPredictor(model, {}, realValued).seenSize({ width, height });
    return [size.width, size.height];
  };
  const full = fullSizeDetectors['detr-r50'];
  t.deepEqual(seen(full, 640, 480), [1066, 800]);
  t.deepEqual(seen(full, 1000, 400), [1332, 533]); // the longer side decides; rounded as there
  t.deepEqual(seen(detrSettings.smoke, 128, 128), [64, 64]);
  t.deepEqual(seen(detrSettings.smoke, 640, 480), [85, 64]);
});

test('images of several sizes go through one predictor; boxes are in pixels of each file', async (t) => {
  const settings = modelOf('smoke'), predictor = createPredictor(settings, initialDetectorParameters(settings, new RandomStream(1)), realValued);
  for (const [width, height] of [[90, 60], [30, 70], [90, 60]]) {
    const file = path.join(scratch, `${width}.png`);
    writeFileSync(file, plainPng(Uint8Array.from({ length: 3 * width * height }, (_, i) => i % 251), width, height));
    const { detections, seen } = await predictor.predict(file);
    t.deepEqual([seen.width, seen.height], width > height ? [96, 64] : [46, 107]);
    t.is(detections.length, settings.queries);
    t.true(detections.every(({ score }, i) => i === 0 || score <= detections[i - 1].score));
    t.true(detections.every(({ box: [x0, y0, x1, y1] }) => (x0 + x1) / 2 > 0 && (x0 + x1) / 2 < width && (y0 + y1) / 2 > 0 && (y0 + y1) / 2 < height));
  }
  await t.throwsAsync(predictor.predict('package.json'), { instanceOf: UserError, message: /package\.json can't be decoded/ });
  await predictor.dispose();
});
