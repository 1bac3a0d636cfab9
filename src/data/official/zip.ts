import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { messageOf } from '../../errors.js';
import { ArchiveFault, shown, type ArchiveEntry } from './archive-entry.js';

const MAX_ENTRIES = 2_000_000;

/** An open zip archive: its directory has been read and checked. */
export interface OpenZip {
  entries: readonly ArchiveEntry[];
  close: () => void;
}

/**
 * Opens a zip archive of any size (APPNOTE.TXT 6.3.10, with zip64).
 * @throws ArchiveFault when it is damaged, encrypted, compressed in a way that is not deflate, or split; when entries overlap, or are links or devices.
 *   Whether contents are whole shows when they are read
 */
export async function openZip(file: string): Promise<OpenZip> {
  const zip = await openPromise(file, { autoClose: false, strictFileNames: true }).catch(fault);
  try {
    if (zip.entryCount > MAX_ENTRIES) throw new ArchiveFault(`its directory claims ${zip.entryCount} entries`);
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry()) entries.push(checked(entry));
    refuseOverlaps(entries, zip.fileSize);
    return { entries: entries.map((entry) => archiveEntry(zip, entry)), close: () => zip.close() };
  } catch (error) {
    zip.close();
    return fault(error);
  }
}

/** File types of Unix in the upper half of an entry's attributes. */
const TYPE = 0o170000, FILE = 0o100000, FOLDER = 0o040000, LINK = 0o120000;

function checked(entry: Entry): Entry {
  const name = shown(entry.fileName), type = (entry.externalFileAttributes >>> 16) & TYPE;
  if (entry.isEncrypted()) throw new ArchiveFault(`its entry ${name} is encrypted`);
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) throw new ArchiveFault(`its entry ${name} is compressed by method ${entry.compressionMethod}, and only deflate is known`);
  if (type === LINK) throw new ArchiveFault(`its entry ${name} is a symbolic link, and only files and folders are unpacked`);
  if (type !== 0 && type !== FILE && type !== FOLDER) throw new ArchiveFault(`its entry ${name} is a device or pipe, and only files and folders are unpacked`);
  if (!Number.isSafeInteger(entry.uncompressedSize) || !Number.isSafeInteger(entry.compressedSize)) throw new ArchiveFault(`its entry ${name} claims an impossible size`);
  if (entry.fileName.endsWith('/') && entry.uncompressedSize > 0) throw new ArchiveFault(`its folder ${name} has ${entry.uncompressedSize} bytes`);
  return entry;
}

/** Entries that share bytes make a small archive huge. */
function refuseOverlaps(entries: readonly Entry[], bytes: number): void {
  const inOrder = [...entries].sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  inOrder.forEach((entry, i) => {
    const end = entry.relativeOffsetOfLocalHeader + 30 + entry.compressedSize;
    if (end > (inOrder[i + 1]?.relativeOffsetOfLocalHeader ?? bytes)) throw new ArchiveFault(i + 1 < inOrder.length ? `its entries ${shown(entry.fileName)} and ${shown(inOrder[i + 1].fileName)} overlap` : `its entry ${shown(entry.fileName)} runs past its end`);
  });
}

function archiveEntry(zip: ZipFile, entry: Entry): ArchiveEntry {
  const content = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of await zip.openReadStreamPromise(entry) as AsyncIterable<Uint8Array>) yield chunk;
    } catch (error) {
      throw new ArchiveFault(`its entry ${shown(entry.fileName)} is damaged (${messageOf(error)})`);
    }
  };
  return { name: entry.fileName, kind: entry.fileName.endsWith('/') ? 'folder' : 'file', bytes: entry.uncompressedSize, crc32: entry.crc32, content };
}

/** What the library says of a damaged archive, as ours. */
function fault(error: unknown): never {
  if (error instanceof ArchiveFault) throw error;
  const text = messageOf(error);
  if (/End of central directory/.test(text)) throw new ArchiveFault('it is no zip archive, or it is cut off');
  throw new ArchiveFault(`it is damaged (${text})`);
}
