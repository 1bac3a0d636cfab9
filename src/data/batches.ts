import { UserError } from '../errors.js';
import { RandomStream } from '../tensor/random.js';
import type { AnnotatedObject, DetectionDataset, Sample } from './dataset.js';
import { mirrorPixels } from './mirror-pixels.js';

/** Most objects of an image in a batch; MiniVOC draws no more. */
export const OBJECTS_PER_IMAGE = 6;

/** A batch of B images with up to 6 objects each. Difficult objects are left out, as DETR's loader leaves out crowds. */
export interface Batch {
  /** RGB pixels [B, size, size, 3]; empty where they were not asked for. */
  images: Uint8Array;
  /** Labels [B, 6]; -1 where there is no object. */
  labels: Int32Array;
  /** Boxes [B, 6, 4], cxcywh normalized; 0 where there is no object. */
  boxes: Float32Array;
  /** Numbers of objects [B]. */
  counts: Int32Array;
  /** Which images these are [B]. */
  indices: Int32Array;
  /** 1 where the image is mirrored [B]. */
  mirrored: Uint8Array;
}

/** What determines a batch. */
export interface BatchSettings {
  /** B. */
  batchSize: number;
  seed: number;
  /** Whether every second image, at random, is mirrored. */
  flip: boolean;
  /** Number of the training step, from 0. */
  step: number;
  /** Whether the batch holds the images themselves, not only which they are; default true. */
  withImages?: boolean;
}

/** Streams of random numbers that batches use. */
const ORDER = 101, FLIP = 102;

/** Batches in an epoch; images that don't fill a last batch wait for the next epoch's order. */
export function stepsPerEpoch(length: number, batchSize: number): number {
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > length) throw new UserError(`batchSize is ${batchSize}: choose a whole number from 1 to the ${length} images of the data set`);
  return Math.floor(length / batchSize);
}

let lastOrder: { key: string; order: Int32Array } | undefined;

/** The order of the images in an epoch, a permutation; the last one is remembered. */
export function orderOf(length: number, seed: number, epoch: number): Int32Array {
  const key = `${length} ${seed} ${epoch}`;
  if (lastOrder?.key !== key) lastOrder = { key, order: new RandomStream(seed, ORDER, epoch).permutation(length) };
  return lastOrder.order;
}

/**
 * Mirrors a sample left to right.
 * @param sample image [size, size, 3] with boxes in pixels; unchanged
 * @param size side of the image
 */
export const flipSample = ({ id, image, objects }: Sample, size: number): Sample => ({ id, image: mirrorPixels(image, size, size), objects: flipObjects(objects, size) });

const flipObjects = (objects: readonly AnnotatedObject[], size: number): AnnotatedObject[] =>
  objects.map((object) => ({ ...object, box: [size - object.box[2], object.box[1], size - object.box[0], object.box[3]] }));

/**
 * The batch of a training step. It depends on the data set, the seed and the step only, so that a resumed run draws what the
 * uninterrupted one would have drawn; each epoch goes through the images in a new order.
 * @throws UserError when batchSize is no whole number from 1 to the number of images
 */
export function batchAt(dataset: DetectionDataset, { batchSize, seed, flip, step, withImages = true }: BatchSettings): Batch {
  const { size } = dataset;
  const perEpoch = stepsPerEpoch(dataset.length, batchSize);
  const epoch = Math.floor(step / perEpoch);
  const start = (step - epoch * perEpoch) * batchSize;
  const order = orderOf(dataset.length, seed, epoch);
  const coins = new RandomStream(seed, FLIP, step);
  const batch: Batch = {
    images: new Uint8Array(withImages ? batchSize * size * size * 3 : 0),
    labels: new Int32Array(batchSize * OBJECTS_PER_IMAGE).fill(-1),
    boxes: new Float32Array(batchSize * OBJECTS_PER_IMAGE * 4),
    counts: new Int32Array(batchSize),
    indices: order.slice(start, start + batchSize),
    mirrored: new Uint8Array(batchSize),
  };
  for (let i = 0; i < batchSize; i++) {
    const plain = dataset.sample(batch.indices[i]);
    const mirrored = coins.uniform() < 0.5 && flip;
    batch.mirrored[i] = Number(mirrored);
    if (withImages) batch.images.set(mirrored ? mirrorPixels(plain.image, size, size) : plain.image, i * size * size * 3);
    const counted = (mirrored ? flipObjects(plain.objects, size) : plain.objects).filter(({ difficult }) => !difficult).slice(0, OBJECTS_PER_IMAGE);
    batch.counts[i] = counted.length;
    counted.forEach(({ label, box: [left, top, right, bottom] }, j) => {
      const at = i * OBJECTS_PER_IMAGE + j;
      batch.labels[at] = label;
      batch.boxes.set([(left + right) / 2 / size, (top + bottom) / 2 / size, (right - left) / size, (bottom - top) / size], at * 4);
    });
  }
  return batch;
}
