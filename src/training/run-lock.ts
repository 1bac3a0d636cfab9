import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../errors.js';

/** Locks of this process. */
const held = new Set<string>();

/**
 * Keeps two processes, and two calls in one process, from training the same run. What a killed process left locked is taken over.
 * @returns what unlocks it again
 * @throws UserError when it is held and its holder is alive
 */
export function lockRun(folder: string): () => void {
  const file = path.resolve(folder, 'lock');
  if (!tryLock(file)) {
    const holder = Number(readHolder(file));
    if (holder === process.pid ? held.has(file) : isAlive(holder)) throw new UserError(`${folder} is being trained by process ${holder}: wait for it or stop it; if there is no such training, delete ${path.join(folder, 'lock')}`);
    rmSync(file, { force: true });
    if (!tryLock(file)) throw new UserError(`${folder} was taken by another process just now: wait for it or stop it`);
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

function readHolder(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // unlocked in the meantime
  }
}

function isAlive(processId: number): boolean {
  if (!Number.isInteger(processId) || processId <= 0) return false;
  try {
    process.kill(processId, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
