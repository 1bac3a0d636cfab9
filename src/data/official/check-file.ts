import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { UserError, messageOf } from '../../errors.js';
import type { OfficialFile } from './manifest.js';

/** How far something is: bytes done, and of how many, where that is known. */
export type OnBytes = (done: number, total: number | null) => void;

/** What a file turned out to be. */
export interface CheckedFile {
  bytes: number;
  changed: number;
  sha256: string;
  /** The published facts that it agrees with, e.g. `bytes`, `sha256`. */
  checked: string[];
  /** What contradicts them, as the middle of a sentence (`its MD5 is …, not …`), or undefined. */
  wrong: string | undefined;
}

/** What a file is compared with. */
export type Expected = Pick<OfficialFile, 'bytes' | 'digests'>;

/** Whether a full digest was published: only then do bytes of two sources surely make the same file. */
export const hasFullDigest = ({ digests }: Pick<OfficialFile, 'digests'>): boolean => Boolean(digests.sha256 ?? digests.sha384 ?? digests.md5);

/**
 * Compares a file with all that was published of it, reading it once: its size, then its SHA-256, the first digits of that, its SHA-384; its MD5
 * only where there is nothing stronger.
 * @param signal stops it
 * @throws UserError when it can't be read
 */
export async function checkFile(file: string, { bytes, digests }: Expected, onBytes: OnBytes = () => {}, signal?: AbortSignal): Promise<CheckedFile> {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new UserError(`${file} is ${stat ? 'no file' : 'not there'}: name the file itself`);
  const size = stat.size;
  const found = (wrong: string | undefined, checked: string[], sha256 = ''): CheckedFile => ({ bytes: size, changed: stat.mtimeMs, sha256, checked, wrong });
  if (bytes !== null && size !== bytes) return found(`it has ${size} bytes, not ${bytes}`, []);
  const wanted = ['sha256', ...(digests.sha384 ? ['sha384'] : []), ...(digests.md5 && !digests.sha256 && !digests.sha384 ? ['md5'] : [])];
  const hashes = wanted.map((name) => createHash(name));
  let done = 0;
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>) {
      for (const hash of hashes) hash.update(chunk);
      onBytes((done += chunk.length), size);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw new UserError(`${file} can't be read (${messageOf(error)}): check the disk and its permissions`);
  }
  const hexes = new Map(wanted.map((name, i) => [name, hashes[i].digest('hex')]));
  const sha256 = hexes.get('sha256')!;
  const compared = ([['sha256', 'SHA-256', sha256, digests.sha256], ['sha256Prefix', 'SHA-256 begins with', sha256.slice(0, 8), digests.sha256Prefix], ['sha384', 'SHA-384', hexes.get('sha384'), digests.sha384], ['md5', 'MD5', hexes.get('md5'), digests.md5]] as const)
    .filter(([, , is, expected]) => is !== undefined && expected !== null);
  const wrong = compared.find(([, , is, expected]) => is !== expected);
  if (wrong) return found(`its ${wrong[1]}${wrong[0] === 'sha256Prefix' ? '' : ' is'} ${wrong[2]}, not ${wrong[3]}`, [], sha256);
  return found(undefined, [...(bytes === null ? [] : ['bytes']), ...compared.map(([name]) => name)], sha256);
}
