import { adamWCorrections } from '../tensor/adamw-corrections.js';
import type { StateStep } from '../tensor/compile-step.js';
import type { TensorSpec, TypedArray } from '../tensor/graph.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { openStepFamily, type FamilyStep } from '../tensor/step-family.js';
import { tf } from '../tensor/tf.js';
import type { CompiledTraining, StepResult } from './compiled-training.js';
import { packedOptimizerStep } from './optimizer-step.js';
import { packLayout, packTensors, type GroupLayout } from './parameter-groups.js';
import { learningRateFactor } from './schedule.js';
import type { TrainingSettings } from './settings.js';
import type { ShapedTrainingTask } from './train.js';
import { differentiate, HYPERPARAMETERS, packedGroups, packState, unpackState, withBuffers, withGroups, type ObjectiveFunction, type TrainingState } from './training-step.js';

/** A part of a step's batch: what is computed at once. */
export interface MicroBatch {
  /** Shapes and types of its arrays: a step is compiled for every set of them that comes up. */
  inputs: Record<string, TensorSpec>;
  values: Record<string, TypedArray>;
}

/** A group's gradient so far, among the state. */
const gradientKey = ({ group }: GroupLayout): string => `gradient/${group.name}`;

/**
 * Forward, criterion and backward of a micro-batch: its gradient, times `share`, joins those of the step's others. Outputs: `loss` and what the objective logs.
 * @param share 1 / number of micro-batches of a step: a step's loss is their mean
 */
export function gatheringStep(layouts: readonly GroupLayout[], objective: ObjectiveFunction, share: number): StateStep {
  return (state, inputs) => {
    const { loss, logged, buffers, gradients } = differentiate(layouts, objective, state, inputs);
    const gathered = Object.fromEntries(layouts.map((layout) => [gradientKey(layout), tf.add(state[gradientKey(layout)], tf.mul(packTensors(layout, gradients), share))]));
    return { state: { ...withBuffers(buffers), ...gathered }, outputs: { loss, ...logged } };
  };
}

/** Clipping and AdamW with the gathered gradient, which is 0 afterwards. Output: `gradientNorm`, before clipping. */
export function applyingStep(layouts: readonly GroupLayout[], { clipNorm }: Pick<TrainingSettings, 'clipNorm'>): StateStep {
  return (state, { learningRate, correction1, correction2 }) => {
    const gradients = layouts.map((layout) => state[gradientKey(layout)]);
    const { groups, norm } = packedOptimizerStep(layouts, gradients, packedGroups(layouts, state), { clipNorm, learningRate, correction1, correction2 });
    const zeros = Object.fromEntries(layouts.map((layout, i) => [gradientKey(layout), tf.zeros(gradients[i].shape)]));
    return { state: { ...withGroups(layouts, groups), ...zeros }, outputs: { gradientNorm: norm } };
  };
}

/**
 * Compiles the training of a task whose steps take several micro-batches, of any shapes: one step for each set of shapes, as it comes up, and one that applies what
 * they have gathered.
 */
export async function compileAccumulatedTraining({ objective, microBatches }: Pick<ShapedTrainingTask, 'objective' | 'microBatches'>, start: TrainingState, settings: TrainingSettings, threads?: number): Promise<CompiledTraining> {
  const layouts = packLayout(start.parameters, settings);
  const gradients: ParameterValues = Object.fromEntries(layouts.map((layout) => [gradientKey(layout), { shape: [layout.size], data: new Float32Array(layout.size) }]));
  const family = await openStepFamily({ state: { ...packState(layouts, start), ...gradients }, threads });
  const scalar: TensorSpec = { shape: [], dtype: 'float32' };
  const apply = await family.compile(applyingStep(layouts, settings), { inputs: Object.fromEntries(HYPERPARAMETERS.map((name) => [name, scalar])) });
  const gathering = new Map<string, FamilyStep>();
  const gather = async ({ inputs, values }: MicroBatch, count: number): Promise<Record<string, TypedArray>> => {
    const key = JSON.stringify([count, inputs]);
    let step = gathering.get(key);
    if (!step) gathering.set(key, (step = await family.compile(gatheringStep(layouts, objective, 1 / count), { inputs })));
    return step.run(values);
  };
  const step = async (done: number): Promise<StepResult> => {
    const parts = await microBatches(done), numbers: Record<string, number> = {};
    for (const part of parts) {
      for (const [name, [value]] of Object.entries(await gather(part, parts.length))) numbers[name] = (numbers[name] ?? 0) + value / parts.length;
    }
    const { correction1, correction2 } = adamWCorrections(done + 1);
    const learningRate = settings.learningRate * learningRateFactor(done, settings);
    const { gradientNorm } = await apply.run({ learningRate: Float32Array.of(learningRate), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
    return { learningRate, numbers: { ...numbers, gradientNorm: gradientNorm[0] } };
  };
  return {
    async *steps(done, end, signal) {
      for (let next = done; next < end && !signal?.aborted; next++) yield await step(next);
    },
    read: async () => unpackState(layouts, await family.readState()),
    dispose: () => family.dispose(),
  };
}
