import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { saveCheckpoint } from '../../src/training/checkpoint.js';
import { MetricsLog } from '../../src/training/metrics-log.js';
import { describeReuse, nearestRun } from '../../src/training/reuse.js';
import { canonicalJson, listRuns, lockHash, openRun, readRun, readSummary, runId, sourceHash, writeSummary, type RunIdentity } from '../../src/training/run-folder.js';
import { lockRun } from '../../src/training/run-lock.js';
import type { RunSummary } from '../../src/training/run-record.js';
import { identity } from './toy-run.js';

const newRoot = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-runs-'));

const others: [string, RunIdentity, RegExp][] = [
  ['source', { ...identity, sourceHash: 'e'.repeat(64) }, /the source in src\/ changed/],
  ['settings', { ...identity, settings: { steps: 13, tau: 0.6 } }, /settings changed \(steps: 12 -> 13, tau: none -> 0\.6\)/],
  ['seed', { ...identity, seed: 6 }, /the seed is 6, not 5/],
  ['data', { ...identity, dataHash: 'e'.repeat(64) }, /the data changed/],
  ['lock file', { ...identity, lockHash: 'e'.repeat(64) }, /the lock file changed/],
  ['engine', { ...identity, engine: { name: 'toy', version: '2' } }, /the engine is toy 2, not toy 1/],
  ['experiment', { ...identity, experiment: 'other' }, /the experiment is other, not toy/],
];

test('the same run has the same id, whatever the order of its keys', (t) => {
  t.regex(runId(identity), /^[0-9a-f]{12}$/);
  const { engine, ...rest } = identity;
  t.is(runId({ engine: { version: engine.version, name: engine.name }, ...rest }), runId(identity));
  t.is(canonicalJson({ b: [{ d: 1, c: null }], a: undefined, A: 'x' }), '{"A":"x","b":[{"c":null,"d":1}]}');
});

for (const [difference, wanted, sentence] of others) {
  test(`another ${difference} makes another run, and the reason names it and nothing else`, (t) => {
    t.not(runId(wanted), runId(identity));
    const { description } = openRun(identity, 'c', newRoot());
    const { reused, changed, reason } = describeReuse(description, wanted, null);
    t.false(reused);
    t.deepEqual<string[], string[]>(changed, [difference]);
    t.regex(reason, new RegExp(`^run ${description.id} of toy is not reused: ${sentence.source}$`));
  });
}

test('an unchanged run is reused, and the reason says what was compared; unfinished or damaged it is resumed', (t) => {
  const { description, folder } = openRun(identity, 'c', newRoot());
  const unchanged = (use: string) => ({ reused: true, changed: [], reason: `run ${description.id} of toy is ${use}: source, settings, data, lock file and engine are unchanged` });
  const described = (finished: Parameters<typeof describeReuse>[2]) => describeReuse(description, { ...identity, settings: { ...identity.settings } }, finished);
  t.deepEqual(described(null), unchanged('resumed'));
  t.deepEqual(described({ folder, steps: 12 }), unchanged('resumed'), 'no checkpoint');
  const counters = { seed: 5, step: 12, epoch: 1, positionInEpoch: 0, metricsBytes: 0 };
  saveCheckpoint(folder, { runId: description.id, counters, parameters: { w: { shape: [1], data: Float32Array.of(3) } }, firstMoments: {}, secondMoments: {}, buffers: {} });
  t.deepEqual(described({ folder, steps: 12 }), unchanged('reused'));
  t.deepEqual(described({ folder, steps: 13 }), unchanged('resumed'), 'of another step');
  t.deepEqual(described(null), unchanged('resumed'), 'no summary');
  const [name] = readdirSync(path.join(folder, 'checkpoints'));
  writeFileSync(path.join(folder, 'checkpoints', name), 'x');
  t.deepEqual(described({ folder, steps: 12 }), unchanged('resumed'), 'damaged');
});

test('several changes are named together', (t) => {
  const { description } = openRun(identity, 'c', newRoot());
  const { changed, reason } = describeReuse(description, { ...identity, sourceHash: 'e'.repeat(64), dataHash: 'e'.repeat(64) }, null);
  t.deepEqual<string[], string[]>(changed, ['source', 'data']);
  t.regex(reason, /not reused: the source in src\/ changed; the data changed$/);
});

