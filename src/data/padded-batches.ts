import { availableParallelism } from 'node:os';
import { UserError } from '../errors.js';
import { orderOf, stepsPerEpoch } from './batches.js';
import { brokenItems, type OnBroken } from './broken-items.js';
import { canvasOf, checkCanvases, type Canvas } from './canvas.js';
import type { DecodedImage } from './decode-image.js';
import { DecodingEnded, decodePool } from './decode-pool.js';
import type { ImageDataset } from './image-dataset.js';
import { isLearned } from './listed-images.js';
import { checkTransforms, evaluationPlan, transformObjects, transformPlan, type TransformPlan, type TransformSettings } from './transforms.js';
import type { AnnotatedObject } from './dataset.js';
import type { PaddedBatch } from './image-dataset.js';

/** How images become batches. */
export interface PaddedBatchSettings {
  dataset: ImageDataset;
  /** B. */
  batchSize: number;
  transforms: TransformSettings;
  /** The canvases that there are: a model is compiled for each. A batch gets the smallest that holds its images. */
  canvases: readonly Canvas[];
  /** Threads that decode; default: one a processor. 0: none beside this one. */
  workers?: number;
  /** Most objects of an image that a model can learn: its queries. Of an image with more of them the first ones are taken. */
  mostObjects?: number;
  /** Batches that are made ahead of the one that was asked for; default 2. */
  prefetch?: number;
  /** Images that can't be decoded or have another size than annotated; default `stop`. */
  onBroken?: OnBroken;
  /** Hears of each image that is left out, once. */
  told?(reason: string): void;
}

/** Batches by their number. */
export interface PaddedBatches<Batch> {
  /** Batches in an epoch (training), or all there are (evaluation). */
  readonly length: number;
  /** G, objects of an image in a batch. */
  readonly objects: number;
  /** Images that could not be decoded so far, each once. */
  readonly broken: readonly { name: string; reason: string }[];
  /** The batch of a step, from 0; the next ones are begun. @throws UserError that names an image that can't be decoded, unless it is skipped */
  batch(step: number): Promise<Batch>;
  /** Ends the threads. */
  close(): Promise<void>;
}

/** A batch of images to evaluate. */
export interface EvaluationBatch extends PaddedBatch {
  /** Height and width of each image in its file [B, 2]: detections are given in its pixels. */
  originalSizes: Int32Array;
}

/** Objects of an image are padded to a multiple of this. */
const OBJECTS_STEP = 8;
/** Images that may be broken one behind another before a batch gives up. */
const MOST_BROKEN = 1000;

/** G: the most objects of an image that are learned, rounded up. */
export const paddedObjects = ({ objectsPerImage }: Pick<ImageDataset, 'objectsPerImage'>): number => OBJECTS_STEP * Math.max(1, Math.ceil(objectsPerImage / OBJECTS_STEP));

/** An image that is in a batch. */
interface Placed { index: number; image: DecodedImage; objects: AnnotatedObject[] }

/**
 * Batches to train on. What a batch holds depends on the data set, the seed, the settings and the step alone, not on threads or on what was asked for before. Each epoch
 * goes through the images in a new order, as MiniVOC's batches do. In the place of an image that is broken and skipped comes the next sound one of the data set.
 * @throws UserError when a setting is wrong
 */
export function paddedBatches({ dataset, batchSize, transforms, seed, ...settings }: PaddedBatchSettings & { seed: number }): PaddedBatches<PaddedBatch> {
  const length = stepsPerEpoch(dataset.length, batchSize);
  const { decoded, ...rest } = prepared({ dataset, batchSize, transforms, ...settings });
  const place = async (first: number, step: number, position: number): Promise<Placed> => {
    for (let tried = 0; tried < Math.min(dataset.length, MOST_BROKEN); tried++) {
      const index = (first + tried) % dataset.length, entry = dataset.entry(index), plan = transformPlan(entry, transforms, { seed, step, position });
      const image = await decoded(index, plan);
      if (image) return { index, image, objects: transformObjects(entry.objects.filter(isLearned), entry, plan) };
    }
    throw new UserError(`${dataset.name}: ${Math.min(dataset.length, MOST_BROKEN)} images one behind another can't be decoded, the first of them ${dataset.entry(first).file}: unpack the images again`);
  };
  return rest.serve(length, Infinity, async (step) => {
    const epoch = Math.floor(step / length), start = (step - epoch * length) * batchSize;
    const indices = orderOf(dataset.length, seed, epoch).slice(start, start + batchSize);
    return assembled(await Promise.all(Array.from(indices, (index, position) => place(index, step, position))), batchSize, rest.objects, settings.canvases);
  });
}

/**
 * Batches to evaluate, in the data set's order. Where there is no image (behind the last one, or it is broken and skipped), `indices` has -1.
 * @param settings `count` images from the first one; all of them by default
 * @throws UserError when a setting is wrong
 */
