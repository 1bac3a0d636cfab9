import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { lockRun, RunHeld } from '../../src/training/run-lock.js';

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-lock-'));

/** What a process says that takes the lock at some time. */
function takeAt(folder: string, time: number): Promise<string> {
  const child = spawn(process.execPath, ['--import=tsx', 'test/training/lock-child.ts', folder, String(time)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  return new Promise((resolve) => child.once('close', () => resolve(output.trim())));
}

/** A number that no living process has. */
const DEAD = '99999999';

for (const [what, lock] of [['free', undefined], ['left by a killed process', DEAD], ['left empty by a killed process', '']] as const) {
  test.serial(`five processes take a lock at the same moment that is ${what}: one holds it, the others are told to wait`, async (t) => {
    const folder = newFolder();
    if (lock !== undefined) writeFileSync(path.join(folder, 'lock'), lock);
    const time = Date.now() + 3000;
    const answers = await Promise.all(Array.from({ length: 5 }, () => takeAt(folder, time)));
    t.deepEqual(answers.sort(), ['held', 'refused', 'refused', 'refused', 'refused']);
    t.false(existsSync(path.join(folder, 'lock')));
  });
}

test('a lock is taken once, freed, and taken again; that it is held is an error of its own, one for the user', (t) => {
  const folder = newFolder(), unlock = lockRun(folder);
  const error = t.throws(() => lockRun(folder), { instanceOf: RunHeld });
  t.true(error instanceof UserError);
  unlock();
  lockRun(folder)();
  t.false(existsSync(path.join(folder, 'lock')));
});
