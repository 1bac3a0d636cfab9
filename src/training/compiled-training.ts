import { adamWCorrections } from '../tensor/adamw-corrections.js';
import { compileStep } from '../tensor/compile-step.js';
import type { TensorSpec } from '../tensor/graph.js';
import type { ParameterValues } from '../tensor/parameters.js';
import type { Told } from './batch-source.js';
import { isBuffer, packLayout } from './parameter-groups.js';
import { learningRateFactor } from './schedule.js';
import type { TrainingSettings } from './settings.js';
import type { TrainingTask } from './train.js';
import { HYPERPARAMETERS, initialState, packState, trainingStep, unpackState, type TrainingState } from './training-step.js';

/** A training step compiled by the engine, with the state that it moves. */
export interface CompiledTraining {
  /**
   * Takes the steps after `done` others up to `end`, as many at once as the engine queues; none is begun once `signal` is aborted.
   * @returns of each, in order, its learning rate and the numbers that it logs, `loss` and `gradientNorm` among them
   */
  steps(done: number, end: number, signal?: AbortSignal): AsyncGenerator<StepResult>;
  /** The state as the steps so far have left it. */
  read(): Promise<TrainingState>;
  dispose(): Promise<void>;
}

/** What one step gives. */
export interface StepResult {
  learningRate: number;
  numbers: Record<string, number>;
}

/** What is stepped of a task. */
type SteppedTask = Pick<TrainingTask, 'objective' | 'inputs' | 'batch' | 'resident'>;

/** The state before the first step of a task: its start, with zero moments. */
export async function startingState({ start, isFrozen }: Pick<TrainingTask, 'start' | 'isFrozen'>): Promise<TrainingState> {
  return inOneOrder(initialState(await start(), (name) => isBuffer(name) || (isFrozen?.(name) ?? false)));
}

/** Sums depend on the order of what is summed, so that a start and a checkpoint (sorted by its file) must name everything in the same order. */
export function inOneOrder({ parameters, firstMoments, secondMoments, buffers }: TrainingState): TrainingState {
  const sorted = (values: ParameterValues): ParameterValues => Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { parameters: sorted(parameters), firstMoments: sorted(firstMoments), secondMoments: sorted(secondMoments), buffers: sorted(buffers) };
}

/**
 * Compiles a task's training step on a state that is in one order ({@link inOneOrder}).
 * @param told hears how much of what stays with the engine is ready
 */
export async function compileTraining({ objective, inputs, batch, resident }: SteppedTask, state: TrainingState, settings: TrainingSettings, threads?: number, told?: Told): Promise<CompiledTraining> {
  const layouts = packLayout(state.parameters, settings);
  const scalar: TensorSpec = { shape: [], dtype: 'float32' };
  const compiled = await compileStep(trainingStep(layouts, settings, objective), {
    state: packState(layouts, state),
    inputs: { ...inputs, ...Object.fromEntries(HYPERPARAMETERS.map((name) => [name, scalar])) },
    resident: await resident?.(told),
    threads,
  });
  const step = async (done: number): Promise<StepResult> => {
    const { correction1, correction2 } = adamWCorrections(done + 1);
    const learningRate = settings.learningRate * learningRateFactor(done, settings);
    const outputs = await compiled.run({ ...batch(done), learningRate: Float32Array.of(learningRate), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
    return { learningRate, numbers: Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values[0]])) };
  };
  return {
    async *steps(done, end, signal) {
      const underWay: Promise<StepResult>[] = [];
      let next = done;
      try {
        for (;;) {
          while (underWay.length < compiled.queue && next < end && !signal?.aborted) underWay.push(step(next++));
          const first = underWay.shift();
          if (!first) return;
          yield await first;
        }
      } finally {
        await Promise.allSettled(underWay); // a run must not end on buffers that are gone
      }
    },
    read: async () => unpackState(layouts, await compiled.readState()),
    dispose: () => compiled.dispose(),
  };
}
