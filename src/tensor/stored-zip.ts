import { crc32 } from 'node:zlib';

/** Refuses a file: throws an error that says what is wrong with it. */
export type Refuse = (what: string) => never;

const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50, LOCATOR64 = 0x07064b50;
const MAX_ENTRIES = 100_000;

/** Where a stored entry's bytes lie. */
interface Entry { begin: number; end: number; crc: number }

/** The stored (uncompressed) entries of a zip archive, by name. Nothing of it ever becomes a path of the file system. */
export interface StoredZip {
  names: readonly string[];
  /** An entry's bytes, a view into the archive, when its CRC-32 is right; undefined when there is no such entry. */
  read: (name: string) => Uint8Array | undefined;
}

/** Whether some bytes begin as a zip archive does. */
export const isZip = (bytes: Uint8Array): boolean => bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === LOCAL;

/**
 * Opens a zip archive whose entries are stored, as torch.save writes it (APPNOTE.TXT 6.3.10 sections 4.3 and 4.4, with zip64).
 * @param refuse called for anything damaged, compressed, encrypted, named twice, overlapping, split over disks, or with a name that
 *   is absolute or leaves its folder
 */
export function openStoredZip(bytes: Uint8Array, refuse: Refuse): StoredZip {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const directory = findDirectory(view, refuse);
  const entries = new Map<string, Entry>();
  let at = directory.begin;
  for (let i = 0; i < directory.count; i++) {
    if (at + 46 > directory.end || view.getUint32(at, true) !== CENTRAL) refuse(`line ${i + 1} of its zip directory is damaged`);
    const flags = view.getUint16(at + 8, true), method = view.getUint16(at + 10, true);
    const nameEnd = at + 46 + view.getUint16(at + 28, true), extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > directory.end) refuse(`line ${i + 1} of its zip directory runs past the directory's end`);
    const nameBytes = bytes.subarray(at + 46, nameEnd);
    const name = textOf(nameBytes) ?? refuse(`the name in line ${i + 1} of its zip directory is no UTF-8`);
    if (/^[/\\]|^[a-z]:|(^|[/\\])\.\.([/\\]|$)|\0/i.test(name)) refuse(`its entry ${JSON.stringify(name)} leaves the archive's folder`);
    if (entries.has(name)) refuse(`its entry '${name}' is there twice`);
    if (flags & 0x2041) refuse(`its entry '${name}' is encrypted`);
    if (method !== 0) refuse(`its entry '${name}' is compressed (method ${method}), which torch.save never does`);
    const sizes = entrySizes(view, at, nameEnd, extraEnd) ?? refuse(`the zip64 sizes of its entry '${name}' are damaged`);
    if (sizes.stored !== sizes.size) refuse(`its entry '${name}' has two sizes, ${sizes.stored} and ${sizes.size}`);
    const { offset } = sizes;
    if (offset + 30 > directory.begin || view.getUint32(offset, true) !== LOCAL) refuse(`its entry '${name}' does not begin where the zip directory says`);
    const begin = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
    if (view.getUint16(offset + 26, true) !== nameBytes.length || !nameBytes.every((byte, j) => byte === bytes[offset + 30 + j])) refuse(`its entry '${name}' has another name where it begins`);
    if (begin + sizes.size > directory.begin) refuse(`its entry '${name}' claims ${sizes.size} bytes, more than the file has there`);
    entries.set(name, { begin, end: begin + sizes.size, crc: view.getUint32(at + 16, true) });
    at = next;
  }
  const inFileOrder = [...entries].sort((a, b) => a[1].begin - b[1].begin || a[1].end - b[1].end);
  for (let i = 1; i < inFileOrder.length; i++) if (inFileOrder[i][1].begin < inFileOrder[i - 1][1].end) refuse(`its entries '${inFileOrder[i - 1][0]}' and '${inFileOrder[i][0]}' overlap`);

  const checked = new Set<string>();
  const read = (name: string): Uint8Array | undefined => {
    const entry = entries.get(name);
    if (!entry) return undefined;
    const content = bytes.subarray(entry.begin, entry.end);
    if (!checked.has(name) && crc32(content) !== entry.crc) refuse(`the CRC-32 of its entry '${name}' is wrong`);
    checked.add(name);
    return content;
  };
  return { names: [...entries.keys()], read };
}

/** Where the zip directory lies and how many lines it has. */
function findDirectory(view: DataView, refuse: Refuse): { begin: number; end: number; count: number } {
  const last = view.byteLength - 22;
  let end = last;
  while (end >= Math.max(0, last - 0xffff) && !(view.getUint32(end, true) === END && view.getUint16(end + 20, true) === last - end)) end--;
  if (end < Math.max(0, last - 0xffff)) refuse('its zip directory is missing: the file is cut off');
  let disks = view.getUint32(end + 4, true), here = view.getUint16(end + 8, true), count = view.getUint16(end + 10, true);
  let size = view.getUint32(end + 12, true), begin = view.getUint32(end + 16, true), limit = end;
  if (here === 0xffff || count === 0xffff || size === 0xffffffff || begin === 0xffffffff) {
    const locator = end - 20;
    if (locator < 0 || view.getUint32(locator, true) !== LOCATOR64) refuse('its zip64 directory is missing');
    const end64 = Number(view.getBigUint64(locator + 8, true));
    if (end64 + 56 > locator || view.getUint32(end64, true) !== END64) refuse('its zip64 directory is damaged');
    disks = view.getUint32(end64 + 16, true) + view.getUint32(end64 + 20, true);
    here = Number(view.getBigUint64(end64 + 24, true));
    count = Number(view.getBigUint64(end64 + 32, true));
    size = Number(view.getBigUint64(end64 + 40, true));
    begin = Number(view.getBigUint64(end64 + 48, true));
    limit = end64;
  }
  if (disks !== 0 || here !== count) refuse('its zip archive is split over several files');
  if (begin + size > limit) refuse('its zip directory runs past the end of the file');
  if (count > MAX_ENTRIES || count * 46 > size) refuse(`its zip directory claims ${count} entries in ${size} bytes`);
  return { begin, end: begin + size, count };
}

/** Sizes and offset in a directory line; where one is 0xffffffff, it stands in the zip64 field (0x0001) of the extra fields. */
function entrySizes(view: DataView, at: number, extraBegin: number, extraEnd: number): { stored: number; size: number; offset: number } | undefined {
  const found = { size: view.getUint32(at + 24, true), stored: view.getUint32(at + 20, true), offset: view.getUint32(at + 42, true) };
  const large = (['size', 'stored', 'offset'] as const).filter((key) => found[key] === 0xffffffff);
  if (large.length === 0) return found;
  for (let field = extraBegin; field + 4 <= extraEnd;) {
    const length = view.getUint16(field + 2, true);
    if (view.getUint16(field, true) === 1) {
      if (length < 8 * large.length || field + 4 + 8 * large.length > extraEnd) return undefined;
      large.forEach((key, i) => { found[key] = Number(view.getBigUint64(field + 4 + 8 * i, true)); });
      return found;
    }
    field += 4 + length;
  }
  return undefined;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
