import { existsSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../../errors.js';
import { byteSize } from './byte-size.js';

/** Kept free for everything else. */
const MARGIN = 64e6;

/**
 * Refuses work that the disk has no room for.
 * @param folder where it goes; it need not be there yet
 * @param bytes how much it takes
 * @param free bytes that are free, for tests
 * @throws UserError when there is less
 */
export function needSpace(folder: string, bytes: number, what: string, free = freeBytes(folder)): void {
  if (free !== undefined && bytes > 0 && free < bytes + MARGIN) {
    throw new UserError(`${what} needs ${byteSize(bytes)} and ${folder} has ${byteSize(free)} free: free some space, or choose a folder on another disk with --data`);
  }
}

/** Bytes that can be written at a folder, or undefined where the system doesn't say. */
function freeBytes(folder: string): number | undefined {
  let at = path.resolve(folder);
  while (!existsSync(at) && path.dirname(at) !== at) at = path.dirname(at);
  try {
    const { bavail, bsize } = statfsSync(at);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
