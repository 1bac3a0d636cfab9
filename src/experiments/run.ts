import { availableParallelism, cpus } from 'node:os';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { eagerSuffix } from '../tensor/backend.js';
import { chooseEngine } from '../tensor/engine.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { loadCheckpoint, saveCheckpoint } from '../training/checkpoint.js';
import { MetricsLog, readMetrics, type Metrics } from '../training/metrics-log.js';
import { evaluationSchema, informationPointSchema, type Evaluation, type InformationPoint, type RunSummary } from '../training/run-record.js';
import { lockRun } from '../training/run-lock.js';
import { describeReuse, nearestRun } from '../training/reuse.js';
import { canonicalJson, listRuns, lockHash, openRun, readRun, readSummary, runFolder, runId, sourceHash, writeSummary, type RunIdentity } from '../training/run-folder.js';
import { UserError } from '../errors.js';
import { readJson, sha256, writeFileAtomic } from '../files.js';
import { train, TrainingInterrupted, type ShapedTrainingTask, type TrainingListener, type TrainingTask } from '../training/train.js';
import type { TrainingSettings } from '../training/settings.js';

/** A run of an experiment: what it is, what it is called in tables, and how it is trained. */
export interface ExperimentRun {
  /** Unique among the runs of a command, e.g. `start/baseline-2-2-8`. */
  experiment: string;
  /** What the summary says beside numbers. */
  label: Omit<RunSummary, MeasuredKey>;
  training: TrainingSettings;
  /** Everything else that the numbers depend on: model, protocol, the run that it starts from. */
  protocol: Record<string, unknown>;
  /** Of all data that is read. */
  dataHashes: readonly string[];
  /** How it is trained. */
  task?(): TrainingTask | ShapedTrainingTask | Promise<TrainingTask | ShapedTrainingTask>;
  /** In place of training: the parameters as something else makes them, and the lines for the log about them (post-training quantization). */
  measure?(): Promise<{ parameters: ParameterValues; lines: Metrics[] }>;
}

/** What a summary says that the run itself finds out. */
type MeasuredKey = 'schemaVersion' | 'id' | 'experiment' | 'seed' | 'recipe' | 'evaluations' | 'informationPlane' | 'distillationRatio' | 'command' | 'engine' | 'machine' | 'seconds' | 'finishedAt';

/** How runs are performed. */
export interface PerformOptions {
  /** Command line, for the record. */
  command: string;
  /** Trains again what was begun before this moment, an ISO 8601 time: work that several processes share is done anew once, not once by each. */
  freshSince?: string;
  /** Folder of the run folders; default `.runs`. */
  root?: string;
  signal?: AbortSignal;
  /** Threads of a compiled step, a part of what determines a run (sums are split among them); default: the cores that the process may use. */
  threads?: number;
  listener?: RunListener;
}

/** What performing a run tells. */
export interface RunListener extends TrainingListener {
  /** Whether the run, or a checkpoint of it, is used again, and why or why not. */
  reuse?(reason: string): void;
}

/** A run that is finished. */
export interface FinishedRun {
  id: string;
  folder: string;
  summary: RunSummary;
  parameters: ParameterValues;
  reused: boolean;
}

/**
 * Performs a run, goes on with it, or uses it again: its folder's name is a hash of source, settings, data, lock file and engine.
 * @throws what `train` throws; UserError when the folder can't be written or its records are damaged
 */
export async function performRun(run: ExperimentRun, { command, freshSince, root, signal, threads = availableParallelism(), listener }: PerformOptions): Promise<FinishedRun> {
  const engine = await chooseEngine();
  const identity: RunIdentity = {
    experiment: run.experiment,
    settings: { ...run.protocol, bits: run.label.bits, training: run.training, threads },
    seed: run.training.seed,
    dataHash: sha256(run.dataHashes.join(' ')),
    sourceHash: sourceHash(),
    lockHash: lockHash(),
    engine: { name: engine.name, version: `${engine.version ?? 'unknown'}${eagerSuffix()}` },
  };
  const id = runId(identity);
  if (freshSince !== undefined) beginAgain(runFolder(id, root), freshSince, () => void openRun(identity, command, root));
  const steps = run.task ? run.training.steps : 0;
  const nearest = nearestRun(listRuns(root), identity);
  const { folder, description } = openRun(identity, command, root);
  const finished = readSummary(folder);
  const reuse = nearest && describeReuse(nearest, identity, finished && { folder, steps });
  const resumed = reuse?.reused === true && finished === null ? reuse.reason : undefined; // told once it goes on: another process may be training it, or it may have no checkpoint
  if (reuse && resumed === undefined) listener?.reuse?.(reuse.reason);
  if (finished) {
    const loaded = loadCheckpoint(folder, id);
    const { parameters, buffers, counters } = loaded?.checkpoint ?? {};
    if (counters?.step === steps) return { id, folder, summary: finished, parameters: { ...parameters, ...buffers }, reused: true };
    listener?.reuse?.(loaded?.note ?? `${folder} has a summary, but no checkpoint of step ${steps}: training goes on`);
  }
  const parameters = await timed(folder, async () => (run.task ? train(await run.task(), { folder, runId: id, settings: run.training, listener: resumed === undefined ? listener : tellingFirst(resumed, listener), signal, threads }) : measured(run, folder, id, listener)));
  const evaluations = evaluationsOf(folder);
  if (run.label.artefact.length > 0 && !evaluations.some(({ step }) => step === steps)) {
    throw new UserError(`${path.join(folder, 'metrics.jsonl')}: the evaluation after step ${steps} is missing: delete this run's folder, or start with --fresh, to train again`);
  }
  const summary: RunSummary = {
    schemaVersion: 1, id, experiment: run.experiment, ...run.label, seed: run.training.seed, recipe: recipeOf(identity.settings),
    evaluations, informationPlane: informationPlaneOf(folder), ...distillationRatioOf(folder), command,
    engine: `${identity.engine.name} ${identity.engine.version}`,
    machine: `${description.machine.cores} ${description.machine.cores === 1 ? 'core' : 'cores'}, ${cpus()[0]?.model.trim() ?? 'unknown processor'}`,
    seconds: Math.round(10 * readSeconds(folder)) / 10,
    finishedAt: new Date().toISOString(),
  };
  writeSummary(folder, summary);
  return { id, folder, summary, parameters, reused: false };
}

