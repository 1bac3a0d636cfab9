import type { PaddedBatch } from '../data/image-dataset.js';
import { packedImages, unpackedImages } from '../data/packed-images.js';
import { lambdaFactor } from '../distillation/settings.js';
import { checkTeacher } from '../distillation/teacher.js';
import { normalizedPaddedImages } from '../models/normalize-images.js';
import type { NamedTensors } from '../tensor/compile-step.js';
import type { TensorSpec } from '../tensor/graph.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { MicroBatch } from './accumulated-training.js';
import { detectionObjective, type DetectionTaskOptions } from './detection-task.js';
import type { ShapedTrainingTask } from './train.js';

/** Where padded batches come from: number n is the same whenever it is asked for. */
export interface PaddedBatches {
  batch(n: number): Promise<PaddedBatch>;
}

/** What a detector is trained on and with, on images of any size. */
export interface ImageDetectionTaskOptions extends Pick<DetectionTaskOptions, 'model' | 'quantization' | 'distillation' | 'start' | 'evaluate' | 'dispose'> {
  batches: PaddedBatches;
  /** A: batches that make one step. */
  accumulated: number;
  /** Steps in an epoch. */
  stepsPerEpoch: number;
  /** Which parameters stay as they are; DETR's: `isFrozenInDetr`. */
  isFrozen(name: string): boolean;
}

/** Arrays of a padded batch, for the engine. The shape of the words tells the canvas: [B, H, 3 W / 4]. */
const specsOf = ({ height, width, counts, labels }: PaddedBatch): Record<'words' | 'imageSizes' | 'labels' | 'boxes' | 'boxCount', TensorSpec> => {
  const batch = counts.length, objects = labels.length / batch;
  return {
    words: { shape: [batch, height, (width * 3) / 4], dtype: 'int32' }, imageSizes: { shape: [batch, 2], dtype: 'int32' },
    labels: { shape: [batch, objects], dtype: 'int32' }, boxes: { shape: [batch, objects, 4], dtype: 'float32' }, boxCount: { shape: [], dtype: 'float32' },
  };
};

/** Normalized images [B, H, W, 3] of the words of a padded batch, 0 where there is padding. */
export function imagesOfWords(words: Tensor, imageSizes: Tensor): Tensor {
  const [batch, height, rowWords] = words.shape as [number, number, number];
  return normalizedPaddedImages(unpackedImages(tf.reshape(words, [batch, height * rowWords]), height, (rowWords * 4) / 3), imageSizes);
}

/**
 * The parts of a step: losses are divided by the boxes of all of them, so that their mean is the loss of one batch of all their images (L_DRD of Eq. 2.37 is the mean
 * over each part's kept queries, and so the mean of these).
 * @throws when a canvas is not a multiple of 4 pixels wide: its rows are no whole words
 */
export function partsOfStep(batches: readonly PaddedBatch[], extra: Record<string, { spec: TensorSpec; values: Float32Array }> = {}): MicroBatch[] {
  const boxes = batches.reduce((sum, { counts }) => counts.reduce((a, b) => a + b, sum), 0), boxCount = Float32Array.of(Math.max(boxes, 1) / batches.length);
  return batches.map((batch) => {
    const { height, width, pixels, sizes, labels, boxes: corners } = batch;
    if (width % 4 !== 0) throw new Error(`a canvas is ${width} pixels wide: take a multiple of 4`);
    return {
      inputs: { ...specsOf(batch), ...Object.fromEntries(Object.entries(extra).map(([name, { spec }]) => [name, spec])) },
      values: { words: packedImages(pixels, height, width), imageSizes: sizes, labels, boxes: corners, boxCount, ...Object.fromEntries(Object.entries(extra).map(([name, { values }]) => [name, values])) },
    };
  });
}

/**
 * Training of a detector on images of any size in padded batches, as DETR is trained: batch normalization by the running averages, which stay as they are.
 * @throws UserError when the teacher does not fit the student
 */
export function imageDetectionTask({ model, quantization, batches, accumulated, distillation, stepsPerEpoch, isFrozen, start, evaluate, dispose }: ImageDetectionTaskOptions): ShapedTrainingTask {
  if (distillation) checkTeacher(model, distillation.teacher.model, distillation.settings);
  const objective = detectionObjective(model, quantization, { batchStatistics: false, distillation });
  const ofStep = (step: number): Promise<PaddedBatch>[] => Array.from({ length: accumulated }, (_, k) => batches.batch(step * accumulated + k));
  return {
    start, evaluate, dispose, isFrozen, stepsPerEpoch,
    objective: (parameters, inputs: NamedTensors) => objective(parameters, { ...inputs, images: imagesOfWords(inputs.words, inputs.imageSizes) }),
    microBatches: async (step) => partsOfStep(await Promise.all(ofStep(step)), distillation ? { lambdaFactor: { spec: { shape: [], dtype: 'float32' }, values: Float32Array.of(lambdaFactor(step, distillation.settings)) } } : {}),
  };
}
