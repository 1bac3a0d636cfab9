import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import test from 'ava';
import { RandomStream } from '../../src/tensor/random.js';
import { outcome, tinyRun } from './tiny-detector.js';

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-killed-'));

/** Starts a training in a process of its own; `after` kills it from outside that many milliseconds after its first step can begin. */
async function child(folder: string, bits: string, [when, number]: [string, number], after?: number): Promise<{ output: string; signal: NodeJS.Signals | null }> {
  const process_ = spawn(process.execPath, ['--import=tsx', 'test/training/train-child.ts', folder, bits, when, String(number)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const began = new Promise<void>((resolve) => process_.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    resolve();
  }));
  const closed = new Promise<NodeJS.Signals | null>((resolve) => process_.once('close', (_code, signal) => resolve(signal)));
  if (after !== undefined) {
    await Promise.race([began, closed]);
    await Promise.race([wait(after), closed]);
    process_.kill('SIGKILL');
  }
  const signal = await closed;
  return { output, signal };
}

const chains: Record<string, [string, number][]> = {
  '32-32-32': [['step', 3], ['saving', 1], ['evaluation', 5], ['pointing', 2], ['step', 12]],
  '2-2-8': [['evaluation', 5], ['saving', 1]],
};
for (const bits of Object.keys(chains)) {
  test.serial(`${bits}: a process killed with SIGKILL at ${chains[bits].map((at) => at.join(' ')).join(', ')} and once at random, then left alone`, async (t) => {
    const folder = newFolder();
    const from: string[] = [];
    for (const at of chains[bits]) {
      const { output, signal } = await child(folder, bits, at);
      t.is(signal, 'SIGKILL', at.join(' '));
      from.push(output.trim());
    }
    const random = new RandomStream(Number(process.pid));
    from.push((await child(folder, bits, ['never', 0], random.integer(60))).output.trim());
    const { output, signal } = await child(folder, bits, ['never', 0]);
    t.is(signal, null);
    t.log(from.join('; '));
    t.true(output.endsWith('finished\n'), output);
    const uninterrupted = newFolder();
    await tinyRun(uninterrupted, bits);
    t.deepEqual(outcome(folder), outcome(uninterrupted));
  });
}
