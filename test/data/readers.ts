import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';

/** A folder of its own for a test file. */
export function scratchFolder(name: string): { folder: string; remove(): void } {
  const folder = mkdtempSync(path.join(os.tmpdir(), `qdetr-${name}-`));
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** Writes a file and the folders it is in. */
export function write(file: string, data: string | Uint8Array): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, data);
}

/** A JPEG image of one colour, which tells it from others. */
export const jpegOf = (width: number, height: number, red = 200, green = 100): Promise<Buffer> => sharp({ create: { width, height, channels: 3, background: { r: red, g: green, b: 50 } } }).jpeg().toBuffer();

/** An annotation of VOC. @param objects class, left, top, right, bottom as VOC counts, and flags */
export const vocXml = (width: number, height: number, objects: readonly [name: string, left: number, top: number, right: number, bottom: number, difficult?: number][]): string => `<annotation><filename>a.jpg</filename><size><width>${width}</width><height>${height}</height><depth>3</depth></size>${objects.map(([name, left, top, right, bottom, difficult = 0]) =>
  `<object><name>${name}</name><difficult>${difficult}</difficult><bndbox><xmin>${left}</xmin><ymin>${top}</ymin><xmax>${right}</xmax><ymax>${bottom}</ymax></bndbox></object>`).join('')}</annotation>\n`;

/** Writes a folder of VOC. @param images annotation and image of each id; undefined where there is no such file */
export function writeVoc(folder: string, split: string, images: Readonly<Record<string, { xml?: string; image?: Uint8Array }>>): void {
  for (const [id, { xml, image }] of Object.entries(images)) {
    if (xml !== undefined) write(path.join(folder, 'Annotations', `${id}.xml`), xml);
    if (image !== undefined) write(path.join(folder, 'JPEGImages', `${id}.jpg`), image);
  }
  write(path.join(folder, 'ImageSets/Main', `${split}.txt`), `${Object.keys(images).join('\n')}\n`);
}
