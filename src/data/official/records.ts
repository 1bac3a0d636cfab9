import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../../files.js';
import { parseStrictly } from '../../schema.js';
import { recordFile } from './data-folder.js';

const recordSchema = z.object({
  schemaVersion: z.literal(1),
  name: z.string(),
  /** Where the file is; relative to the data folder where it is in it. */
  path: z.string(),
  bytes: z.number().int().nonnegative(),
  /** Time of its last change when it was checked, in milliseconds: a file that was changed since is checked again. */
  changed: z.number(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Which published facts it was compared with; none where nobody published one, so that this first file is what later ones are compared with. */
  checked: z.array(z.string()),
  /** The address or path that it came from. */
  source: z.string(),
  fetched: z.string(),
  unpacked: z.object({ files: z.number().int(), bytes: z.number().int(), leftOut: z.number().int(), at: z.string() }).strict().nullable(),
}).strict();

/** What is known of a file since it was fetched: `<data>/records/<name>.json`. */
export type FetchRecord = z.infer<typeof recordSchema>;

/** A file's record, or undefined where there is none. @throws UserError when it is damaged */
export function readRecord(data: string, name: string): FetchRecord | undefined {
  const at = recordFile(data, name, 'json');
  if (!existsSync(at)) return undefined;
  const remedy = `delete it and fetch ${name} again`;
  return parseStrictly(recordSchema, readJson(at, remedy), at, remedy);
}

/** Writes a file's record. @throws UserError when it can't be written */
export function writeRecord(data: string, record: FetchRecord): void {
  writeFileAtomic(recordFile(data, record.name, 'json'), `${JSON.stringify(record, null, 2)}\n`);
}

/** A path as records have it, and back. */
export const recordedPath = (data: string, file: string): string => {
  const inside = path.relative(data, file);
  return inside.startsWith('..') || path.isAbsolute(inside) ? path.resolve(file) : inside.split(path.sep).join('/');
};
export const pathOfRecord = (data: string, record: FetchRecord): string => (path.isAbsolute(record.path) ? record.path : path.join(data, ...record.path.split('/')));

/** Whether the file that a record is of is there, with the size and time of change that it had when it was checked. */
export function isUnchanged(data: string, record: FetchRecord): boolean {
  const found = statSync(pathOfRecord(data, record), { throwIfNoEntry: false });
  return found !== undefined && found.size === record.bytes && found.mtimeMs === record.changed;
}
