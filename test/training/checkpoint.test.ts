import { existsSync, mkdtempSync, readFileSync, readdirSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { encodeSafetensors } from '../../src/tensor/safetensors.js';
import { decodeCheckpoint, encodeCheckpoint, loadCheckpoint, saveCheckpoint, type Checkpoint } from '../../src/training/checkpoint.js';

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-checkpoint-'));
const of = (...data: number[]) => ({ shape: [data.length], data: Float32Array.from(data) });

const at = (step: number): Checkpoint => ({
  runId: 'r',
  counters: { seed: 1, step, epoch: 2, positionInEpoch: 3, metricsBytes: 4 },
  parameters: { 'a.weight': { shape: [2, 1], data: Float32Array.of(step, -0) }, 'a.weight_quantizer.scale': of(1e-8) },
  firstMoments: { 'a.weight': of(NaN, 2) },
  secondMoments: { 'a.weight': of(3, Infinity) },
  buffers: { 'bn.running_mean': of(5), 'odd/name': { shape: [], data: Float32Array.of(6) } },
});

/** A run folder with checkpoints of steps 1, 2 and 3; the files of the two that are kept, newest first. */
function threeSaved() {
  const folder = newFolder();
  for (const step of [1, 2, 3]) saveCheckpoint(folder, at(step));
  const files = readdirSync(path.join(folder, 'checkpoints')).sort().reverse().map((file) => path.join(folder, 'checkpoints', file));
  return { folder, files };
}

test('everything comes back, bit for bit; no LAST, no checkpoint', (t) => {
  const folder = newFolder();
  t.is(loadCheckpoint(folder, 'r'), null);
  saveCheckpoint(folder, at(7));
  t.deepEqual(loadCheckpoint(folder, 'r'), { checkpoint: at(7) });
});

test('the newest and the one before it are kept', (t) => {
  const { folder, files } = threeSaved();
  t.deepEqual(files.map((file) => path.basename(file).slice(0, 14)), ['step-000000003', 'step-000000002']);
  t.is(loadCheckpoint(folder, 'r')!.checkpoint.counters.step, 3);
  t.false(readdirSync(folder).some((file) => file.endsWith('.tmp')));
});

const damages: [string, (file: string) => void][] = [
  ['truncated', (file) => truncateSync(file, 100)],
  ['one bit flipped', (file) => {
    const bytes = readFileSync(file);
    bytes[bytes.length - 3] ^= 1;
    writeFileSync(file, bytes);
  }],
  ['deleted', unlinkSync],
];

for (const [name, damage] of damages) {
  test(`${name}: the one before it is taken, the note says so, and training goes on from there`, (t) => {
    const { folder, files } = threeSaved();
    damage(files[0]);
    const { checkpoint, note } = loadCheckpoint(folder, 'r')!;
    t.deepEqual(checkpoint, at(2));
    t.regex(note!, /step-000000003-[0-9a-f]{8}\.safetensors (is damaged|can't be read).*: going on from step 2$/);
    t.deepEqual(loadCheckpoint(folder, 'r'), { checkpoint: at(2) }, 'the damaged one is forgotten');
    saveCheckpoint(folder, at(3));
    t.deepEqual(loadCheckpoint(folder, 'r'), { checkpoint: at(3) });
    t.deepEqual(readdirSync(path.join(folder, 'checkpoints')).length, 2);
  });

  test(`${name}, both of them: one sentence with the way out`, (t) => {
    const { folder, files } = threeSaved();
    for (const file of files) damage(file);
    t.throws(() => loadCheckpoint(folder, 'r'), { instanceOf: UserError, message: /step-000000003.*; .*step-000000002.*: delete this run's folder, or start with --fresh, to train again$/ });
  });
}

test('any one flipped bit is noticed', (t) => {
  const folder = newFolder();
  saveCheckpoint(folder, at(1));
  const file = path.join(folder, 'checkpoints', readdirSync(path.join(folder, 'checkpoints'))[0]);
  const sound = readFileSync(file);
  fc.assert(fc.property(fc.nat(sound.length * 8 - 1), (bit) => {
    const bytes = Buffer.from(sound);
    bytes[bit >> 3] ^= 1 << (bit & 7);
    writeFileSync(file, bytes);
    t.throws(() => loadCheckpoint(folder, 'r'), { instanceOf: UserError, message: /is damaged/ });
  }), { numRuns: 60 });
});

test("a damaged pointer, and one that leaves the run's folder, are refused with file and key", (t) => {
  const { folder } = threeSaved();
  const last = path.join(folder, 'LAST');
  const cases: [string, RegExp][] = [
    ['{', /LAST is no JSON/],
    ['{}', /LAST: 'schemaVersion' is missing/],
    ['{"schemaVersion":2,"checkpoints":[]}', /LAST: 'schemaVersion' is 2/],
    ['{"schemaVersion":1,"checkpoints":[{"file":"../../x.safetensors","step":1,"sha256":"00"}]}', /LAST: 'checkpoints\.0\.file' should be a checkpoint file of this run, but is "\.\./],
  ];
  for (const [content, message] of cases) {
    writeFileSync(last, content);
    const error = t.throws(() => loadCheckpoint(folder, 'r'), { instanceOf: UserError, message })!;
    t.regex(error.message, /: delete this run's folder, or start with --fresh, to train again$/);
  }
});

test("another run's checkpoint is refused", (t) => {
  const { folder } = threeSaved();
  t.throws(() => loadCheckpoint(folder, 'q'), { instanceOf: UserError, message: /'runId' should be q, but is r/ });
});

test('a sound safetensors file that is no checkpoint is refused with its key', (t) => {
  const zero = { dtype: 'F32', shape: [1], data: new Float32Array(1) } as const;
  const notes = { format: 'qdetr-checkpoint-1', runId: 'r', counters: JSON.stringify(at(1).counters) };
  const decode = (name: string, metadata: Record<string, string>) => () => decodeCheckpoint(encodeSafetensors({ tensors: new Map([[name, zero]]), metadata: new Map(Object.entries(metadata)) }), 'f');
  t.notThrows(decode('parameters/x', notes));
  t.throws(decode('x', notes), { instanceOf: UserError, message: /^f: 'x' should be an F32 array of parameters/ });
  t.throws(decode('toString/x', notes), { instanceOf: UserError, message: /'toString\/x' should be/ });
  t.throws(decode('parameters/x', { runId: 'r' }), { instanceOf: UserError, message: /'__metadata__\.format' should be qdetr-checkpoint-1, but is missing/ });
  t.throws(decode('parameters/x', { ...notes, counters: '{' }), { instanceOf: UserError, message: /'__metadata__\.counters' is no JSON/ });
  t.throws(decode('parameters/x', { ...notes, counters: '{"seed":1}' }), { instanceOf: UserError, message: /^f, __metadata__\.counters: 'step' should be a whole number of at least 0, but is missing/ });
  const prototype = decodeCheckpoint(encodeCheckpoint({ ...at(1), parameters: Object.fromEntries([['__proto__', of(1)]]) }), 'f').parameters;
  t.deepEqual(Object.keys(prototype), ['__proto__']);
});

const fullDisk = existsSync('/dev/full') ? test : test.skip; // a device that every write to fails with ENOSPC (Linux)

fullDisk('a full disk: one sentence, the last good checkpoint stays, nothing half-written stays', (t) => {
  for (const aside of ['checkpoint', 'pointer']) {
    const { folder } = threeSaved();
    const before = readdirSync(path.join(folder, 'checkpoints'));
    const probe = newFolder();
    saveCheckpoint(probe, at(4));
    const name = aside === 'pointer' ? 'LAST' : path.join('checkpoints', readdirSync(path.join(probe, 'checkpoints'))[0]);
    symlinkSync('/dev/full', path.join(folder, `${name}.${process.pid}.tmp`));
    t.throws(() => saveCheckpoint(folder, at(4)), { instanceOf: UserError, message: /can't be written \(ENOSPC: no space left on device, write\): free some space/ });
    t.deepEqual(loadCheckpoint(folder, 'r'), { checkpoint: at(3) }, aside);
    t.deepEqual(readdirSync(path.join(folder, 'checkpoints')), before, aside);
    saveCheckpoint(folder, at(4));
    t.deepEqual(loadCheckpoint(folder, 'r'), { checkpoint: at(4) }, aside);
  }
});

test('what killed writers left is deleted, not the file that a living process is writing beside a finished training', (t) => {
  const folder = newFolder();
  saveCheckpoint(folder, at(1));
  const living = path.join(folder, `seconds.json.${process.ppid}.tmp`), dead = path.join(folder, 'seconds.json.4194305.tmp'), own = path.join(folder, `seconds.json.${process.pid}.old.tmp`);
  for (const file of [living, dead, own]) writeFileSync(file, '');
  loadCheckpoint(folder, 'r');
  t.deepEqual([living, dead, own].map((file) => existsSync(file)), [true, false, false]);
});
