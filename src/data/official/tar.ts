import { ArchiveFault, shown, type ArchiveEntry } from './archive-entry.js';
import { ByteReader } from './byte-reader.js';

const BLOCK = 512;
/** Bytes of a long name or of pax's lines: a path has at most a few thousand. */
const MAX_EXTENSION = 1 << 16;

/**
 * The entries of a tar archive: the old format of 1979, POSIX's ustar and pax, and GNU's (IEEE Std 1003.1, pax; GNU tar manual, "Basic Tar Format").
 * Only files and folders are known: links, devices, pipes and sparse files are refused by name.
 *
 * An entry's content must be read before the next entry is asked for, or it is passed over.
 * @param stream the archive's bytes, unpacked of gzip
 * @throws ArchiveFault when it is damaged, cut off, or holds something else
 */
export async function* tarEntries(stream: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveEntry> {
  const reader = new ByteReader(stream);
  let longName: string | undefined, longBytes: number | undefined;
  for (let index = 0; ; index++) {
    const header = await reader.read(BLOCK);
    if (header.every((byte) => byte === 0) && header.length === BLOCK) {
      const second = await reader.read(BLOCK);
      if (second.length > 0 && second.some((byte) => byte !== 0)) throw new ArchiveFault('it has a hole between its entries');
      if (longName !== undefined || longBytes !== undefined) throw new ArchiveFault('it ends before the entry that its last extension is of');
      return;
    }
    if (header.length < BLOCK) throw new ArchiveFault(index === 0 ? 'it is no tar archive' : 'it is cut off');
    if (checksum(header) !== octal(header, 148, 8)) throw new ArchiveFault(index === 0 ? 'it is no tar archive' : `the head of its entry ${index + 1} is damaged`);
    const type = String.fromCharCode(header[156]), bytes = octal(header, 124, 12);
    if (bytes === undefined) throw new ArchiveFault(`the size of its entry ${index + 1} is damaged`);
    if (type === 'L' || type === 'K' || type === 'x' || type === 'g') {
      if (bytes > MAX_EXTENSION) throw new ArchiveFault(`an extension of ${bytes} bytes comes before its entry ${index + 1}`);
      const extension = (await whole(reader, bytes + padding(bytes), 'it is cut off')).subarray(0, bytes);
      if (type === 'L') longName = text(extension);
      if (type === 'x') ({ path: longName = longName, size: longBytes = longBytes } = paxLines(extension));
      continue;
    }
    const name = longName ?? ownName(header), size = longBytes ?? bytes;
    [longName, longBytes] = [undefined, undefined];
    const kind = kindOf(type, name);
    if (kind === 'folder' && size > 0) throw new ArchiveFault(`its folder ${shown(name)} has ${size} bytes`);
    let left = size;
    const content = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of reader.take(left)) {
        left -= piece.length;
        yield piece;
      }
      if (left > 0) throw new ArchiveFault(`it is cut off in its entry ${shown(name)}`);
    };
    yield { name, kind, bytes: size, content };
    for (const rest = content(); !(await rest.next()).done; );
    await whole(reader, padding(size), `it is cut off after its entry ${shown(name)}`);
  }
}

/** Zeros after content, up to a whole block. */
const padding = (bytes: number): number => (BLOCK - (bytes % BLOCK)) % BLOCK;

const OTHERS: Record<string, string> = { '1': 'a hard link', '2': 'a symbolic link', '3': 'a device', '4': 'a device', '6': 'a pipe', S: 'a sparse file' };

function kindOf(type: string, name: string): 'file' | 'folder' {
  if (type === '5') return 'folder';
  if (type === '0' || type === '\0' || type === '7') return name.endsWith('/') ? 'folder' : 'file'; // the oldest tars know no folders but by their names
  throw new ArchiveFault(`its entry ${shown(name)} is ${OTHERS[type] ?? `of an unknown kind (${shown(type)})`}, and only files and folders are unpacked`);
}

/** The name in the header, with ustar's prefix before it. */
function ownName(header: Buffer): string {
  const name = text(header.subarray(0, 100)), prefix = text(header.subarray(345, 500));
  return header.toString('latin1', 257, 263) === 'ustar\0' && prefix !== '' ? `${prefix}/${name}` : name;
}

/** Sum of a header's bytes, where its own eight count as spaces. */
function checksum(header: Buffer): number {
  let sum = 8 * 32;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i];
  return sum;
}

/** A number in octal digits, or, from 8 GiB on, GNU's way: a set first bit, then base 256. Undefined where it is neither. */
function octal(header: Buffer, at: number, length: number): number | undefined {
  const field = header.subarray(at, at + length);
  if (field[0] === 0x80) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    return Number.isSafeInteger(value) ? value : undefined;
  }
  const digits = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits || '0', 8);
}

/** The lines `<length> <key>=<value>\n` of a pax header: those that say the path and the size. */
function paxLines(extension: Buffer): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {};
  for (let at = 0; at < extension.length; ) {
    const [head, digits] = /^(\d{1,6}) /.exec(extension.toString('latin1', at, at + 8)) ?? [];
    const end = at + Number(digits);
    if (head === undefined || end <= at + head.length || end > extension.length || extension[end - 1] !== 0x0a) throw new ArchiveFault('a pax header of it is damaged');
    const line = extension.subarray(at + head.length, end - 1), equals = line.indexOf(0x3d);
    const key = line.toString('latin1', 0, equals), value = line.subarray(equals + 1);
    if (key === 'path') found.path = value.toString('utf8');
    if (key === 'size') {
      if (!/^\d{1,15}$/.test(value.toString('latin1'))) throw new ArchiveFault('a pax header of it has a damaged size');
      found.size = Number(value.toString('latin1'));
    }
    if (key.startsWith('GNU.sparse')) throw new ArchiveFault('it holds a sparse file, and only files and folders are unpacked');
    at = end;
  }
  return found;
}

/** Text up to the first NUL. */
function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? field.length : end);
}

async function whole(reader: ByteReader, bytes: number, otherwise: string): Promise<Buffer> {
  const found = await reader.read(bytes);
  if (found.length < bytes) throw new ArchiveFault(otherwise);
  return found;
}
