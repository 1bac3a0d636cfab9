import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { performRun, recipeOf, type ExperimentRun, type FinishedRun, type PerformOptions } from '../../src/experiments/run.js';
import { RunHeld } from '../../src/training/run-lock.js';
import { openRun, readRun } from '../../src/training/run-folder.js';
import type { Metrics } from '../../src/training/metrics-log.js';
import { TrainingInterrupted } from '../../src/training/train.js';
import { interceptFiles } from '../training/crash.js';
import { squares, tinyModel, tinySettings, tinyTask } from '../training/tiny-detector.js';

const settings = tinySettings({ steps: 4, evaluationInterval: 2, checkpointInterval: 2, dropAt: 1 });

/** A run of the tiny detector. */
const tinyExperiment = (changes: Partial<ExperimentRun> = {}): ExperimentRun => {
  const training = changes.training ?? settings;
  return {
    experiment: 'test/tiny', training,
    label: { artefact: ['table-2.2'], method: 'Real-valued', bits: '32-32-32', model: 'detr', scale: 'smoke', dataset: 'squares', tau: null, lambda: null },
    protocol: { model: tinyModel }, dataHashes: [squares.dataHash],
    task: () => {
      const task = tinyTask('32-32-32', training);
      const evaluate = async (parameters: Parameters<NonNullable<typeof task.evaluate>>[0], step: number): Promise<Metrics[]> =>
        (await task.evaluate!(parameters, step)).map(({ ap, ap50 }) => ({ kind: 'evaluation', split: 'val', step, epoch: step / 3, ap, ap50, ap75: 0 }));
      return { ...task, evaluate };
    },
    ...changes,
  };
};

const now = (): string => new Date().toISOString();

/** Performs a run and hears what it tells. */
async function perform(run: ExperimentRun, options: Partial<PerformOptions> = {}): Promise<FinishedRun & { told: string[]; steps: number[] }> {
  const told: string[] = [], steps: number[] = [];
  const finished = await performRun(run, {
    command: 'test', root: 'runs', threads: 1, ...options,
    listener: { reuse: (reason) => told.push(reason), started: (from, note) => told.push(`from ${from}${note ? ` (${note})` : ''}`), step: (done) => steps.push(done), ...options.listener },
  });
  return { ...finished, told, steps };
}

const template = mkdtempSync(path.join(tmpdir(), 'qdetr-experiment-'));
let first: FinishedRun & { told: string[]; steps: number[] };

/** A copy of the project in which the first run is finished; source and lock file are its own. */
function enterCopy(): void {
  const copy = mkdtempSync(path.join(tmpdir(), 'qdetr-experiment-'));
  cpSync(template, copy, { recursive: true });
  process.chdir(copy);
}

test.before('the first run', async () => {
  process.chdir(template);
  mkdirSync('src');
  writeFileSync('src/a.ts', 'export {};\n');
  writeFileSync('package-lock.json', '{}\n');
  first = await perform(tinyExperiment());
});
test.beforeEach(enterCopy);

test.serial('a run leaves its record, its log, two checkpoints and its summary, and no lock', (t) => {
  t.deepEqual(readdirSync(first.folder).sort(), ['LAST', 'checkpoints', 'metrics.jsonl', 'run.json', 'seconds.json', 'summary.json']);
  t.deepEqual(first.told, ['from 0']);
  t.false(first.reused);
  const { id, experiment, seed, evaluations, engine, dataset } = first.summary;
  t.deepEqual({ id, experiment, seed, dataset }, { id: path.basename(first.folder), experiment: 'test/tiny', seed: 0, dataset: 'squares' });
  t.deepEqual(evaluations.map(({ step }) => step), [2, 4]);
  t.regex(engine, /^onnxruntime-(node|web) \d/);
});

test.serial('without its summary and with a cut log: no summary without its evaluation, but one sentence', async (t) => {
  rmSync(path.join(first.folder, 'summary.json'));
  const log = path.join(first.folder, 'metrics.jsonl'), lines = readFileSync(log, 'utf8');
  writeFileSync(log, lines.slice(0, 100));
  await t.throwsAsync(perform(tinyExperiment()), { instanceOf: UserError, message: /metrics\.jsonl should have a line that ends at byte \d+/ });
  writeFileSync(log, lines.replaceAll('evaluation', 'exaluation'));
  await t.throwsAsync(perform(tinyExperiment()), { instanceOf: UserError, message: /metrics\.jsonl: the evaluation after step 4 is missing/ });
  t.false(existsSync(path.join(first.folder, 'summary.json')));
  writeFileSync(log, lines);
  t.deepEqual((await perform(tinyExperiment())).summary.evaluations, first.summary.evaluations);
});

