import { UserError } from '../errors.js';
import type { ResidentArray } from '../tensor/compile-step.js';
import type { TensorSpec, TypedArray } from '../tensor/graph.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { compileAccumulatedTraining, type MicroBatch } from './accumulated-training.js';
import type { Told } from './batch-source.js';
import { compileTraining, inOneOrder, startingState } from './compiled-training.js';
import { MetricsLog, type Metrics } from './metrics-log.js';
import { lockRun } from './run-lock.js';
import type { TrainingSettings } from './settings.js';
import type { ObjectiveFunction } from './training-step.js';

/** What is trained, apart from how. */
export interface TrainingTask {
  /** Parameters and buffers to start from; asked for when there is no checkpoint. */
  start(): ParameterValues | Promise<ParameterValues>;
  /** Loss of a batch. */
  objective: ObjectiveFunction;
  /** Shapes and types of a batch. */
  inputs: Record<string, TensorSpec>;
  /** The batch of a step; depends on nothing but the step. */
  batch(step: number): Record<string, TypedArray>;
  /**
   * Arrays that stay with the engine, which the objective finds among a batch's; asked for once, before the first step.
   */
  resident?(told?: Told): Promise<Record<string, ResidentArray>>;
  /** Steps in an epoch. */
  stepsPerEpoch: number;
  /** Lines for the log about the model as it is after `step` steps. */
  evaluate?(parameters: ParameterValues, step: number): Promise<Metrics[]>;
  /** Which parameters stay as they are; they are kept with the buffers. */
  isFrozen?(name: string): boolean;
  /** Frees what the task holds; called once at the end, however the training ends. */
  dispose?(): Promise<void>;
}

/**
 * What is trained in steps of several micro-batches, whose shapes may differ: images of any size, or more of them in a step than memory takes at once. The loss of
 * a step is the mean of its micro-batches'.
 */
export interface ShapedTrainingTask extends Omit<TrainingTask, 'inputs' | 'batch' | 'resident'> {
  /** The micro-batches of a step; they depend on nothing but the step. */
  microBatches(step: number): Promise<MicroBatch[]>;
}

/** What a training run tells while it goes on. */
export interface TrainingListener {
  /** While what stays with the engine is made ready: images, say. @param what see {@link Told} */
  preparing?(done: number, total: number, what?: string): void;
  /** Before the first step; `from` is the step that a resumed run goes on from. */
  started?(from: number, note?: string): void;
  /** After each step. */
  step?(done: number, loss: number): void;
  /** After an evaluation. */
  evaluated?(lines: readonly Metrics[]): void;
}

/** A training run was asked to stop; its checkpoint holds the step where it stopped. */
export class TrainingInterrupted extends Error {
  override name = 'TrainingInterrupted';
  constructor(readonly step: number, readonly folder: string) {
    super(`stopped after step ${step}; the same command goes on from there (checkpoint in ${folder})`);
  }
}

/** Options of {@link train}. */
export interface TrainOptions {
  folder: string;
  runId: string;
  settings: TrainingSettings;
  listener?: TrainingListener;
  /** Aborting it stops the run after the current step, with a checkpoint. */
  signal?: AbortSignal;
  threads?: number;
}

/** Lines of the log for training steps in a whole run, about. */
const LOGGED_STEPS = 200;

/**
 * Trains in a run folder, or goes on from the checkpoint that it holds: killed at any moment and started again, a run ends with
 * the same weights bit for bit and the same lines in metrics.jsonl (on one engine and thread count).
 * @returns parameters and buffers at the end
 * @throws UserError when the loss or a parameter is no number any more (the last good checkpoint stays); TrainingInterrupted on a signal
 */
export async function train(task: TrainingTask | ShapedTrainingTask, options: TrainOptions): Promise<ParameterValues> {
  try {
    const unlock = lockRun(options.folder);
    try {
      return await trainLocked(task, options);
    } finally {
      unlock();
    }
  } finally {
    await task.dispose?.();
  }
}

async function trainLocked(task: TrainingTask | ShapedTrainingTask, { folder, runId, settings, listener, signal, threads }: TrainOptions): Promise<ParameterValues> {
  const loaded = loadCheckpoint(folder, runId);
  const state = loaded ? inOneOrder(loaded.checkpoint) : await startingState(task);
  let done = loaded?.checkpoint.counters.step ?? 0;
  const finished = () => ({ ...state.parameters, ...state.buffers });
  if (loaded && done === settings.steps) {
    new MetricsLog(folder, loaded.checkpoint.counters.metricsBytes).close(); // as long as the checkpoint says, or an error
    return finished();
  }

  const log = new MetricsLog(folder, loaded?.checkpoint.counters.metricsBytes ?? 0);
  const preparing: Told = (made, total, what) => {
    listener?.preparing?.(made, total, what);
    if (signal?.aborted) throw new TrainingInterrupted(done, folder);
  };
  const compiled = 'microBatches' in task ? compileAccumulatedTraining(task, state, settings, threads) : compileTraining(task, state, settings, threads, preparing);
  const training = await compiled.catch((error: unknown) => {
    log.close();
    throw error;
  });
  const read = async () => {
    const now = await training.read();
    const broken = Object.entries({ ...now.parameters, ...now.buffers }).find(([, { data }]) => !data.every(Number.isFinite));
    if (broken) throw diverged(`'${broken[0]}' holds a value that is no number`, done);
    return now;
  };
  const diverged = (what: string, step: number): UserError =>
    new UserError(`${folder}: ${what} in step ${step}: start again with a lower learningRate (--set learningRate=${settings.learningRate / 2}); the checkpoint before stays`);
  const save = async (): Promise<void> => {
    log.sync();
    const counters = { seed: settings.seed, step: done, epoch: Math.floor(done / task.stepsPerEpoch), positionInEpoch: (done % task.stepsPerEpoch) * settings.batchSize, metricsBytes: log.bytes };
    saveCheckpoint(folder, { ...(await read()), runId, counters });
  };
  const logInterval = Math.max(1, Math.round(settings.steps / LOGGED_STEPS));
  try {
    listener?.started?.(done, loaded?.note);
    while (done < settings.steps) {
      const before = done;
      const stops = [settings.checkpointInterval, ...(task.evaluate ? [settings.evaluationInterval] : [])].map((interval) => (Math.floor(done / interval) + 1) * interval);
      for await (const { learningRate, numbers } of training.steps(done, Math.min(settings.steps, ...stops), signal)) {
        const broken = Object.keys(numbers).find((name) => !Number.isFinite(numbers[name]));
        if (broken) throw diverged(`'${broken}' is ${numbers[broken]}`, done + 1);
        done++;
        if (done % logInterval === 0 || done === settings.steps) log.append({ kind: 'train', step: done, epoch: done / task.stepsPerEpoch, learningRate, ...numbers });
        listener?.step?.(done, numbers.loss);
        await new Promise((resolve) => setImmediate(resolve)); // signals are heard between steps
      }
      if (task.evaluate && done > before && (done % settings.evaluationInterval === 0 || done === settings.steps)) {
        const { parameters, buffers } = await read();
        const lines = await task.evaluate({ ...parameters, ...buffers }, done);
        for (const line of lines) log.append(line);
        listener?.evaluated?.(lines);
      }
      if (done % settings.checkpointInterval === 0 || done === settings.steps || signal?.aborted) await save();
      if (signal?.aborted && done < settings.steps) throw new TrainingInterrupted(done, folder);
    }
    const { parameters, buffers } = await read();
    return { ...parameters, ...buffers };
  } finally {
    log.close();
    await training.dispose();
  }
}
