import { cpSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { loadCheckpoint, saveCheckpoint, type Checkpoint } from '../../src/training/checkpoint.js';
import { readMetrics } from '../../src/training/metrics-log.js';
import { TrainingInterrupted } from '../../src/training/train.js';
import { diesLaterAt } from './crash.js';
import { outcome, RUN_ID, squares, tinyRun, tinySettings, tinyTask } from './tiny-detector.js';

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-train-'));
const KINDS = ['32-32-32', '2-2-8'] as const;
const references: Record<string, ReturnType<typeof outcome>> = {};

test.before('uninterrupted runs', async () => {
  for (const bits of KINDS) {
    const folder = newFolder();
    await tinyRun(folder, bits);
    references[bits] = outcome(folder);
  }
});

test.serial('the log of a run: each step, the evaluations after 5, 10 and 12; training moves the weights; precisions differ', (t) => {
  for (const bits of KINDS) {
    const lines = references[bits].metrics.trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    t.deepEqual(lines.filter(({ kind }) => kind === 'train').map(({ step }) => step), Array.from({ length: 12 }, (_, i) => i + 1));
    t.deepEqual(lines.filter(({ kind }) => kind === 'evaluation').map(({ step }) => step), [5, 10, 12]);
    t.is(new Set(lines.filter(({ kind }) => kind === 'evaluation').map(({ score }) => score)).size, 3);
    t.is(references[bits].last.step, 12);
  }
  t.notDeepEqual(references['32-32-32'], references['2-2-8']);
});

test.serial('the same run twice: the same bytes; another seed: others', async (t) => {
  const [again, other] = [newFolder(), newFolder()];
  await tinyRun(again, '32-32-32');
  t.deepEqual(outcome(again), references['32-32-32']);
  await tinyRun(other, '32-32-32', { settings: tinySettings({ seed: 1 }) });
  t.not(outcome(other).metrics, references['32-32-32'].metrics);
});

/** Dies at a file operation, goes on, and must end as the run that never died. */
async function diesAndGoesOn(point: number, bits: string): Promise<{ died: boolean; same: boolean; files: string[] }> {
  const folder = newFolder();
  const died = await diesLaterAt(point, () => tinyRun(folder, bits));
  await tinyRun(folder, bits);
  const { metrics, last } = outcome(folder);
  return { died, same: metrics === references[bits].metrics && last.sha256 === references[bits].last.sha256, files: readdirSync(folder).sort() };
}

for (const [bits, stride] of [['32-32-32', 7], ['2-2-8', 23]] as const) {
  test.serial(`${bits}: dead before a file operation (every ${stride}th of them), a run that goes on ends bit for bit as the uninterrupted one`, async (t) => {
    let point = 0, died = true;
    for (; died; point += stride) {
      const result = await diesAndGoesOn(point, bits);
      died = result.died;
      t.true(result.same, `dead at operation ${point}`);
      t.deepEqual(result.files, ['LAST', 'checkpoints', 'metrics.jsonl'], `dead at operation ${point}`);
    }
    t.log(`${point / stride - 1} points`);
    t.true(point > 40);
  });
}

/** A copy of a run that was stopped after step 6. */
async function stopped(bits: string): Promise<string> {
  const folder = newFolder();
  stoppedRuns[bits] ??= await (async () => {
    const controller = new AbortController();
    const original = newFolder();
    await tinyRun(original, bits, { signal: controller.signal, listener: { step: (done) => done === 6 && controller.abort() } }).catch((error: unknown) => {
      if (!(error instanceof TrainingInterrupted)) throw error;
    });
    return original;
  })();
  cpSync(stoppedRuns[bits], folder, { recursive: true });
  return folder;
}
const stoppedRuns: Record<string, string> = {};

/** Goes on with a stopped run after `sabotage` changed its checkpoint. */
async function goesOnWith(bits: string, sabotage: (checkpoint: Checkpoint) => Checkpoint): Promise<ReturnType<typeof outcome>> {
  const folder = await stopped(bits);
  saveCheckpoint(folder, sabotage(loadCheckpoint(folder, RUN_ID)!.checkpoint));
  await tinyRun(folder, bits);
  return outcome(folder);
}

const zeros = (values: ParameterValues): ParameterValues => Object.fromEntries(Object.entries(values).map(([name, { shape, data }]) => [name, { shape, data: new Float32Array(data.length) }]));

test.serial('positive control: stopped after step 6, saved once more unchanged, it ends as the uninterrupted one', async (t) => {
  for (const bits of KINDS) t.deepEqual(await goesOnWith(bits, (c) => c), references[bits]);
});

const controls: Record<string, (checkpoint: Checkpoint) => Checkpoint> = {
  'a step counter one too low': (c) => ({ ...c, counters: { ...c.counters, step: c.counters.step - 1 } }),
  'a step counter one too high': (c) => ({ ...c, counters: { ...c.counters, step: c.counters.step + 1 } }),
  'first moments left out': (c) => ({ ...c, firstMoments: zeros(c.firstMoments) }),
  'second moments left out': (c) => ({ ...c, secondMoments: zeros(c.secondMoments) }),
  'running averages left out': (c) => ({ ...c, buffers: Object.fromEntries(Object.entries(c.buffers).map(([name, v]) => [name, { ...v, data: new Float32Array(v.data.length).fill(name.endsWith('var') ? 1 : 0) }])) }),
};
for (const [name, sabotage] of Object.entries(controls)) {
  test.serial(`negative control: ${name} is noticed, in the log and in the weights`, async (t) => {
    const { metrics, last } = await goesOnWith('32-32-32', sabotage);
    t.not(metrics, references['32-32-32'].metrics);
    t.not(last.sha256, references['32-32-32'].last.sha256);
  });
}

test.serial('negative control: quantizer scales left as they were calibrated are noticed', async (t) => {
  const start = await tinyTask('2-2-8').start();
  const scales = Object.fromEntries(Object.entries(start).filter(([name]) => name.includes('_quantizer.')));
  t.true(Object.keys(scales).length > 20);
  t.not((await goesOnWith('2-2-8', (c) => ({ ...c, parameters: { ...c.parameters, ...scales } }))).last.sha256, references['2-2-8'].last.sha256);
});

test.serial('negative control: a log that is not cut to its checkpoint is noticed', async (t) => {
  const folder = newFolder();
  const bits = '32-32-32';
  const task = { evaluate: async () => Promise.reject(new Error('dies here')) };
  await t.throwsAsync(tinyRun(folder, bits, { task }), { message: 'dies here' });
  const { checkpoint } = loadCheckpoint(folder, RUN_ID)!;
  t.is(checkpoint.counters.step, 4);
  const log = readFileSync(path.join(folder, 'metrics.jsonl'));
  t.true(log.length > checkpoint.counters.metricsBytes, 'step 5 was logged after the checkpoint');
  saveCheckpoint(folder, { ...checkpoint, counters: { ...checkpoint.counters, metricsBytes: log.length } });
  await tinyRun(folder, bits);
  t.not(outcome(folder).metrics, references[bits].metrics);
  t.is(readMetrics(folder).filter(({ kind, step }) => kind === 'train' && step === 5).length, 2);
});

test.serial('stopped by a signal after steps 1, 2, 5 and 8: a checkpoint each time, the same result', async (t) => {
  const folder = newFolder();
  for (const step of [1, 2, 5, 8]) {
    const controller = new AbortController();
    const error = await t.throwsAsync(tinyRun(folder, '32-32-32', { signal: controller.signal, listener: { step: (done) => done === step && controller.abort() } }), { instanceOf: TrainingInterrupted });
    t.is(error.step, step);
    t.regex(error.message, new RegExp(`stopped after step ${step}; the same command goes on from there`));
    t.is(loadCheckpoint(folder, RUN_ID)!.checkpoint.counters.step, step);
  }
  await tinyRun(folder, '32-32-32');
  t.deepEqual(outcome(folder), references['32-32-32']);
});

test.serial('a signal in the last step ends the run as it would have ended', async (t) => {
  const folder = newFolder();
  const controller = new AbortController();
  await tinyRun(folder, '32-32-32', { signal: controller.signal, listener: { step: (done) => done === 12 && controller.abort() } });
  t.deepEqual(outcome(folder), references['32-32-32']);
});

test.serial('a finished run is returned as it is, without a step', async (t) => {
  const folder = newFolder();
  await tinyRun(folder, '32-32-32');
  await tinyRun(folder, '32-32-32', { listener: { started: () => t.fail(), step: () => t.fail() } });
  t.deepEqual(outcome(folder), references['32-32-32']);
});

for (const [what, change, key] of [
  ['weights that hold NaN', (values: ParameterValues) => ({ ...values, 'class_embed.bias': { shape: [4], data: Float32Array.of(0, NaN, 0, 0) } }), /'loss' is NaN in step 1/],
  ['weights that overflow', (values: ParameterValues) => ({ ...values, 'class_embed.bias': { shape: [4], data: Float32Array.of(0, 3e38, -3e38, 0) } }), /'\w+' is (NaN|-?Infinity) in step 1/],
] as const) {
  test.serial(`${what}: one sentence, no checkpoint, nothing logged`, async (t) => {
    const folder = newFolder();
    const start = async () => change(await tinyTask('32-32-32').start());
    const error = await t.throwsAsync(tinyRun(folder, '32-32-32', { task: { start } }), { instanceOf: UserError, message: key });
    t.regex(error.message, /^\S*qdetr-train-\w+: .*: start again with a lower learningRate \(--set learningRate=0\.005\)/);
    t.deepEqual(readdirSync(folder), ['metrics.jsonl']);
    t.is(readFileSync(path.join(folder, 'metrics.jsonl'), 'utf8'), '');
  });
}

for (const [learningRate, checkpointInterval, message] of [
  [1e38, 4, /'loss' is NaN in step 8: start again with a lower learningRate/],
  [1e39, 1, /'\S+' holds a value that is no number in step 7: start again with a lower learningRate/],
] as const) {
  test.serial(`a learning rate of ${learningRate} after good steps: one sentence, and the last good checkpoint stays`, async (t) => {
    const folder = await stopped('32-32-32');
    const good = outcome(folder).last;
    t.is(good.step, 6);
    await t.throwsAsync(tinyRun(folder, '32-32-32', { settings: tinySettings({ learningRate, checkpointInterval }) }), { instanceOf: UserError, message });
    t.deepEqual(outcome(folder).last, good);
    await tinyRun(folder, '32-32-32');
    t.deepEqual(outcome(folder), references['32-32-32']);
  });
}

test.serial('batches without any object train', async (t) => {
  const folder = newFolder();
  const task = tinyTask('32-32-32');
  const batch = (step: number) => {
    const full = task.batch(step);
    return { ...full, labels: new Int32Array(full.labels.length).fill(-1), boxes: new Float32Array(full.boxes.length) };
  };
  await tinyRun(folder, '32-32-32', { task: { batch } });
  const lines = readMetrics(folder).filter(({ kind }) => kind === 'train');
  t.deepEqual(lines.map(({ l1, giou }) => [l1, giou]), lines.map(() => [0, 0]));
  t.true(Number(lines.at(-1)!.classification) < Number(lines[0].classification));
  t.is(squares.sample(0).objects.length, 0);
});

test.serial('the task is disposed of once, whether the run ends, fails or finds itself locked out', async (t) => {
  let disposed = 0;
  const dispose = async (): Promise<void> => void disposed++;
  const folder = newFolder();
  await t.throwsAsync(tinyRun(folder, '32-32-32', { task: { dispose, start: () => Promise.reject(new Error('no data')) } }), { message: 'no data' });
  t.is(disposed, 1);
  await tinyRun(folder, '32-32-32', { task: { dispose } });
  t.is(disposed, 2);
  t.deepEqual(readdirSync(folder).sort(), ['LAST', 'checkpoints', 'metrics.jsonl'], 'unlocked');
});
