import type { PaddedBatch } from '../data/image-dataset.js';
import { detectorCost, type ImageSides } from '../models/cost.js';
import { realValued } from '../models/forward.js';
import { detectorParameterShapes } from '../models/initial-parameters.js';
import { totalStride, type DetectorSettings } from '../models/settings.js';
import { compileStep } from '../tensor/compile-step.js';
import { chooseEngine } from '../tensor/engine.js';
import { loweredToOnnx } from '../tensor/onnx-lowering.js';
import { sizeOf, type ParameterValues } from '../tensor/parameters.js';
import { peakBytes } from '../tensor/peak-memory.js';
import { tf } from '../tensor/tf.js';
import { trace } from '../tensor/trace.js';
import { gatheringStep } from '../training/accumulated-training.js';
import { detectionObjective } from '../training/detection-task.js';
import { imagesOfWords, partsOfStep } from '../training/image-detection-task.js';
import { packLayout } from '../training/parameter-groups.js';
import { initialState, packState } from '../training/training-step.js';
import type { TrainingSettings } from '../training/settings.js';

/** A training on images of any size, as far as its needs depend on it. */
export interface ImageTraining {
  model: DetectorSettings;
  isQuantized: boolean;
  teacher: DetectorSettings | null;
  settings: TrainingSettings;
  /** Images that are computed at once, and the canvas that they lie in. */
  microBatch: number;
  canvas: ImageSides;
  /** G: most objects of an image. */
  objects: number;
  isFrozen(name: string): boolean;
}

/** What a training needs, estimated. */
export interface ImageNeeds {
  /** Memory of the engine's device, bytes: state and intermediate values. */
  bytes: number;
  /** Operations of matrix products and convolutions for one image, forward and backward, a teacher's included; a multiplication and an addition are two. */
  operations: number;
}

/** Parameters of which only the shapes are there. */
const withoutNumbers = (model: DetectorSettings): ParameterValues => Object.fromEntries(Object.entries(detectorParameterShapes(model)).map(([name, shape]) => [name, { shape, data: new Float32Array(0) }]));

const bytesOf = (values: ParameterValues): number => Object.values(values).reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);

/**
 * What a training needs, without training: its largest step is traced (shapes only), real-valued; quantizers keep what they were given beside what they gave, and so
 * take about twice as much. Backward takes twice the operations of forward, the frozen part of the backbone aside.
 */
export function imageTrainingNeeds({ model, isQuantized, teacher, settings, microBatch, canvas, objects, isFrozen }: ImageTraining): ImageNeeds {
  const state = initialState(withoutNumbers(model), isFrozen), layouts = packLayout(state.parameters, settings);
  const packed = packState(layouts, state), gradients = Object.fromEntries(layouts.map(({ group, size }) => [`gradient/${group.name}`, { shape: [size] }]));
  const objective = detectionObjective(model, realValued, { batchStatistics: false });
  const step = gatheringStep(layouts, (parameters, inputs) => objective(parameters, { ...inputs, images: imagesOfWords(inputs.words, inputs.imageSizes) }), 1);
  const states = { ...packed, ...gradients }, [{ inputs }] = partsOfStep([emptyBatch(microBatch, canvas, objects)]);
  const graph = trace(
    (all) => {
      const { state: next = {}, outputs } = step(Object.fromEntries(Object.keys(states).map((name) => [name, all[name]])), Object.fromEntries(Object.keys(inputs).map((name) => [name, all[name]])));
      return { ...next, ...outputs };
    },
    { ...Object.fromEntries(Object.entries(states).map(([name, { shape }]) => [name, { shape, dtype: 'float32' as const }])), ...inputs },
    { keeps: loweredToOnnx },
  );
  const stateBytes = 2 * (bytesOf(packed) + layouts.reduce((sum, { size }) => sum + 4 * size, 0));
  const teacherBytes = teacher ? bytesOf(withoutNumbers(teacher)) : 0;
  const multiplyAdds = (of: DetectorSettings): number => detectorCost(of, canvas).reduce((sum, cost) => sum + cost.multiplyAdds, 0);
  return { bytes: stateBytes + teacherBytes + (isQuantized ? 2 : 1) * peakBytes(graph), operations: 2 * (3 * multiplyAdds(model) + (teacher ? multiplyAdds(teacher) : 0)) };
}

const emptyBatch = (count: number, { height, width }: ImageSides, objects: number): PaddedBatch => ({
  height, width, pixels: new Uint8Array(count * height * width * 3), sizes: new Int32Array(2 * count), labels: new Int32Array(count * objects), boxes: new Float32Array(4 * count * objects),
  counts: new Int32Array(count), indices: new Int32Array(count),
});

/** Runs of the measured step, after one that is not counted. */
const RUNS = 3;

/**
 * Operations a second of this process's engine: a 3x3 convolution of the model's middle width on one image of the canvas, forward and both gradients, in about a second.
 */
export async function measuredRate(model: DetectorSettings, canvas: ImageSides, threads?: number): Promise<number> {
  const { backbone } = model, middle = Math.floor(backbone.widths.length / 2), channels = backbone.widths[middle];
  const stride = totalStride(backbone) / backbone.strides.slice(middle + 1).reduce((a, b) => a * b, 1);
  const shape: [number, number, number, number] = [1, Math.ceil(canvas.height / stride), Math.ceil(canvas.width / stride), channels], kernel: [number, number, number, number] = [3, 3, channels, channels];
  const filled = (of: readonly number[]): Float32Array => Float32Array.from({ length: sizeOf(of) }, (_, i) => Math.sin(i));
  const step = await compileStep(
    ({ x, w }) => {
      const { grads } = tf.valueAndGrads((a, b) => tf.sum(tf.square(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same'))))([x, w]);
      return { state: { x: tf.mul(grads[0], 1e-3), w: tf.mul(grads[1], 1e-9) }, outputs: { first: tf.sum(grads[1]) } };
    },
    { state: { x: { shape, data: filled(shape) }, w: { shape: kernel, data: filled(kernel) } }, inputs: {}, threads, engine: await chooseEngine() },
  );
  try {
    await step.run({});
    const begun = performance.now();
    for (let run = 0; run < RUNS; run++) await step.run({});
    return (RUNS * 3 * 2 * 9 * channels * sizeOf(shape)) / ((performance.now() - begun) / 1000);
  } finally {
    await step.dispose();
  }
}
