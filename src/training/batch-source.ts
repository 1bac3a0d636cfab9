import type { Batch } from '../data/batches.js';
import { colourJitter, jitterFactors } from '../data/colour-jitter.js';
import type { DetectionDataset } from '../data/dataset.js';
import { gatheredImages, packedImages, unpackedImages, wordsOf } from '../data/packed-images.js';
import { normalizedImages, normalizedPixels } from '../models/normalize-images.js';
import type { NamedTensors, ResidentArray } from '../tensor/compile-step.js';
import type { TensorSpec, TypedArray } from '../tensor/graph.js';
import { sizeOf } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { FeatureCache } from './feature-cache.js';
import type { TrainingSettings } from './settings.js';

/**
 * Hears how many of how many parts of what stays with the engine are ready; what it throws ends the work.
 * @param what the parts are called; left out: images at hand
 */
export type Told = (done: number, total: number, what?: string) => void;

/** How what a model reads, images or a backbone's features, comes into a training step. */
export interface BatchSource {
  /** Shapes and types of what a batch brings. */
  inputs: Record<string, TensorSpec>;
  /** Whether {@link BatchSource.bring} needs the images of the batch, or only which they are. */
  needsImages: boolean;
  /** What the batch of a step brings. */
  bring(batch: Batch, step: number): Record<string, TypedArray>;
  /** In the step: what the model reads, made of what the batch brings and of what is resident. */
  read(inputs: NamedTensors): Tensor;
  /** What stays with the engine. */
  resident?(told?: Told): Promise<Record<string, ResidentArray>>;
}

type ImageSettings = Pick<TrainingSettings, 'batchSize' | 'seed' | 'jitter'>;
const integers = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });

/**
 * Normalized images [B, size, size, 3], mirrored and jittered as the settings say. A data set that keeps its images packed and fits into `residentBytes` lies in the
 * engine's memory, and a batch says which images it wants; else a batch brings them: normalized, or as bytes where the step has to jitter them.
 */
export function imageSource(dataset: DetectionDataset, settings: ImageSettings, residentBytes: number): BatchSource {
  const { size } = dataset, { batchSize, jitter } = settings;
  if (dataset.packed && dataset.length * wordsOf(size) * 4 <= residentBytes) return jittered(residentImages(dataset as PackedDataset, batchSize), settings);
  if (jitter) return jittered(imagesAsBytes(size, batchSize), settings);
  return { inputs: { images: { shape: [batchSize, size, size, 3], dtype: 'float32' } }, needsImages: true, bring: ({ images }) => ({ images: normalizedPixels(images) }), read: ({ images }) => images };
}

type PackedDataset = DetectionDataset & Required<Pick<DetectionDataset, 'packed'>>;

function residentImages({ size, packed }: PackedDataset, batchSize: number): BatchSource {
  return {
    inputs: { indices: integers(batchSize), mirrored: integers(batchSize) },
    needsImages: false,
    bring: ({ indices, mirrored }) => ({ indices, mirrored: Int32Array.from(mirrored) }),
    read: ({ packedImages: words, indices, mirrored }) => gatheredImages(words, indices, mirrored, size),
    resident: async (told) => {
      const data = await packed(told);
      return { packedImages: { ...integers(data.length / wordsOf(size), wordsOf(size)), data } };
    },
  };
}

const imagesAsBytes = (size: number, batchSize: number): BatchSource => ({
  inputs: { bytes: integers(batchSize, wordsOf(size)) }, needsImages: true, bring: ({ images }) => ({ bytes: packedImages(images, size) }), read: ({ bytes }) => unpackedImages(bytes, size),
});

/** Normalized images of a source of pixels 0..255, jittered before where the settings say so. */
function jittered(source: BatchSource, { batchSize, seed, jitter }: ImageSettings): BatchSource {
  if (!jitter) return { ...source, read: (inputs) => normalizedImages(source.read(inputs)) };
  return {
    ...source,
    inputs: { ...source.inputs, jitter: { shape: [batchSize, 3], dtype: 'float32' } },
    bring: (batch, step) => ({ ...source.bring(batch, step), jitter: jitterFactors(jitter, { batchSize, seed, step }) }),
    read: (inputs) => normalizedImages(colourJitter(source.read(inputs), inputs.jitter)),
  };
}

/**
 * Features [B, h, w, channels] of a cache. One that fits into `residentBytes` lies in the engine's memory, and a batch says which features it wants; else a
 * batch brings them.
 * @param name of what the batch brings
 */
export function featureSource(name: string, { shape, all, batch }: FeatureCache, batchSize: number, residentBytes: number): BatchSource {
  if (all.byteLength > residentBytes) {
    return { inputs: { [name]: { shape: [batchSize, ...shape], dtype: 'float32' } }, needsImages: false, bring: ({ indices, mirrored }) => ({ [name]: batch(indices, mirrored) }), read: (inputs) => inputs[name] };
  }
  return rowSource(name, shape, batchSize, () => Promise.resolve(all));
}

/**
 * Rows [B, ...shape] of an array that lies in the engine's memory; a batch says which ones it wants.
 * @param all gives the array [2 N, ...shape]: the row of image i and, behind it, that of its mirror image
 */
export function rowSource(name: string, shape: readonly number[], batchSize: number, all: (told?: Told) => Promise<Float32Array>): BatchSource {
  const resident = `all/${name}`;
  return {
    inputs: { rows: integers(batchSize) },
    needsImages: false,
    bring: ({ indices, mirrored }) => ({ rows: indices.map((index, i) => 2 * index + mirrored[i]) }),
    read: (inputs) => tf.gather(inputs[resident], inputs.rows),
    resident: async (told) => {
      const data = await all(told);
      return { [resident]: { shape: [data.length / sizeOf(shape), ...shape], dtype: 'float32', data } };
    },
  };
}
