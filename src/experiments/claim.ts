import { meanInterval, type Interval } from '../figures/statistics.js';
import type { ObservationRecord } from '../training/observation-record.js';
import { finalEvaluation, type RunSummary } from '../training/run-record.js';

/** What a claim is judged on: runs of one protocol, scope, scale, data set and model, each seed of a cell once, and what was observed of them. */
export interface ClaimRuns {
  scale: RunSummary['scale'];
  runs: readonly RunSummary[];
  observations: readonly ObservationRecord[];
}

/** One difference that a claim says is above 0, over the seeds that both sides have. */
export interface Difference {
  /** In words, e.g. `+ DA minus Baseline at 2-2-8`. */
  name: string;
  /** Mean and 95 % t-interval of the paired differences; null without a pair. */
  interval: Interval | null;
  /** Why there is no pair; undefined where there is one. */
  missing?: string;
  /** The cells that it compares, by method and bits. */
  cells: string[];
  /** Those of them without a run. */
  empty: string[];
  /** Ids of the runs behind it. */
  runs: string[];
}

/** A claim of the paper: every one of its differences is above 0. */
export interface Claim {
  id: string;
  /** What the paper says, as a sentence. */
  statement: string;
  /** Where it says so. */
  where: string;
  /** What is measured, with its unit. */
  statistic: string;
  /** Decimals that it is printed with. */
  digits: number;
  /** The artefact whose runs answer it. */
  artefact: string;
  /**
   * The experiment that trains all of its cells, with the bit-widths that it needs (undefined: the experiment's own), and whether it makes
   * sense of whole detectors alone.
   */
  experiment: { name: string; bits?: readonly string[]; wholeDetector?: boolean };
  /** Whether it is about what was observed of runs; default: about the runs' own numbers. */
  needsObservations?: boolean;
  /** The differences; the same names whatever the runs. */
  differences(of: ClaimRuns): Difference[];
}

/** One side of a difference: a number for each seed. */
export interface Side {
  /** In words. */
  name: string;
  /** The cells behind it, by method and bits. */
  cells: readonly string[];
  values: ReadonlyMap<number, number>;
  /** Steps of the runs, where they must agree with the other side's (decision A20); null: whatever they are. */
  steps: number | null;
  runs: string[];
}

/** The runs of one cell as a side of a difference. @param value of a run, null where it has none @param cell method and bits, where the name is another */
export function side(name: string, runs: readonly RunSummary[], isWanted: (run: RunSummary) => boolean, value: (run: RunSummary) => number | null, cell = name): Side {
  const measured = runs.filter(isWanted).flatMap((run) => {
    const number = value(run);
    return number === null ? [] : [{ run, number }];
  });
  const first = measured[0]?.run;
  return {
    name, cells: [cell], values: new Map(measured.map(({ run, number }) => [run.seed, number])), runs: measured.map(({ run }) => run.id),
    steps: first === undefined || first.bits === '32-32-32' ? null : finalEvaluation(first, 'test')?.step ?? null,
  };
}

/** The larger side minus the smaller, paired by seed. Sides that were trained for different numbers of steps are not compared. */
export function difference(larger: Side, smaller: Side, name = `${larger.name} minus ${smaller.name}`): Difference {
  return combined([[1, larger], [-1, smaller]], name);
}

/** A weighted sum of sides, paired by seed. */
export function combined(terms: readonly (readonly [number, Side])[], name: string): Difference {
  const sides = terms.map(([, one]) => one), runs = [...new Set(sides.flatMap((one) => one.runs))].sort();
  const unique = (of: readonly Side[]): string[] => [...new Set(of.flatMap((one) => one.cells))];
  const cells = unique(sides), empty = unique(sides.filter((one) => one.values.size === 0));
  const none = (missing: string): Difference => ({ name, interval: null, missing, cells, empty, runs });
  if (empty.length > 0) return none(`no runs of ${empty.join(', ')}`);
  const steps = new Set(sides.flatMap((one) => one.steps ?? []));
  if (steps.size > 1) return none(`trained for different numbers of steps (${[...steps].join(', ')})`);
  const seeds = [...sides[0].values.keys()].filter((seed) => sides.every((one) => one.values.has(seed)));
  if (seeds.length === 0) return none('no seed in common');
  return { name, cells, empty, runs, interval: meanInterval(seeds.map((seed) => terms.reduce((sum, [weight, one]) => sum + weight * one.values.get(seed)!, 0))) };
}
