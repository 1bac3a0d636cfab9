import { batchAt, OBJECTS_PER_IMAGE, stepsPerEpoch } from '../data/batches.js';
import type { DetectionDataset } from '../data/dataset.js';
import { detectionLoss } from '../detection/detection-loss.js';
import { detector } from '../models/detector.js';
import type { Quantization } from '../models/forward.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { DetectorSettings } from '../models/settings.js';
import type { TensorSpec } from '../tensor/graph.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { Metrics } from './metrics-log.js';
import type { ParameterValues } from '../tensor/parameters.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './train.js';
import type { ObjectiveFunction } from './training-step.js';

/** What a detector is trained on and with. */
export interface DetectionTaskOptions {
  model: DetectorSettings;
  quantization: Quantization;
  dataset: DetectionDataset;
  settings: TrainingSettings;
  /** Batch normalization by the statistics of the batch; else by the running averages, which then stay as they are. */
  batchStatistics: boolean;
  start(): ParameterValues | Promise<ParameterValues>;
  evaluate?(parameters: ParameterValues, step: number): Promise<Metrics[]>;
  dispose?(): Promise<void>;
}

/** L_GT of Eq. 2.38 for a batch of normalized images, labels and boxes; the log shows the last decoder layer's terms. */
export function detectionObjective(model: DetectorSettings, quantization: Quantization, batchStatistics: boolean): ObjectiveFunction {
  return (parameters, { images, labels, boxes }) => {
    const output = detector(parameters, images, model, quantization, { batchStatistics });
    const loss = detectionLoss(model.family, output.logits, output.boxes, { labels, boxes });
    const last = (t: Tensor): Tensor => tf.reshape(tf.slice(t, [t.shape[0] - 1], [1]), []);
    return { loss: loss.total, logged: { classification: last(loss.classification), l1: last(loss.l1), giou: last(loss.giou) }, buffers: output.statistics };
  };
}

/** Shapes and types of a batch: normalized images [B, H, W, 3], labels [B, G], boxes [B, G, 4]. */
export const detectionInputs = ({ imageSize }: DetectorSettings, batchSize: number): Record<'images' | 'labels' | 'boxes', TensorSpec> => ({
  images: { shape: [batchSize, imageSize, imageSize, 3], dtype: 'float32' },
  labels: { shape: [batchSize, OBJECTS_PER_IMAGE], dtype: 'int32' },
  boxes: { shape: [batchSize, OBJECTS_PER_IMAGE, 4], dtype: 'float32' },
});

/** Training of a detector on a data set: mirrored at random, objects padded to 6 an image. */
export function detectionTask({ model, quantization, dataset, settings, batchStatistics, start, evaluate, dispose }: DetectionTaskOptions): TrainingTask {
  const { batchSize, seed } = settings;
  return {
    start,
    evaluate,
    dispose,
    objective: detectionObjective(model, quantization, batchStatistics),
    inputs: detectionInputs(model, batchSize),
    batch: (step) => {
      const { images, labels, boxes } = batchAt(dataset, { batchSize, seed, flip: true, step });
      return { images: normalizedPixels(images), labels, boxes };
    },
    stepsPerEpoch: stepsPerEpoch(dataset.length, batchSize),
  };
}
