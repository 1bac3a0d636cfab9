import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import { isAlive } from '../../is-alive.js';

/** Locks of this process: a process of the same number may have left one behind (in a container, numbers are the same each time). */
const held = new Set<string>();

/**
 * Keeps two processes from writing the same files.
 * @param what what they would both do, e.g. `fetching voc2007-test`
 * @returns what unlocks it again
 * @throws UserError when another process is at it, or the lock can't be written
 */
export function lock(file: string, what: string): () => void {
  const key = path.resolve(file);
  for (let tries = 0; tries < 2; tries++) {
    try {
      mkdirSync(path.dirname(file), { recursive: true });
      const handle = openSync(file, 'wx');
      writeSync(handle, String(process.pid));
      closeSync(handle);
      held.add(key);
      return () => {
        held.delete(key);
        rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw new UserError(`${file} can't be written (${messageOf(error)}): free some space, or choose another folder with --data`);
    }
    const holder = holderOf(file);
    if (holder === process.pid ? held.has(key) : isAlive(holder)) throw new UserError(`process ${holder} is ${what}: wait for it; if it is something else, delete ${file}`);
    rmSync(file, { force: true }); // of a process that was killed
  }
  throw new UserError(`another process began ${what} just now: wait for it`);
}

function holderOf(file: string): number {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch {
    return 0; // unlocked in the meantime
  }
}
