import { copyFileSync, constants, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../../errors.js';
import { checkFile, hasFullDigest, type CheckedFile, type Expected, type OnBytes } from './check-file.js';
import { fetchedFile, recordFile, unpackedFolder } from './data-folder.js';
import { needSpace } from './disk-space.js';
import { download, type Patience } from './download.js';
import { lock } from './lock.js';
import type { OfficialFile } from './manifest.js';
import { partOf, removeSidecar } from './partial-file.js';
import type { ListedFile } from './read-manifests.js';
import { isUnchanged, pathOfRecord, readRecord, recordedPath, writeRecord, type FetchRecord } from './records.js';
import { unpackArchive } from './unpack.js';

/** What a fetch is doing. */
export type Phase = 'fetching' | 'checking' | 'unpacking';

/** How files are fetched, and who hears of it. */
export interface FetchOptions {
  /** The data folder. */
  data: string;
  /** A file, or a folder that has it under its official name, instead of its addresses. */
  from?: string;
  /** Whether unpacked files take the place of others that differ. */
  replace?: boolean;
  signal?: AbortSignal;
  patience?: Patience;
  onPhase?: (phase: Phase) => OnBytes;
  onNote?: (text: string) => void;
}

/** What a fetch did: what is there now, and whether it was there before. */
export interface Fetched { record: FetchRecord; wasFetched: boolean; wasUnpacked: boolean }

/**
 * Fetches a file, checks it and unpacks it, as far as that has not been done: from its addresses, or from a place on this machine. An archive that is
 * on this machine already is unpacked where it is, without a copy.
 * @throws UserError when it can't be had, is another file than the published one, or can't be unpacked. What `signal` is aborted with
 */
export async function fetchFile(listed: ListedFile, options: FetchOptions): Promise<Fetched> {
  const { file } = listed, { data } = options;
  const unlock = lock(recordFile(data, file.name, 'lock'), `fetching ${file.name}`);
  try {
    const before = readRecord(data, file.name), folder = unpackedFolder(data, file);
    const isUnpacked = (record: FetchRecord | undefined): boolean => folder === undefined || (Boolean(record?.unpacked) && existsSync(folder));
    // An archive may be deleted when it has been unpacked.
    const wasFetched = before !== undefined && (isUnchanged(data, before) || (folder !== undefined && isUnpacked(before)));
    const fetched = wasFetched ? before : await obtain(listed, before, options);
    if (isUnpacked(fetched)) return { record: fetched, wasFetched, wasUnpacked: folder !== undefined };
    const record = await unpackFetched(file, fetched, folder!, options);
    return { record, wasFetched, wasUnpacked: false };
  } finally {
    unlock();
  }
}

/** What a file is compared with: what was published, and what the first one was where that says too little. */
export function expectedOf(file: OfficialFile, first: FetchRecord | undefined): Expected & { isFirst: boolean } {
  if (hasFullDigest(file) || first === undefined) return { bytes: file.bytes, digests: file.digests, isFirst: first === undefined };
  return { bytes: file.bytes ?? first.bytes, digests: { ...file.digests, sha256: first.sha256 }, isFirst: false };
}

/** Whether somebody published such a fact of a file: others are those of the first fetch. */
const isPublished = ({ bytes, digests }: OfficialFile, fact: string): boolean => (fact === 'bytes' ? bytes : digests[fact as keyof OfficialFile['digests']]) !== null;

async function obtain(listed: ListedFile, before: FetchRecord | undefined, options: FetchOptions): Promise<FetchRecord> {
  const { file } = listed, { data, from, signal, onPhase = () => () => {}, onNote = () => {} } = options;
  const to = fetchedFile(data, listed), expected = expectedOf(file, before);
  const check = (at: string): Promise<CheckedFile> => checkFile(at, expected, onPhase('checking'), signal);
  const wrongFirst = before && !hasFullDigest(file) ? `; it was another one when it was first fetched, on ${before.fetched.slice(0, 10)}: if the new one is right, delete ${recordFile(data, file.name, 'json')}` : '';
  const record = (at: string, found: CheckedFile, source: string): FetchRecord => {
    const written: FetchRecord = { schemaVersion: 1, name: file.name, path: recordedPath(data, at), bytes: found.bytes, changed: found.changed, sha256: found.sha256, checked: found.checked.filter((fact) => isPublished(file, fact)), source, fetched: new Date().toISOString(), unpacked: before?.sha256 === found.sha256 ? before.unpacked : null };
    writeRecord(data, written);
    return written;
  };

  if (from !== undefined) {
    const source = localFile(from, file);
    const found = await check(source);
    if (found.wrong) throw new UserError(`${source} is not ${file.file}: ${found.wrong}${wrongFirst || ': name the official file'}`);
    return record(file.unpack ? source : copyTo(source, to, file), file.unpack ? found : { ...found, changed: statSync(to).mtimeMs }, path.resolve(source));
  }
  if (existsSync(to)) {
    const found = await check(to);
    if (!found.wrong) return record(to, found, 'found in the data folder');
    throw new UserError(`${to} is not the official file: ${found.wrong}${wrongFirst}: delete it, then fetch ${file.name} again`);
  }
  if (file.bring !== null) throw new UserError(`${file.name} can't be fetched without you: ${file.bring}, then run npx qdetr ${listed.manifest.kind} fetch ${file.name} --from FILE`);

  let found: CheckedFile | undefined;
  const source = await download({
    name: file.name, urls: file.urls, file: to, bytes: expected.bytes, isChecked: hasFullDigest(file) || !expected.isFirst, patience: options.patience, signal, onNote,
    onBytes: onPhase('fetching'),
    check: async (part) => {
      found = await check(part);
      return found.wrong && `${found.wrong}${wrongFirst}`;
    },
  });
  renameSync(partOf(to), to);
  removeSidecar(to);
  return record(to, found!, source);
}

async function unpackFetched(file: OfficialFile, fetched: FetchRecord, folder: string, { data, replace, signal, onPhase = () => () => {} }: FetchOptions): Promise<FetchRecord> {
  const unlock = lock(path.join(data, 'records', `into-${file.unpack!.to.replaceAll('/', '-')}.lock`), `unpacking into ${folder}`);
  try {
    const { files, bytes, leftOut } = await unpackArchive({ name: file.name, archive: pathOfRecord(data, fetched), unpack: file.unpack!, folder, list: recordFile(data, file.name, 'files'), replace, signal, onBytes: onPhase('unpacking') });
    const record: FetchRecord = { ...fetched, unpacked: { files, bytes, leftOut, at: new Date().toISOString() } };
    writeRecord(data, record);
    return record;
  } finally {
    unlock();
  }
}

function localFile(from: string, { file }: OfficialFile): string {
  const found = statSync(from, { throwIfNoEntry: false });
  if (!found) throw new UserError(`--from ${from} is not there: name ${file}, or the folder that it is in`);
  if (!found.isDirectory()) return from;
  const inside = path.join(from, file);
  if (!existsSync(inside)) throw new UserError(`--from ${from} holds no ${file}: name the file itself`);
  return inside;
}

/** Copies a file to its place. @returns the place */
function copyTo(source: string, to: string, { name }: OfficialFile): string {
  if (path.resolve(source) === path.resolve(to)) return to;
  needSpace(path.dirname(to), statSync(source).size, name);
  try {
    mkdirSync(path.dirname(to), { recursive: true });
    copyFileSync(source, `${to}.copy`, constants.COPYFILE_FICLONE);
    renameSync(`${to}.copy`, to);
  } catch (error) {
    throw new UserError(`${to} can't be written (${messageOf(error)}): free some space or choose another folder with --data`);
  }
  return to;
}
