import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { useBackend } from '../../src/tensor/backend.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { compileAccumulatedTraining } from '../../src/training/accumulated-training.js';
import { startingState, type StepResult } from '../../src/training/compiled-training.js';
import { isBuffer } from '../../src/training/parameter-groups.js';
import { resolveSettings } from '../../src/training/settings.js';
import { train, TrainingInterrupted, type ShapedTrainingTask } from '../../src/training/train.js';
import { initialState, type ObjectiveFunction } from '../../src/training/training-step.js';
import { outcome, RUN_ID, tinyModel, tinySettings } from './tiny-detector.js';
import { padded, tinyImageTask } from './tiny-images.js';

test.before(() => useBackend('wasm'));

const closeTo = (a: ParameterValues, b: ParameterValues): number =>
  Math.max(...Object.entries(a).map(([name, { data }]) => Math.max(...data.map((v, i) => Math.abs(v - b[name].data[i])))));

/** Takes steps and gives their results and the first moments after them: of one step, a tenth of its gradient. */
async function taken(task: Pick<ShapedTrainingTask, 'objective' | 'microBatches' | 'start' | 'isFrozen'>, settings = tinySettings(), steps = 1): Promise<{ results: StepResult[]; moments: ParameterValues }> {
  const training = await compileAccumulatedTraining(task, await startingState(task), settings, 1), results: StepResult[] = [];
  for await (const result of training.steps(0, steps)) results.push(result);
  const { firstMoments: moments } = await training.read();
  await training.dispose();
  return { results, moments };
}

test.serial('by hand: gradients of two micro-batches of other lengths are averaged, clipped, applied once, and gone afterwards', async (t) => {
  const values: ParameterValues = { 'head.b': { shape: [1], data: Float32Array.of(3) }, 'n.running_mean': { shape: [1], data: Float32Array.of(10) } };
  /** Loss b sum(x): the gradient is sum(x). The buffer counts sums. */
  const objective: ObjectiveFunction = (p, { x }) => ({
    loss: tf.mul(tf.reshape(p['head.b'], []), tf.sum(x)), logged: { seen: tf.sum(x) }, buffers: { 'n.running_mean': tf.add(p['n.running_mean'], tf.sum(x)) },
  });
  const part = (...x: number[]) => ({ inputs: { x: { shape: [x.length], dtype: 'float32' as const } }, values: { x: Float32Array.from(x) } });
  const settings = resolveSettings('smoke', { steps: 2, warmUpSteps: 0, learningRate: 0.1, weightDecay: 0, clipNorm: 5, schedule: 'constant' });
  const training = await compileAccumulatedTraining({ objective, microBatches: (step) => Promise.resolve(step === 0 ? [part(1, 1), part(2, 1, 3)] : [part(60)]) }, initialState(values, isBuffer), settings, 1);
  const results: StepResult[] = [];
  for await (const result of training.steps(0, 1)) results.push(result);
  t.deepEqual(results, [{ learningRate: 0.1, numbers: { loss: 3 * 4, seen: 4, gradientNorm: 4 } }], 'means of 6 and 18, of 2 and 6');
  const after = await training.read();
  t.true(Math.abs(after.parameters['head.b'].data[0] - 2.9) < 1e-6, 'one step of AdamW');
  t.is(after.firstMoments['head.b'].data[0], Math.fround(0.1 * 4));
  t.is(after.buffers['n.running_mean'].data[0], 10 + 2 + 6, 'a buffer moves with every micro-batch');
  for await (const { numbers } of training.steps(1, 2)) t.is(numbers.gradientNorm, 60, 'nothing is left of the step before');
  t.true(Math.abs((await training.read()).firstMoments['head.b'].data[0] - (0.9 * 0.4 + 0.1 * 5)) < 1e-6, 'clipped to 5');
  await training.dispose();
});

for (const family of ['detr', 'smca-detr'] as const) {
  test.serial(`${family}: a batch in parts, unequal in their objects, takes the step that it takes as a whole`, async (t) => {
    const model = { ...tinyModel, family }, canvas = [20, 20] as const;
    const images = [[0, 3], [1, 2], [4, 5], [7, 8]]; // 0, 3, 3 and 3 objects
    const task = (batches: number[][]): ShapedTrainingTask => tinyImageTask({ model, start: () => initialDetectorParameters(model, new RandomStream(3, 1)), accumulated: batches.length, batches: { batch: (n) => Promise.resolve(padded(batches[n % batches.length], canvas)) } });
    const whole = await taken(task([images.flat()])), parts = await taken(task(images)), other = await taken(task([images.flat().slice(4)]));
    for (const name of ['loss', 'classification', 'l1', 'giou', 'gradientNorm']) t.true(Math.abs(parts.results[0].numbers[name] / whole.results[0].numbers[name] - 1) < 1e-5, `${name}: ${parts.results[0].numbers[name]} and ${whole.results[0].numbers[name]}`);
    const [asWhole, asOther] = [closeTo(parts.moments, whole.moments), closeTo(other.moments, whole.moments)];
    t.true(asWhole < 1e-4 * asOther, `moments differ by ${asWhole}; those of other images by ${asOther}`);
  });
}

test.serial('images of several sizes, two batches a step: interrupted and gone on with, the same weights and lines', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-shaped-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const asked: number[] = [], settings = tinySettings({ steps: 6, evaluationInterval: 6, checkpointInterval: 3 });
  const task = (): ShapedTrainingTask => tinyImageTask({ accumulated: 2, batches: { batch: (n) => Promise.resolve((asked.push(n), padded([n % 7, (3 * n + 1) % 7]))) } });
  const options = (name: string) => ({ folder: path.join(folder, name), runId: RUN_ID, settings, threads: 1 });
  const whole = await train(task(), options('whole'));
  t.deepEqual(asked, Array.from({ length: 12 }, (_, n) => n));
  const controller = new AbortController();
  await t.throwsAsync(train(task(), { ...options('parts'), signal: controller.signal, listener: { step: (done) => done === 4 && controller.abort() } }), { instanceOf: TrainingInterrupted });
  asked.length = 0;
  const resumed = await train(task(), options('parts'));
  t.deepEqual(asked, [8, 9, 10, 11]);
  t.deepEqual(resumed, whole);
  t.deepEqual(outcome(options('parts').folder), outcome(options('whole').folder));
});
