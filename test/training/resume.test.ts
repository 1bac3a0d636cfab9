import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import test from 'ava';
import { RandomStream } from '../../src/tensor/random.js';
import type { Checkpoint } from '../../src/training/checkpoint.js';
import { diesAt } from './crash.js';
import { outcome, toyRun, type ToyOptions } from './toy-run.js';

const newRoot = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-resume-'));
const options: ToyOptions = { steps: 12, interval: 4 };
const reference = outcome(toyRun(newRoot(), options).folder);

test.serial('killed before any one of its file operations, a run that goes on ends bit for bit as the uninterrupted one', (t) => {
  let point = 0;
  for (let died = true; died; point++) {
    const root = newRoot();
    died = diesAt(point, () => void toyRun(root, options));
    const { folder, note } = toyRun(root, options);
    t.deepEqual(outcome(folder), reference, `killed at operation ${point}`);
    t.is(note, undefined, `killed at operation ${point}`);
    t.deepEqual([...readdirSync(folder)].sort(), ['LAST', 'checkpoints', 'metrics.jsonl', 'run.json'], `killed at operation ${point}`);
    t.is(readdirSync(path.join(folder, 'checkpoints')).length, 2, `killed at operation ${point}`);
  }
  t.log(`${point - 1} points`);
  t.true(point > 40);
});

test.serial('killed again and again at random', (t) => {
  const random = new RandomStream(3);
  for (let i = 0; i < 20; i++) {
    const root = newRoot();
    while (diesAt(5 + random.integer(25), () => void toyRun(root, options)));
    t.deepEqual(outcome(toyRun(root, options).folder), reference);
  }
});

const controls: Record<string, (checkpoint: Checkpoint) => Checkpoint> = {
  'a wrong step counter': (c) => ({ ...c, counters: { ...c.counters, step: c.counters.step - 1 } }),
  'a wrong position in the epoch': (c) => ({ ...c, counters: { ...c.counters, positionInEpoch: 0 } }),
  'first moments left out': (c) => ({ ...c, firstMoments: { x: { shape: [40], data: new Float32Array(40) } } }),
  'second moments left out': (c) => ({ ...c, secondMoments: { x: { shape: [40], data: new Float32Array(40) } } }),
  'buffers left out': (c) => ({ ...c, buffers: { running_mean: { shape: [40], data: new Float32Array(40) } } }),
};

for (const [name, sabotage] of Object.entries(controls)) {
  test.serial(`negative control: ${name} is noticed`, (t) => {
    const root = newRoot();
    t.true(diesAt(40, () => void toyRun(root, options)));
    const { folder } = toyRun(root, { ...options, sabotage });
    t.notDeepEqual(outcome(folder), reference);
  });
}

test.serial('negative control: a log that is not cut to its checkpoint is noticed', (t) => {
  const root = newRoot();
  t.true(diesAt(40, () => void toyRun(root, options)));
  const { folder } = toyRun(root, { ...options, sabotage: (c) => {
    const wholeLines = readFileSync(path.join(root, readdirSync(root)[0], 'metrics.jsonl'), 'utf8').lastIndexOf('\n') + 1;
    t.true(wholeLines > c.counters.metricsBytes, 'the killed run wrote lines after its checkpoint');
    return { ...c, counters: { ...c.counters, metricsBytes: wholeLines } };
  } });
  t.not(outcome(folder).metrics, reference.metrics);
});

test.serial('a process killed with SIGKILL at random moments, started again until it is done', async (t) => {
  const size = { steps: 600, interval: 3 };
  const wanted = outcome(toyRun(newRoot(), size).folder);
  const root = newRoot();
  const random = new RandomStream(11);
  let kills = 0, finished = false;
  while (!finished) {
    const child = spawn(process.execPath, ['--import=tsx', 'test/training/toy-run-child.ts', root, String(size.steps), String(size.interval)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const closed = new Promise((resolve) => child.once('close', resolve));
    await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), closed]);
    if (kills < 8) await Promise.race([wait(20 + random.integer(60)), closed]);
    else await closed;
    child.kill('SIGKILL');
    await closed;
    finished = output.includes('finished');
    if (!finished) t.true(kills++ < 8, output);
  }
  t.log(`${kills} kills`);
  t.true(kills > 0);
  t.deepEqual(outcome(toyRun(root, size).folder), wanted);
});
