/** A teacher that runs once on each image, in place of every step: what a student learns is the same. */
import test from 'ava';
import { flipSample } from '../../src/data/batches.js';
import { cachedDataset } from '../../src/data/cached-dataset.js';
import { resolveDistillation } from '../../src/distillation/settings.js';
import { MAP_PARAMETER } from '../../src/distillation/distillation-loss.js';
import { detector } from '../../src/models/detector.js';
import { realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import type { DetectorSettings, Family } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { findEngine, type EngineFinding } from '../../src/tensor/engine.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { startingState } from '../../src/training/compiled-training.js';
import { detectionTask, type DetectionTaskOptions } from '../../src/training/detection-task.js';
import { computeFeatures } from '../../src/training/feature-cache.js';
import { packLayout } from '../../src/training/parameter-groups.js';
import { openTeacherOutputs, type TeacherOutputs } from '../../src/training/teacher-outputs.js';
import type { TrainingTask } from '../../src/training/train.js';
import { differentiate, packState } from '../../src/training/training-step.js';
import { testDevice } from '../tensor/webgpu/device.js';
import { squares, tinyModel, tinySettings } from './tiny-detector.js';

const DEVICE = 1 << 20, { length } = squares;
const { engine: webGpu } = await testDevice();
const onProcessor = await findEngine('onnxruntime-node');

const dataset = cachedDataset(squares), settings = tinySettings({ batchSize: 3 });
const student: DetectorSettings = { ...tinyModel, decoderLayers: 2 };
/** With another backbone than the student. */
const teacherModel: DetectorSettings = { ...student, backbone: { ...student.backbone, stem: 6, widths: [6] } };
const of = (model: DetectorSettings, family: Family): DetectorSettings => ({ ...model, family });
/** Random weights whose queries have boxes all over the image: fresh ones are all in its middle, where Eq. 2.34 keeps none. */
function weights(model: DetectorSettings, seed: number): ParameterValues {
  const values = initialDetectorParameters(model, new RandomStream(seed, 1)), name = 'bbox_embed.layers.2.weight', { shape, data } = values[name];
  return { ...values, [name]: { shape, data: data.map((v) => 20 * v) } };
}
const IDENTITY: ParameterValues = { [MAP_PARAMETER]: { shape: [8, 8], data: Float32Array.from({ length: 64 }, (_, i) => Number(i % 9 === 0)) } };

const open = (changes: Record<string, unknown> = {}, family: Family = 'detr', engine: EngineFinding = onProcessor, model = of(teacherModel, family)): TeacherOutputs =>
  openTeacherOutputs(model, weights(model, 2), resolveDistillation(changes), dataset, { engine, threads: 1 });

/** The training of a taught student. */
function task(outputs: TeacherOutputs | undefined, changes: Record<string, unknown> = {}, family: Family = 'detr', others: Partial<DetectionTaskOptions> = {}): TrainingTask {
  const model = of(student, family), teacher = of(teacherModel, family);
  return detectionTask({
    model, quantization: realValued, dataset, settings, batchStatistics: false, residentBytes: DEVICE,
    distillation: { settings: resolveDistillation(changes), teacher: { model: teacher, parameters: weights(teacher, 2), outputs } },
    start: () => ({ ...weights(model, 1), ...(changes.feature === 'linear-map' ? IDENTITY : {}) }), ...others,
  });
}

/** Loss, its parts and every gradient for some batches. */
async function gradients(trained: TrainingTask, engine: EngineFinding, batches: number): Promise<Record<string, Float32Array>[]> {
  const state = await startingState(trained), layouts = packLayout(state.parameters, settings);
  const compiled = await compileStep((values, inputs) => {
    const { loss, logged, gradients: found } = differentiate(layouts, trained.objective, values, inputs);
    return { outputs: { loss, ...logged, ...found } };
  }, { engine, threads: 1, state: packState(layouts, state), resident: await trained.resident?.(), inputs: trained.inputs });
  try {
    const all: Record<string, Float32Array>[] = [];
    for (let step = 0; step < batches; step++) all.push(Object.fromEntries(Object.entries(await compiled.run(trained.batch(step))).map(([name, values]) => [name, Float32Array.from(values)])));
    return all;
  } finally {
    await compiled.dispose();
  }
}

/** Names of numbers that differ by more than 1e-4 of the largest of their kind. */
function different(found: Record<string, Float32Array>[], wanted: Record<string, Float32Array>[]): string[] {
  return wanted.flatMap((numbers, step) => Object.entries(numbers).flatMap(([name, values]) => {
    const size = values.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-3);
    return values.every((v, i) => Math.abs(v - found[step][name][i]) <= 1e-4 * size) ? [] : [`${name} of batch ${step}`];
  }));
}

