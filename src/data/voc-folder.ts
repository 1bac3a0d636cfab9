import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { UserError } from '../errors.js';
import { writeFileAtomic } from '../files.js';
import type { DetectionDataset } from './dataset.js';
import { vocAnnotationXml } from './voc-annotation.js';

/** Quality of the exported JPEG files; colours are not subsampled. */
const JPEG_QUALITY = 95;

/** Folders of a VOC folder. */
const PARTS = ['JPEGImages', 'Annotations', 'ImageSets'] as const;

interface VocFolderSettings { folder: string; split: string; count: number }

/** What a class list says of an image: 1 shown, 0 shown only as difficult, -1 not shown (VOC's convention). */
function presence(labels: readonly { label: number; difficult: boolean }[], label: number): 1 | 0 | -1 {
  const found = labels.filter((object) => object.label === label);
  return found.length === 0 ? -1 : found.every(({ difficult }) => difficult) ? 0 : 1;
}

/**
 * Writes the first images of a data set as a VOC folder: JPEGImages, Annotations and ImageSets/Main with a list of the split and one
 * for each class. The lists are written last, so that a folder with lists is complete.
 * @param dataset images with boxes
 * @param settings `folder` must be new or empty; `split` names the lists; `count` images are written
 * @param log called after every hundredth image
 * @throws UserError when the folder isn't empty or can't be written; what was written of it is removed then
 */
export async function writeVocFolder(dataset: DetectionDataset, { folder, split, count }: VocFolderSettings, log: (line: string) => void): Promise<void> {
  if (existsSync(folder) && (!statSync(folder).isDirectory() || readdirSync(folder).length > 0))
    throw new UserError(`--out ${folder} is not an empty folder: name a new one, or empty it first`);
  const isNew = !existsSync(folder);
  try {
    await writeParts(dataset, { folder, split, count }, log);
  } catch (error) {
    try {
      for (const part of isNew ? [folder] : PARTS.map((name) => path.join(folder, name))) rmSync(part, { recursive: true, force: true });
    } catch {
      // the first error says more
    }
    throw error;
  }
}

async function writeParts(dataset: DetectionDataset, { folder, split, count }: VocFolderSettings, log: (line: string) => void): Promise<void> {
  const shown: { id: string; objects: { label: number; difficult: boolean }[] }[] = [];
  for (let index = 0; index < count; index++) {
    const sample = dataset.sample(index);
    const raw = { width: dataset.size, height: dataset.size, channels: 3 as const };
    const jpeg = await sharp(sample.image, { raw }).jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:4:4' }).toBuffer();
    writeFileAtomic(path.join(folder, 'JPEGImages', `${sample.id}.jpg`), jpeg);
    writeFileAtomic(path.join(folder, 'Annotations', `${sample.id}.xml`), vocAnnotationXml(sample, dataset.size, dataset.classes, 'MiniVOC'));
    shown.push({ id: sample.id, objects: sample.objects });
    if ((index + 1) % 100 === 0) log(`${index + 1} of ${count} images`);
  }
  const list = (name: string, lines: string[]): void => writeFileAtomic(path.join(folder, 'ImageSets', 'Main', `${name}.txt`), `${lines.join('\n')}\n`);
  dataset.classes.forEach((name, label) => list(`${name}_${split}`, shown.map(({ id, objects }) => `${id} ${String(presence(objects, label)).padStart(2)}`)));
  list(split, shown.map(({ id }) => id));
}
