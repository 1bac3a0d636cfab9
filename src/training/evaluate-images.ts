import type { CocoAnnotations } from '../data/coco-annotations.js';
import { imageAnnotations, imageNumber } from '../data/image-annotations.js';
import type { ImageDataset } from '../data/image-dataset.js';
import type { EvaluationBatch, PaddedBatches } from '../data/padded-batches.js';
import { packedImages } from '../data/packed-images.js';
import { evaluateDetections, type CocoSummary } from '../detection/coco-average-precision.js';
import { concatDetections, type Detections } from '../detection/detections.js';
import { outputsToDetections, postProcessing } from '../detection/post-processing.js';
import { detector } from '../models/detector.js';
import { lastLayer } from '../models/detector-output.js';
import type { Quantization } from '../models/forward.js';
import type { DetectorSettings } from '../models/settings.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { openStepFamily, type FamilyStep, type StepFamily } from '../tensor/step-family.js';
import { imagesOfWords } from './image-detection-task.js';

/** A detector in evaluation mode on images of any size, compiled once for each canvas, run with whatever parameters it is given. */
export interface ImageEvaluator {
  /** Detections on all images of the batches, in the pixels of their files. @param told hears how many batches of how many are done */
  detect(parameters: ParameterValues, dataset: ImageDataset, batches: PaddedBatches<EvaluationBatch>, told?: (done: number, total: number) => void): Promise<Detections>;
  /** COCO's numbers on them. @param images how many the batches hold, from the first one; default all of the data set */
  evaluate(parameters: ParameterValues, dataset: ImageDataset, batches: PaddedBatches<EvaluationBatch>, options?: { images?: number; told?: (done: number, total: number) => void }): Promise<CocoSummary>;
  dispose(): Promise<void>;
}

/** Makes an evaluator: last decoder layer, running averages in batch normalization, padding masked. */
export function createImageEvaluator(settings: DetectorSettings, quantization: Quantization, threads?: number): ImageEvaluator {
  const postProcess = postProcessing(settings.family), { queries } = settings;
  let family: StepFamily | undefined;
  const steps = new Map<string, FamilyStep>();
  const stepFor = async ({ height, width, counts }: EvaluationBatch): Promise<FamilyStep> => {
    const shape = [counts.length, height, (width * 3) / 4], key = shape.join();
    let step = steps.get(key);
    if (!step) {
      step = await family!.compile(
        (state, { words, imageSizes }) => {
          const { logits, boxes } = detector(state, imagesOfWords(words, imageSizes), settings, quantization, { imageSizes });
          return { outputs: { logits: lastLayer(logits), boxes: lastLayer(boxes) } };
        },
        { inputs: { words: { shape, dtype: 'int32' }, imageSizes: { shape: [counts.length, 2], dtype: 'int32' } } },
      );
      steps.set(key, step);
    }
    return step;
  };
  const detect: ImageEvaluator['detect'] = async (parameters, dataset, batches, told) => {
    if (!family) family = await openStepFamily({ state: parameters, threads });
    else if (steps.size > 0) family.writeState(parameters);
    const parts: Detections[] = [], categories = dataset.classes.map((_, label) => label);
    for (let n = 0; n < batches.length; n++) {
      const batch = await batches.batch(n), { height, width, pixels, sizes, indices, originalSizes } = batch;
      const { logits, boxes } = await (await stepFor(batch)).run({ words: packedImages(pixels, height, width), imageSizes: sizes });
      const count = indices.length, scores = logits.length / count;
      const present = [...indices.keys()].filter((i) => indices[i] >= 0);
      const rows = (values: ArrayLike<number>, length: number): Float32Array => Float32Array.from(present.flatMap((i) => Array.from({ length }, (_, k) => values[i * length + k])));
      const processed = postProcess(rows(logits, scores), rows(boxes, queries * 4), queries, present.map((i) => ({ height: originalSizes[2 * i], width: originalSizes[2 * i + 1] })));
      if (present.length > 0) parts.push(outputsToDetections(processed, present.map((i) => imageNumber(dataset, indices[i])), categories));
      told?.(n + 1, batches.length);
    }
    return concatDetections(parts);
  };
  return {
    detect,
    evaluate: async (parameters, dataset, batches, { images, told } = {}) => {
      const detections = await detect(parameters, dataset, batches, told);
      return evaluateDetections(evaluatedTruth(dataset, detections, images), detections);
    },
    dispose: async () => family?.dispose(),
  };
}

/**
 * The ground truth of the images that were detected on: objects of an image that is broken and left out are not counted as missed.
 * @param images how many were to be detected on, from the first one; default all of the data set
 */
export function evaluatedTruth(dataset: ImageDataset, { imageIds }: Detections, images?: number): CocoAnnotations {
  const truth = imageAnnotations(dataset, images), seen = new Set(imageIds); // every image has as many detections as queries
  return { ...truth, images: truth.images.filter(({ id }) => seen.has(id)), annotations: truth.annotations.filter(({ image_id: id }) => seen.has(id)) };
}