test.serial('a recipe is all settings but the seed, the threads and the run that it starts from', (t) => {
  const settings = (seed: number, steps = 4, startsFrom: string | null = null, threads = 2) => ({ model: 'm', startsFrom, threads, training: { seed, steps } });
  t.is(recipeOf(settings(0)), recipeOf(settings(1, 4, null, 1)));
  t.not(recipeOf(settings(0)), recipeOf(settings(0, 5)));
  t.is(recipeOf(settings(0, 4, '0123456789ab')), recipeOf(settings(1, 4, 'ba9876543210')));
  t.not(recipeOf(settings(0, 4, "the project's weights (1)")), recipeOf(settings(0, 4, "the project's weights (2)")));
  t.regex(first.summary.recipe!, /^[0-9a-f]{12}$/);
});

test.serial('done again it is reused, with the same weights and summary, and says what was compared', async (t) => {
  const again = await perform(tinyExperiment());
  t.true(again.reused);
  t.deepEqual(again.steps, []);
  t.deepEqual(again.told, [`run ${first.id} of test/tiny is reused: source, settings, data, lock file and engine are unchanged`]);
  t.deepEqual(again.summary, first.summary);
  t.deepEqual(again.parameters, first.parameters);
});

const changes: [string, () => ExperimentRun, RegExp][] = [
  ['the source', () => (writeFileSync('src/a.ts', 'export const a = 1;\n'), tinyExperiment()), /the source in src\/ changed/],
  ['a new file in the source', () => (writeFileSync('src/b.ts', ''), tinyExperiment()), /the source in src\/ changed/],
  ['the lock file', () => (writeFileSync('package-lock.json', '{ }\n'), tinyExperiment()), /the lock file changed/],
  ['the data', () => tinyExperiment({ dataHashes: ['6'.repeat(64)] }), /the data changed/],
  ['a setting', () => tinyExperiment({ training: { ...settings, learningRate: 0.02 } }), /settings changed \(training\.learningRate: 0\.01 -> 0\.02\)/],
  ['the protocol', () => tinyExperiment({ protocol: { model: tinyModel, batchStatistics: false } }), /settings changed \(batchStatistics: none -> false\)/],
  ['the seed', () => tinyExperiment({ training: { ...settings, seed: 4 } }), /settings changed \(training\.seed: 0 -> 4\); the seed is 4, not 0/],
];
for (const [what, change, reason] of changes) {
  test.serial(`${what} changed: trained anew beside the old run, and the reason is told`, async (t) => {
    const other = await perform(change());
    t.false(other.reused);
    t.deepEqual(other.steps, [1, 2, 3, 4]);
    t.is(other.told.length, 2);
    t.regex(other.told[0], new RegExp(`^run ${first.id} of test/tiny is not reused: ${reason.source}$`));
    t.deepEqual(readdirSync('runs').sort(), [first.id, other.id].sort());
  });
}

test.serial('the engine changed: likewise', async (t) => {
  const { engine, experiment, settings: resolved, seed, dataHash, sourceHash, lockHash } = readRun(first.folder)!;
  openRun({ experiment, settings: resolved, seed, dataHash, sourceHash, lockHash, engine: { ...engine, version: '0.1' } }, 'test', 'older');
  const { told } = await perform(tinyExperiment(), { root: 'older' });
  t.regex(told[0], new RegExp(`is not reused: the engine is ${engine.name} ${engine.version}, not ${engine.name} 0\\.1$`));
});

test.serial('what several want anew is trained anew once: who comes later finds it', async (t) => {
  const freshSince = now();
  const again = await perform(tinyExperiment(), { freshSince });
  t.deepEqual([again.reused, again.steps.length], [false, 4]);
  const later = await perform(tinyExperiment(), { freshSince });
  t.deepEqual([later.reused, later.steps], [true, []]);
  t.deepEqual(later.summary, again.summary);
});

