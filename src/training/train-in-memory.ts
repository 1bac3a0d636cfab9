import { compileStep } from '../tensor/compile-step.js';
import { adamWCorrections } from '../tensor/adamw-corrections.js';
import type { TensorSpec } from '../tensor/graph.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { isBuffer, packLayout } from './parameter-groups.js';
import { learningRateFactor } from './schedule.js';
import type { TrainingSettings } from './settings.js';
import { inOneOrder, type TrainingTask } from './train.js';
import { HYPERPARAMETERS, initialState, packState, trainingStep, unpackState } from './training-step.js';

/** What a short training leaves. */
export interface ShortTraining {
  /** Parameters and buffers after the last step. */
  parameters: ParameterValues;
  /** The numbers of each step: `loss`, `gradientNorm`, and what the objective logs. */
  steps: Record<string, number>[];
}

/**
 * Trains without a run folder: the same steps as `train`, but nothing is written, logged, resumed or evaluated. For notebooks, whose
 * trainings take seconds.
 */
export async function trainInMemory(task: Pick<TrainingTask, 'start' | 'objective' | 'inputs' | 'batch' | 'isFrozen'>, settings: TrainingSettings, threads?: number): Promise<ShortTraining> {
  const state = inOneOrder(initialState(await task.start(), (name) => isBuffer(name) || (task.isFrozen?.(name) ?? false)));
  const layouts = packLayout(state.parameters, settings);
  const scalar: TensorSpec = { shape: [], dtype: 'float32' };
  const compiled = await compileStep(trainingStep(layouts, settings, task.objective), {
    state: packState(layouts, state),
    inputs: { ...task.inputs, ...Object.fromEntries(HYPERPARAMETERS.map((name) => [name, scalar])) },
    threads,
  });
  const steps: Record<string, number>[] = [];
  try {
    for (let step = 0; step < settings.steps; step++) {
      const { correction1, correction2 } = adamWCorrections(step + 1);
      const learningRate = settings.learningRate * learningRateFactor(step, settings);
      const outputs = await compiled.run({ ...task.batch(step), learningRate: Float32Array.of(learningRate), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
      steps.push(Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values[0]])));
    }
    const { parameters, buffers } = unpackState(layouts, compiled.readState());
    return { parameters: { ...parameters, ...buffers }, steps };
  } finally {
    await compiled.dispose();
  }
}
