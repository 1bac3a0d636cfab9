import path from 'node:path';
import { writeFileAtomic } from '../files.js';
import type { DetectionDataset } from './dataset.js';
import { writeJpeg, writeNewFolder, type ExportSettings } from './export-folder.js';
import { vocAnnotationXml } from './voc-annotation.js';

/** Folders of a VOC folder. */
const PARTS = ['JPEGImages', 'Annotations', 'ImageSets'] as const;

/** What a class list says of an image: 1 shown, 0 shown only as difficult, -1 not shown (VOC's convention). */
function presence(labels: readonly { label: number; difficult: boolean }[], label: number): 1 | 0 | -1 {
  const found = labels.filter((object) => object.label === label);
  return found.length === 0 ? -1 : found.every(({ difficult }) => difficult) ? 0 : 1;
}

/**
 * Writes the first images of a data set as a VOC folder: JPEGImages, Annotations and ImageSets/Main with a list of the split and one
 * for each class. The lists are written last, so that a folder with lists is complete.
 * @param dataset images with boxes
 * @param settings see {@link ExportSettings}
 * @param log called after every hundredth image
 * @throws UserError when the folder isn't empty or can't be written; what was written of it is removed then
 */
export function writeVocFolder(dataset: DetectionDataset, settings: ExportSettings, log: (line: string) => void): Promise<void> {
  return writeNewFolder(settings.folder, PARTS, () => writeParts(dataset, settings, log));
}

async function writeParts(dataset: DetectionDataset, { folder, split, count }: ExportSettings, log: (line: string) => void): Promise<void> {
  const shown: { id: string; objects: { label: number; difficult: boolean }[] }[] = [];
  for (let index = 0; index < count; index++) {
    const sample = dataset.sample(index);
    await writeJpeg(path.join(folder, 'JPEGImages', `${sample.id}.jpg`), sample.image, dataset.size);
    writeFileAtomic(path.join(folder, 'Annotations', `${sample.id}.xml`), vocAnnotationXml(sample, dataset.size, dataset.classes, 'MiniVOC'));
    shown.push({ id: sample.id, objects: sample.objects });
    if ((index + 1) % 100 === 0) log(`${index + 1} of ${count} images`);
  }
  const list = (name: string, lines: string[]): void => writeFileAtomic(path.join(folder, 'ImageSets', 'Main', `${name}.txt`), `${lines.join('\n')}\n`);
  dataset.classes.forEach((name, label) => list(`${name}_${split}`, shown.map(({ id, objects }) => `${id} ${String(presence(objects, label)).padStart(2)}`)));
  list(split, shown.map(({ id }) => id));
}
