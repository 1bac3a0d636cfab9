import path from 'node:path';
import { writeFileAtomic } from '../files.js';
import { cocoAnnotations } from './coco-annotations.js';
import type { DetectionDataset } from './dataset.js';
import { writeJpeg, writeNewFolder, type ExportSettings } from './export-folder.js';

/**
 * Writes the first images of a data set in COCO's layout: the images in <split>, and annotations/instances_<split>.json, which is written last, so that a folder that
 * has it is complete. Category ids are labels; difficult objects are crowds.
 * @param dataset images with boxes
 * @param settings see {@link ExportSettings}
 * @param log called after every hundredth image
 * @throws UserError when the folder isn't empty or can't be written; what was written of it is removed then
 */
export function writeCocoFolder(dataset: DetectionDataset, { folder, split, count }: ExportSettings, log: (line: string) => void): Promise<void> {
  return writeNewFolder(folder, ['annotations', split], async () => {
    const truth = cocoAnnotations(dataset, count);
    for (const { id, file_name } of truth.images) {
      await writeJpeg(path.join(folder, split, file_name), dataset.sample(id).image, dataset.size);
      if ((id + 1) % 100 === 0) log(`${id + 1} of ${count} images`);
    }
    writeFileAtomic(path.join(folder, 'annotations', `instances_${split}.json`), `${JSON.stringify(truth)}\n`);
  });
}
