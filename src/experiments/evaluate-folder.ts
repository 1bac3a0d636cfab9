import { NO_CLASS } from '../data/image-annotations.js';
import { canvasGrid } from '../data/canvas.js';
import type { CocoAnnotations } from '../data/coco-annotations.js';
import type { ImageDataset } from '../data/image-dataset.js';
import { evaluationBatches } from '../data/padded-batches.js';
import { DETR_EVALUATION, scaledTransforms } from '../data/transforms.js';
import { evaluateDetections, type CocoSummary } from '../detection/coco-average-precision.js';
import type { Detections } from '../detection/detections.js';
import { UserError } from '../errors.js';
import { createImageEvaluator, evaluatedTruth } from '../training/evaluate-images.js';
import type { BrokenChoice } from './image-data.js';
import type { PredictionModel } from './prediction-model.js';

/** How a detector is evaluated on a folder. */
export interface FolderEvaluation {
  detector: Pick<PredictionModel, 'settings' | 'parameters' | 'quantization' | 'origin' | 'classes'>;
  dataset: ImageDataset;
  /** Images from the first one; all where it is left out. */
  images?: number;
  /** Images at once. */
  batchSize?: number;
  canvasSides?: number;
  workers?: number;
  broken?: BrokenChoice;
  told?(done: number, total: number): void;
}

/**
 * Detects on the images of a folder and computes COCO's numbers: images are resized as DETR's test images are (shorter side 800, longer one at most 1333; for models of
 * smaller images in proportion), in padded batches.
 * @throws UserError when the detector's classes are not the data set's
 */
export async function evaluateFolder({ detector, dataset, images, batchSize = 1, canvasSides = 3, workers, broken = {}, told }: FolderEvaluation): Promise<{ summary: CocoSummary; detections: Detections; truth: CocoAnnotations }> {
  const { settings, parameters, quantization, origin } = detector;
  if (settings.classes < dataset.classes.length) throw new UserError(`${origin} detects ${settings.classes} classes, and ${dataset.name} has ${dataset.classes.length}: give a detector of the same classes`);
  const other = dataset.classes.findIndex((name, label) => name !== NO_CLASS && !/^class \d+$/.test(detector.classes[label]) && detector.classes[label] !== name);
  if (other >= 0) throw new UserError(`${origin} calls class ${other} '${detector.classes[other]}', and ${dataset.name} '${dataset.classes[other]}': give a detector of the same classes`);
  const transforms = scaledTransforms(DETR_EVALUATION, settings.imageSize / DETR_EVALUATION.sizes[0]);
  const batches = evaluationBatches({ dataset, batchSize, transforms, canvases: canvasGrid(transforms, canvasSides), count: images, workers, ...broken });
  const evaluator = createImageEvaluator(settings, quantization);
  try {
    const detections = await evaluator.detect(parameters, dataset, batches, told), truth = evaluatedTruth(dataset, detections, images);
    return { summary: evaluateDetections(truth, detections), detections, truth };
  } finally {
    await Promise.all([batches.close(), evaluator.dispose()]);
  }
}
