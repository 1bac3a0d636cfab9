import { batchAt, OBJECTS_PER_IMAGE, stepsPerEpoch } from '../data/batches.js';
import type { DetectionDataset } from '../data/dataset.js';
import { classifier } from '../models/classifier.js';
import { initialClassifierParameters } from '../models/initial-parameters.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { BackboneSettings } from '../models/settings.js';
import { realValued } from '../models/forward.js';
import { RandomStream } from '../tensor/random.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { imageSource } from './batch-source.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './train.js';

/** Single sprites with labels, the stand-in for ImageNet. */
export interface SpriteSource {
  readonly length: number;
  readonly size: number;
  readonly classes: readonly string[];
  sprites(index: number): { image: Uint8Array; label: number };
}

/** Stream of the initial weights. */
const INITIAL = 1;

/** Mean cross-entropy of logits [B, K] and labels int32 [B], a scalar. */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  const classes = tf.tensor1d(Int32Array.from({ length: logits.shape[1]! }, (_, i) => i), 'int32'), wanted = tf.cast(tf.equal(tf.expandDims(labels, -1), classes), 'float32');
  return tf.neg(tf.mean(tf.sum(tf.mul(wanted, tf.logSoftmax(logits)), -1)));
}

/** What both kinds of pre-training have in common. */
function classifierTraining(backbone: BackboneSettings, classes: number, { seed }: TrainingSettings): Pick<TrainingTask, 'start' | 'objective'> {
  return {
    start: () => initialClassifierParameters(backbone, classes, new RandomStream(seed, INITIAL)),
    objective: (parameters, { images, labels }) => {
      const { logits, statistics } = classifier(parameters, images, backbone, realValued, { batchStatistics: true });
      return { loss: crossEntropy(logits, labels), logged: {}, buffers: statistics };
    },
  };
}

/**
 * Pre-training of a backbone as a classifier of single sprites (the paper: ImageNet). Step n sees sprites n B to (n + 1) B - 1,
 * each composed once.
 */
export function classificationTask(backbone: BackboneSettings, source: SpriteSource, settings: TrainingSettings): TrainingTask {
  const { batchSize } = settings, { size } = source;
  return {
    ...classifierTraining(backbone, source.classes.length, settings),
    inputs: { images: { shape: [batchSize, size, size, 3], dtype: 'float32' }, labels: { shape: [batchSize], dtype: 'int32' } },
    batch: (step) => {
      const images = new Float32Array(batchSize * size * size * 3), labels = new Int32Array(batchSize);
      for (let i = 0; i < batchSize; i++) {
        const { image, label } = source.sprites(step * batchSize + i);
        normalizedPixels(image, images.subarray(i * size * size * 3, (i + 1) * size * size * 3));
        labels[i] = label;
      }
      return { images, labels };
    },
    stepsPerEpoch: Math.max(1, Math.floor(source.length / batchSize)),
  };
}

/**
 * Pre-training of a backbone as a classifier of a pool of images, one object each: every epoch goes through them in a new order, each mirrored at random. The batches
 * are the same whether the pool stays with the engine or not; for less than an epoch it doesn't: each image would be composed first.
 * @param residentBytes of the largest array that may stay with the engine; 0: every batch brings its images
 */
export function pooledClassificationTask(backbone: BackboneSettings, pool: DetectionDataset, settings: TrainingSettings, residentBytes: number): TrainingTask {
  const { batchSize, seed, steps } = settings;
  const images = imageSource(pool, settings, steps * batchSize < pool.length ? 0 : residentBytes), { objective, ...others } = classifierTraining(backbone, pool.classes.length, settings);
  return {
    ...others,
    objective: (parameters, inputs) => objective(parameters, { ...inputs, images: images.read(inputs) }),
    inputs: { ...images.inputs, labels: { shape: [batchSize], dtype: 'int32' } },
    batch: (step) => {
      const batch = batchAt(pool, { batchSize, seed, flip: true, step, withImages: images.needsImages });
      return { ...images.bring(batch, step), labels: batch.labels.filter((_, i) => i % OBJECTS_PER_IMAGE === 0) };
    },
    resident: async (told) => (await images.resident?.(told)) ?? {},
    stepsPerEpoch: stepsPerEpoch(pool.length, batchSize),
  };
}
