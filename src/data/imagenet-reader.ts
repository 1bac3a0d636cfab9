import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../errors.js';
import { readText } from '../files.js';
import { brokenItems, type OnBroken } from './broken-items.js';
import { imageBytes } from './image-bytes.js';
import type { ImageDataset } from './image-dataset.js';
import { validationClasses } from './official/imagenet-devkit.js';

/** An image and its class. */
export interface ClassifiedImage { id: string; file: string; label: number }

/** Images of one class each. */
export interface ClassificationDataset extends Pick<ImageDataset, 'name' | 'length' | 'classes' | 'dataHash' | 'broken'> {
  /** The image at `index`, 0 <= index < length. */
  entry(index: number): ClassifiedImage;
}

/** Which folder of ImageNet is read. */
export interface ImageNetReaderSettings {
  /** Has a folder `split` of folders that are called by their class (n01440764). */
  folder: string;
  /** `train`, `val`. */
  split: string;
  /**
   * Where the images of the split lie flat: what says their classes, a file with lines `name,class …` (LOC_val_solution.csv) or the folder of the development kit
   * (ILSVRC2012_devkit_t12); the classes are those of `classesOf`.
   */
  groundTruth?: string;
  /** The split whose folders are the classes, for flat images; default `train`. */
  classesOf?: string;
  /** Missing and empty images; default `stop`. */
  onBroken?: OnBroken;
  /** Hears of each that is left out. */
  told?(reason: string): void;
}

const IMAGE = /\.(jpe?g|png)$/i;

/**
 * Reads a folder of ImageNet: one folder a class, in torchvision's order (ImageFolder: folders by name, images by name), so that a label is what its published
 * weights mean; or flat images with a list of their classes.
 * @throws UserError when folders or the list are missing; and for the first image that is empty, missing in the list or of an unknown class, unless they are skipped
 */
export function openImageNetFolder({ folder, split, groundTruth, classesOf = 'train', onBroken = 'stop', told }: ImageNetReaderSettings): ClassificationDataset {
  const images = path.join(folder, split), broken = brokenItems(onBroken, told), entries: ClassifiedImage[] = [];
  const classes = foldersIn(groundTruth === undefined ? images : path.join(folder, classesOf)), labels = new Map(classes.map((name, label) => [name, label]));
  const hash = createHash('sha256').update(`imagenet ${split} ${classes.join()}\n`);
  const add = (id: string, file: string, label: () => number): void => {
    try {
      const entry = { id, file, label: label() };
      hash.update(`${id} ${entry.label} ${imageBytes(file)}\n`);
      entries.push(entry);
    } catch (error) {
      broken.report(id, error);
    }
  };
  if (groundTruth === undefined) classes.forEach((name, label) => filesIn(path.join(images, name)).forEach((file) => add(`${name}/${nameOf(file)}`, path.join(images, name, file), () => label)));
  else {
    const named = statSync(groundTruth, { throwIfNoEntry: false })?.isDirectory() ? validationClasses(groundTruth)
      : new Map(readText(groundTruth, 'give LOC_val_solution.csv, the development kit, or images in folders of their classes').split(/\r?\n/).map((line) => line.split(/[\s,]+/) as [string, string]));
    for (const file of filesIn(images)) add(nameOf(file), path.join(images, file), () => {
      const label = labels.get(named.get(nameOf(file)) ?? '');
      if (label === undefined) throw new UserError(`${groundTruth} says no class of ${path.join(folder, classesOf)} for ${nameOf(file)}: give the list of these images, or skip what is broken`);
      return label;
    });
  }
  if (entries.length === 0) throw new UserError(`${images} has no images (.JPEG) in folders of their classes: unpack them there; for flat images, give the list of their classes`);
  return { name: `${path.basename(path.resolve(folder))}-${split}`, length: entries.length, classes, dataHash: hash.digest('hex'), broken: broken.items, entry: (index) => entries[index] };
}

const nameOf = (file: string): string => path.parse(file).name;
const filesIn = (folder: string): string[] => readdirSync(folder).filter((name) => IMAGE.test(name)).sort();

function foldersIn(folder: string): string[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new UserError(`there is no folder ${folder}: give the folder of ImageNet with a folder for each split`);
  return readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => name).sort();
}
