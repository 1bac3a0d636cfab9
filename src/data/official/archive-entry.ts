/** A file or a folder of an archive, in the order of the archive. */
export interface ArchiveEntry {
  /** Its name as the archive has it: anything at all. */
  name: string;
  kind: 'file' | 'folder';
  /** Bytes of its content, as the archive claims. */
  bytes: number;
  /** CRC-32 of its content, where the archive has one. */
  crc32?: number;
  /** Its content; at most once, and before the next entry is asked for. */
  content: () => AsyncIterable<Uint8Array>;
}

/** An archive is damaged or hostile. The message is the middle of a sentence that says how: `it is cut off`. */
export class ArchiveFault extends Error {}

/** How an entry's name is shown in an error: short, and without what a terminal would act on. */
export const shown = (name: string): string => JSON.stringify(name.length > 100 ? `${name.slice(0, 97)}...` : name);
