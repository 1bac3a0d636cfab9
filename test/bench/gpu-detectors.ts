import { setCriterion } from '../../src/detection/set-criterion.js';
import { resolveDistillation } from '../../src/distillation/settings.js';
import { observedForward, studentParameters } from '../../src/experiments/start-parameters.js';
import { detectorFromFeatures } from '../../src/models/detector.js';
import { PAPER_ALIGNMENT } from '../../src/models/distribution-alignment.js';
import { forward, realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { BACKBONE, residualBackbone } from '../../src/models/residual-backbone.js';
import { fullSizeDetectors, modelOf, teacherModelOf, type DetectorSettings, type ModelScale } from '../../src/models/settings.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import type { CompileOptions, ResidentArray, StateStep } from '../../src/tensor/compile-step.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { detectionObjective } from '../../src/training/detection-task.js';
import { isBuffer, isFrozenInDetr, packLayout } from '../../src/training/parameter-groups.js';
import { resolveSettings, type TrainingSettings } from '../../src/training/settings.js';
import { HYPERPARAMETERS, initialState, packState, trainingStep, type ObjectiveFunction } from '../../src/training/training-step.js';
import { detrBatch, detrLoss, detrParameters } from './gpu-detr.js';

/** A whole training step (forward, criterion, backward, clipping, AdamW) as {@link compileStep} takes it: its batch lies on the GPU, the hyperparameters come with every run. */
export interface BenchmarkStep extends Pick<CompileOptions, 'state' | 'inputs'> {
  step: StateStep;
  resident: Record<string, ResidentArray>;
  /** Elements that the optimizer changes. */
  trained: number;
}

/** The step of a detector on images, labels and boxes. */
export interface DetectorStep extends BenchmarkStep {
  resident: Record<'images' | 'labels' | 'boxes', ResidentArray>;
  /** All parameters of the model by name, buffers and quantizers included; the teacher's with `teacher.` before their names. */
  parameters: ParameterValues;
}

/** Ground-truth boxes of an image, as many as MiniVOC draws at most; some are padding. */
const OBJECTS = 6;

/** Noise as images [B, H, W, 3], and for each 1 to 6 objects of random classes and boxes. */
function randomBatch(batch: number, height: number, width: number, classes: number): DetectorStep['resident'] {
  const stream = new RandomStream(2), labels = new Int32Array(batch * OBJECTS).fill(-1), boxes = new Float32Array(batch * OBJECTS * 4);
  for (let b = 0; b < batch; b++) {
    for (let n = 0, count = 1 + stream.integer(OBJECTS); n < count; n++) {
      labels[b * OBJECTS + n] = stream.integer(classes);
      const w = stream.uniform(0.1, 0.6), h = stream.uniform(0.1, 0.6);
      boxes.set([stream.uniform(w / 2, 1 - w / 2), stream.uniform(h / 2, 1 - h / 2), w, h], (b * OBJECTS + n) * 4);
    }
  }
  return {
    images: { shape: [batch, height, width, 3], dtype: 'float32', data: Float32Array.from({ length: batch * height * width * 3 }, () => stream.normal()) },
    labels: { shape: [batch, OBJECTS], dtype: 'int32', data: labels },
    boxes: { shape: [batch, OBJECTS, 4], dtype: 'float32', data: boxes },
  };
}

/** Hyperparameters of a benchmark's step, the same as in gpu_detectors.py: a time does not depend on them, and the losses of both sides are compared. */
export const benchmarkSettings = (scale: 'smoke' | 'gpu' | 'paper'): TrainingSettings => resolveSettings(scale, scale === 'paper' ? {} : { learningRate: 5e-4, backboneFactor: 1 });

/** The step of an objective with {@link benchmarkSettings}. @param isFrozen which parameters are not trained */
function trainingOf<T extends Record<string, ResidentArray>>(objective: ObjectiveFunction, parameters: ParameterValues, resident: T, scale: 'smoke' | 'gpu' | 'paper', isFrozen = isBuffer): BenchmarkStep & { resident: T } {
  const settings = benchmarkSettings(scale), state = initialState(parameters, isFrozen), layouts = packLayout(state.parameters, settings, isFrozen);
  return {
    step: trainingStep(layouts, settings, objective), state: packState(layouts, state), resident,
    inputs: Object.fromEntries(HYPERPARAMETERS.map((name) => [name, { shape: [], dtype: 'float32' as const }])),
    trained: layouts.reduce((sum, { size }) => sum + size, 0),
  };
}

/** The prototype's small DETR, with fixed targets in place of the matching. */
export function prototypeTraining(): BenchmarkStep {
  const resident = Object.fromEntries(Object.entries(detrBatch()).map(([name, value]) => [name, { ...value, dtype: 'float32' as const }]));
  return trainingOf((all, batch) => ({ loss: detrLoss(all, batch), logged: {}, buffers: {} }), detrParameters(), resident, 'smoke');
}

/** A detector of the kit, real-valued, with matching and criterion on all decoder layers and live batch normalization. */
export function realValuedTraining(scale: ModelScale = 'gpu', batch = 16): DetectorStep {
  const model = modelOf(scale), parameters = initialDetectorParameters(model, new RandomStream(1));
  const objective = detectionObjective(model, realValued, { batchStatistics: true });
  return { ...trainingOf(objective, parameters, randomBatch(batch, model.imageSize, model.imageSize, model.classes), 'gpu'), parameters };
}

/** The same at 4-4-8 with a real-valued teacher, DA, FQM and DRD; quantizers are calibrated on noise. */
export async function distilledTraining(scale: ModelScale = 'gpu', batch = 16): Promise<DetectorStep> {
  const model = modelOf(scale), quantization = paperQuantization(parsePrecision('4-4-8')), side = model.imageSize;
  const teacher = { model: teacherModelOf(scale), parameters: initialDetectorParameters(teacherModelOf(scale), new RandomStream(3)) };
  const distillation = { settings: resolveDistillation({}), teacher };
  const parameters = await studentParameters(
    initialDetectorParameters(model, new RandomStream(1)),
    { model, quantization, quantizer: 'LSQ+', weightStart: 'LSQ', alignment: PAPER_ALIGNMENT, distillation },
    async (values, before, observe) => {
      await useBackend();
      const tensors = toTensors(values), noise = new RandomStream(4);
      tf.tidy(() => observedForward(tensors, model, before)(Uint8Array.from({ length: side * side * 3 }, () => noise.integer(256)), observe));
      tf.dispose(tensors);
    },
    0,
  );
  const objective = detectionObjective(model, quantization, { batchStatistics: true, distillation });
  const resident = randomBatch(batch, side, side, model.classes);
  const taught = Object.fromEntries(Object.entries(teacher.parameters).map(([name, value]) => [`teacher.${name}`, value]));
  return { ...trainingOf((all, inputs) => objective(all, { ...inputs, lambdaFactor: tf.scalar(1) }), parameters, resident, 'gpu'), parameters: { ...parameters, ...taught } };
}

/** Sizes of {@link fullSizeTraining}'s images: rows and columns. */
const FULL_SIZE = [800, 1066] as const;

/**
 * DETR-R50 as facebookresearch/detr trains it, without dropout and padding: stem, first stage and batch normalization frozen.
 * Images need not be squares where the backbone and what stands behind it are called one after the other.
 */
export function fullSizeTraining(batch = 4, [height, width]: readonly [number, number] = FULL_SIZE): DetectorStep {
  const model: DetectorSettings = fullSizeDetectors['detr-r50'], parameters = initialDetectorParameters(model, new RandomStream(1));
  const objective: ObjectiveFunction = (all, { images, labels, boxes }) => {
    const features = residualBackbone(forward(all), BACKBONE, images, model.backbone);
    const output = detectorFromFeatures(all, features, model);
    return { loss: setCriterion(output.logits, output.boxes, { labels, boxes }).total, logged: {}, buffers: {} };
  };
  return { ...trainingOf(objective, parameters, randomBatch(batch, height, width, model.classes), 'paper', isFrozenInDetr), parameters };
}

/** The detectors' training steps, by the names of their rows. */
export const trainings: Readonly<Record<string, () => BenchmarkStep | Promise<BenchmarkStep>>> = {
  detr: () => prototypeTraining(),
  detector: () => realValuedTraining(),
  'detector 4-4-8, distilled': () => distilledTraining(),
  'detr-r50': () => fullSizeTraining(),
};
