import { finalEvaluation, type RunSummary } from '../training/run-record.js';
import { finalAp50 } from './groups.js';
import { meanInterval, type Interval } from './statistics.js';

/** The method that gains are against. */
export const BASELINE = 'Baseline';

/** A method's gain over the baseline: the differences of runs of the same seed, their mean and 95 % t-interval. */
export interface PairedGain extends Interval {
  /** Seeds that both have. */
  seeds: number[];
}

/**
 * AP50 on test of a method minus the baseline's at the same bits, in percentage points, paired by seed; null where no seed has both. Runs trained for
 * different numbers of steps are no pair (decision A20).
 * @param runs of one group
 */
export function pairedGain(runs: readonly RunSummary[], method: string, bits: string): PairedGain | null {
  const of = (name: string): Map<number, RunSummary> => new Map(runs.filter((run) => run.method === name && run.bits === bits).map((run) => [run.seed, run]));
  const own = of(method), baseline = of(BASELINE);
  const pairs = [...own].sort(([a], [b]) => a - b).flatMap(([seed, run]) => {
    const other = baseline.get(seed), value = finalAp50(run, 'test'), base = other === undefined ? null : finalAp50(other, 'test');
    return other === undefined || value === null || base === null || stepsOf(run) !== stepsOf(other) ? [] : [{ seed, gain: value - base }];
  });
  return pairs.length === 0 ? null : { ...meanInterval(pairs.map(({ gain }) => gain)), seeds: pairs.map(({ seed }) => seed) };
}

/** Steps of a run's last stage: those of its last evaluation on test. */
export const stepsOf = (run: RunSummary): number | null => finalEvaluation(run, 'test')?.step ?? null;
