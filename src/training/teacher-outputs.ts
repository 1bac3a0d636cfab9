import type { DetectionDataset } from '../data/dataset.js';
import { unpackedImages, wordsOf } from '../data/packed-images.js';
import type { DistillationSettings } from '../distillation/settings.js';
import { taughtBy, type Taught } from '../distillation/taught.js';
import { detector } from '../models/detector.js';
import { realValued } from '../models/forward.js';
import { normalizedImages } from '../models/normalize-images.js';
import type { DetectorSettings } from '../models/settings.js';
import { compileStep, type NamedTensors, type StateStep } from '../tensor/compile-step.js';
import type { EngineFinding } from '../tensor/engine.js';
import { sizeOf, type ParameterValues } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { trace } from '../tensor/trace.js';
import type { Told } from './batch-source.js';

/** Images that are shown to the teacher at a time, each with its mirror image behind it. */
const IMAGES_AT_ONCE = 32;

const BOXES = 'taught/boxes', LOGITS = 'taught/logits', FEATURES = 'taught/features/';

/**
 * What a student is taught, for every image of a data set and its mirror image: the teacher is never trained and sees each image in these two forms only, so that
 * a training gathers its outputs instead of running it.
 */
export interface TeacherOutputs {
  /** What there is, by name, with its shape for one image. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /**
   * The arrays themselves [2 N, ...shape]: that of image i and, behind it, that of its mirror image. Computed when first asked for, and kept.
   * @param told see `TrainingTask.resident`
   */
  all(told?: Told): Promise<Record<string, Float32Array>>;
}

/** What a batch is taught, as arrays that have an image's part in each row. */
const byImage = ({ boxes, logits, features }: Taught): NamedTensors => ({
  [BOXES]: withoutLayer(boxes),
  ...(logits && { [LOGITS]: withoutLayer(logits) }),
  ...Object.fromEntries(features.map((feature, layer) => [FEATURES + layer, feature])),
});

const withoutLayer = (x: Tensor): Tensor => tf.reshape(x, x.shape.slice(1));

/** What a batch is taught, where it holds {@link TeacherOutputs}. */
export function taughtIn(batch: NamedTensors): Taught | undefined {
  if (!(BOXES in batch)) return undefined;
  const features: Tensor[] = [];
  while (FEATURES + features.length in batch) features.push(batch[FEATURES + features.length]);
  return { boxes: tf.expandDims(batch[BOXES], 0), ...(LOGITS in batch && { logits: tf.expandDims(batch[LOGITS], 0) }), features };
}

/** Images [B, size, size, 3], each with its mirror image behind it: [2 B, size, size, 3]. */
function withMirrorImages(images: Tensor): Tensor {
  const [count, ...rest] = images.shape;
  return tf.reshape(tf.stack([images, tf.reverse(images, 2)], 1), [2 * count, ...rest]);
}

/**
 * The outputs of a real-valued teacher in evaluation mode on a data set that keeps its images packed: those that the distillation of these settings reads. The
 * teacher runs on each image and on its mirror image, as it would in a training step.
 */
export function openTeacherOutputs(model: DetectorSettings, parameters: ParameterValues, settings: DistillationSettings, dataset: DetectionDataset & Required<Pick<DetectionDataset, 'packed'>>, options: { threads?: number; engine?: EngineFinding } = {}): TeacherOutputs {
  const { length, size } = dataset, words = wordsOf(size);
  const inputs = { words: { shape: [IMAGES_AT_ONCE, words], dtype: 'int32' as const } };
  const step: StateStep = (values, { words: packed }) => {
    const images = normalizedImages(withMirrorImages(unpackedImages(packed, size)));
    return { outputs: byImage(taughtBy(detector(values, images, model, realValued), settings)) };
  };
  const shapes = shapesOf(step, parameters, words);
  const compute = async (told?: Told): Promise<Record<string, Float32Array>> => {
    const images = await dataset.packed(), here = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, new Float32Array(2 * length * sizeOf(shape))]));
    const compiled = await compileStep(step, { ...options, state: parameters, inputs });
    const show = async (first: number): Promise<void> => {
      const count = Math.min(IMAGES_AT_ONCE, length - first), batch = new Int32Array(IMAGES_AT_ONCE * words);
      batch.set(images.subarray(first * words, (first + count) * words));
      for (const [name, found] of Object.entries(await compiled.run({ words: batch }))) {
        const each = 2 * sizeOf(shapes[name]);
        here[name].set((found as Float32Array).subarray(0, count * each), first * each);
      }
    };
    const underWay: Promise<void>[] = [];
    try {
      for (let first = 0; first < length; first += IMAGES_AT_ONCE) {
        if (underWay.length === compiled.queue) await underWay.shift();
        told?.(2 * first, 2 * length, 'images shown to the teacher');
        underWay.push(show(first));
      }
      await Promise.all(underWay);
      told?.(2 * length, 2 * length, 'images shown to the teacher');
    } finally {
      await Promise.allSettled(underWay); // a run must not end on buffers that are gone
      await compiled.dispose();
    }
    return here;
  };
  let all: Promise<Record<string, Float32Array>> | undefined;
  return {
    shapes,
    all: (told) => (all ??= compute(told).catch((error: unknown) => {
      all = undefined; // stopped: whoever asks next begins again
      throw error;
    })),
  };
}

/** Shapes of a step's outputs for one image. */
function shapesOf(step: StateStep, parameters: ParameterValues, words: number): Record<string, readonly number[]> {
  const specs = Object.fromEntries(Object.entries(parameters).map(([name, { shape }]) => [name, { shape, dtype: 'float32' as const }]));
  const { outputs } = trace(({ words: packed, ...values }) => step(values, { words: packed }).outputs, { ...specs, words: { shape: [1, words], dtype: 'int32' } });
  return Object.fromEntries([...outputs].map(([name, { shape }]) => [name, shape.slice(1)]));
}
