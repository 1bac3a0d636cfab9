import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { batchAt, flipSample } from '../../src/data/batches.js';
import { resolveDistillation } from '../../src/distillation/settings.js';
import { UserError } from '../../src/errors.js';
import { backboneFeatures, detector, detectorFromFeatures } from '../../src/models/detector.js';
import { realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { detectionTask, type Distillation } from '../../src/training/detection-task.js';
import { computeFeatures } from '../../src/training/feature-cache.js';
import { loadCheckpoint } from '../../src/training/checkpoint.js';
import { readMetrics } from '../../src/training/metrics-log.js';
import { train, type TrainingTask } from '../../src/training/train.js';
import { RUN_ID, squares, tinyModel, tinySettings } from './tiny-detector.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-distilled-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const student = initialDetectorParameters(tinyModel, new RandomStream(1)), other = initialDetectorParameters(tinyModel, new RandomStream(2));
const settings = tinySettings({ steps: 4, evaluationInterval: 4, checkpointInterval: 4 });
const distillation = (parameters: ParameterValues, changes: Record<string, unknown> = {}): Distillation => ({ settings: resolveDistillation(changes), teacher: { model: tinyModel, parameters } });
const task = (taught?: Distillation): TrainingTask => detectionTask({ model: tinyModel, quantization: realValued, dataset: squares, settings, batchStatistics: false, distillation: taught, start: () => student });

/** What an objective logs for the first batch. */
async function logged({ objective, inputs, batch }: TrainingTask, parameters = student): Promise<Record<string, number>> {
  const step = await compileStep((state, tensors) => {
    const { loss, logged: numbers } = objective(state, tensors);
    return { outputs: { loss, ...numbers } };
  }, { state: parameters, inputs, threads: 1 });
  try {
    return Object.fromEntries(Object.entries(await step.run(batch(0))).map(([name, values]) => [name, Number(values[0])]));
  } finally {
    await step.dispose();
  }
}

test.serial('Eq. 2.38: the loss is L_GT + lambda L_DRD, and the log has both, their ratio and the share of queries that learn', async (t) => {
  const plain = await logged(task()), numbers = await logged(task(distillation(other, { lambda: 2, matching: 'same-slot', selection: 'all' })));
  t.true(Math.abs(numbers.detection - plain.loss) < 1e-5, 'L_GT is what it is without a teacher');
  t.true(numbers.distillation > 0.1);
  t.true(Math.abs(numbers.loss - (numbers.detection + 2 * numbers.distillation)) < 1e-4);
  t.true(Math.abs(numbers.distillationRatio - (2 * numbers.distillation) / numbers.detection) < 1e-5);
  t.is(numbers.keptShare, 1);
});

test.serial('a student that is its teacher has nothing to learn from it, slot by slot; with tau = 1 nobody learns', async (t) => {
  const same = await logged(task(distillation(student, { matching: 'same-slot', selection: 'all' })));
  t.true(same.distillation < 1e-5, String(same.distillation)); // A18: the square root's 1e-12 leaves 1e-6
  const none = await logged(task(distillation(other, { tau: 1 })));
  t.deepEqual([none.distillation, none.keptShare], [0, 0]);
  t.is(none.loss, none.detection);
});

test.serial('lambda rises over warmUpSteps: the first of 3 steps has a quarter of it', async (t) => {
  const slots = { matching: 'same-slot', selection: 'all' };
  const whole = await logged(task(distillation(other, slots))), rising = await logged(task(distillation(other, { ...slots, warmUpSteps: 3 })));
  t.true(Math.abs((rising.loss - rising.detection) / (whole.loss - whole.detection) - 0.25) < 1e-4);
});

test.serial('gradients go into the student alone: the teacher is no part of the trained state', async (t) => {
  const at = path.join(folder, 'taught');
  const parameters = await train(task(distillation(other)), { folder: at, runId: RUN_ID, settings, threads: 1 });
  t.deepEqual(Object.keys(parameters).sort(), Object.keys(student).sort());
  for (const { kind, distillationRatio } of readMetrics(at)) if (kind === 'train') t.is(typeof distillationRatio, 'number');
});

test.serial('a teacher that does not fit is refused before the training', (t) => {
  const teacher = { model: { ...tinyModel, modelWidth: 16 }, parameters: other };
  const error = t.throws(() => detectionTask({ model: tinyModel, quantization: realValued, dataset: squares, settings, batchStatistics: false, distillation: { settings: resolveDistillation(), teacher }, start: () => student }), { instanceOf: UserError });
  t.regex(error!.message, /modelWidth 16 where the student has 8/);
});

test.serial('features are those of the backbone, of each image and its mirror image', async (t) => {
  const cache = await computeFeatures(tinyModel, student, squares, { threads: 1 });
  await useBackend('wasm');
  const tensors = toTensors(student);
  for (const [index, mirrored] of [[0, 0], [2, 1], [6, 1]]) {
    const sample = squares.sample(index), { image } = mirrored ? flipSample(sample, squares.size) : sample;
    const expected = backboneFeatures(tensors, tf.tensor4d(normalizedPixels(image), [1, 16, 16, 3]), tinyModel);
    t.deepEqual(expected.shape.slice(1), [...cache.shape]);
    const [wanted, found] = [expected.dataSync(), cache.batch([index], [mirrored])];
    t.true(wanted.every((v, i) => Math.abs(v - found[i]) < 1e-4));
  }
  t.notDeepEqual(cache.batch([2], [0]), cache.batch([2], [1]));
});

test.serial('the transformer on its backbone\'s features is the detector', async (t) => {
  await useBackend('wasm');
  const tensors = toTensors(student), images = tf.tensor4d(normalizedPixels(squares.sample(1).image), [1, 16, 16, 3]);
  const whole = detector(tensors, images, tinyModel), parts = detectorFromFeatures(tensors, backboneFeatures(tensors, images, tinyModel), tinyModel);
  for (const key of ['logits', 'boxes', 'memory'] as const) t.deepEqual((parts[key] as Tensor).dataSync(), (whole[key] as Tensor).dataSync());
});

test.serial('training on features sees the batches of the images, leaves the backbone as it is, and its checkpoint is a whole detector', async (t) => {
  const features = await computeFeatures(tinyModel, student, squares, { threads: 1 });
  const onFeatures = detectionTask({ model: tinyModel, quantization: realValued, dataset: squares, settings, batchStatistics: false, features, start: () => student });
  const { indices, mirrored, labels } = batchAt(squares, { batchSize: settings.batchSize, seed: settings.seed, flip: true, step: 1 });
  const batch = onFeatures.batch(1);
  t.deepEqual([batch.labels, batch.features], [labels, features.batch(indices, mirrored)]);
  t.true(Math.abs((await logged(onFeatures)).loss - (await logged(task())).loss) < 1e-4);
  const at = path.join(folder, 'features');
  const trained = await train(onFeatures, { folder: at, runId: RUN_ID, settings, threads: 1 });
  const isBackbone = (name: string): boolean => name.startsWith('backbone.');
  for (const name of Object.keys(student)) {
    const isSame = trained[name].data.every((v, i) => v === student[name].data[i]);
    if (isBackbone(name)) t.true(isSame, name);
  }
  t.false(trained['class_embed.weight'].data.every((v, i) => v === student['class_embed.weight'].data[i]));
  const { parameters, buffers } = loadCheckpoint(at, RUN_ID)!.checkpoint;
  t.deepEqual(Object.keys({ ...parameters, ...buffers }).sort(), Object.keys(student).sort());
});
