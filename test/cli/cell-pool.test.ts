import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import test from 'ava';
import { performCells, type PoolOptions, type PoolState } from '../../src/cli/cell-pool.js';
import type { Cell } from '../../src/experiments/cell.js';
import { cellName } from '../../src/experiments/grid.js';
import { table22Experiment } from '../../src/experiments/table-2.2.js';

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-pool-'));

/** The first cells of Table 2.2, which the stand-in treats as `act` says. */
const cellsThat = (act: string, count = 4): Cell[] => table22Experiment.grid({ family: 'detr', scale: 'smoke', seeds: [0] }).slice(0, count).map((cell) => ({ ...cell, teacher: act }));

const perform = (cells: readonly Cell[], options: Partial<PoolOptions> = {}) =>
  performCells(cells, { processes: 2, steps: () => 8, command: 'test', root: newFolder(), child: 'test/cli/cells-child.ts', retryAfter: 50, ...options });

/** What the processes of a pool logged: number of the process, name of the cell. */
const logOf = (root: string): [string, string][] => readFileSync(path.join(root, 'log'), 'utf8').trim().split('\n').map((line) => line.split(/ (.*)/s, 2) as [string, string]);

test.serial('two processes perform five cells, each once and on one thread; the answers come in the order of the cells', async (t) => {
  const root = newFolder(), cells = cellsThat('trains', 5), states: PoolState[] = [];
  const outcomes = await perform(cells, { root, changed: (state) => states.push({ ...state, outcomes: [...state.outcomes] }) });
  t.deepEqual(outcomes.map(({ cell, state }) => [cell, state]), cells.map((cell) => [cell, 'finished']));
  const log = logOf(root);
  t.deepEqual(log.map(([, text]) => text).sort(), cells.map((cell) => `${cellName(cell)} threads 1`).sort());
  t.is(new Set(log.map(([process]) => process)).size, 2);
  t.true(outcomes.every((outcome) => outcome.state === 'finished' && !outcome.reused && outcome.summary.evaluations[0].ap50 === 0.25));
  for (const { outcomes, running, left } of states) t.is(outcomes.length + running.length + left, 5);
  t.is(states.at(-1)?.outcomes.length, 5);
  const again = await perform(cells, { root });
  t.true(again.every((outcome) => outcome.state === 'finished' && outcome.reused));
});

test.serial('progress of a cell grows and stays within it', async (t) => {
  const fractions: number[] = [];
  const cells = cellsThat('waits', 1), controller = new AbortController();
  await perform(cells, { signal: controller.signal, changed: ({ running }) => {
    fractions.push(...running);
    if (running[0] === 1) controller.abort();
  } });
  t.deepEqual(fractions, [...fractions].sort((a, b) => a - b));
  t.is(fractions[0], 0);
  t.is(fractions.at(-1), 1);
  t.true(fractions.some((fraction) => fraction > 0 && fraction < 1));
});

for (const [act, message] of [['fails', 'loss is no number'], ['crashes', 'its process ended (signal SIGKILL: out of memory?): Error: no memory']] as const) {
  test.serial(`a cell that ${act} is told with its reason; the others are performed`, async (t) => {
    const cells = [...cellsThat(act, 1), ...cellsThat('trains', 4).slice(1)];
    const outcomes = await perform(cells, { processes: 1 });
    t.deepEqual(outcomes.map(({ state }) => state), ['failed', 'finished', 'finished', 'finished']);
    t.like(outcomes[0], { message });
  });
}

test.serial('cells that share a run do not train it at once: who finds it held waits, and is tried again', async (t) => {
  const root = newFolder(), cells = cellsThat('shares', 4), held: number[] = [];
  const outcomes = await perform(cells, { root, processes: 3, changed: (state) => held.push(state.held) });
  t.deepEqual(outcomes.map(({ state }) => state), ['finished', 'finished', 'finished', 'finished']);
  t.true(logOf(root).length > 4, 'some were tried again');
  t.true(held.some((count) => count > 0));
});

test.serial('a stop reaches every process: cells under way end at a safe point, the others are not begun', async (t) => {
  const root = newFolder(), controller = new AbortController();
  const outcomes = await perform(cellsThat('waits', 4), { root, signal: controller.signal, changed: ({ running }) => {
    if (running.length === 2 && running.every((fraction) => fraction > 0)) controller.abort();
  } });
  t.deepEqual(outcomes.map(({ state }) => state), ['stopped', 'stopped', 'stopped', 'stopped']);
  const log = logOf(root);
  t.is(log.length, 2);
  for (const [pid] of log) t.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' });
});

test.serial('where the pool is killed, its processes stop at a safe point and end', async (t) => {
  const root = newFolder();
  const pool = spawn(process.execPath, ['--import=tsx', 'test/cli/pool-child.ts', root], { stdio: ['ignore', 'ignore', 'inherit'] });
  for (let tries = 0; tries < 200 && !existsSync(path.join(root, 'log')); tries++) await wait(50);
  const [[pid]] = logOf(root);
  pool.kill('SIGKILL');
  const isAlive = (): boolean => {
    try {
      return process.kill(Number(pid), 0);
    } catch {
      return false;
    }
  };
  for (let tries = 0; tries < 100 && isAlive(); tries++) await wait(50);
  t.false(isAlive());
});

test.serial('cells that differ in the seed alone go to one process at a time, as many as are asked for; the others take their turn', async (t) => {
  const root = newFolder(), [first, second] = cellsThat('trains', 2);
  const cells = [{ ...first, seed: 0 }, { ...second, seed: 0 }, { ...first, seed: 1 }, { ...first, seed: 2 }, { ...second, seed: 1 }];
  const most: number[] = [];
  const outcomes = await perform(cells, { root, processes: 1, together: 2, changed: ({ running }) => most.push(running.length) });
  t.deepEqual(outcomes.map(({ cell, state }) => [cell, state]), cells.map((cell) => [cell, 'finished']));
  t.deepEqual(logOf(root).map(([, text]) => text), [cells[0], cells[2], cells[1], cells[4], cells[3]].map((cell) => `${cellName(cell)} threads 1`));
  t.is(Math.max(...most), 2);
});

test.serial('of cells that go together one may fail or wait for a run that another holds', async (t) => {
  const [failing] = cellsThat('fails', 1), [sharing] = cellsThat('shares', 1);
  const outcomes = await perform([0, 1, 2].flatMap((seed) => [{ ...failing, seed }, { ...sharing, seed }]), { processes: 1, together: 3 });
  t.deepEqual(outcomes.map(({ state }) => state), ['failed', 'finished', 'finished', 'finished', 'finished', 'finished']);
});
