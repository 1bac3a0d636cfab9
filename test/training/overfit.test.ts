import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { batchAt } from '../../src/data/batches.js';
import { cachedDataset } from '../../src/data/cached-dataset.js';
import type { DetectionDataset } from '../../src/data/dataset.js';
import { limitedDataset } from '../../src/data/limited-dataset.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { FAMILIES, familyTitles, type DetectorSettings, type Family } from '../../src/models/settings.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { detectionTask } from '../../src/training/detection-task.js';
import { createDetectorEvaluator } from '../../src/training/evaluate-detector.js';
import { resolveSettings } from '../../src/training/settings.js';
import { train } from '../../src/training/train.js';

const IMAGES = 8;
const modelOf = (family: Family): DetectorSettings => ({
  family, imageSize: 64, backbone: { stem: 8, widths: [16, 32, 64], blocks: [1, 1, 1], strides: [2, 2, 2] },
  modelWidth: 64, heads: 4, feedForward: 128, encoderLayers: 1, decoderLayers: 2, queries: 12, classes: 20,
});
const dataset = cachedDataset(limitedDataset(openMiniVoc({ size: 64, split: 'train' }), IMAGES));
// 300 steps reach 1.000 (AP 0.98) with either normalization, 100 steps 0.90
const settings = resolveSettings('smoke', { steps: 300, batchSize: IMAGES, learningRate: 1e-3, weightDecay: 0, clipNorm: 1, schedule: 'cosine', warmUpSteps: 20, evaluationInterval: 300, checkpointInterval: 300 });
const evaluators = { detr: createDetectorEvaluator(modelOf('detr'), realValued, 1), 'smca-detr': createDetectorEvaluator(modelOf('smca-detr'), realValued, 1) };
test.after.always(() => Promise.all(Object.values(evaluators).map((evaluator) => evaluator.dispose())));

/** Trains on the eight images, never mirrored. */
async function overfitted(model: DetectorSettings, batchStatistics: boolean): Promise<ParameterValues> {
  const task = detectionTask({ model, quantization: realValued, dataset, settings, batchStatistics, start: () => initialDetectorParameters(model, new RandomStream(0, 1)) });
  const batch = (step: number) => {
    const { images, labels, boxes } = batchAt(dataset, { batchSize: IMAGES, seed: 0, flip: false, step });
    return { images: normalizedPixels(images), labels, boxes };
  };
  return train({ ...task, batch }, { folder: mkdtempSync(path.join(tmpdir(), 'qdetr-overfit-')), runId: '0', settings, threads: 1 });
}

/** The images in another order, the objects where they were. */
const shuffled: DetectionDataset = { ...dataset, sample: (index) => ({ ...dataset.sample(index), image: dataset.sample((index + 3) % IMAGES).image }) };

for (const [family, batchStatistics] of [['detr', true], ['detr', false], ['smca-detr', true]] as const) {
  test.serial(`${familyTitles[family]} overfits 8 images, normalized by ${batchStatistics ? 'batch statistics and evaluated by running averages' : 'an affine'}, and depends on its input`, async (t) => {
    const model = modelOf(family), evaluator = evaluators[family];
    const parameters = await overfitted(model, batchStatistics);
    const { ap, ap50 } = await evaluator.evaluate(parameters, dataset);
    const wrong = await evaluator.evaluate(parameters, shuffled);
    t.log(`AP ${ap.toFixed(3)}, AP50 ${ap50.toFixed(3)}; on other images ${wrong.ap50.toFixed(3)}`);
    t.true(ap50 > 0.95);
    t.true(wrong.ap50 < 0.2);

    const { scores, boxes } = await evaluator.detect(parameters, dataset);
    const perImage = Array.from({ length: IMAGES }, (_, i) => [...scores.subarray(i * model.queries, (i + 1) * model.queries), ...boxes.subarray(4 * i * model.queries, 4 * (i + 1) * model.queries)]);
    for (let i = 0; i < IMAGES; i++)
      for (let j = 0; j < i; j++) t.true(Math.max(...perImage[i].map((v, k) => Math.abs(v - perImage[j][k]))) > 5, `images ${i} and ${j}: no box differs by more than 5 pixels`);
  });
}

test.serial('untrained, it finds nothing', async (t) => {
  for (const family of FAMILIES) t.true((await evaluators[family].evaluate(initialDetectorParameters(modelOf(family), new RandomStream(0, 1)), dataset)).ap50 < 0.05, family);
});