test.serial('--fresh trains again, to the same numbers', async (t) => {
  const again = await perform(tinyExperiment(), { freshSince: now() });
  t.deepEqual([again.id, again.reused, again.steps], [first.id, false, [1, 2, 3, 4]]);
  t.deepEqual(again.told, ['from 0']);
  t.deepEqual(again.parameters, first.parameters);
  t.deepEqual(again.summary.evaluations, first.summary.evaluations);
});

test.serial('stopped and started again: it goes on, to the same numbers', async (t) => {
  const controller = new AbortController();
  await t.throwsAsync(perform(tinyExperiment(), { freshSince: now(), signal: controller.signal, listener: { step: (done) => done === 3 && controller.abort() } }), { instanceOf: TrainingInterrupted });
  const again = await perform(tinyExperiment());
  t.deepEqual(again.steps, [4]);
  t.deepEqual(again.told, [`run ${first.id} of test/tiny is resumed: source, settings, data, lock file and engine are unchanged`, 'from 3']);
  t.deepEqual(again.parameters, first.parameters);
  t.deepEqual(again.summary.evaluations, first.summary.evaluations);
});

test.serial('a run that another one is training, or that has no checkpoint yet, is not called resumed', async (t) => {
  rmSync(first.folder, { recursive: true });
  const told: string[] = [];
  const other = perform(tinyExperiment());
  while (!existsSync(path.join(first.folder, 'lock'))) await new Promise((resolve) => setTimeout(resolve, 1));
  await t.throwsAsync(perform(tinyExperiment(), { listener: { reuse: (reason) => told.push(reason), started: () => told.push('started') } }), { instanceOf: RunHeld });
  t.deepEqual(told, []);
  t.deepEqual((await other).told, ['from 0']);
  for (const file of ['LAST', 'checkpoints', 'summary.json', 'metrics.jsonl']) rmSync(path.join(first.folder, file), { recursive: true });
  t.deepEqual((await perform(tinyExperiment())).told, ['from 0']);
});

/** Files of the newest and the older checkpoint. */
const checkpoints = (): string[] => (JSON.parse(readFileSync(path.join(first.folder, 'LAST'), 'utf8')) as { checkpoints: { file: string }[] }).checkpoints.map(({ file }) => path.join(first.folder, 'checkpoints', file));

function damage(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] ^= 1;
  writeFileSync(file, bytes);
}

test.serial("a finished run whose last checkpoint is damaged falls back to the one before, says so, and trains the rest again", async (t) => {
  const [newest] = checkpoints();
  damage(newest);
  const again = await perform(tinyExperiment());
  t.false(again.reused);
  t.deepEqual(again.steps, [3, 4]);
  t.is(again.told[0], `run ${first.id} of test/tiny is resumed: source, settings, data, lock file and engine are unchanged`);
  t.true(again.told.includes(`${newest} is damaged (its SHA-256 is not the one in LAST): going on from step 2`), again.told.join('\n'));
  t.deepEqual(again.parameters, first.parameters);
  t.true((await perform(tinyExperiment())).reused);
});

test.serial('a finished run without any checkpoint trains again, and says so', async (t) => {
  rmSync(path.join(first.folder, 'LAST'));
  const again = await perform(tinyExperiment());
  t.deepEqual(again.steps, [1, 2, 3, 4]);
  t.true(again.told.includes(`${first.folder} has a summary, but no checkpoint of step 4: training goes on`), again.told.join('\n'));
  t.deepEqual(again.parameters, first.parameters);
});

