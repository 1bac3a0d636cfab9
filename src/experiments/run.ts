import { availableParallelism, cpus } from 'node:os';
import { existsSync, rmSync } from 'node:fs';
import { chooseEngine } from '../tensor/engine.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { loadCheckpoint } from '../training/checkpoint.js';
import { readMetrics } from '../training/metrics-log.js';
import { evaluationSchema, type Evaluation, type RunSummary } from '../training/run-record.js';
import { lockRun } from '../training/run-lock.js';
import { describeReuse, nearestRun } from '../training/reuse.js';
import { listRuns, lockHash, openRun, readSummary, runFolder, runId, sourceHash, writeSummary, type RunIdentity } from '../training/run-folder.js';
import { sha256 } from '../files.js';
import { train, type TrainingListener, type TrainingTask } from '../training/train.js';
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
  if (nearest) listener?.reuse?.(describeReuse(nearest, identity).reason);
  if (finished) {
    const loaded = loadCheckpoint(folder, id);
    const { parameters, buffers, counters } = loaded?.checkpoint ?? {};
    if (counters?.step === run.training.steps) return { id, folder, summary: finished, parameters: { ...parameters, ...buffers }, reused: true };
    listener?.reuse?.(loaded?.note ?? `${folder} has a summary, but no checkpoint of step ${run.training.steps}: training goes on`);
  }
  const started = performance.now();
  const parameters = await train(await run.task(), { folder, runId: id, settings: run.training, listener, signal, threads });
  const summary: RunSummary = {
    schemaVersion: 1, id, experiment: run.experiment, ...run.label, seed: run.training.seed,
    evaluations: evaluationsOf(folder), informationPlane: [], command,
    engine: `${identity.engine.name} ${identity.engine.version}`,
    machine: `${description.machine.cores} cores, ${cpus()[0]?.model.trim() ?? 'unknown processor'}`,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    finishedAt: new Date().toISOString(),
  };
  writeSummary(folder, summary);
  return { id, folder, summary, parameters, reused: false };
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
