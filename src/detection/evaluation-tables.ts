import { UserError } from '../errors.js';
import type { Box } from './boxes.js';
import { emptyDetections, type CocoDetection, type Detections } from './detections.js';

/** One object. `bbox` is left, top, width, height in pixels; `area` is that of the object's mask where it has one, of the box otherwise. */
export interface CocoAnnotation {
  image_id: number;
  category_id: number;
  bbox: Box;
  area: number;
  /** 1: a group of objects; detections inside of it count neither for nor against. 0 where it is left out. */
  iscrowd?: number;
  /** 1: an object that VOC calls difficult. As `iscrowd` where it is left out. */
  difficult?: number;
  id?: number;
}

/** What COCO's annotation files (`instances_val2017.json`) hold, as far as detection needs it. */
export interface CocoGroundTruth {
  images: readonly { id: number }[];
  categories: readonly { id: number; name?: string }[];
  annotations: readonly CocoAnnotation[];
}

/** Ground truth as columns, checked: annotation n lies on image `imageIds[image[n]]` and shows `categories[category[n]]`. */
export interface GroundTruthTable {
  /** What errors call it: a file name. */
  source: string;
  /** Ascending, each once. */
  imageIds: readonly number[];
  imageIndex: ReadonlyMap<number, number>;
  /** By ascending id, each once. */
  categories: readonly { id: number; name: string }[];
  categoryIndex: ReadonlyMap<number, number>;
  image: Int32Array;
  category: Int32Array;
  /** [n, 4] left, top, width, height. */
  boxes: Float64Array;
  areas: Float64Array;
  crowd: Uint8Array;
  difficult: Uint8Array;
}

/** Detections as columns, checked against a ground truth; `image` and `category` are indices into it. */
export interface DetectionTable {
  image: Int32Array;
  category: Int32Array;
  /** [n, 4] left, top, width, height. */
  boxes: Float64Array;
  scores: Float64Array;
}

type Entry = Record<string, unknown>;
const isObject = (value: unknown): value is Entry => typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown): string => (value === undefined ? 'missing' : `${typeof value === 'number' ? value : JSON.stringify(value)}`.slice(0, 80));

/** The entries of `parent[key]`, each an object. */
function entriesOf(parent: Entry, key: string, source: string): Entry[] {
  const list = parent[key];
  if (!Array.isArray(list)) throw new UserError(`${source}: ${key} is ${list === undefined ? 'missing' : 'no array'}: COCO annotations are an object with the arrays images, categories and annotations`);
  list.forEach((entry, i) => { if (!isObject(entry)) throw new UserError(`${source}: ${key}[${i}] is ${shown(entry)}: make it an object as in COCO's files`); });
  return list as Entry[];
}

function finiteNumber(value: unknown, name: () => string, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new UserError(`${name()} is ${shown(value)}: make it ${what}, a finite number`);
  return value;
}

function checkSize(box: ArrayLike<number>, at: number, name: () => string): void {
  for (let i = 0; i < 4; i++) {
    if (!Number.isFinite(box[at + i])) throw new UserError(`${name()}[${i}] is ${box[at + i]}: a box is four finite numbers, left, top, width and height in pixels`);
  }
  if (box[at + 2] < 0 || box[at + 3] < 0) {
    throw new UserError(`${name()} has a negative ${box[at + 2] < 0 ? 'width' : 'height'} (${Math.min(box[at + 2], box[at + 3])}): write boxes as left, top, width, height, not as corners`);
  }
}

/** Copies `value` into four places of `boxes` from `at` on. */
function copyBox(value: unknown, boxes: Float64Array, at: number, name: () => string): void {
  if (!Array.isArray(value) || value.length !== 4) throw new UserError(`${name()} is ${shown(value)}: a box is four numbers, left, top, width and height in pixels`);
  for (let i = 0; i < 4; i++) {
    if (typeof value[i] !== 'number') throw new UserError(`${name()}[${i}] is ${shown(value[i])}: a box is four finite numbers, left, top, width and height in pixels`);
    boxes[at + i] = value[i] as number;
  }
}

function flag(value: unknown, fallback: number, name: () => string): number {
  if (value === undefined) return fallback;
  if (value === 0 || value === 1 || value === false || value === true) return Number(value);
  throw new UserError(`${name()} is ${shown(value)}: make it 0 or 1`);
}

/**
 * Checks COCO annotations and lays them out as columns.
 * @param json a `CocoGroundTruth`, from wherever it comes
 * @param source what errors call it
 * @throws UserError that names the first wrong entry: a missing key, a wrong type, an unknown image or category, a bad box
 */
