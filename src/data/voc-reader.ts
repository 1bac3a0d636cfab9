import { createHash } from 'node:crypto';
import path from 'node:path';
import { UserError } from '../errors.js';
import { readText } from '../files.js';
import { brokenItems, type OnBroken } from './broken-items.js';
import { clampedObjects } from './clamped-objects.js';
import type { AnnotatedObject } from './dataset.js';
import { imageBytes } from './image-bytes.js';
import type { ImageDataset, ImageEntry } from './image-dataset.js';
import { imageDataset } from './listed-images.js';
import { parseVocAnnotation } from './voc-annotation.js';
import { VOC_CLASSES } from './voc-classes.js';

/** Which folder of VOC is read. */
export interface VocReaderSettings {
  /** Has JPEGImages, Annotations and ImageSets/Main, as VOCdevkit/VOC2007 does. */
  folder: string;
  /** Name of a list in ImageSets/Main: `trainval`. */
  split: string;
  /** What the data set is called; default: the folder's name and the split, `VOC2007-trainval`. */
  name?: string;
  /** Broken annotations and missing images; default `stop`. */
  onBroken?: OnBroken;
  /** Hears of each that is left out. */
  told?(reason: string): void;
}

/**
 * Reads a folder in the format of PASCAL VOC: the annotations at once, the images when they are decoded. VOC's boxes, 1-based and inclusive, become 0-based and
 * exclusive; labels are 0..19.
 * @throws UserError when there is no such list, and for the first broken annotation or missing image unless they are skipped
 */
export function openVocFolder({ folder, split, name = `${path.basename(path.resolve(folder))}-${split}`, onBroken = 'stop', told }: VocReaderSettings): ImageDataset {
  const list = path.join(folder, 'ImageSets', 'Main', `${split}.txt`);
  const ids = readText(list, `give a folder of VOC with JPEGImages, Annotations and ImageSets/Main, and one of its lists as split`).split('\n').map((line) => line.trim().split(/\s+/)[0]).filter((id) => id !== '');
  const labels = new Map<string, number>(VOC_CLASSES.map((known, label) => [known, label]));
  const broken = brokenItems(onBroken, told), hash = createHash('sha256').update(`voc ${split}\n`), seen = new Set<string>(), entries: ImageEntry[] = [];
  for (const id of ids) {
    try {
      if (seen.has(id)) throw new UserError(`${list} names ${id} twice: unpack the data set again`);
      if (path.basename(id) !== id || id === '..') throw new UserError(`${list}: "${id}" is no name of an image: unpack the data set again`);
      seen.add(id);
      const annotation = path.join(folder, 'Annotations', `${id}.xml`), file = path.join(folder, 'JPEGImages', `${id}.jpg`);
      const xml = readText(annotation, 'unpack the annotations again, or skip what is broken');
      const entry = { id, file, ...readAnnotation(xml, annotation, labels) };
      hash.update(`${id} ${imageBytes(file)} ${xml.length}\n`).update(xml);
      entries.push(entry);
    } catch (error) {
      broken.report(id, error);
    }
  }
  if (entries.length === 0) throw new UserError(`${list} names no image that can be used: choose another split`);
  return imageDataset({ name, classes: VOC_CLASSES, entries, dataHash: hash.digest('hex'), broken: broken.items });
}

/** @throws UserError that names the file and what is wrong */
function readAnnotation(xml: string, file: string, labels: ReadonlyMap<string, number>): Pick<ImageEntry, 'width' | 'height' | 'objects'> {
  const { width, height, objects } = parseVocAnnotation(xml, file);
  if (width < 1 || height < 1) throw new UserError(`${file}: the image's size is ${width}x${height}: unpack the data set again`);
  const found = objects.map(({ name, xmin, ymin, xmax, ymax, difficult, truncated, occluded }): AnnotatedObject => {
    const label = labels.get(name);
    if (label === undefined) throw new UserError(`${file}: "${name}" is no class of VOC: use one of ${VOC_CLASSES.join(', ')}`);
    return { label, box: [xmin - 1, ymin - 1, xmax, ymax], difficult, truncated, occluded, crowd: false };
  });
  return { width, height, objects: clampedObjects(found, width, height) };
}