test('a folder is made once and found again; what determines a run is all in run.json', (t) => {
  const root = newRoot();
  const made = openRun(identity, 'npx qdetr train toy', root);
  t.true(made.isNew);
  t.is(made.folder, path.join(root, runId(identity)));
  const { schemaVersion, id, commit, nodeVersion, machine, command, startedAt, ...determining } = made.description;
  t.deepEqual(determining, identity);
  t.deepEqual({ schemaVersion, id, nodeVersion, command }, { schemaVersion: 1, id: runId(identity), nodeVersion: process.versions.node, command: 'npx qdetr train toy' });
  t.true((commit === null || /^[0-9a-f]{40}$/.test(commit)) && machine.cores > 0 && !Number.isNaN(Date.parse(startedAt)));
  t.deepEqual(openRun(identity, 'another command', root), { folder: made.folder, description: made.description, isNew: false });
});

test('runs are listed from the oldest on; folders without run.json are none', (t) => {
  const root = newRoot();
  t.deepEqual(listRuns(path.join(root, 'missing')), []);
  mkdirSync(path.join(root, 'killed-before-run.json'));
  for (const seed of [3, 1, 2]) openRun({ ...identity, seed }, 'c', root);
  const runs = listRuns(root);
  t.deepEqual(runs.map(({ seed }) => seed).sort(), [1, 2, 3]);
  t.deepEqual(runs.map(({ startedAt }) => startedAt), runs.map(({ startedAt }) => startedAt).sort());
});

test('the nearest run is the one of the experiment with the fewest changes, the newest of several', (t) => {
  const root = newRoot();
  const run = (changes: Partial<RunIdentity>, startedAt: string) => ({ ...openRun({ ...identity, ...changes }, 'c', root).description, startedAt });
  const far = run({ seed: 9, dataHash: 'e'.repeat(64) }, '2026-01-04T00:00:00Z');
  const older = run({ seed: 8 }, '2026-01-01T00:00:00Z');
  const newer = run({ seed: 7 }, '2026-01-02T00:00:00Z');
  const other = run({ experiment: 'other' }, '2026-01-05T00:00:00Z');
  t.is(nearestRun([far, older, newer, other], identity), newer);
  t.is(nearestRun([newer, older, far], identity), newer);
  t.is(nearestRun([other], identity), undefined);
});

