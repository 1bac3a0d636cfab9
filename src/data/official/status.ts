import { existsSync } from 'node:fs';
import { fetchedFile, unpackedFolder } from './data-folder.js';
import { readPartial } from './partial-file.js';
import type { ListedFile } from './read-manifests.js';
import { isUnchanged, pathOfRecord, readRecord, type FetchRecord } from './records.js';

/** Where a file is between its publisher and its use. */
export type FileState =
  | { kind: 'absent' }
  /** A part of it is there; `of` where its size is known. */
  | { kind: 'partial'; bytes: number; of: number | null }
  /** It is there as it was when it was checked. */
  | { kind: 'fetched'; record: FetchRecord }
  /** It was put there, or changed, and not checked since. */
  | { kind: 'unchecked'; path: string }
  /** It was checked and unpacked; the archive itself may be gone. */
  | { kind: 'unpacked'; record: FetchRecord; folder: string; hasArchive: boolean };

/** Looks where a file is, without reading it. @throws UserError when its record is damaged */
export function fileState(listed: ListedFile, data: string): FileState {
  const record = readRecord(data, listed.file.name), folder = unpackedFolder(data, listed.file), to = fetchedFile(data, listed);
  if (record?.unpacked && folder !== undefined && existsSync(folder)) return { kind: 'unpacked', record, folder, hasArchive: existsSync(pathOfRecord(data, record)) };
  if (record && isUnchanged(data, record)) return { kind: 'fetched', record };
  const there = [...(record ? [pathOfRecord(data, record)] : []), to].find((file) => existsSync(file));
  if (there !== undefined) return { kind: 'unchecked', path: there };
  const part = readPartial(to);
  return part.bytes > 0 ? { kind: 'partial', bytes: part.bytes, of: listed.file.bytes ?? part.sidecar?.total ?? null } : { kind: 'absent' };
}
