import { resolveDistillation } from '../distillation/settings.js';
import { PAPER_ALIGNMENT } from '../models/distribution-alignment.js';
import { initialDetectorParameters } from '../models/initial-parameters.js';
import { quantizationPolicy } from '../models/quantization-policy.js';
import { modelOf, paperStudent, paperTeacher, teacherModelOf, totalStride, type DetectorSettings, type Family } from '../models/settings.js';
import { parsePrecision } from '../quantizer/precision.js';
import { useBackend } from '../tensor/backend.js';
import { plannedWhole, traceStep } from '../tensor/compile-step.js';
import type { TensorSpec } from '../tensor/graph.js';
import { toTensors } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { tf } from '../tensor/tf.js';
import type { PlanLimits } from '../tensor/webgpu/kernel.js';
import { planGraph, type Plan } from '../tensor/webgpu/plan.js';
import { detectionInputs, detectionObjective } from '../training/detection-task.js';
import { isBuffer, packLayout } from '../training/parameter-groups.js';
import { resolveSettings, type TrainingSettings } from '../training/settings.js';
import { HYPERPARAMETERS, initialState, packState, trainingStep } from '../training/training-step.js';
import { observedForward, studentParameters } from './start-parameters.js';

/** What training is planned for. */
export interface TrainingPlanOptions {
  /** `paper`: the paper's own models at 800 x 800 pixels. */
  scale: TrainingSettings['scale'];
  family: Family;
  bits: string;
  /** Left out: the scale's. */
  batchSize?: number;
  /** With the paper's teacher, distribution alignment, foreground query matching and distillation loss. */
  isDistilled: boolean;
  limits: PlanLimits;
}

/** The planned step and what it is of. */
export interface TrainingPlan {
  plan: Plan;
  model: DetectorSettings;
  batchSize: number;
  /** Elements that are trained, quantizers among them. */
  trained: number;
}

/**
 * Plans one training step (forward, criterion, backward, clipping, AdamW) for WebGPU, as {@link compileStep} compiles it, without a device: weights
 * are random, and quantizers get their shapes from one small picture of noise.
 * @throws UserError for bits that there are none of
 */
export async function planTraining({ scale, family, bits, batchSize, isDistilled, limits }: TrainingPlanOptions): Promise<TrainingPlan> {
  const model = scale === 'paper' ? paperStudent(family) : modelOf(scale, family);
  const settings = resolveSettings(scale, batchSize === undefined ? {} : { batchSize }, '--batch');
  const quantization = quantizationPolicy({ precision: parsePrecision(bits), preset: 'paper' });
  const teacherModel = scale === 'paper' ? paperTeacher(family) : teacherModelOf(scale, family);
  const teacher = isDistilled ? { model: teacherModel, parameters: initialDetectorParameters(teacherModel, new RandomStream(0, 2)) } : undefined;
  const distillation = teacher && { settings: resolveDistillation({}), teacher };
  const small = { ...model, imageSize: 2 * totalStride(model.backbone) };
  const parameters = await studentParameters(
    initialDetectorParameters(model, new RandomStream(0, 1)),
    { model: small, quantization, quantizer: 'LSQ+', weightStart: 'LSQ', alignment: isDistilled ? PAPER_ALIGNMENT : null, distillation: distillation ?? null },
    async (values, before, observe) => {
      await useBackend();
      const tensors = toTensors(values), noise = new RandomStream(0, 3);
      const pixels = Uint8Array.from({ length: small.imageSize ** 2 * 3 }, () => noise.integer(256));
      tf.tidy(() => observedForward(tensors, small, before)(pixels, observe));
      tf.dispose(tensors);
    },
    0,
  );
  const state = initialState(parameters, isBuffer), layouts = packLayout(state.parameters, settings);
  const scalar: TensorSpec = { shape: [], dtype: 'float32' };
  const inputs = { ...detectionInputs(model, settings.batchSize), ...Object.fromEntries([...HYPERPARAMETERS, ...(isDistilled ? ['lambdaFactor'] : [])].map((name) => [name, scalar])) };
  const step = trainingStep(layouts, settings, detectionObjective(model, quantization, { batchStatistics: true, distillation }));
  const graph = traceStep(step, { state: packState(layouts, state), inputs }, plannedWhole);
  return { plan: planGraph(graph, limits), model, batchSize: settings.batchSize, trained: layouts.reduce((sum, { size }) => sum + size, 0) };
}