test('a damaged run.json names file, key and the way out', (t) => {
  const root = newRoot();
  const { folder } = openRun(identity, 'c', root);
  const file = path.join(folder, 'run.json');
  const sound = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  const { seed, ...withoutSeed } = sound;
  t.is(seed, 5);
  const cases: [string, RegExp][] = [
    ['', /run\.json is no JSON/],
    [JSON.stringify(sound).slice(0, -1), /run\.json is no JSON/],
    [JSON.stringify(withoutSeed), /run\.json: 'seed' should be a whole number of at least 0, but is missing/],
    [JSON.stringify({ ...sound, seed: '5' }), /'seed' should be a whole number of at least 0, but is "5"/],
    [JSON.stringify({ ...sound, sourceHash: 'x' }), /'sourceHash' should be a SHA-256, 64 hexadecimal digits, but is "x"/],
    [JSON.stringify({ ...sound, schemaVersion: 2 }), /'schemaVersion' should be 1, but is 2/],
    [JSON.stringify({ ...sound, engine: { name: 'toy' } }), /'engine\.version' should be a version, but is missing/],
    [JSON.stringify({ ...sound, lockhash: 'x' }), /'lockhash' is unknown, did you mean 'lockHash'\?/],
    [JSON.stringify({ ...sound, seed: 6 }), /'id' should be [0-9a-f]{12}, which is what its other keys and its folder make, but is/],
  ];
  for (const [content, message] of cases) {
    writeFileSync(file, content);
    for (const read of [() => readRun(folder), () => listRuns(root), () => openRun(identity, 'c', root)]) {
      const error = t.throws(read, { instanceOf: UserError, message })!;
      t.regex(error.message, /: delete this run's folder to train again$/);
    }
  }
});

test('a run folder that was renamed or copied is noticed', (t) => {
  const root = newRoot();
  const { folder } = openRun(identity, 'c', root);
  cpSync(folder, path.join(root, '0123456789ab'), { recursive: true });
  t.throws(() => listRuns(root), { instanceOf: UserError, message: /0123456789ab.run\.json: 'id' should be/ });
});

test('the source hash depends on the path and content of every .ts file but those that no number depends on, and on nothing else', (t) => {
  const root = newRoot();
  const write = (file: string, content: string) => {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    writeFileSync(path.join(root, file), content);
    return sourceHash(root);
  };
  write('b.ts', 'b');
  const start = write('a/c.ts', 'c');
  t.is(write('notes.md', 'x'), start);
  t.is(write('a/c.ts', 'c'), start);
  t.not(write('a/c.ts', 'd'), start);
  t.is(write('a/c.ts', 'c'), start);
  t.is(write('cli/x.ts', 'x'), start);
  t.is(write('figures/x.ts', 'x'), start);
  for (const file of ['claim', 'claims', 'claims-text', 'judge-claims', 'query-distance', 'cell-table', 'cell-plan', 'departures']) t.is(write(`experiments/${file}.ts`, 'x'), start, file);
  const before = sourceHash(root);
  for (const file of ['experiments/cell.ts', 'experiments/grid.ts', 'a/claims.ts', 'claims.ts', 'a/cli/x.ts']) {
    t.not(write(file, 'x'), before, file);
    rmSync(path.join(root, file));
  }
  t.not(write('a/d.ts', ''), start);
  t.not(sourceHash(path.join(root, 'a')), start);
  t.regex(sourceHash(), /^[0-9a-f]{64}$/);
  t.throws(() => sourceHash(path.join(root, 'missing')), { instanceOf: UserError });
  t.regex(lockHash(), /^[0-9a-f]{64}$/);
  t.throws(() => lockHash(path.join(root, 'missing.json')), { instanceOf: UserError, message: /missing\.json can't be read .*git checkout/ });
});

const summary: RunSummary = {
  schemaVersion: 1, id: runId(identity), experiment: 'toy', artefact: ['table-2.2'], method: 'Baseline', bits: '2-2-8', model: 'detr', scale: 'smoke', dataset: 'minivoc-64', seed: 5, tau: null, lambda: null,
  evaluations: [{ split: 'test', step: 12, epoch: 1, ap: 0.1, ap50: 0.2, ap75: 0.05 }], informationPlane: [], command: 'c', engine: 'toy 1', machine: 'm', seconds: 3, finishedAt: '2026-01-01T00:00:00Z',
};

test('a summary makes a run a finished one; a wrong or damaged one is refused', (t) => {
  const { folder } = openRun(identity, 'c', newRoot());
  t.is(readSummary(folder), null);
  t.throws(() => writeSummary(folder, { ...summary, evaluations: [{ ...summary.evaluations[0], ap50: 20 }] }), { instanceOf: UserError, message: /ap50/ });
  t.is(readSummary(folder), null, 'nothing was written');
  writeSummary(folder, summary);
  t.deepEqual(readSummary(folder), summary);
  writeFileSync(path.join(folder, 'summary.json'), '{"schemaVersion":1}');
  t.throws(() => readSummary(folder), { instanceOf: UserError, message: /summary\.json/ });
});

test('a folder that can not be made is one sentence', (t) => {
  const root = path.join(newRoot(), 'file');
  writeFileSync(root, '');
  for (const action of [() => writeSummary(path.join(root, 'x'), summary), () => lockRun(path.join(root, 'x')), () => new MetricsLog(path.join(root, 'x'))]) {
    t.throws(action, { instanceOf: UserError, message: /file.* can't be written \((ENOTDIR|EEXIST|ENOENT).*\): free some space or/ });
  }
  for (const action of [() => openRun(identity, 'c', root), () => readRun(path.join(root, 'x')), () => listRuns(root)]) {
    t.throws(action, { instanceOf: UserError, message: `${root} is a file, but runs go into a folder: name a folder with --runs, or move the file away` });
  }
});

test('a run is trained by one process at a time; a lock of a dead one is taken over', async (t) => {
  const folder = newRoot();
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  writeFileSync(path.join(folder, 'lock'), String(child.pid));
  t.throws(() => lockRun(folder), { instanceOf: UserError, message: new RegExp(`is being trained by process ${child.pid}: wait for it or stop it; if there is no such training, delete .*lock$`) });
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('close', resolve));
  const unlock = lockRun(folder);
  t.is(readFileSync(path.join(folder, 'lock'), 'utf8'), String(process.pid));
  unlock();
  t.deepEqual(readdirSync(folder), []);
  writeFileSync(path.join(folder, 'lock'), 'half a numb');
  lockRun(folder)();
  t.deepEqual(readdirSync(folder), []);
});
