import { UserError } from '../errors.js';
import { batchAt, OBJECTS_PER_IMAGE, stepsPerEpoch } from '../data/batches.js';
import type { DetectionDataset } from '../data/dataset.js';
import { detectionLoss, detectionMatcher } from '../detection/detection-loss.js';
import type { SetLoss } from '../detection/set-criterion.js';
import { imitationLoss, type Distillation as DistillationTerm } from '../distillation/distill.js';
import { lambdaFactor, type DistillationSettings } from '../distillation/settings.js';
import { taughtBy, type Taught } from '../distillation/taught.js';
import { checkTeacher } from '../distillation/teacher.js';
import { detector, detectorFromFeatures, type DetectorOutput } from '../models/detector.js';
import { realValued, type ForwardOptions, type Quantization } from '../models/forward.js';
import type { DetectorSettings } from '../models/settings.js';
import type { ResidentArray } from '../tensor/compile-step.js';
import type { TensorSpec } from '../tensor/graph.js';
import { sizeOf, toTensors, type ParameterValues, type Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { featureSource, imageSource, rowSource, type BatchSource } from './batch-source.js';
import type { FeatureCache } from './feature-cache.js';
import type { Metrics } from './metrics-log.js';
import type { TrainingSettings } from './settings.js';
import { taughtIn, type TeacherOutputs } from './teacher-outputs.js';
import type { TrainingTask } from './train.js';
import type { ObjectiveFunction } from './training-step.js';

/** A teacher (real-valued, in evaluation mode, never trained: decision A25) and how a student imitates it. */
export interface Distillation {
  settings: DistillationSettings;
  teacher: {
    model: DetectorSettings;
    parameters: ParameterValues;
    /** Where the student reads features: those of the teacher's backbone; the student's own where it is left out. */
    features?: FeatureCache;
    /** Its outputs on the data set of these settings: with them it runs once for each image and not in every step, where images and outputs fit to stay with the engine. */
    outputs?: TeacherOutputs;
  };
}

/** What a detector is trained on and with. */
export interface DetectionTaskOptions {
  model: DetectorSettings;
  quantization: Quantization;
  dataset: DetectionDataset;
  settings: TrainingSettings;
  /** Batch normalization by the statistics of the batch; else by the running averages, which then stay as they are. */
  batchStatistics: boolean;
  /** Features of the backbone, which then is neither run nor trained. */
  features?: FeatureCache;
  /** Bytes of the largest array that may stay with the engine (`residentBytes` of it): images or features that fit are handed over once. Default 0: every batch brings its own. */
  residentBytes?: number;
  /** Second term of Eq. 2.38; L_GT alone where it is left out. */
  distillation?: Distillation;
  start(): ParameterValues | Promise<ParameterValues>;
  evaluate?(parameters: ParameterValues, step: number): Promise<Metrics[]>;
  dispose?(): Promise<void>;
}

/** What a detection objective is made of, beside the model. */
export type ObjectiveOptions = Pick<DetectionTaskOptions, 'batchStatistics' | 'distillation'> & {
  /** Whether batches hold `features` in place of `images`. */
  fromFeatures?: boolean;
  /** Is shown what the loss of a batch is made of, for outputs beside it: what is decided in a step, say. */
  look?(parts: LossParts): void;
};

/** What the loss of a batch is made of. */
export interface LossParts {
  student: DetectorOutput;
  /** L_GT, its matching included. */
  detection: SetLoss;
  /** What the distillation reads of the teacher's output, and its part. */
  taught?: Taught;
  distillation?: DistillationTerm;
}

/** A model on a batch: on its features where it has some, else on its images. */
function run(parameters: Parameters, batch: Record<string, Tensor>, features: string | undefined, model: DetectorSettings, quantization: Quantization, options: ForwardOptions): DetectorOutput {
  return features === undefined ? detector(parameters, batch.images, model, quantization, options) : detectorFromFeatures(parameters, batch[features], model, quantization, options);
}

/**
 * Eq. 2.38, L = L_GT + lambda L_DRD, for a batch of normalized images or features, labels and boxes. The log shows the last decoder layer's terms of
 * L_GT; with a teacher also L_GT (`detection`), L_DRD (`distillation`), lambda L_DRD / L_GT (`distillationRatio`), and the share of queries
 * that learn (`keptShare`). The teacher runs on the batch, unless this holds what it gives already (`taughtIn`). The batch's `lambdaFactor` is the part of lambda
 * that acts in this step. Padded images come with `imageSizes`, int32 [B, 2] (see `ForwardOptions`); a part of a step's batch with `boxCount` (see `Targets`).
 */
export function detectionObjective(model: DetectorSettings, quantization: Quantization, { batchStatistics, distillation, fromFeatures = false, look }: ObjectiveOptions): ObjectiveFunction {
  return (parameters, batch) => {
    const { labels, boxes, boxCount, imageSizes } = batch, targets = { labels, boxes, ...(boxCount && { boxCount }) };
    const student = run(parameters, batch, fromFeatures ? 'features' : undefined, model, quantization, { batchStatistics, imageSizes });
    const detection = detectionLoss(model.family, student.logits, student.boxes, targets);
    const last = (t: Tensor): Tensor => tf.reshape(tf.slice(t, [t.shape[0] - 1], [1]), []);
    const logged = { classification: last(detection.classification), l1: last(detection.l1), giou: last(detection.giou) };
    if (!distillation) {
      look?.({ student, detection });
      return { loss: detection.total, logged, buffers: student.statistics };
    }
    const { settings, teacher } = distillation;
    const teacherFeatures = fromFeatures ? (teacher.features ? 'teacherFeatures' : 'features') : undefined;
    const taught = taughtIn(batch) ?? taughtBy(run(toTensors(teacher.parameters), batch, teacherFeatures, teacher.model, realValued, { imageSizes }), settings);
    const term = imitationLoss(student, taught, targets, settings, parameters, { factor: batch.lambdaFactor, matcher: detectionMatcher(model.family) }), { loss, distance, keptShare } = term;
    look?.({ student, detection, taught, distillation: term });
    return {
      loss: tf.add(detection.total, loss),
      logged: { ...logged, detection: detection.total, distillation: distance, distillationRatio: tf.div(loss, detection.total), keptShare },
      buffers: student.statistics,
    };
  };
}

/** Shapes and types of a batch: normalized images [B, H, W, 3], labels [B, G], boxes [B, G, 4]. */
export const detectionInputs = ({ imageSize }: DetectorSettings, batchSize: number): Record<'images' | 'labels' | 'boxes', TensorSpec> => ({
  images: { shape: [batchSize, imageSize, imageSize, 3], dtype: 'float32' },
  labels: { shape: [batchSize, OBJECTS_PER_IMAGE], dtype: 'int32' },
  boxes: { shape: [batchSize, OBJECTS_PER_IMAGE, 4], dtype: 'float32' },
});

/**
 * Training of a detector on a data set: mirrored at random, jittered where the settings say so, objects padded to 6 an image. The images are the same, in the same
 * order, whether they stay with the engine or not. For less than an epoch they don't: each would be composed first. What a teacher gives is the same, up to rounding,
 * whether it runs in each step or has run before; it has run before where the images stay, are not jittered, and are seen as often as they are shown to it for that.
 * @throws UserError when the teacher does not fit the student, or features of the images were computed without the jitter that the settings want
 */
export function detectionTask({ model, quantization, dataset, settings, batchStatistics, features, residentBytes = 0, distillation, start, evaluate, dispose }: DetectionTaskOptions): TrainingTask {
  const { batchSize, seed } = settings;
  if (distillation) checkTeacher(model, distillation.teacher.model, distillation.settings);
  if (features) refuseJitter(settings);
  const { labels, boxes } = detectionInputs(model, batchSize), teacherFeatures = distillation?.teacher.features;
  const seen = settings.steps * batchSize, images = features ? undefined : imageSource(dataset, settings, seen < dataset.length ? 0 : residentBytes);
  const outputs = images && !images.needsImages && !settings.jitter && seen >= 2 * dataset.length ? distillation?.teacher.outputs : undefined;
  const sources: Record<string, BatchSource> = {
    ...(features && { features: featureSource('features', features, batchSize, residentBytes) }),
    ...(images && { images }),
    ...(teacherFeatures && { teacherFeatures: featureSource('teacherFeatures', teacherFeatures, batchSize, residentBytes) }),
    ...(outputs && outputSources(outputs, dataset.length, batchSize, residentBytes)),
  };
  const all = Object.values(sources), withImages = all.some(({ needsImages }) => needsImages);
  const objective = detectionObjective(model, quantization, { batchStatistics, distillation, fromFeatures: features !== undefined });
  return {
    start,
    evaluate,
    dispose,
    objective: (parameters, inputs) => objective(parameters, { ...inputs, ...Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, source.read(inputs)])) }),
    inputs: {
      labels, boxes,
      ...merged(all.map(({ inputs }) => inputs)),
      ...(distillation ? { lambdaFactor: { shape: [], dtype: 'float32' as const } } : {}),
    },
    batch: (step) => {
      const batch = batchAt(dataset, { batchSize, seed, flip: true, step, withImages });
      return {
        labels: batch.labels, boxes: batch.boxes,
        ...merged(all.map((source) => source.bring(batch, step))),
        ...(distillation ? { lambdaFactor: Float32Array.of(lambdaFactor(step, distillation.settings)) } : {}),
      };
    },
    resident: async (told) => {
      const arrays: Record<string, ResidentArray> = {};
      for (const source of all) Object.assign(arrays, await source.resident?.(told)); // one after the other, as progress is told
      return arrays;
    },
    isFrozen: features && ((name) => name.startsWith('backbone.')),
    stepsPerEpoch: stepsPerEpoch(dataset.length, batchSize),
  };
}

/** A teacher's outputs that stay with the engine; none where one of them does not fit. */
function outputSources({ shapes, all }: TeacherOutputs, images: number, batchSize: number, residentBytes: number): Record<string, BatchSource> {
  const entries = Object.entries(shapes);
  if (entries.some(([, shape]) => 2 * images * sizeOf(shape) * 4 > residentBytes)) return {};
  return Object.fromEntries(entries.map(([name, shape]) => [name, rowSource(name, shape, batchSize, async (told) => (await all(told))[name])]));
}

/** @throws UserError where the settings want jitter: for trainings that look at features, not at images */
export function refuseJitter({ jitter }: Pick<TrainingSettings, 'jitter'>): void {
  if (jitter) throw new UserError(`'jitter' is ${jitter}, but the backbone's features of the training images are computed once, from the images as they are: leave it out, or train the whole detector`);
}

const merged = <T>(records: readonly Record<string, T>[]): Record<string, T> => Object.assign({}, ...records) as Record<string, T>;
