import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../errors.js';
import { isAlive } from '../is-alive.js';

/** Another process, or another call in this one, trains the run: it can be waited for. */
export class RunHeld extends UserError {}

/** Locks of this process. */
const held = new Set<string>();

/**
 * Keeps two processes, and two calls in one process, from training the same run. What a killed process left locked is taken over.
 * @returns what unlocks it again
 * @throws RunHeld when it is held and its holder is alive; UserError when it can't be written
 */
export function lockRun(folder: string): () => void {
  const file = path.resolve(folder, 'lock');
  if (!tryLock(file)) {
    const holder = Number(readHolder(file));
    if (holder === process.pid ? held.has(file) : isAlive(holder)) throw new RunHeld(`${folder} is being trained by process ${holder}: wait for it or stop it; if there is no such training, delete ${path.join(folder, 'lock')}`);
    rmSync(file, { force: true });
    if (tryLock(file)) sleep(SETTLING); // a process that saw the same dead holder may just now remove what is here, and take it
    if (readHolder(file) !== String(process.pid)) throw new RunHeld(`${folder} was taken by another process just now: wait for it or stop it`);
  }
  held.add(file);
  return () => {
    held.delete(file);
    rmSync(file, { force: true });
  };
}

function tryLock(file: string): boolean {
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    const handle = openSync(file, 'wx');
    try {
      writeSync(handle, String(process.pid));
    } catch (error) {
      rmSync(file, { force: true }); // half of a number may be the number of another process
      throw error;
    } finally {
      closeSync(handle);
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new UserError(`${file} can't be written (${messageOf(error)}): free some space or check its permissions, then start again`);
  }
}

/** The process that holds a lock; '' where there is none any more. A lock is empty for a moment, until its holder has written its number. */
function readHolder(file: string): string {
  try {
    for (let tries = 0; tries < 10; tries++) {
      const holder = readFileSync(file, 'utf8');
      if (holder !== '') return holder;
      sleep(SETTLING / 10);
    }
  } catch {
    // unlocked in the meantime
  }
  return '';
}

/** Milliseconds in which another process has finished with a lock that it was about to take. */
const SETTLING = 100;

const sleep = (milliseconds: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
