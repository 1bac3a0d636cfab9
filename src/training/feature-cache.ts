import type { DetectionDataset } from '../data/dataset.js';
import { flipSample } from '../data/batches.js';
import { backboneFeatures } from '../models/detector.js';
import { realValued } from '../models/forward.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { DetectorSettings } from '../models/settings.js';
import { compileStep } from '../tensor/compile-step.js';
import { sizeOf, type ParameterValues } from '../tensor/parameters.js';
import { trace } from '../tensor/trace.js';

/** Images whose features are computed at a time. */
const BATCH = 32;

/** The last feature map of a real-valued backbone that stays as it is, for every image of a data set and its mirror image. */
export interface FeatureCache {
  /** [h, w, channels] of one image. */
  readonly shape: readonly [number, number, number];
  /** Of the whole data set [2 N, h, w, channels]: those of image i and, behind them, those of its mirror image. */
  readonly all: Float32Array;
  /**
   * Features of some images, one behind the other.
   * @param indices which images [B]
   * @param mirrored 1 where the mirror image is meant [B]
   * @returns [B, h, w, channels]
   */
  batch(indices: ArrayLike<number>, mirrored: ArrayLike<number>): Float32Array;
}

/** Shape [h, w, channels] of a backbone's features of one image. */
export function featureShape(model: DetectorSettings, parameters: ParameterValues): [number, number, number] {
  const specs = Object.fromEntries(backboneNames(parameters).map((name) => [name, { shape: parameters[name].shape, dtype: 'float32' as const }]));
  const images = { shape: [1, model.imageSize, model.imageSize, 3], dtype: 'float32' as const };
  const { outputs } = trace(({ images: x, ...state }) => ({ features: backboneFeatures(state, x, model) }), { ...specs, images });
  return outputs.get('features')!.shape.slice(1) as [number, number, number];
}

const backboneNames = (parameters: ParameterValues): string[] => Object.keys(parameters).filter((name) => name.startsWith('backbone.') && !/_quantizer\./.test(name));

/**
 * Computes the features of a data set, once: 2 h w channels numbers of 4 bytes for an image. Batch normalization by the running averages.
 * @param parameters at least those of the backbone
 * @param told hears how many images are done
 */
export async function computeFeatures(model: DetectorSettings, parameters: ParameterValues, dataset: DetectionDataset, { threads, told }: { threads?: number; told?: (done: number) => void } = {}): Promise<FeatureCache> {
  const shape = featureShape(model, parameters), size = sizeOf(shape), pixels = dataset.size * dataset.size * 3;
  const state = Object.fromEntries(backboneNames(parameters).map((name) => [name, parameters[name]]));
  const step = await compileStep((values, { images }) => ({ outputs: { features: backboneFeatures(values, images, model, realValued) } }), {
    state, inputs: { images: { shape: [BATCH, dataset.size, dataset.size, 3], dtype: 'float32' } }, threads,
  });
  const all = new Float32Array(2 * dataset.length * size), images = new Float32Array(BATCH * pixels);
  try {
    for (let start = 0; start < 2 * dataset.length; start += BATCH) {
      const here = Math.min(BATCH, 2 * dataset.length - start);
      for (let i = 0; i < here; i++) {
        const sample = dataset.sample((start + i) >> 1);
        normalizedPixels(((start + i) % 2 === 0 ? sample : flipSample(sample, dataset.size)).image, images.subarray(i * pixels, (i + 1) * pixels));
      }
      const { features } = await step.run({ images });
      all.set((features as Float32Array).subarray(0, here * size), start * size);
      told?.((start + here) >> 1);
    }
  } finally {
    await step.dispose();
  }
  return {
    shape, all,
    batch: (indices, mirrored) => {
      const out = new Float32Array(indices.length * size);
      for (let i = 0; i < indices.length; i++) {
        const at = (2 * indices[i] + mirrored[i]) * size;
        out.set(all.subarray(at, at + size), i * size);
      }
      return out;
    },
  };
}
