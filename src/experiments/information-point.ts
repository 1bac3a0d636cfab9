import type { DetectionDataset } from '../data/dataset.js';
import { imageTargets } from '../information/memory.js';
import { RECONSTRUCTION_SETTINGS, reconstructionInformation, type MemoryAndImages } from '../information/reconstruction.js';
import { detector } from '../models/detector.js';
import type { Quantization } from '../models/forward.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { DetectorSettings } from '../models/settings.js';
import { compileStep } from '../tensor/compile-step.js';
import { type ParameterValues } from '../tensor/parameters.js';

/** Images at a time. */
const BATCH = 32;

/** Images that the reconstruction decoder is trained and judged on. */
const IMAGES = 400;
/** Side of the images that it draws, pixels: twice the memory's resolution at scale `minutes`, where the memory holds no finer detail. */
const TARGET_SIZE = 16;

/** The encoder's output on the first `count` images of a data set, and these images at 16 pixels, for the estimators of I(X; E). */
export async function encodeImages(parameters: ParameterValues, model: DetectorSettings, quantization: Quantization, dataset: DetectionDataset, count = IMAGES, threads?: number): Promise<MemoryAndImages> {
  const { imageSize } = model, pixels = imageSize * imageSize * 3;
  const step = await compileStep((state, { images }) => ({ outputs: { memory: detector(state, images, model, quantization).memory } }), {
    state: parameters, inputs: { images: { shape: [BATCH, imageSize, imageSize, 3], dtype: 'float32' } }, threads,
  });
  const n = Math.min(count, dataset.length);
  const encoded = { memory: new Float32Array(0), side: 0 }, allPixels = new Uint8Array(n * pixels);
  try {
    const batch = new Float32Array(BATCH * pixels);
    for (let start = 0; start < n; start += BATCH) {
      const here = Math.min(BATCH, n - start);
      for (let i = 0; i < here; i++) {
        const { image } = dataset.sample(start + i);
        normalizedPixels(image, batch.subarray(i * pixels, (i + 1) * pixels));
        allPixels.set(image, (start + i) * pixels);
      }
      const { memory } = await step.run({ images: batch });
      const size = memory.length / BATCH;
      if (start === 0) Object.assign(encoded, { memory: new Float32Array(n * size), side: Math.sqrt(size / model.modelWidth) });
      encoded.memory.set((memory as Float32Array).subarray(0, here * size), start * size);
    }
  } finally {
    await step.dispose();
  }
  const targetSize = Math.max(TARGET_SIZE, encoded.side);
  return { ...encoded, images: imageTargets(allPixels, imageSize, targetSize), channels: model.modelWidth, imageSize: targetSize };
}

/** Seed of every estimate: the decoders of all models get the same split, start and order (decision A26). */
const ESTIMATE_SEED = 0;

/**
 * A point of Fig. 2.12(b): I(X; E) by reconstruction from the memory of validation images, and AP50 as I(y; E, q).
 * @param ap50 on the test split, as a fraction
 */
export async function informationPoint(parameters: ParameterValues, model: DetectorSettings, quantization: Quantization, { val }: { val: DetectionDataset }, ap50: number): Promise<{ informationX: number; informationY: number }> {
  const encoded = await encodeImages(parameters, model, quantization, val);
  const settings = { ...RECONSTRUCTION_SETTINGS, batchSize: Math.min(RECONSTRUCTION_SETTINGS.batchSize, Math.floor(val.length / 2)) }; // the smoke scale has few images
  const { informationX } = await reconstructionInformation({ ...encoded, settings, seed: ESTIMATE_SEED });
  return { informationX, informationY: ap50 };
}
