import { readFileSync } from 'node:fs';
import { inflateRawSync } from 'node:zlib';
import { UserError } from '../../../errors.js';

/** Reads one member of an open archive; undefined where it has none of that name. */
export type ZipReader = (name: string) => Buffer | undefined;

/**
 * Opens a ZIP archive (stored and deflated members, no ZIP64): enough for Sweet Home 3D's furniture libraries (.sh3f).
 * @param file path of the archive
 * @throws UserError when the file is no ZIP archive
 */
export function openZip(file: string): ZipReader {
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
  return (name) => {
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
}
