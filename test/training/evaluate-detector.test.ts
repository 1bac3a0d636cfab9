import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { cocoAnnotations } from '../../src/data/coco-annotations.js';
import type { DetectionDataset } from '../../src/data/dataset.js';
import { limitedDataset } from '../../src/data/limited-dataset.js';
import { evaluateDetections } from '../../src/detection/coco-average-precision.js';
import { outputsToDetections, postProcess } from '../../src/detection/post-processing.js';
import type { Detections } from '../../src/detection/detections.js';
import { detector } from '../../src/models/detector.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { tf } from '../../src/tensor/tf.js';
import { createDetectorEvaluator } from '../../src/training/evaluate-detector.js';
import { squares, tinyModel, tinyRun, tinySettings, tinyTask } from './tiny-detector.js';

const SIZE = tinyModel.imageSize;

/** The squares again and again: more images than the evaluator takes at a time, the last batch not full. */
const many: DetectionDataset = { ...squares, length: 47, sample: (index) => ({ ...squares.sample(index % squares.length), id: String(index) }) };

/** The reference: eagerly on WebAssembly, one image at a time. */
async function eagerDetections(parameters: ParameterValues, bits: string, dataset: DetectionDataset): Promise<Detections[]> {
  await useBackend('wasm');
  const tensors = toTensors(parameters), found: Detections[] = [];
  for (let index = 0; index < dataset.length; index++) {
    const [logits, boxes] = tf.tidy(() => {
      const output = detector(tensors, tf.tensor4d(normalizedPixels(dataset.sample(index).image), [1, SIZE, SIZE, 3]), tinyModel, paperQuantization(parsePrecision(bits)));
      return [output.logits.dataSync(), output.boxes.dataSync()];
    });
    found.push(outputsToDetections(postProcess(logits, boxes, tinyModel.queries, [{ width: SIZE, height: SIZE }]), [index], dataset.classes.map((_, k) => k)));
  }
  tf.dispose(tensors);
  return found;
}

for (const bits of ['32-32-32', '2-2-8']) {
  test.serial(`${bits}: the compiled evaluator gives what the eager model gives, in full batches and in the last one`, async (t) => {
    const evaluator = createDetectorEvaluator(tinyModel, paperQuantization(parsePrecision(bits)), 1);
    const parameters = await tinyTask(bits).start();
    const wanted = await eagerDetections(parameters, bits, squares);
    const { imageIds, categoryIds, scores, boxes } = await evaluator.detect(parameters, many);
    const { queries } = tinyModel;
    t.is(scores.length, 47 * queries);
    const near = (a: ArrayLike<number>, b: ArrayLike<number>, what: string): void => Array.from(b).forEach((v, k) => t.true(Math.abs(a[k] - v) < 1e-3, `${what}[${k}]: ${a[k]}, wanted ${v}`));
    for (let image = 0; image < 47; image++) {
      const { scores: s, boxes: b, categoryIds: c } = wanted[image % 7];
      t.deepEqual(new Set(imageIds.subarray(image * queries, (image + 1) * queries)), new Set([image]));
      t.deepEqual([...categoryIds.subarray(image * queries, (image + 1) * queries)], [...c]);
      near(scores.subarray(image * queries, (image + 1) * queries), s, `image ${image}: scores`);
      near(boxes.subarray(4 * image * queries, 4 * (image + 1) * queries), b, `image ${image}: boxes`);
    }
    await evaluator.dispose();
  });
}

test.serial('the same average precision as an eager computation; parameters can be exchanged', async (t) => {
  const evaluator = createDetectorEvaluator(tinyModel, paperQuantization(parsePrecision('32-32-32')), 1);
  const scores: number[] = [];
  for (const steps of [200, 400]) {
    const settings = tinySettings({ steps, batchSize: 7, evaluationInterval: steps, checkpointInterval: steps });
    const parameters = await tinyRun(mkdtempSync(path.join(tmpdir(), 'qdetr-evaluate-')), '32-32-32', { settings });
    const wanted = await eagerDetections(parameters, '32-32-32', squares);
    const columns = wanted.flatMap(({ imageIds, categoryIds, boxes, scores }) => Array.from(scores, (score, n) => ({ image: imageIds[n], category: categoryIds[n], box: [...boxes.subarray(4 * n, 4 * n + 4)], score })));
    const detections: Detections = {
      imageIds: Float64Array.from(columns, ({ image }) => image), categoryIds: Float64Array.from(columns, ({ category }) => category),
      boxes: Float64Array.from(columns.flatMap(({ box }) => box)), scores: Float64Array.from(columns, ({ score }) => score),
    };
    const eager = evaluateDetections(cocoAnnotations(squares), detections), compiled = await evaluator.evaluate(parameters, squares);
    scores.push(eager.ap50);
    for (const key of ['ap', 'ap50', 'ap75', 'ar100'] as const) t.true(Math.abs(eager[key] - compiled[key]) < 1e-6, key);
    const some = await evaluator.evaluate(parameters, squares, 3), same = await evaluator.evaluate(parameters, limitedDataset(squares, 3));
    t.deepEqual(some, same);
  }
  t.log(`AP50 ${scores.join(', ')}`);
  t.true(scores.every((ap50) => ap50 > 0.05 && ap50 < 1) && scores[0] !== scores[1]);
  await evaluator.dispose();
});

test('perfect detections give 1, shifted ones less, none 0', (t) => {
  const truth = cocoAnnotations(squares);
  const { annotations } = truth;
  const perfect = (shift: number): Detections => ({
    imageIds: Float64Array.from(annotations, (a) => a.image_id), categoryIds: Float64Array.from(annotations, (a) => a.category_id),
    boxes: Float64Array.from(annotations.flatMap(({ bbox: [x, y, w, h] }) => [x + shift, y, w, h])), scores: Float64Array.from(annotations, () => 0.9),
  });
  t.true(Math.abs(evaluateDetections(truth, perfect(0)).ap - 1) < 1e-9);
  const shifted = evaluateDetections(truth, perfect(1));
  t.true(shifted.ap < 0.9 && shifted.ap50 > 0.99);
  t.is(evaluateDetections(truth, { imageIds: new Float64Array(), categoryIds: new Float64Array(), boxes: new Float64Array(), scores: new Float64Array() }).ap, 0);
});

test('an evaluator that was never used can be disposed of', async (t) => {
  await t.notThrowsAsync(createDetectorEvaluator(tinyModel, paperQuantization(parsePrecision('32-32-32')), 1).dispose());
});
