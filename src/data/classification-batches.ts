import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import { UserError, messageOf } from '../errors.js';
import { orderOf, stepsPerEpoch } from './batches.js';
import { brokenItems, type OnBroken } from './broken-items.js';
import { centreCrop, randomResizedCrop, type ClassificationTransforms } from './classification-transforms.js';
import { decodePool } from './decode-pool.js';
import type { ClassificationDataset } from './imagenet-reader.js';
import type { ImageSize, TransformPlan } from './transforms.js';

/** B images of one size with their classes. */
export interface ClassifiedBatch {
  /** RGB [B, side, side, 3]. */
  pixels: Uint8Array;
  /** [B]; -1 where there is no image. */
  labels: Int32Array;
}

/** How images become batches. */
export interface ClassificationBatchSettings {
  dataset: ClassificationDataset;
  batchSize: number;
  transforms: ClassificationTransforms;
  /** Threads that decode; default: one a processor. */
  workers?: number;
  onBroken?: OnBroken;
  /** Hears of each image that is left out, once. */
  told?(reason: string): void;
}

/** Batches by their number. */
export interface ClassificationBatches {
  /** Batches in an epoch (training), or all there are (evaluation). */
  readonly length: number;
  batch(step: number): Promise<ClassifiedBatch>;
  close(): Promise<void>;
}

/** Width and height of an image file, from its header. */
async function sizeOfFile(file: string): Promise<ImageSize> {
  try {
    const { width, height } = await sharp(file).metadata();
    return { width, height };
  } catch (error) {
    throw new UserError(`${file} can't be decoded (${messageOf(error).trim()}): get the file again, or skip what is broken`);
  }
}

/**
 * Batches to train a classifier on: a new order each epoch, random crops; a function of data, seed and step alone. In the place of an image that is broken and skipped
 * comes the next sound one.
 * @throws UserError when the batch is larger than the data set
 */
export function classificationBatches({ seed, ...settings }: ClassificationBatchSettings & { seed: number }): ClassificationBatches {
  const { dataset, batchSize, transforms } = settings, length = stepsPerEpoch(dataset.length, batchSize), { decoded, close } = decoding(settings);
  return {
    length, close,
    batch: async (step) => {
      const epoch = Math.floor(step / length), start = (step - epoch * length) * batchSize, indices = orderOf(dataset.length, seed, epoch).slice(start, start + batchSize);
      return assembled(await Promise.all(Array.from(indices, async (first, position) => {
        for (let tried = 0; tried < dataset.length; tried++) {
          const found = await decoded((first + tried) % dataset.length, (size) => randomResizedCrop(size, transforms.side, { seed, step, position }));
          if (found) return found;
        }
        throw new UserError(`${dataset.name}: no image can be decoded: unpack the images again`);
      })), batchSize, transforms.side);
    },
  };
}

/** Batches to evaluate a classifier on, in the data set's order; what is broken and skipped, or behind the last image, has label -1. @param count images from the first one */
export function classificationEvaluationBatches({ count, ...settings }: ClassificationBatchSettings & { count?: number }): ClassificationBatches {
  const { dataset, batchSize, transforms } = settings, images = Math.min(count ?? dataset.length, dataset.length), { decoded, close } = decoding(settings);
  return {
    length: Math.ceil(images / batchSize), close,
    batch: async (step) => {
      const indices = Array.from({ length: Math.min(batchSize, images - step * batchSize) }, (_, i) => step * batchSize + i);
      return assembled(await Promise.all(indices.map((index) => decoded(index, (size) => centreCrop(size, transforms)))), batchSize, transforms.side);
    },
  };
}

interface Classified { pixels: Uint8Array; label: number }

function decoding({ dataset, workers = availableParallelism(), onBroken = 'stop', told }: ClassificationBatchSettings) {
  const pool = decodePool(workers), broken = brokenItems(onBroken, told), known = new Set<number>();
  const decoded = async (index: number, plan: (size: ImageSize) => TransformPlan): Promise<Classified | undefined> => {
    if (known.has(index)) return undefined;
    const { id, file, label } = dataset.entry(index);
    try {
      const size = await sizeOfFile(file);
      return { label, pixels: (await pool.decode({ file, ...size, plan: plan(size) })).pixels };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      broken.report(id, error);
      known.add(index);
      return undefined;
    }
  };
  return { decoded, close: pool.close };
}

function assembled(images: readonly (Classified | undefined)[], batchSize: number, side: number): ClassifiedBatch {
  const batch: ClassifiedBatch = { pixels: new Uint8Array(batchSize * side * side * 3), labels: new Int32Array(batchSize).fill(-1) };
  images.forEach((image, i) => {
    if (!image) return;
    batch.pixels.set(image.pixels, i * side * side * 3);
    batch.labels[i] = image.label;
  });
  return batch;
}
