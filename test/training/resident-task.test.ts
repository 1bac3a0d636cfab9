/** Batches that say which images they want, on images that stay with the engine: the training is the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { batchAt } from '../../src/data/batches.js';
import { cachedDataset } from '../../src/data/cached-dataset.js';
import { UserError } from '../../src/errors.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { realValued } from '../../src/models/forward.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { findEngine, residentBytes, type EngineFinding } from '../../src/tensor/engine.js';
import { adamWCorrections } from '../../src/tensor/adamw-corrections.js';
import { RandomStream } from '../../src/tensor/random.js';
import { startingState } from '../../src/training/compiled-training.js';
import { detectionTask } from '../../src/training/detection-task.js';
import { computeFeatures } from '../../src/training/feature-cache.js';
import { packLayout } from '../../src/training/parameter-groups.js';
import { TrainingInterrupted, type TrainingTask } from '../../src/training/train.js';
import { HYPERPARAMETERS, packState, trainingStep } from '../../src/training/training-step.js';
import { testDevice } from '../tensor/webgpu/device.js';
import { outcome, squares, tinyModel, tinyRun, tinySettings } from './tiny-detector.js';

const STEPS = 4, DEVICE = 1 << 20;
const { engine: webGpu } = await testDevice();
const onProcessor = await findEngine('onnxruntime-node');

const dataset = cachedDataset(squares);
const settings = (jitter?: number) => tinySettings({ learningRate: 1e-3, batchSize: 3, ...(jitter === undefined ? {} : { jitter }) });
const start = () => initialDetectorParameters(tinyModel, new RandomStream(0, 1));
const task = (bytes: number, jitter?: number): TrainingTask => detectionTask({ model: tinyModel, quantization: realValued, dataset, settings: settings(jitter), batchStatistics: true, residentBytes: bytes, start });

/** The losses of some steps. */
async function losses(trained: TrainingTask, engine: EngineFinding): Promise<number[]> {
  const state = await startingState(trained), layouts = packLayout(state.parameters, settings());
  const compiled = await compileStep(trainingStep(layouts, settings(), trained.objective), {
    engine, threads: 1, state: packState(layouts, state), resident: await trained.resident?.(),
    inputs: { ...trained.inputs, ...Object.fromEntries(HYPERPARAMETERS.map((name) => [name, { shape: [], dtype: 'float32' as const }])) },
  });
  try {
    const found: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const { correction1, correction2 } = adamWCorrections(step + 1);
      const { loss } = await compiled.run({ ...trained.batch(step), learningRate: Float32Array.of(1e-3), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
      found.push(loss[0]);
    }
    return found;
  } finally {
    await compiled.dispose();
  }
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((v, i) => Math.abs(v - b[i]) <= 1e-5 * Math.abs(b[i]));

test('images that fit stay with the engine, and a batch brings which ones it wants; else it brings them', async (t) => {
  t.deepEqual(Object.keys(task(DEVICE).inputs).sort(), ['boxes', 'indices', 'labels', 'mirrored']);
  t.deepEqual(Object.keys(task(DEVICE, 0.2).inputs).sort(), ['boxes', 'indices', 'jitter', 'labels', 'mirrored']);
  t.deepEqual(Object.keys(task(0, 0.2).inputs).sort(), ['boxes', 'bytes', 'jitter', 'labels']);
  t.deepEqual(Object.keys(task(0).inputs).sort(), ['boxes', 'images', 'labels']);
  const bytes = 7 * 16 * 16 * 3;
  t.deepEqual([bytes - 1, bytes].map((least) => 'indices' in task(least).inputs), [false, true]);
  const short = detectionTask({ model: tinyModel, quantization: realValued, dataset, settings: { ...settings(), steps: 2 }, batchStatistics: true, residentBytes: DEVICE, start });
  t.true('images' in short.inputs, 'less than an epoch: no image is composed that no batch shows');
  t.deepEqual([await task(0).resident!(), await task(0, 0.2).resident!()], [{}, {}]);
  for (const step of [0, 3]) {
    const { indices, mirrored, labels, boxes } = batchAt(squares, { batchSize: 3, seed: 0, flip: true, step });
    t.deepEqual(task(DEVICE).batch(step), { labels, boxes, indices, mirrored: Int32Array.from(mirrored) });
  }
});

test.serial('onnxruntime-node: the losses are the same, to 1e-5, whether images stay or come; jitter changes them, and is the same jitter', async (t) => {
  const [coming, staying, jittered, jitteredStaying] = [await losses(task(0), onProcessor), await losses(task(DEVICE), onProcessor), await losses(task(0, 0.4), onProcessor), await losses(task(DEVICE, 0.4), onProcessor)];
  t.true(same(staying, coming), `${staying.join()} instead of ${coming.join()}`);
  t.true(same(jitteredStaying, jittered), `${jitteredStaying.join()} instead of ${jittered.join()}`);
  t.true(jittered.every((loss, i) => Math.abs(loss - coming[i]) > 1e-3 * coming[i]));
});

test.serial('features that fit stay with the engine, and the losses are the same; a jitter of images that are not looked at is refused', async (t) => {
  const features = await computeFeatures(tinyModel, start(), squares, { threads: 1 });
  const options = { model: tinyModel, quantization: realValued, dataset, settings: settings(), batchStatistics: false, features, start };
  const coming = detectionTask(options), staying = detectionTask({ ...options, residentBytes: DEVICE });
  t.deepEqual([Object.keys(coming.inputs).sort(), Object.keys(staying.inputs).sort()], [['boxes', 'features', 'labels'], ['boxes', 'labels', 'rows']]);
  t.true(same(await losses(staying, onProcessor), await losses(coming, onProcessor)));
  t.throws(() => detectionTask({ ...options, settings: settings(0.2) }), { instanceOf: UserError, message: /^'jitter' is 0\.2, but the backbone's features .*: leave it out, or train the whole detector$/ });
});

test('an engine that computes on the processor keeps nothing', (t) => {
  t.is(residentBytes(onProcessor), 0);
  if (webGpu) t.true(residentBytes(webGpu) >= 2 ** 27);
});

(webGpu ? test.serial : test.serial.skip)(`WebGPU: with jitter, the losses are the same, to 1e-5, whether images stay or come; and onnxruntime's`, async (t) => {
  const started = performance.now();
  const coming = await losses(task(0, 0.4), webGpu!), staying = await losses(task(DEVICE, 0.4), webGpu!);
  t.true(same(staying, coming), `${staying.join()} instead of ${coming.join()}`);
  const wanted = await losses(task(0, 0.4), onProcessor);
  t.true(Math.abs(staying[0] - wanted[0]) <= 1e-5 * wanted[0], `${staying[0]} instead of ${wanted[0]}`);
  t.log(`${webGpu!.name}: ${Math.round((performance.now() - started) / 1000)} s`);
});

test.serial('a run that is stopped while its images are made ready says so, and the same command trains it', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-resident-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const controller = new AbortController(), told: number[][] = [];
  const resident = { resident: () => cachedDataset(squares).packed((...progress) => told.push(progress)).then(() => ({})) };
  const stopping: Partial<TrainingTask> = { resident: (tell) => cachedDataset(squares).packed((...progress) => { controller.abort(); tell!(...progress); }).then(() => ({})) };
  await t.throwsAsync(tinyRun(folder, '32-32-32', { task: stopping, signal: controller.signal }), { instanceOf: TrainingInterrupted, message: /^stopped after step 0; the same command goes on/ });
  await tinyRun(folder, '32-32-32', { task: resident });
  t.deepEqual(told, [[0, 7], [7, 7]]);
  t.is(outcome(folder).last.step, 12);
});
