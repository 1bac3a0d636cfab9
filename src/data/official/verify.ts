import { createReadStream, existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { UserError, messageOf } from '../../errors.js';
import { byteSize } from './byte-size.js';
import { checkFile, hasFullDigest, type OnBytes } from './check-file.js';
import { recordFile, unpackedFolder } from './data-folder.js';
import { expectedOf } from './fetch-file.js';
import { readList } from './file-list.js';
import type { ListedFile } from './read-manifests.js';
import { pathOfRecord, readRecord } from './records.js';

/** What was checked, in words. */
export interface Verified { file: string; unpacked: string | undefined }

/**
 * Reads a fetched file and everything that was unpacked of it again, and compares both with what was published and recorded.
 * @throws UserError that names the first file that isn't as it was, or says that there is none
 */
export async function verifyFile(listed: ListedFile, data: string, onPhase: (phase: string) => OnBytes = () => () => {}, signal?: AbortSignal): Promise<Verified> {
  const { manifest, file } = listed, record = readRecord(data, file.name), folder = unpackedFolder(data, file);
  const again = `npx qdetr ${manifest.kind} fetch ${file.name}`;
  if (!record) throw new UserError(`${file.name} has not been fetched into ${data}: ${again}`);
  const at = pathOfRecord(data, record), isUnpacked = folder !== undefined && record.unpacked !== null;
  let words = 'deleted';
  if (existsSync(at)) {
    const expected = expectedOf(file, record);
    const { wrong, sha256 } = await checkFile(at, { bytes: record.bytes, digests: expected.digests }, onPhase('checking'), signal);
    const problem = wrong ?? (sha256 === record.sha256 ? undefined : `its SHA-256 is ${sha256}, not ${record.sha256} as when it was fetched`);
    if (problem) throw new UserError(`${at} was changed: ${problem}: delete it, then ${again}`);
    words = hasFullDigest(file) ? 'as published' : 'as first fetched';
  } else if (!isUnpacked) throw new UserError(`${at} is gone: ${again}`);
  if (!isUnpacked) return { file: words, unpacked: undefined };

  const list = recordFile(data, file.name, 'files'), remedy = `move ${folder} away and delete ${recordFile(data, file.name, 'json')}, then ${again}`;
  if (!existsSync(list)) throw new UserError(`${list} is gone, so that unpacked files can't be compared: ${remedy}`);
  const onBytes = onPhase('checking files');
  let files = 0, bytes = 0;
  for await (const one of readList(list)) {
    signal?.throwIfAborted();
    const inside = path.join(folder, ...one.path.split('/')), found = statSync(inside, { throwIfNoEntry: false });
    if (!found?.isFile()) throw new UserError(`${inside} is gone: ${remedy}`);
    if (found.size !== one.bytes || (await crcOf(inside)) !== one.crc32) throw new UserError(`${inside} was changed since it was unpacked: ${remedy}`);
    files++;
    onBytes((bytes += one.bytes), record.unpacked!.bytes);
  }
  if (files !== record.unpacked!.files) throw new UserError(`${list} has ${files} lines, not ${record.unpacked!.files}: ${remedy}`);
  return { file: words, unpacked: `${files} file${files === 1 ? '' : 's'}, ${byteSize(bytes)}` };
}

async function crcOf(file: string): Promise<number> {
  let crc = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) crc = crc32(chunk, crc);
  } catch (error) {
    throw new UserError(`${file} can't be read (${messageOf(error)}): check the disk and its permissions`);
  }
  return crc;
}
