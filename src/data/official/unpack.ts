import { closeSync, createReadStream, mkdirSync, openSync, existsSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { crc32, createGunzip } from 'node:zlib';
import { UserError, messageOf } from '../../errors.js';
import { ArchiveFault, shown, type ArchiveEntry } from './archive-entry.js';
import type { OnBytes } from './check-file.js';
import { needSpace } from './disk-space.js';
import { ListWriter } from './file-list.js';
import type { Unpack } from './manifest.js';
import { placeFolder, recoverFolder } from './place-folder.js';
import { safePath } from './safe-path.js';
import { TakenNames } from './taken-names.js';
import { tarEntries } from './tar.js';
import { openZip } from './zip.js';

/** An archive, and what becomes of it. */
export interface Unpacking {
  /** What errors call it, and commands. */
  name: string;
  archive: string;
  unpack: Unpack;
  /** The folder that it becomes. */
  folder: string;
  /** The list of its files: `<CRC-32> <bytes> <path>`, a line each. */
  list: string;
  /** Whether its files take the place of others that are there and differ. */
  replace?: boolean;
  onBytes?: OnBytes;
  signal?: AbortSignal;
}

/** What was unpacked; `leftOut` are entries that lie beside the folder that is taken. */
export interface Unpacked { files: number; bytes: number; leftOut: number }

/** How much compressed archives may hold: pictures don't shrink, annotations to a tenth. What claims more is a bomb. */
const RATIO = 20, ALLOWANCE = 1 << 26;
/** What the smallest entry of a tar archive takes; it is counted for every entry, so that there are not too many either. */
const BLOCK = 512;

/**
 * Unpacks an archive into a folder beside its destination, and gives that its name when everything is there: an interrupted try leaves nothing
 * that could be taken for a data set, and the next one begins anew.
 *
 * Nothing is written outside: names are checked ({@link safePath}), links and devices are refused, the folder is new, so that nobody put a link
 * there. A bomb ends where it exceeds what an archive of its size can hold.
 * @throws UserError when the archive is damaged or hostile, or there is no room. What `signal` is aborted with
 */
export async function unpackArchive(job: Unpacking): Promise<Unpacked> {
  const { archive, name, list, replace = false, signal } = job;
  const folder = existsSync(job.folder) ? realpathSync(job.folder) : path.resolve(job.folder);
  const aside = path.join(path.dirname(folder), `.${path.basename(folder)}.${name}.unpacking`);
  const cleanUp = (): void => {
    rmSync(aside, { recursive: true, force: true });
    rmSync(`${list}.tmp`, { force: true });
  };
  try {
    cleanUp();
    recoverFolder(folder);
    mkdirSync(aside, { recursive: true });
    mkdirSync(path.dirname(list), { recursive: true });
    const result = await writeEntries(job, aside, `${list}.tmp`);
    if (result.files === 0) throw new ArchiveFault(`it holds no files${job.unpack.from && ` in ${job.unpack.from}`}`);
    placeFolder(aside, folder, replace);
    renameSync(`${list}.tmp`, list);
    return result;
  } catch (error) {
    cleanUp();
    signal?.throwIfAborted();
    if (error instanceof UserError) throw error;
    if (error instanceof ArchiveFault) throw new UserError(`${archive} can't be unpacked: ${error.message}: nothing of it was kept; if it is not the official file, fetch ${name} again`);
    throw new UserError(`${job.folder} can't be written (${messageOf(error)}): free some space or choose another folder with --data, then start again`);
  }
}

async function writeEntries(job: Unpacking, into: string, list: string): Promise<Unpacked> {
  const { archive, unpack, signal } = job;
  const size = statSync(archive).size, limit = unpack.format === 'tar' ? size : RATIO * size + ALLOWANCE;
  const from = unpack.from === '' ? [] : unpack.from.split('/');
  const names = new TakenNames(), made = new Set<string>(), result: Unpacked = { files: 0, bytes: 0, leftOut: 0 };
  let claimed = 0;
  const lines = new ListWriter(list);
  try {
    const write = async (entry: ArchiveEntry, parts: readonly string[]): Promise<void> => {
      signal?.throwIfAborted();
      if ((claimed += BLOCK + entry.bytes) > limit) throw new ArchiveFault(`${unpack.format === 'tar' ? 'it is cut off, or a size in it is wrong: ' : ''}its entries claim ${claimed} bytes, more than an archive of ${size} bytes can hold`);
      if (from.some((part, i) => parts[i] !== part)) {
        if (!(entry.kind === 'folder' && parts.every((part, i) => part === from[i]))) result.leftOut++;
        return;
      }
      const inside = parts.slice(from.length), file = path.join(into, ...inside);
      if (entry.kind === 'file' && inside.length === 0) throw new ArchiveFault(`its entry ${shown(entry.name)} should be a folder`);
      names.claim(inside, entry.kind, entry.name);
      const folder = entry.kind === 'folder' ? file : path.dirname(file);
      if (!made.has(folder)) mkdirSync(folder, { recursive: true });
      made.add(folder);
      if (entry.kind === 'folder') return;
      const crc = await writeEntry(entry, file);
      lines.add({ path: inside.join('/'), bytes: entry.bytes, crc32: crc });
      result.files++;
      result.bytes += entry.bytes;
    };
    for await (const entry of archiveEntries(job, size)) {
      const parts = safePath(entry.name);
      if (unpack.inner === null) await write(entry, parts);
      else if (entry.kind === 'file') for await (const inner of innerEntries(entry)) await write(inner, [parts.join('/').replace(/\.tar$/, ''), ...safePath(inner.name)].flatMap((part) => part.split('/')));
    }
  } finally {
    lines.close();
  }
  return result;
}

/** The entries of an archive in an archive. Its errors name it. */
async function* innerEntries(entry: ArchiveEntry): AsyncGenerator<ArchiveEntry> {
  if (!/[^/]\.tar$/.test(entry.name)) throw new ArchiveFault(`its entry ${shown(entry.name)} is no archive, as all of them should be`);
  try {
    yield* tarEntries(entry.content());
  } catch (error) {
    throw error instanceof ArchiveFault ? new ArchiveFault(`in its archive ${entry.name}: ${error.message}`) : error;
  }
}

async function* archiveEntries({ archive, unpack, folder, name, onBytes = () => {}, signal }: Unpacking, size: number): AsyncGenerator<ArchiveEntry> {
  if (unpack.format === 'zip') {
    const zip = await openZip(archive);
    try {
      const total = zip.entries.reduce((sum, entry) => sum + entry.bytes, 0);
      if (total > RATIO * size + ALLOWANCE) throw new ArchiveFault(`its entries claim ${total} bytes, more than an archive of ${size} bytes can hold`);
      needSpace(folder, total, `unpacking ${name}`);
      let done = 0;
      for (const entry of zip.entries) {
        yield entry;
        onBytes((done += entry.bytes), total);
      }
    } finally {
      zip.close();
    }
    return;
  }
  needSpace(folder, size, `unpacking ${name}`);
  const file = createReadStream(archive, { highWaterMark: 1 << 20, signal });
  let done = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of file as AsyncIterable<Buffer>) {
      onBytes((done += chunk.length), size);
      yield chunk;
    }
  };
  try {
    yield* tarEntries(unpack.format === 'tar' ? counted() : unzipped(counted()));
  } finally {
    file.destroy();
  }
}

async function* unzipped(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: 1 << 18 });
  pipeline(packed, gunzip, () => {}); // its errors come out below
  try {
    for await (const chunk of gunzip as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    if (error instanceof Error && 'code' in error && /^Z_/.test(String(error.code))) throw new ArchiveFault(error.message === 'unexpected end of file' ? 'it is cut off' : `its compression is damaged (${error.message})`);
    throw error;
  } finally {
    gunzip.destroy();
  }
}

/** Writes a file that isn't there yet. @returns CRC-32 of its bytes */
async function writeEntry(entry: ArchiveEntry, file: string): Promise<number> {
  const handle = openSync(file, 'wx');
  let crc = 0, done = 0;
  try {
    for await (const piece of entry.content()) {
      for (let at = 0; at < piece.length; ) at += writeSync(handle, piece, at);
      crc = crc32(piece, crc);
      done += piece.length;
    }
  } finally {
    closeSync(handle);
  }
  if (done !== entry.bytes) throw new ArchiveFault(`its entry ${shown(entry.name)} has ${done} bytes, not ${entry.bytes}`);
  if (entry.crc32 !== undefined && crc !== entry.crc32) throw new ArchiveFault(`the CRC-32 of its entry ${shown(entry.name)} is wrong`);
  return crc;
}
