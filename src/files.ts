import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from './errors.js';

/** The project's root: commands, tests and notebook kernels all run there. */
export const projectPath = (...parts: string[]): string => path.resolve(...parts);

/** SHA-256 of bytes or UTF-8 text, in lower-case hex. */
export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/**
 * Writes a file so that a reader sees the old content or the new one, never a part: written aside, flushed, renamed.
 * Missing folders are made.
 * @throws UserError when the file can't be written (disk full, no permission); nothing is left behind then.
 */
export function writeFileAtomic(file: string, data: Uint8Array | string): void {
  const aside = `${file}.${process.pid}.tmp`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    const handle = openSync(aside, 'w');
    try {
      const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
      for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at, bytes.length - at);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(aside, file);
  } catch (error) {
    try {
      rmSync(aside, { force: true });
    } catch {
      // there is no such folder: the first error says more
    }
    throw new UserError(`${file} can't be written (${messageOf(error)}): free some space or choose another folder, then start again`);
  }
}

/**
 * Reads JSON.
 * @throws UserError when the file is missing or is no JSON; `remedy` says what to do then.
 */
export function readJson(file: string, remedy: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${file} can't be read (${messageOf(error)}): ${remedy}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${file} is no JSON (${messageOf(error)}): ${remedy}`);
  }
}