/** A listener that hears why a run goes on before it hears that it does. */
function tellingFirst(reason: string, listener?: RunListener): RunListener {
  return {
    ...listener,
    started: (from, note) => {
      if (from > 0) listener?.reuse?.(reason);
      listener?.started?.(from, note);
    },
  };
}

/** Does a run that is not trained: its parameters become the checkpoint of step 0. */
async function measured(run: ExperimentRun, folder: string, runId: string, listener?: RunListener): Promise<ParameterValues> {
  if (!run.measure) throw new Error(`${run.experiment} says neither how it is trained nor how it is measured`);
  const unlock = lockRun(folder);
  try {
    const { parameters, lines } = await run.measure();
    const log = new MetricsLog(folder);
    for (const line of lines) log.append(line);
    log.sync();
    log.close();
    saveCheckpoint(folder, { parameters, buffers: {}, firstMoments: {}, secondMoments: {}, runId, counters: { seed: run.training.seed, step: 0, epoch: 0, positionInEpoch: 0, metricsBytes: log.bytes } });
    listener?.evaluated?.(lines);
    return parameters;
  } finally {
    unlock();
  }
}

/** The hash of all settings but the seed, the thread count, and the runs that it starts from or learns from (which have seeds of their own). */
export function recipeOf(settings: Readonly<Record<string, unknown>>): string {
  const anonymous = (key: 'startsFrom' | 'teacher'): object => (/^[0-9a-f]{12}$/.test(String(settings[key])) ? { [key]: 'a run' } : {});
  return sha256(canonicalJson({ ...settings, threads: 0, ...anonymous('startsFrom'), ...anonymous('teacher'), training: { ...(settings.training as TrainingSettings), seed: 0 } })).slice(0, 12);
}

const secondsFile = (folder: string): string => path.join(folder, 'seconds.json');

/** Seconds that a run has taken so far, over all the sessions that worked on it. */
function readSeconds(folder: string): number {
  const file = secondsFile(folder);
  if (!existsSync(file)) return 0;
  const { seconds } = readJson(file, 'delete it') as { seconds?: unknown };
  return typeof seconds === 'number' && Number.isFinite(seconds) ? seconds : 0;
}

/** Does a part of a run and adds the time that it took, finished or interrupted, to that of the parts before. A killed process adds nothing. */
async function timed<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const before = readSeconds(folder), begun = performance.now();
  const write = (): void => writeFileAtomic(secondsFile(folder), `${JSON.stringify({ seconds: before + (performance.now() - begun) / 1000 })}\n`);
  try {
    const result = await work();
    write();
    return result;
  } catch (error) {
    if (error instanceof TrainingInterrupted) write();
    throw error;
  }
}

/**
 * Empties the folder of a run that was begun before a moment, and begins it again. Both happen under the run's lock: of several processes that want it anew, one does it.
 * @throws RunHeld when a process is training it
 */
function beginAgain(folder: string, since: string, open: () => void): void {
  if (!existsSync(folder)) return;
  const unlock = lockRun(folder);
  try {
    if (beganBefore(folder, since)) {
      for (const entry of readdirSync(folder)) if (entry !== 'lock') rmSync(path.join(folder, entry), { recursive: true, force: true });
      open();
    }
  } finally {
    unlock();
  }
}

/** Whether a run is as old as that, or its record can't be read. */
function beganBefore(folder: string, since: string): boolean {
  try {
    return !(Date.parse(readRun(folder)?.startedAt ?? '') >= Date.parse(since));
  } catch {
    return true;
  }
}

/** The points on the information plane in a run's log. */
function informationPlaneOf(folder: string): InformationPoint[] {
  return readMetrics(folder).filter(({ kind }) => kind === 'information').map(({ epoch, informationX, informationY }) => informationPointSchema.parse({ epoch, informationX, informationY }));
}

/** lambda L_DRD / L_GT of each epoch, the mean over the epoch's steps that the log holds; nothing for a run without a teacher. */
function distillationRatioOf(folder: string): Pick<RunSummary, 'distillationRatio'> {
  const epochs = new Map<number, number[]>();
  for (const { kind, epoch, distillationRatio } of readMetrics(folder)) {
    if (kind !== 'train' || typeof distillationRatio !== 'number') continue;
    const number = Math.ceil(Number(epoch));
    epochs.set(number, [...(epochs.get(number) ?? []), distillationRatio]);
  }
  if (epochs.size === 0) return {};
  return { distillationRatio: [...epochs].map(([epoch, ratios]) => ({ epoch, ratio: ratios.reduce((sum, r) => sum + r, 0) / ratios.length })) };
}

/** The evaluations in a run's log. */
function evaluationsOf(folder: string): Evaluation[] {
  return readMetrics(folder).filter(({ kind }) => kind === 'evaluation').map((line) => {
    const known = Object.keys(evaluationSchema.shape);
    return evaluationSchema.parse(Object.fromEntries(Object.entries(line).filter(([key]) => known.includes(key))));
  });
}
