import { createHash } from 'node:crypto';
import path from 'node:path';
import { UserError } from '../errors.js';
import { readBytes } from '../files.js';
import { brokenItems, type OnBroken } from './broken-items.js';
import { clampedObjects } from './clamped-objects.js';
import type { CocoAnnotations } from './coco-annotations.js';
import { imageBytes } from './image-bytes.js';
import { NO_CLASS } from './image-annotations.js';
import type { ImageDataset, ImageEntry } from './image-dataset.js';
import { readJsonRecords } from './json-records.js';
import { isLearned } from './listed-images.js';

/** Which folder of COCO is read. */
export interface CocoReaderSettings {
  /** Has annotations/instances_<split>.json and the images in <split>. */
  folder: string;
  /** `train2017`, `val2017`. */
  split: string;
  /** What the data set is called; default: the folder's name and the split, `coco-val2017`. */
  name?: string;
  /** Whether images without objects are among them, as in facebookresearch/detr; default true. */
  keepEmpty?: boolean;
  /** Broken annotations and missing images; default `stop`. */
  onBroken?: OnBroken;
  /** Hears of each that is left out. */
  told?(reason: string): void;
}

type Image = CocoAnnotations['images'][number];
type Annotation = CocoAnnotations['annotations'][number];

/** Category ids are labels, and a model has an output for each up to the highest. COCO's highest is 90. */
const HIGHEST_CATEGORY = 9999;
const REMEDY = 'unpack the annotations again, or skip what is broken';

/**
 * Reads a folder in COCO's layout: the annotations at once (their segments are passed over), the images when they are decoded. Labels are category ids; the ids
 * between them that no category has are classes called `N/A`. Images come in the order of their ids, as in torchvision's CocoDetection.
 * @throws UserError when the file is missing, malformed or without one of its three lists; and for the first annotation that is broken (wrong type, unknown image
 * or category, id used twice) or image that is missing unless they are skipped. A broken image is left out with its annotations, a broken annotation alone.
 */