test.serial('what is kept is what the teacher says of each image and of its mirror image', async (t) => {
  const { shapes, all } = open({ matching: 'hungarian', layers: 'last' });
  t.deepEqual(shapes, { 'taught/boxes': [6, 4], 'taught/logits': [6, 4], 'taught/features/0': [6, 8] });
  const found = await all();
  t.deepEqual(Object.fromEntries(Object.entries(found).map(([name, values]) => [name, values.length])), { 'taught/boxes': 2 * length * 24, 'taught/logits': 2 * length * 24, 'taught/features/0': 2 * length * 48 });
  await useBackend('wasm');
  const parameters = toTensors(weights(teacherModel, 2));
  for (const [index, mirrored] of [[0, 0], [2, 1], [6, 1]]) {
    const sample = squares.sample(index), { image } = mirrored ? flipSample(sample, squares.size) : sample;
    const { boxes, logits, coAttention } = detector(parameters, tf.tensor4d(normalizedPixels(image), [1, 16, 16, 3]), teacherModel);
    const near = (name: string, wanted: Tensor): void => {
      const values = wanted.dataSync(), each = shapes[name].reduce((a, b) => a * b, 1), row = 2 * index + mirrored;
      const last = values.slice(values.length - each); // of the last layer
      t.true(last.every((v, i) => Math.abs(v - found[name][row * each + i]) < 1e-4), `${name} of image ${index}, mirrored ${mirrored}`);
    };
    near('taught/boxes', boxes);
    near('taught/logits', logits);
    near('taught/features/0', coAttention[1].features);
  }
});

test('only what the settings read is kept', (t) => {
  const side = (student.imageSize / 4) ** 2;
  t.deepEqual(open().shapes, { 'taught/boxes': [6, 4], 'taught/features/0': [6, 8], 'taught/features/1': [6, 8] });
  t.deepEqual(open({ feature: 'attention-maps', layers: 'last' }).shapes, { 'taught/boxes': [6, 4], 'taught/features/0': [6, side] });
  t.deepEqual(open({ matching: 'hungarian' }, 'smca-detr').shapes['taught/logits'], [6, 3]);
});

const CASES: [Record<string, unknown>, Family][] = [
  [{}, 'detr'],
  [{ matching: 'same-slot', selection: 'all', layers: 'last', feature: 'after-projection' }, 'detr'],
  [{ matching: 'hungarian', feature: 'attention-maps' }, 'detr'],
  [{ matching: 'one-to-one', feature: 'linear-map' }, 'detr'],
  [{ matching: 'mutual', selection: 'all', feature: 'normalized' }, 'smca-detr'],
  [{ matching: 'hungarian' }, 'smca-detr'],
];

for (const [changes, family] of CASES) {
  test.serial(`onnxruntime-node: loss and gradients are the same whether the teacher runs in the step or has run before: ${family}, ${JSON.stringify(changes)}`, async (t) => {
    const before = task(open(changes, family), changes, family), within = task(undefined, changes, family);
    t.true('rows' in before.inputs && !('rows' in within.inputs));
    const [found, wanted] = [await gradients(before, onProcessor, 3), await gradients(within, onProcessor, 3)];
    t.deepEqual(different(found, wanted), []);
    t.true(wanted.some(({ distillation }) => distillation[0] > 0.01), 'something is learned of the teacher');
    t.true(different(wanted.slice(1), wanted.slice(0, 2)).length > 0, 'batches differ');
  });
}

(webGpu ? test.serial : test.serial.skip)('WebGPU: loss and gradients with a teacher that has run before are onnxruntime\'s with one that runs in the step', async (t) => {
  const changes = { matching: 'same-slot', selection: 'all' };
  t.deepEqual(different(await gradients(task(open(changes, 'detr', webGpu), changes), webGpu!, 2), await gradients(task(undefined, changes), onProcessor, 2)), []);
});

test.serial('the teacher runs in the step where images do not stay, are jittered, are seen too seldom, or its outputs do not fit', async (t) => {
  const outputs = open(), isBefore = (others: Partial<DetectionTaskOptions>): boolean => 'rows' in task(outputs, {}, 'detr', others).inputs;
  t.true(isBefore({}));
  const images = length * 16 * 16 * 3, largest = 2 * length * 6 * 8 * 4;
  t.deepEqual([images - 1, images].map((residentBytes) => isBefore({ residentBytes })), [false, true]);
  t.false(isBefore({ settings: tinySettings({ batchSize: 3, jitter: 0.2 }) }));
  t.deepEqual([4, 5].map((steps) => isBefore({ settings: tinySettings({ batchSize: 3, steps }) })), [false, true], '14 forms of 7 images: 12 are seen in 4 steps, 15 in 5');
  const wide = { ...outputs, shapes: { ...outputs.shapes, 'taught/features/1': [6, 800] } };
  t.true(largest < images);
  t.false('rows' in task(wide, {}, 'detr', { residentBytes: 2 * length * 6 * 800 * 4 - 1 }).inputs);
  const features = await computeFeatures(student, weights(student, 1), squares, { threads: 1 });
  t.deepEqual(Object.keys(task(outputs, {}, 'detr', { features, residentBytes: 0 }).inputs).sort(), ['boxes', 'features', 'labels', 'lambdaFactor']);
});

test.serial('all that ask are given the same arrays, computed once; what is told can stop it, and whoever asks next begins again', async (t) => {
  const outputs = open(), told: unknown[][] = [];
  await t.throwsAsync(outputs.all(() => { throw new Error('stop'); }), { message: 'stop' });
  const [first, second] = await Promise.all([outputs.all((...progress) => told.push(progress)), outputs.all()]);
  t.is(first, second);
  t.deepEqual(told, [[0, 14, 'images shown to the teacher'], [14, 14, 'images shown to the teacher']]);
  const heard: (string | undefined)[] = [];
  t.deepEqual(Object.keys(await task(outputs).resident!((_done, _total, what) => heard.push(what))).sort(), ['all/taught/boxes', 'all/taught/features/0', 'all/taught/features/1', 'packedImages']);
  t.deepEqual(heard, [], 'all of it was there');
});
