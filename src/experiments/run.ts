import { availableParallelism, cpus } from 'node:os';
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { chooseEngine } from '../tensor/engine.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { loadCheckpoint } from '../training/checkpoint.js';
import { readMetrics } from '../training/metrics-log.js';
import { evaluationSchema, type Evaluation, type RunSummary } from '../training/run-record.js';
import { lockRun } from '../training/run-lock.js';
import { describeReuse, nearestRun } from '../training/reuse.js';
import { canonicalJson, listRuns, lockHash, openRun, readSummary, runFolder, runId, sourceHash, writeSummary, type RunIdentity } from '../training/run-folder.js';
import { UserError } from '../errors.js';
import { readJson, sha256, writeFileAtomic } from '../files.js';
import { train, TrainingInterrupted, type TrainingListener, type TrainingTask } from '../training/train.js';
import type { TrainingSettings } from '../training/settings.js';

/** A run of an experiment: what it is, what it is called in tables, and how it is trained. */
export interface ExperimentRun {
  /** Unique among the runs of a command, e.g. `start/baseline-2-2-8`. */
  experiment: string;
  /** What the summary says beside numbers. */
  label: Pick<RunSummary, 'artefact' | 'method' | 'bits' | 'model' | 'scale' | 'dataset' | 'tau' | 'lambda' | 'quantized'>;
  training: TrainingSettings;
  /** Everything else that the numbers depend on: model, protocol, the run that it starts from. */
  protocol: Record<string, unknown>;
  /** Of all data that is read. */
  dataHashes: readonly string[];
  task(): TrainingTask | Promise<TrainingTask>;
}

/** How runs are performed. */
export interface PerformOptions {
  /** Command line, for the record. */
  command: string;
  /** Trains again what is there. */
  fresh?: boolean;
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
export async function performRun(run: ExperimentRun, { command, fresh = false, root, signal, threads = availableParallelism(), listener }: PerformOptions): Promise<FinishedRun> {
  const engine = await chooseEngine();
  const identity: RunIdentity = {
    experiment: run.experiment,
    settings: { ...run.protocol, bits: run.label.bits, training: run.training, threads },
    seed: run.training.seed,
    dataHash: sha256(run.dataHashes.join(' ')),
    sourceHash: sourceHash(),
    lockHash: lockHash(),
    engine: { name: engine.name, version: engine.version ?? 'unknown' },
  };
  const id = runId(identity), wantedFolder = runFolder(id, root);
  if (fresh) discardRun(wantedFolder);
  const nearest = nearestRun(listRuns(root), identity);
  const { folder, description } = openRun(identity, command, root);
  const finished = readSummary(folder);
  if (nearest) listener?.reuse?.(describeReuse(nearest, identity, finished && { folder, steps: run.training.steps }).reason);
  if (finished) {
    const loaded = loadCheckpoint(folder, id);
    const { parameters, buffers, counters } = loaded?.checkpoint ?? {};
    if (counters?.step === run.training.steps) return { id, folder, summary: finished, parameters: { ...parameters, ...buffers }, reused: true };
    listener?.reuse?.(loaded?.note ?? `${folder} has a summary, but no checkpoint of step ${run.training.steps}: training goes on`);
  }
  const parameters = await timed(folder, async () => train(await run.task(), { folder, runId: id, settings: run.training, listener, signal, threads }));
  const evaluations = evaluationsOf(folder);
  if (run.label.artefact.length > 0 && !evaluations.some(({ step }) => step === run.training.steps)) {
    throw new UserError(`${path.join(folder, 'metrics.jsonl')}: the evaluation after step ${run.training.steps} is missing: delete this run's folder, or start with --fresh, to train again`);
  }
  const summary: RunSummary = {
    schemaVersion: 1, id, experiment: run.experiment, ...run.label, seed: run.training.seed, recipe: recipeOf(identity.settings),
    evaluations, informationPlane: [], command,
    engine: `${identity.engine.name} ${identity.engine.version}`,
    machine: `${description.machine.cores} ${description.machine.cores === 1 ? 'core' : 'cores'}, ${cpus()[0]?.model.trim() ?? 'unknown processor'}`,
    seconds: Math.round(10 * readSeconds(folder)) / 10,
    finishedAt: new Date().toISOString(),
  };
  writeSummary(folder, summary);
  return { id, folder, summary, parameters, reused: false };
}

/** The hash of all settings but the seed, the thread count, and the run that it starts from (which has a seed of its own). */
export function recipeOf(settings: Readonly<Record<string, unknown>>): string {
  const startsFrom = /^[0-9a-f]{12}$/.test(String(settings.startsFrom)) ? 'a run' : settings.startsFrom;
  return sha256(canonicalJson({ ...settings, threads: 0, startsFrom, training: { ...(settings.training as TrainingSettings), seed: 0 } })).slice(0, 12);
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

/** Deletes a run's folder. @throws UserError when a process is training it */
function discardRun(folder: string): void {
  if (!existsSync(folder)) return;
  const unlock = lockRun(folder);
  rmSync(folder, { recursive: true, force: true });
  unlock();
}

/** The evaluations in a run's log. */
function evaluationsOf(folder: string): Evaluation[] {
  return readMetrics(folder).filter(({ kind }) => kind === 'evaluation').map((line) => {
    const { split, step, epoch, ap, ap50, ap75 } = line;
    return evaluationSchema.parse({ split, step, epoch, ap, ap50, ap75 });
  });
}