export function openCocoFolder({ folder, split, name = `${path.basename(path.resolve(folder))}-${split}`, keepEmpty = true, onBroken = 'stop', told }: CocoReaderSettings): ImageDataset {
  const file = path.join(folder, 'annotations', `instances_${split}.json`);
  const bytes = readBytes(file, 'give a folder of COCO with annotations/instances_<split>.json and the images in <split>');
  const broken = brokenItems(onBroken, told), images: Image[] = [], annotations: Annotation[] = [], classes: string[] = [];
  readJsonRecords(bytes, {
    images: (record, index) => guarded(`images[${index}]`, () => images.push(imageOf(record))),
    annotations: (record, index) => guarded(`annotations[${index}]`, () => annotations.push(annotationOf(record))),
    categories: (record, index) => addCategory(record, `${file}: categories[${index}]`, classes),
  }, file, REMEDY);
  function guarded(where: string, read: () => void): void {
    try {
      read();
    } catch (error) {
      broken.report(where, new UserError(`${file}: ${where} ${(error as Error).message}: ${REMEDY}`));
    }
  }

  const hash = createHash('sha256').update(`coco ${split}\n`).update(bytes);
  const byId = new Map<number, { image: Image; annotations: Annotation[] }>(), lost = new Set<number>();
  for (const image of images) guarded(`image ${image.id}`, () => {
    if (byId.has(image.id) || lost.has(image.id)) throw new Error('comes twice');
    try {
      hash.update(`${image.id} ${imageBytes(path.join(folder, split, image.file_name))}\n`);
      byId.set(image.id, { image, annotations: [] });
    } catch (error) {
      lost.add(image.id);
      broken.report(`image ${image.id}`, error);
    }
  });
  const ids = new Set<number>();
  for (const annotation of annotations) guarded(`annotation ${annotation.id}`, () => {
    if (ids.has(annotation.id)) throw new Error('comes twice');
    ids.add(annotation.id);
    if (lost.has(annotation.image_id)) return;
    const truth = byId.get(annotation.image_id);
    if (!truth) throw new Error(`is of image ${annotation.image_id}, which is not in the list`);
    if (!Object.hasOwn(classes, annotation.category_id)) throw new Error(`is of category ${annotation.category_id}, which is not in the list`);
    truth.annotations.push(annotation);
  });

  const entryOf = ({ image: { id, file_name, width, height }, annotations: own }: { image: Image; annotations: Annotation[] }): ImageEntry => ({
    id: String(id), file: path.join(folder, split, file_name), width, height,
    objects: clampedObjects(own.map(({ category_id: label, bbox: [x, y, w, h], iscrowd }) => ({ label, box: [x, y, x + w, y + h], difficult: false, truncated: false, occluded: false, crowd: iscrowd === 1 })), width, height),
  });
  const kept = [...byId.values()].filter((truth) => keepEmpty || truth.annotations.length > 0).sort((a, b) => a.image.id - b.image.id);
  if (kept.length === 0) throw new UserError(`${file} has no image that can be used: choose another split`);
  return {
    name, length: kept.length, broken: broken.items, dataHash: hash.update(keepEmpty ? 'all' : 'with objects').digest('hex'),
    classes: Array.from(classes, (known) => known ?? NO_CLASS),
    objectsPerImage: kept.reduce((most, truth) => Math.max(most, truth.annotations.length > most ? entryOf(truth).objects.filter(isLearned).length : 0), 0),
    entry: (index) => entryOf(kept[index]), truth: (index) => kept[index],
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** @throws Error with the end of a sentence that begins with the record's place */
function imageOf(record: unknown): Image {
  if (!isRecord(record)) throw new Error('is no object');
  const { id, file_name, width, height } = record;
  if (!isId(id)) throw new Error(`has ${JSON.stringify(id)} as 'id', no whole number`);
  if (typeof file_name !== 'string' || file_name === '' || path.isAbsolute(file_name) || file_name.split(/[/\\]/).includes('..')) throw new Error(`has ${JSON.stringify(file_name)} as 'file_name', no name below the folder of the images`);
  if (!isId(width) || !isId(height) || width < 1 || height < 1) throw new Error(`has the size ${JSON.stringify(width)}x${JSON.stringify(height)}, no whole numbers of pixels`);
  return { id, file_name, width, height };
}

/** @throws Error as {@link imageOf} does */
function annotationOf(record: unknown): Annotation {
  if (!isRecord(record)) throw new Error('is no object');
  const { id, image_id, category_id, bbox, area, iscrowd = 0 } = record;
  for (const [key, value] of Object.entries({ id, image_id, category_id })) if (!isId(value)) throw new Error(`has ${JSON.stringify(value)} as '${key}', no whole number`);
  if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every((value) => Number.isFinite(value))) throw new Error(`has ${JSON.stringify(bbox)} as 'bbox', not four numbers`);
  if (iscrowd !== 0 && iscrowd !== 1) throw new Error(`has ${JSON.stringify(iscrowd)} as 'iscrowd', neither 0 nor 1`);
  if (area !== undefined && !Number.isFinite(area)) throw new Error(`has ${JSON.stringify(area)} as 'area', no number`);
  const box = bbox as Annotation['bbox'];
  return { id: id as number, image_id: image_id as number, category_id: category_id as number, bbox: box, area: (area as number | undefined) ?? box[2] * box[3], iscrowd };
}

/** Puts a category's name at its id. @throws UserError when it has none, or another has its id */
function addCategory(record: unknown, where: string, classes: string[]): void {
  const { id, name }: Record<string, unknown> = isRecord(record) ? record : {};
  if (!isId(id) || id > HIGHEST_CATEGORY || typeof name !== 'string') throw new UserError(`${where} needs 'id', a whole number up to ${HIGHEST_CATEGORY}, and 'name': unpack the annotations again`);
  if (Object.hasOwn(classes, id)) throw new UserError(`${where}: id ${id} is already that of ${classes[id]}: unpack the annotations again`);
  classes[id] = name;
}
