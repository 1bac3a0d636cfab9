import { createHash } from 'node:crypto';
import { closeSync, copyFileSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from './errors.js';

/** The project's root: commands, tests and notebook kernels all run there. */
export const projectPath = (...parts: string[]): string => path.resolve(...parts);

/** What a bundle (`qdetr bundle`) says of itself, in its root: `{ commit, node }`. Elsewhere there is no such file. */
export const BUNDLE_FILE = 'bundle.json';

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
  writeFilesAtomic([[file, data]]);
}

/**
 * Writes files that belong together, each as {@link writeFileAtomic} does: all are written aside and flushed before the first is
 * renamed. Missing folders are made.
 * @throws UserError when one can't be written; every file of the set has its old content then, and nothing is left behind.
 */
export function writeFilesAtomic(files: readonly (readonly [file: string, data: Uint8Array | string])[]): void {
  const set = files.map(([file, data]) => ({ file, data, aside: `${file}.${process.pid}.tmp`, old: `${file}.${process.pid}.old.tmp` }));
  const removeOld = (): void => set.forEach(({ old }) => tolerate(() => rmSync(old, { force: true })));
  const renamed: typeof set = [];
  let current = '';
  try {
    for (const { file, data, aside } of set) {
      current = file;
      writeFlushed(aside, data);
    }
    for (const { file, old } of set.slice(0, -1)) { // nothing can fail after the last one's rename
      current = file;
      if (existsSync(file)) copyFileSync(file, old);
    }
    for (const one of set) {
      current = one.file;
      renameSync(one.aside, one.file);
      renamed.push(one);
    }
  } catch (error) {
    for (const { file, old } of renamed) tolerate(() => (existsSync(old) ? renameSync(old, file) : rmSync(file)));
    for (const { aside } of set) tolerate(() => rmSync(aside, { force: true }));
    removeOld();
    throw new UserError(`${current} can't be written (${messageOf(error)}): free some space or choose another folder, then start again`);
  }
  if (set.length > 1) removeOld();
}

function writeFlushed(file: string, data: Uint8Array | string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const handle = openSync(file, 'w');
  try {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
    for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at, bytes.length - at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Cleaning up after an error: that first error says more than one of this. */
function tolerate(cleanUp: () => void): void {
  try {
    cleanUp();
  } catch {
    // e.g. there is no such folder
  }
}

/** Bytes of a file. @throws UserError with a remedy when it can't be read */
export function readBytes(file: string, remedy: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UserError(`${file} can't be read (${messageOf(error)}): ${remedy}`);
  }
}

/** Reads a UTF-8 file. @throws UserError when it can't be read; `remedy` says what to do then. */
export function readText(file: string, remedy: string): string {
  return readBytes(file, remedy).toString('utf8');
}

/**
 * Reads JSON.
 * @throws UserError when the file is missing or is no JSON; `remedy` says what to do then.
 */
export function readJson(file: string, remedy: string): unknown {
  const text = readText(file, remedy);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${file} is no JSON (${messageOf(error)}): ${remedy}`);
  }
}
