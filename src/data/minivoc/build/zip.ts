import { readFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { UserError } from '../../../errors.js';

/** An open archive. */
export interface ZipArchive {
  /** Names of its members. */
  names: readonly string[];
  /** Reads a member; undefined where there is none of that name. A leading slash is ignored. */
  read(name: string): Buffer | undefined;
}

/**
 * Opens a ZIP archive (stored and deflated members, no ZIP64): enough for Sweet Home 3D's furniture libraries (.sh3f).
 * @param file path of the archive
 * @throws UserError when the file is no ZIP archive
 */
export function openZip(file: string): ZipArchive {
  const bytes = readFileSync(file);
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0) throw new UserError(`${file} is no ZIP archive: unpack the Debian package again`);
  const members = new Map<string, number>();
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const nameLength = bytes.readUInt16LE(at + 28);
    members.set(bytes.toString('utf8', at + 46, at + 46 + nameLength), at);
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  const read = (name: string): Buffer | undefined => {
    const entry = members.get(name.replace(/^\//, ''));
    if (entry === undefined) return undefined;
    const method = bytes.readUInt16LE(entry + 10);
    const size = bytes.readUInt32LE(entry + 20);
    const local = bytes.readUInt32LE(entry + 42);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const packed = bytes.subarray(start, start + size);
    if (method === 0) return packed;
    if (method === 8) return inflateRawSync(packed);
    throw new UserError(`${file}: ${name} is packed in a way that this reader doesn't know (method ${method})`);
  };
  return { names: [...members.keys()], read };
}