const oneSentence = /^[^\n]+$/;
const damages: [string, () => void, RegExp][] = [
  ['both checkpoints', () => checkpoints().forEach(damage), /step-000000004-\w+\.safetensors is damaged .*step-000000002-\w+\.safetensors is damaged .*: delete this run's folder, or start with --fresh, to train again$/],
  ['LAST', () => writeFileSync(path.join(first.folder, 'LAST'), '{"schemaVersion":1}'), /LAST: 'checkpoints' .*: delete this run's folder, or start with --fresh, to train again$/],
  ['summary.json (no JSON)', () => writeFileSync(path.join(first.folder, 'summary.json'), '{'), /summary\.json is no JSON .*: delete this run's folder to train again$/],
  ['summary.json (a share of 7)', () => {
    const file = path.join(first.folder, 'summary.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"ap50": [\d.]+/, '"ap50": 7'));
  }, /summary\.json: key evaluations\.0\.ap50: Number must be less than or equal to 1; correct the record, or remove it and run the experiment again$/],
  ['run.json (no JSON)', () => writeFileSync(path.join(first.folder, 'run.json'), ''), /run\.json is no JSON .*: delete this run's folder to train again$/],
  ['run.json (another seed)', () => {
    const file = path.join(first.folder, 'run.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"seed": 0,\n  "dataHash"', '"seed": 9,\n  "dataHash"'));
  }, /run\.json: 'id' should be \w{12}, .*: delete this run's folder to train again$/],
];
for (const [what, harm, message] of damages) {
  test.serial(`damaged ${what}: one sentence with the file and the way out; --fresh trains again`, async (t) => {
    harm();
    const error = await t.throwsAsync(perform(tinyExperiment()), { instanceOf: UserError, message });
    t.regex(error.message, oneSentence);
    t.true(error.message.startsWith('runs/'), error.message);
    const again = await perform(tinyExperiment(), { freshSince: now() });
    t.deepEqual(again.parameters, first.parameters);
  });
}

test.serial('a full disk, from any write on: one sentence, nothing half-written; with space again the run ends as ever', async (t) => {
  let writes = 0;
  const end = interceptFiles(({ name }) => void (writes += name === 'writeSync' ? 1 : 0));
  await perform(tinyExperiment(), { root: 'counted' });
  end();
  t.true(writes > 12);
  for (const full of [0, 1, 2, 5, 6, 7, writes - 3, writes - 1]) {
    const root = `full-${full}`;
    let left = full;
    const space = interceptFiles(({ name, writeHalf }) => {
      if (name !== 'writeSync' || left-- > 0) return;
      writeHalf();
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    });
    try {
      const error = await t.throwsAsync(perform(tinyExperiment(), { root }), { instanceOf: UserError, message: /can't be written \(ENOSPC: no space left on device, write\): free some space/ }, `write ${full}`);
      t.regex(error?.message ?? '', oneSentence);
    } finally {
      space();
    }
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
    t.deepEqual(files.filter((file) => file.endsWith('.tmp')), [], `write ${full}`);
    if (files.some((file) => file.endsWith('metrics.jsonl'))) t.regex(readFileSync(path.join(root, first.id, 'metrics.jsonl'), 'utf8'), /^(\{.*\}\n)*$/, `write ${full}`);
    t.deepEqual((await perform(tinyExperiment(), { root })).parameters, first.parameters, `write ${full}`);
  }
});

test.serial('while another process trains the run: one sentence, for --fresh too, which deletes nothing', async (t) => {
  const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  try {
    rmSync(path.join(first.folder, 'summary.json'));
    writeFileSync(path.join(first.folder, 'lock'), String(holder.pid));
    checkpoints().slice(0, 1).forEach(damage); // so that there is something left to train
    for (const freshSince of [now(), undefined]) {
      const error = await t.throwsAsync(perform(tinyExperiment(), { freshSince }), { instanceOf: UserError });
      t.is(error.message, `${first.folder} is being trained by process ${holder.pid}: wait for it or stop it; if there is no such training, delete ${path.join(first.folder, 'lock')}`);
      t.deepEqual(readdirSync(first.folder).sort(), ['LAST', 'checkpoints', 'lock', 'metrics.jsonl', 'run.json', 'seconds.json']);
    }
  } finally {
    const closed = new Promise((resolve) => holder.once('close', resolve));
    holder.kill('SIGKILL');
    await closed;
  }
  t.deepEqual((await perform(tinyExperiment())).parameters, first.parameters, 'the lock of a dead process is taken over');
});

test.serial('two starts of a run at once, in one process: the second is told who trains it, the first goes on', async (t) => {
  const other = tinyExperiment({ training: { ...settings, seed: 8 } });
  const [one, two] = await Promise.allSettled([perform(other), perform(other)]);
  t.is(one.status, 'fulfilled');
  t.regex(String((two as PromiseRejectedResult).reason), new RegExp(`is being trained by process ${process.pid}: wait for it or stop it`));
  t.true((await perform(other)).reused);
});
