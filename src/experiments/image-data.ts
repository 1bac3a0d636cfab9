import { existsSync } from 'node:fs';
import path from 'node:path';
import { UserError } from '../errors.js';
import type { OnBroken } from '../data/broken-items.js';
import { openCocoFolder } from '../data/coco-reader.js';
import type { ImageDataset } from '../data/image-dataset.js';
import { joinedDataset } from '../data/joined-dataset.js';
import { openVocFolder } from '../data/voc-reader.js';
import type { PaperDataset } from './presets.js';

/** What becomes of broken images and annotations. */
export interface BrokenChoice {
  onBroken?: OnBroken;
  /** Hears of each that is left out. */
  told?(reason: string): void;
}

/** The data of a training. */
export interface ImageData {
  /** What records and tables call it: `voc-07+12`, `coco-2017`, or its folders. */
  name: string;
  train: ImageDataset;
  test: ImageDataset;
}

/** Where the paper's sets lie in the data folder after `npx qdetr data fetch`: folder and split of each part. */
const places: Readonly<Record<PaperDataset, { name: string; fetch: string; train: readonly string[]; test: string }>> = {
  voc: { name: 'voc-07+12', fetch: 'voc2007 voc2012', train: ['VOCdevkit/VOC2007:trainval', 'VOCdevkit/VOC2012:trainval'], test: 'VOCdevkit/VOC2007:test' },
  coco: { name: 'coco-2017', fetch: 'coco2017', train: ['coco:train2017'], test: 'coco:val2017' },
};

/**
 * Opens a folder in the format of VOC or COCO.
 * @param place `<folder>:<split>`; VOC's splits are lists in ImageSets/Main, COCO's are annotations/instances_<split>.json with <split>/ beside them
 * @param option that names it, for errors
 * @throws UserError when it is neither, or as the readers do
 */
export function openImageFolder(place: string, option: string, broken: BrokenChoice = {}): ImageDataset {
  const [, folder, split] = /^(.+):([^:/\\]+)$/.exec(place) ?? [];
  if (folder === undefined) throw new UserError(`${option} ${place}: should be a folder and a split of it, e.g. ${option} VOCdevkit/VOC2007:trainval`);
  if (!existsSync(folder)) throw new UserError(`${option} ${place}: there is no folder ${folder}: check its name, or write one with npx qdetr data export`);
  if (existsSync(path.join(folder, 'JPEGImages'))) return openVocFolder({ folder, split, ...broken });
  if (existsSync(path.join(folder, 'annotations'))) return openCocoFolder({ folder, split, ...broken });
  throw new UserError(`${option} ${place}: ${folder} has neither JPEGImages (VOC) nor annotations (COCO): give a folder in one of these formats`);
}

/**
 * The data of a training: the paper's sets in a data folder, or other folders in their formats in place of them.
 * @param trainOn places (see {@link openImageFolder}) whose images are joined; @param evaluateOn one place
 * @throws UserError when something is missing, with the command that fetches it, or classes differ
 */
export function openImageData(dataset: PaperDataset, data: string, { trainOn, evaluateOn }: { trainOn?: readonly string[]; evaluateOn?: string }, broken: BrokenChoice = {}): ImageData {
  const { name, fetch, train, test } = places[dataset];
  const official = (place: string): ImageDataset => {
    const there = path.join(data, place);
    if (!existsSync(there.slice(0, there.lastIndexOf(':')))) throw new UserError(`${there.slice(0, there.lastIndexOf(':'))} is missing: npx qdetr data fetch ${fetch} brings it, or give folders of your own with --train-on and --evaluate-on`);
    return openImageFolder(there, '--data', broken);
  };
  const parts = trainOn ? trainOn.map((place) => openImageFolder(place, '--train-on', broken)) : train.map(official);
  const own = [...(trainOn ?? []), ...(evaluateOn === undefined ? [] : [evaluateOn])].map((place) => path.basename(place));
  const trained = parts.length === 1 ? parts[0] : joinedDataset(parts.map((part) => part.name).join(' + '), parts);
  const tested = evaluateOn === undefined ? official(test) : openImageFolder(evaluateOn, '--evaluate-on', broken);
  const other = [...Array(Math.max(trained.classes.length, tested.classes.length)).keys()].find((label) => trained.classes[label] !== tested.classes[label]);
  if (other !== undefined) throw new UserError(`class ${other} is '${trained.classes[other]}' in ${trained.name} and '${tested.classes[other]}' in ${tested.name}: train and evaluate on sets of the same classes`);
  return { name: own.length === 0 ? name : [...new Set(own)].join(', '), train: trained, test: tested };
}
