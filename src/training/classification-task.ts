import { classifier } from '../models/classifier.js';
import { initialClassifierParameters } from '../models/initial-parameters.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { BackboneSettings } from '../models/settings.js';
import { realValued } from '../models/forward.js';
import { RandomStream } from '../tensor/random.js';
import { tf } from '../tensor/tf.js';
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
      const wanted = tf.cast(tf.equal(tf.expandDims(labels, -1), tf.tensor1d(Int32Array.from({ length: classes }, (_, i) => i), 'int32')), 'float32');
      const loss = tf.neg(tf.mean(tf.sum(tf.mul(wanted, tf.logSoftmax(logits)), -1)));
      return { loss, logged: {}, buffers: statistics };
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
