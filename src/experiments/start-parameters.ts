import { batchAt } from '../data/batches.js';
import type { DetectionDataset } from '../data/dataset.js';
import { distillationParameters, MAP_PARAMETER } from '../distillation/distillation-loss.js';
import type { DistillationSettings } from '../distillation/settings.js';
import { detector } from '../models/detector.js';
import { alignmentParameters, isAlignmentParameter, type AlignmentSettings } from '../models/distribution-alignment.js';
import { realValued, type Quantization } from '../models/forward.js';
import { normalizedPixels } from '../models/normalize-images.js';
import { moduleGroup, type ModuleGroup } from '../models/quantization-policy.js';
import type { DetectorSettings } from '../models/settings.js';
import { bitsOf, createCalibration, type QuantizerMethod, type WeightStart } from '../quantizer/calibration.js';
import type { Observer } from '../quantizer/observer.js';
import { isReal } from '../quantizer/precision.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import { useBackend } from '../tensor/backend.js';
import { selectParameters, toTensors, type ParameterValues, type Parameters } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { tf } from '../tensor/tf.js';

/** Batches that quantizers are calibrated on (decision A4). */
export const CALIBRATION_BATCHES = 8;
/** Images in each of them. */
const CALIBRATION_BATCH = 16;
/** Stream of the initial linear map of `feature: 'linear-map'`. */
const MAP = 2;

/** Pixels of the calibration images, batch by batch: the first of a data set in the order of a seed, not mirrored. */
export function calibrationBatches(dataset: DetectionDataset, seed: number): Uint8Array[] {
  const batchSize = Math.min(CALIBRATION_BATCH, dataset.length);
  return Array.from({ length: CALIBRATION_BATCHES }, (_, step) => batchAt(dataset, { batchSize, seed, flip: false, step }).images);
}

/** A model on a calibration batch. Needs an eager backend. */
export function observedForward(parameters: Parameters, model: DetectorSettings, quantization: Quantization): (pixels: Uint8Array, observe: Observer) => void {
  const side = model.imageSize;
  return (pixels, observe) => void detector(parameters, tf.tensor4d(normalizedPixels(pixels), [pixels.length / (side * side * 3), side, side, 3]), model, quantization, { observe });
}

/** Runs a model on calibration batches. */
export type CalibrationPass = (parameters: ParameterValues, quantization: Quantization, observe: Observer) => Promise<void>;

/** See {@link CalibrationPass}. */
export function calibrationPass(model: DetectorSettings, dataset: DetectionDataset, seed: number): CalibrationPass {
  return async (values, quantization, observe) => {
    await useBackend();
    const parameters = toTensors(values);
    const forward = observedForward(parameters, model, quantization);
    try {
      for (const pixels of calibrationBatches(dataset, seed)) tf.tidy(() => forward(pixels, observe));
    } finally {
      tf.dispose(parameters);
    }
  };
}

/** What a student has beside the weights of its model. */
export interface StudentDesign {
  model: DetectorSettings;
  quantization: Quantization;
  quantizer: QuantizerMethod;
  weightStart: WeightStart;
  alignment: AlignmentSettings | null;
  distillation: { settings: DistillationSettings; teacher: { model: DetectorSettings } } | null;
}

/** What a stage before has left: its parameters, and the groups of modules that it had quantized. */
export interface TrainedStage {
  parameters: ParameterValues;
  groups: readonly ModuleGroup[];
  quantization: Quantization;
}

/**
 * All parameters that a student starts with: weights, the parameters of its distribution alignment, quantizers, and the linear map of its
 * distillation. What the stage before has trained is taken over; the rest is calibrated on the model as that stage left it (decision A4).
 * @param weights of the model, by name
 */
export async function studentParameters(weights: ParameterValues, { model, quantization, quantizer, weightStart, alignment, distillation }: StudentDesign, calibration: CalibrationPass, seed: number, before?: TrainedStage): Promise<ParameterValues> {
  const isTrained = (name: string): boolean => {
    if (!isQuantizerParameter(name)) return isAlignmentParameter(name) || name === MAP_PARAMETER;
    const group = moduleGroup(name);
    return group !== undefined && before!.groups.includes(group);
  };
  const trained = selectParameters(before?.parameters ?? {}, isTrained);
  const known = { ...weights, ...trained }, quantizationBefore = before?.quantization ?? realValued;
  const isNew = alignment !== null && !Object.keys(trained).some(isAlignmentParameter);
  const aligned = isNew ? { ...known, ...(await alignmentParameters(alignment, model, (observe) => calibration(known, quantizationBefore, observe))) } : known;
  const map = distillation ? distillationParameters(distillation.settings, model, distillation.teacher.model, new RandomStream(seed, MAP)) : {};
  if (quantization === realValued) return { ...map, ...aligned };
  // A trained stage's groups have all quantizers that they need: a calibration might choose the other grid, signed or not, for one of them, which nothing would read.
  const isTaken = (name: string): boolean => before !== undefined && before.groups.includes(moduleGroup(name)!);
  const { observe, quantizerParameters } = createCalibration((name) => !isTaken(name) && !isReal(bitsOf(name, quantization)));
  await calibration(aligned, quantizationBefore, observe);
  return { ...map, ...quantizerParameters(quantization, quantizer, { weights: weightStart }), ...aligned };
}
