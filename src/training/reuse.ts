import { hasCheckpoint } from './checkpoint.js';
import { canonicalJson, type RunDescription, type RunIdentity } from './run-folder.js';

/** What may differ between a run that is there and the one that is wanted. */
export type Difference = 'experiment' | 'source' | 'settings' | 'seed' | 'data' | 'lock file' | 'engine';

/** Whether a run can be used again, and why. */
export interface Reuse {
  reused: boolean;
  changed: Difference[];
  /** One sentence for the reader. */
  reason: string;
}

/**
 * Compares a run that is there with the one that is wanted. One that is the same but not finished is resumed.
 * @param finished folder and number of steps of a run that has its summary, null for one that has none; it counts as finished when its
 * last checkpoint is undamaged
 * @throws UserError when the run's LAST is damaged
 */
export function describeReuse(existing: RunDescription, wanted: RunIdentity, finished: { folder: string; steps: number } | null): Reuse {
  const changes = changesOf(existing, wanted);
  const reused = changes.length === 0;
  const use = (): string => (finished && hasCheckpoint(finished.folder, finished.steps) ? 'reused' : 'resumed');
  return {
    reused,
    changed: changes.map(([difference]) => difference),
    reason: reused
      ? `run ${existing.id} of ${existing.experiment} is ${use()}: source, settings, data, lock file and engine are unchanged`
      : `run ${existing.id} of ${existing.experiment} is not reused: ${changes.map(([, sentence]) => sentence).join('; ')}`,
  };
}

/** The run of the wanted one's experiment that differs least from it (the newest of several), or undefined where there is none. */
export function nearestRun(runs: readonly RunDescription[], wanted: RunIdentity): RunDescription | undefined {
  const differences = (run: RunDescription): number => changesOf(run, wanted).length;
  return runs
    .filter(({ experiment }) => experiment === wanted.experiment)
    .reduce<RunDescription | undefined>((best, run) => {
      const order = best === undefined ? -1 : differences(run) - differences(best);
      return order < 0 || (order === 0 && run.startedAt >= best!.startedAt) ? run : best;
    }, undefined);
}

/** What differs, each with a sentence for the reader. */
function changesOf(existing: RunDescription, wanted: RunIdentity): [Difference, string][] {
  const changes: [Difference, string][] = [];
  if (existing.experiment !== wanted.experiment) changes.push(['experiment', `the experiment is ${wanted.experiment}, not ${existing.experiment}`]);
  if (existing.sourceHash !== wanted.sourceHash) changes.push(['source', 'the source in src/ changed']);
  const settings = changedSettings(existing.settings, wanted.settings);
  if (settings.length > 0) changes.push(['settings', `settings changed (${settings.join(', ')})`]);
  if (existing.seed !== wanted.seed) changes.push(['seed', `the seed is ${wanted.seed}, not ${existing.seed}`]);
  if (existing.dataHash !== wanted.dataHash) changes.push(['data', 'the data changed']);
  if (existing.lockHash !== wanted.lockHash) changes.push(['lock file', 'the lock file changed']);
  const [before, now] = [existing.engine, wanted.engine].map(({ name, version }) => `${name} ${version}`);
  if (before !== now) changes.push(['engine', `the engine is ${now}, not ${before}`]);
  return changes;
}

/** The settings that differ, e.g. `training.seed: 0 -> 1`. */
function changedSettings(before: Record<string, unknown>, now: Record<string, unknown>, path = ''): string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])].sort().flatMap((key) => {
    const [a, b] = [before[key], now[key]];
    if (isObject(a) && isObject(b)) return changedSettings(a, b, `${path}${key}.`);
    return canonicalJson(a) === canonicalJson(b) ? [] : [`${path}${key}: ${canonicalJson(a) ?? 'none'} -> ${canonicalJson(b) ?? 'none'}`];
  });
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
