import type { ParameterValues } from '../tensor/parameters.js';
import { compileTraining, startingState } from './compiled-training.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './train.js';

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
export async function trainInMemory(task: Pick<TrainingTask, 'start' | 'objective' | 'inputs' | 'batch' | 'resident' | 'isFrozen'>, settings: TrainingSettings, threads?: number): Promise<ShortTraining> {
  const training = await compileTraining(task, await startingState(task), settings, threads);
  const steps: Record<string, number>[] = [];
  try {
    for await (const { numbers } of training.steps(0, settings.steps)) steps.push(numbers);
    const { parameters, buffers } = await training.read();
    return { parameters: { ...parameters, ...buffers }, steps };
  } finally {
    await training.dispose();
  }
}
