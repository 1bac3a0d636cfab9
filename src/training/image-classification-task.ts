import type { ClassificationBatches, ClassifiedBatch } from '../data/classification-batches.js';
import { packedImages, unpackedImages, wordsOf } from '../data/packed-images.js';
import { classifier } from '../models/classifier.js';
import type { Quantization } from '../models/forward.js';
import { normalizedImages } from '../models/normalize-images.js';
import type { BackboneSettings } from '../models/settings.js';
import { compileStep, type CompiledStep } from '../tensor/compile-step.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { MicroBatch } from './accumulated-training.js';
import { crossEntropy } from './classification-task.js';
import type { ShapedTrainingTask } from './train.js';

/** How a backbone is trained as a classifier of images. */
export interface ImageClassificationTaskOptions extends Pick<ShapedTrainingTask, 'start' | 'evaluate' | 'dispose' | 'isFrozen' | 'stepsPerEpoch'> {
  backbone: BackboneSettings;
  quantization: Quantization;
  batches: ClassificationBatches;
  /** Batches that make one step. */
  accumulated: number;
  /** Side of the images. */
  side: number;
}

const imagesOf = (words: Tensor, side: number): Tensor => normalizedImages(unpackedImages(words, side));

/**
 * Training of a backbone, real-valued or quantized, as a classifier: cross-entropy, batch normalization by the statistics of each micro-batch. The log has the
 * share of images whose likeliest class is right (`accuracy`).
 */
export function imageClassificationTask({ backbone, quantization, batches, accumulated, side, ...task }: ImageClassificationTaskOptions): ShapedTrainingTask {
  const part = ({ pixels, labels }: ClassifiedBatch): MicroBatch => ({
    inputs: { words: { shape: [labels.length, wordsOf(side)], dtype: 'int32' }, labels: { shape: [labels.length], dtype: 'int32' } }, values: { words: packedImages(pixels, side), labels },
  });
  return {
    ...task,
    objective: (parameters, { words, labels }) => {
      const { logits, statistics } = classifier(parameters, imagesOf(words, side), backbone, quantization, { batchStatistics: true });
      return { loss: crossEntropy(logits, labels), logged: { accuracy: tf.mean(tf.cast(tf.equal(tf.argMax(logits, -1), labels), 'float32')) }, buffers: statistics };
    },
    microBatches: async (step) => (await Promise.all(Array.from({ length: accumulated }, (_, k) => batches.batch(step * accumulated + k)))).map(part),
  };
}

/** A classifier in evaluation mode: running averages in batch normalization. */
export interface ClassifierEvaluator {
  /** Shares of images whose class is the likeliest, and among the five likeliest. */
  evaluate(parameters: ParameterValues, batches: ClassificationBatches): Promise<{ top1: number; top5: number }>;
  dispose(): Promise<void>;
}

/** Compiles the forward pass of a classifier for batches of one size. */
export function createClassifierEvaluator(backbone: BackboneSettings, quantization: Quantization, side: number, threads?: number): ClassifierEvaluator {
  let compiled: Promise<CompiledStep> | undefined;
  return {
    evaluate: async (parameters, batches) => {
      let top1 = 0, top5 = 0, images = 0;
      const isNew = !compiled;
      for (let n = 0; n < batches.length; n++) {
        const { pixels, labels } = await batches.batch(n);
        const step = await (compiled ??= compileStep((state, { words }) => ({ outputs: { logits: classifier(state, imagesOf(words, side), backbone, quantization).logits } }), {
          state: parameters, inputs: { words: { shape: [labels.length, wordsOf(side)], dtype: 'int32' } }, threads,
        }));
        if (n === 0 && !isNew) step.writeState(parameters);
        const logits = (await step.run({ words: packedImages(pixels, side) })).logits as Float32Array, classes = logits.length / labels.length;
        for (const [i, label] of labels.entries()) {
          if (label < 0) continue;
          const row = logits.subarray(i * classes, (i + 1) * classes), better = row.reduce((count: number, value: number) => count + Number(value > row[label]), 0);
          images++;
          top1 += Number(better < 1);
          top5 += Number(better < 5);
        }
      }
      return { top1: top1 / Math.max(1, images), top5: top5 / Math.max(1, images) };
    },
    dispose: async () => (await compiled)?.dispose(),
  };
}
