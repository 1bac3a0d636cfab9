import { classifier } from '../models/classifier.js';
import { initialClassifierParameters } from '../models/initial-parameters.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { BackboneSettings } from '../models/settings.js';
import { realValued } from '../models/forward.js';
import { RandomStream } from '../tensor/random.js';
import { tf, type Tensor } from '../tensor/tf.js';
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

/**
 * Pre-training of a backbone as a classifier of single sprites (the paper: ImageNet). Step n sees sprites n B to (n + 1) B - 1,
 * each composed once.
 */
export function classificationTask(backbone: BackboneSettings, source: SpriteSource, settings: TrainingSettings): TrainingTask {
  const { batchSize, seed } = settings, { size } = source, classes = source.classes.length;
  return {
    start: () => initialClassifierParameters(backbone, classes, new RandomStream(seed, INITIAL)),
    objective: (parameters, { images, labels }) => {
      const { logits, statistics } = classifier(parameters, images, backbone, realValued, { batchStatistics: true });
      return { loss: crossEntropy(logits, labels), logged: {}, buffers: statistics };
    },
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