export function groundTruthTable(json: unknown, source = 'annotations'): GroundTruthTable {
  if (!isObject(json)) throw new UserError(`${source} is no JSON object: COCO annotations are an object with the arrays images, categories and annotations`);
  const ids = (key: string) => entriesOf(json, key, source).map((entry, i) => finiteNumber(entry.id, () => `${source}: ${key}[${i}].id`, 'the id'));
  const imageIds = [...new Set(ids('images'))].sort((a, b) => a - b);
  const names = new Map(ids('categories').map((id, i) => [id, (json.categories as Entry[])[i].name]));
  const categories = [...names].map(([id, name]) => ({ id, name: typeof name === 'string' ? name : String(id) })).sort((a, b) => a.id - b.id);
  const annotations = entriesOf(json, 'annotations', source), n = annotations.length;
  const table: GroundTruthTable = {
    source, imageIds, categories,
    imageIndex: new Map(imageIds.map((id, i) => [id, i])), categoryIndex: new Map(categories.map(({ id }, i) => [id, i])),
    image: new Int32Array(n), category: new Int32Array(n), boxes: new Float64Array(4 * n), areas: new Float64Array(n), crowd: new Uint8Array(n), difficult: new Uint8Array(n),
  };
  annotations.forEach((annotation, i) => {
    const name = (key: string) => () => `${source}: annotations[${i}].${key}`;
    table.image[i] = indexOf(table.imageIndex, finiteNumber(annotation.image_id, name('image_id'), "the image's id"), name('image_id'), 'images');
    table.category[i] = indexOf(table.categoryIndex, finiteNumber(annotation.category_id, name('category_id'), "the category's id"), name('category_id'), 'categories');
    copyBox(annotation.bbox, table.boxes, 4 * i, name('bbox'));
    checkSize(table.boxes, 4 * i, name('bbox'));
    table.areas[i] = finiteNumber(annotation.area, name('area'), "the object's area in pixels (of its mask, or width times height)");
    table.crowd[i] = flag(annotation.iscrowd, 0, name('iscrowd'));
    table.difficult[i] = flag(annotation.difficult, table.crowd[i], name('difficult'));
  });
  return table;
}

function indexOf(indices: ReadonlyMap<number, number>, id: number, name: () => string, list: string): number {
  const index = indices.get(id);
  if (index === undefined) throw new UserError(`${name()} is ${id}, which is none of the ids in ${list}: add it there or drop the annotation`);
  return index;
}

/**
 * COCO results (an array of objects) as columns, types checked.
 * @throws UserError that names the first entry that has a key missing or of a wrong type
 */
export function detectionColumns(json: unknown, source = 'detections'): Detections {
  if (!Array.isArray(json)) throw new UserError(`${source} is no JSON array: COCO results are an array of {image_id, category_id, bbox, score}`);
  const columns = emptyDetections(json.length);
  for (let i = 0; i < json.length; i++) {
    const detection = json[i] as Partial<CocoDetection> | null;
    if (!isObject(detection)) throw new UserError(`${source}: [${i}] is ${shown(detection)}: COCO results are an array of {image_id, category_id, bbox, score}`);
    const { image_id, category_id, bbox, score } = detection as Partial<CocoDetection>;
    if (typeof image_id !== 'number') throw wrongType(source, i, 'image_id', image_id);
    if (typeof category_id !== 'number') throw wrongType(source, i, 'category_id', category_id);
    if (typeof score !== 'number') throw wrongType(source, i, 'score', score);
    columns.imageIds[i] = image_id;
    columns.categoryIds[i] = category_id;
    columns.scores[i] = score;
    copyBox(bbox, columns.boxes, 4 * i, () => `${source}: [${i}].bbox`);
  }
  return columns;
}

const wrongType = (source: string, i: number, key: string, value: unknown): UserError =>
  new UserError(`${source}: [${i}].${key} is ${shown(value)}: make it a finite number; COCO results are an array of {image_id, category_id, bbox, score}`);

/**
 * Checks detections against a ground truth.
 * @throws UserError that names the first detection with an unknown image or category, a bad box, or a score that is negative or not finite
 */
export function detectionTable(detections: Detections, truth: GroundTruthTable, source = 'detections'): DetectionTable {
  const { imageIds, categoryIds, boxes, scores } = detections, n = scores.length;
  const table: DetectionTable = { image: new Int32Array(n), category: new Int32Array(n), boxes, scores };
  for (let i = 0; i < n; i++) {
    const image = truth.imageIndex.get(imageIds[i]), category = truth.categoryIndex.get(categoryIds[i]);
    if (image === undefined) throw unknownId(source, i, 'image_id', imageIds[i], truth.source, 'images');
    if (category === undefined) throw unknownId(source, i, 'category_id', categoryIds[i], truth.source, 'categories');
    table.image[i] = image;
    table.category[i] = category;
    if (!(scores[i] >= 0 && scores[i] < Infinity)) throw new UserError(`${source}: [${i}].score is ${scores[i]}: a score is a confidence, a finite number that is not negative`);
    checkSize(boxes, 4 * i, () => `${source}: [${i}].bbox`);
  }
  return table;
}

const unknownId = (source: string, i: number, key: string, id: number, truth: string, list: string): UserError =>
  new UserError(`${source}: [${i}].${key} is ${id}, which is none of the ids in ${list} of ${truth}: evaluate against the annotations that the detections were made for`);