export function evaluationBatches({ dataset, batchSize, transforms, count = dataset.length, ...settings }: PaddedBatchSettings & { count?: number }): PaddedBatches<EvaluationBatch> {
  if (!Number.isInteger(batchSize) || batchSize < 1) throw new UserError(`batchSize is ${batchSize}: choose a whole number from 1`);
  const images = Math.min(count, dataset.length), length = Math.ceil(images / batchSize);
  const { decoded, ...rest } = prepared({ dataset, batchSize, transforms, ...settings });
  return rest.serve(length, length, async (step) => {
    const indices = Array.from({ length: Math.min(batchSize, images - step * batchSize) }, (_, i) => step * batchSize + i);
    const placed = await Promise.all(indices.map(async (index): Promise<Placed | undefined> => {
      const entry = dataset.entry(index), plan = evaluationPlan(entry, transforms), image = await decoded(index, plan);
      return image && { index, image, objects: transformObjects(entry.objects.filter(isLearned), entry, plan) };
    }));
    const originalSizes = new Int32Array(batchSize * 2).fill(1);
    indices.forEach((index, i) => originalSizes.set([dataset.entry(index).height, dataset.entry(index).width], i * 2));
    return { ...assembled(placed, batchSize, rest.objects, settings.canvases), originalSizes };
  });
}

/** What both kinds of batches need: threads, a record of what is broken, batches made ahead. */
function prepared({ dataset, transforms, canvases, workers = availableParallelism(), prefetch = 2, onBroken = 'stop', told, mostObjects = Infinity }: PaddedBatchSettings) {
  checkTransforms(transforms);
  checkCanvases(canvases, transforms);
  const broken = brokenItems(onBroken, told), knownBroken = new Set<number>(), pool = decodePool(workers), objects = Math.min(paddedObjects(dataset), mostObjects);
  /** An image after its plan; undefined where it is broken and skipped. */
  const decoded = async (index: number, plan: TransformPlan): Promise<DecodedImage | undefined> => {
    if (knownBroken.has(index)) return undefined;
    const { id, file, width, height } = dataset.entry(index);
    try {
      return await pool.decode({ file, width, height, plan });
    } catch (error) {
      if (error instanceof DecodingEnded) throw error;
      broken.report(id, error);
      knownBroken.add(index);
      return undefined;
    }
  };
  /** Batches of `make`, remembered from when they are begun to when they are asked for. @param end of the batches */
  const serve = <Batch>(length: number, end: number, make: (step: number) => Promise<Batch>): PaddedBatches<Batch> => {
    const begun = new Map<number, Promise<Batch>>();
    const begin = (step: number): Promise<Batch> => {
      const batch = begun.get(step) ?? make(step);
      begun.set(step, batch);
      batch.catch(() => undefined); // told to whoever asks for it
      return batch;
    };
    return {
      length, objects,
      get broken() {
        return broken.items;
      },
      batch: (step) => {
        if (!Number.isInteger(step) || step < 0 || step >= end) return Promise.reject(new UserError(`there is no batch ${step} of ${dataset.name}: ask for a whole number from 0${end < Infinity ? ` to ${end - 1}` : ''}`));
        for (const other of begun.keys()) if (other < step || other > step + prefetch) begun.delete(other);
        const wanted = begin(step);
        begun.delete(step);
        for (let next = step + 1; next <= Math.min(step + prefetch, end - 1); next++) void begin(next);
        return wanted;
      },
      close: pool.close,
    };
  };
  return { decoded, serve, objects };
}

/** Images and objects put into the arrays of a batch. */
function assembled(placed: readonly (Placed | undefined)[], batchSize: number, objects: number, canvases: readonly Canvas[]): PaddedBatch {
  const { height, width } = canvasOf(placed.flatMap((one) => (one ? [one.image] : [])), canvases);
  const batch: PaddedBatch = {
    height, width, pixels: new Uint8Array(batchSize * height * width * 3), sizes: new Int32Array(batchSize * 2).fill(1),
    labels: new Int32Array(batchSize * objects).fill(-1), boxes: new Float32Array(batchSize * objects * 4), counts: new Int32Array(batchSize), indices: new Int32Array(batchSize).fill(-1),
  };
  placed.forEach((one, i) => {
    if (!one) return;
    const { image: { pixels, width: w, height: h } } = one, row = w * 3;
    for (let y = 0; y < h; y++) batch.pixels.set(pixels.subarray(y * row, (y + 1) * row), (i * height + y) * width * 3);
    batch.sizes.set([h, w], i * 2);
    batch.indices[i] = one.index;
    const learned = one.objects.slice(0, objects);
    batch.counts[i] = learned.length;
    learned.forEach(({ label, box: [left, top, right, bottom] }, j) => {
      batch.labels[i * objects + j] = label;
      batch.boxes.set([(left + right) / 2 / w, (top + bottom) / 2 / h, (right - left) / w, (bottom - top) / h], (i * objects + j) * 4);
    });
  });
  return batch;
}
