import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { z } from 'zod';
import { writeFileAtomic } from '../../files.js';

const sidecarSchema = z.object({
  /** The address that its last bytes came from. */
  url: z.string(),
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  /** Bytes of the whole file, as the server said. */
  total: z.number().int().nonnegative().nullable(),
  /** Whether its bytes are of several addresses. */
  mixed: z.boolean(),
}).strict();

/** Where the bytes of an unfinished download come from. */
export type Sidecar = z.infer<typeof sidecarSchema>;

/** An unfinished download, `<file>.part`: how much of it is there, and where that comes from. */
export interface PartialFile { bytes: number; sidecar: Sidecar | undefined }

/** Where the bytes go until all are there. */
export const partOf = (file: string): string => `${file}.part`;
const sidecarOf = (file: string): string => `${file}.part.json`;

/** What there is of a download; bytes of unknown origin count as none. */
export function readPartial(file: string): PartialFile {
  const bytes = statSync(partOf(file), { throwIfNoEntry: false })?.size ?? 0;
  const sidecar = readSidecar(file);
  return sidecar ? { bytes, sidecar } : { bytes: 0, sidecar: undefined };
}

function readSidecar(file: string): Sidecar | undefined {
  if (!existsSync(sidecarOf(file))) return undefined;
  try {
    return sidecarSchema.safeParse(JSON.parse(readFileSync(sidecarOf(file), 'utf8'))).data;
  } catch {
    return undefined; // without it the bytes can't be trusted: they are fetched again
  }
}

/** Notes where the bytes come from, before the first one is written. @throws UserError when it can't be written */
export function writeSidecar(file: string, sidecar: Sidecar): void {
  writeFileAtomic(sidecarOf(file), `${JSON.stringify(sidecar)}\n`);
}

/** Throws away what there is of a download. */
export function discardPartial(file: string): void {
  rmSync(partOf(file), { force: true });
  rmSync(sidecarOf(file), { force: true });
}

/** Removes the note beside a download that is complete and has been renamed. */
export const removeSidecar = (file: string): void => rmSync(sidecarOf(file), { force: true });
