import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { UserError } from '../errors.js';
import { writeFileAtomic } from '../files.js';

/** Quality of the exported JPEG files; colours are not subsampled. */
const JPEG_QUALITY = 95;

/** Where images are exported to. */
export interface ExportSettings {
  /** New or empty. */
  folder: string;
  /** Names the lists. */
  split: string;
  /** Images, from the first one. */
  count: number;
}

/**
 * Writes a folder that is new or empty.
 * @param parts what `write` makes in it
 * @throws UserError when the folder isn't empty, and what `write` throws; what was written is removed then
 */
export async function writeNewFolder(folder: string, parts: readonly string[], write: () => Promise<void>): Promise<void> {
  if (existsSync(folder) && (!statSync(folder).isDirectory() || readdirSync(folder).length > 0))
    throw new UserError(`--out ${folder} is not an empty folder: name a new one, or empty it first`);
  const isNew = !existsSync(folder);
  try {
    await write();
  } catch (error) {
    try {
      for (const part of isNew ? [folder] : parts.map((name) => path.join(folder, name))) rmSync(part, { recursive: true, force: true });
    } catch {
      // the first error says more
    }
    throw error;
  }
}

/** Writes an image as JPEG. @param image RGB [size, size, 3] */
export async function writeJpeg(file: string, image: Uint8Array, size: number): Promise<void> {
  writeFileAtomic(file, await sharp(image, { raw: { width: size, height: size, channels: 3 } }).jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:4:4' }).toBuffer());
}
