import type { ClaimRow } from '../figures/claims-chart.js';
import { datasetName, groupFor, modelName, scopeOf, seedsText, type GroupedRun } from '../figures/groups.js';
import type { Observations } from '../figures/observation-records.js';
import type { Origin, RunSummaries } from '../figures/run-summaries.js';
import type { RunScope, RunSummary } from '../training/run-record.js';
import type { Claim, Difference } from './claim.js';
import { CLAIMS } from './claims.js';

/** What runs say about a claim. */
export type Verdict = 'reproduced' | 'not reproduced' | 'undecided';

/** Runs that may be compared: one origin, protocol, scope, scale, data set and model. */
export interface JudgedRuns {
  origin: Origin;
  scope: RunScope;
  scale: RunSummary['scale'];
  dataset: string;
  model: string;
  /** Ids of the runs behind the differences. */
  ids: string[];
  /** In words. */
  text: string;
}

/** A claim, judged on one set of runs. */
export interface Judgement {
  claim: Claim;
  /** null: no runs answer it. */
  runs: JudgedRuns | null;
  differences: Difference[];
  verdict: Verdict;
  /** Why it is undecided, or which difference decided. */
  reason: string;
}

/** Seeds without which there is no interval. */
const FEWEST = 2;

/** What differences, each claimed to be above 0, say together. */
export function verdictOf(differences: readonly Difference[]): { verdict: Verdict; reason: string } {
  const below = differences.find(({ interval }) => interval?.high !== null && interval?.high !== undefined && interval.high < 0);
  if (below) return { verdict: 'not reproduced', reason: `${below.name} is below 0` };
  const missing = differences.find(({ interval }) => interval === null);
  if (missing) return { verdict: 'undecided', reason: `${missing.name}: ${missing.missing}` };
  const few = differences.find(({ interval }) => interval!.n < FEWEST);
  if (few) return { verdict: 'undecided', reason: `too few seeds: ${few.name} has ${few.interval!.n}, an interval needs ${FEWEST}` };
  const crossing = differences.find(({ interval }) => interval!.low! <= 0);
  if (crossing) return { verdict: 'undecided', reason: `the interval of ${crossing.name} holds 0` };
  return { verdict: 'reproduced', reason: differences.length === 1 ? 'its interval is above 0' : `all ${differences.length} intervals are above 0` };
}

/**
 * Judges the claims on each set of runs that may be compared: runs of different origins, scopes, scales, data sets or models are never
 * mixed, nor are those of `npm start` and `qdetr train` with those of experiments, whose steps are others.
 */
export function judgeClaims(runs: RunSummaries, observations: Observations = { recorded: [], fresh: [] }, claims: readonly Claim[] = CLAIMS): Judgement[] {
  return claims.flatMap((claim) => {
    const judged = (['recorded', 'fresh'] as const).flatMap((origin) => {
      const answering = runs[origin].filter(({ artefact }) => artefact.includes(claim.artefact)), seen = observations[origin].filter(({ artefact }) => artefact.includes(claim.artefact));
      return partitions(answering).map((own): Judgement => {
        const [{ scope, scale, dataset, model }] = [{ ...own[0], scope: scopeOf(own[0]) }];
        const comparable = groupFor(claim.artefact, own, { scope })?.runs ?? [];
        const observed = groupFor(claim.artefact, seen.filter((record) => keyOf(record) === keyOf(own[0]) && comparable.some(({ id }) => id === record.id)), { scope })?.runs ?? [];
        const differences = claim.differences({ runs: comparable, observations: observed });
        const ids = [...new Set(differences.flatMap((one) => one.runs))].sort();
        const text = `${origin}, ${datasetName(dataset)}, ${modelName({ model, scale })}, scale ${scale}${scope === 'detector' ? '' : `, ${scope} only`}, ${seedsText(comparable)}`;
        return { claim, runs: { origin, scope, scale, dataset, model, ids, text }, differences, ...(scale === 'smoke' ? { verdict: 'undecided', reason: 'runs of scale smoke learn nothing' } : verdictOf(differences)) };
      });
    });
    const answered = judged.filter(({ differences }) => differences.some(({ interval }) => interval !== null));
    if (answered.length > 0) return answered;
    return [judged[0] ?? { claim, runs: null, differences: claim.differences({ runs: [], observations: [] }), verdict: 'undecided', reason: 'no runs answer it' }];
  });
}

const keyOf = (run: GroupedRun): string => [scopeOf(run), run.scale, run.dataset, run.model].join('|');

/** Runs of an experiment are not compared with those of `npm start` or `qdetr train`. */
const protocolOf = ({ experiment }: RunSummary): string => /^(start|train)\//.exec(experiment)?.[1] ?? 'experiment';

/** Runs that may be compared, together. */
function partitions(runs: readonly RunSummary[]): RunSummary[][] {
  const sets = new Map<string, RunSummary[]>();
  for (const run of runs) {
    const key = `${protocolOf(run)}|${keyOf(run)}`;
    sets.set(key, [...(sets.get(key) ?? []), run]);
  }
  return [...sets.values()];
}

/** The difference that decides: the one whose interval, or mean, is lowest. */
export function weakest(differences: readonly Difference[]): Difference | undefined {
  const lowest = ({ interval }: Difference): number => (interval === null ? Infinity : interval.low ?? interval.mean);
  return differences.reduce<Difference | undefined>((best, one) => (best === undefined || lowest(one) < lowest(best) ? one : best), undefined);
}

/** Judgements as the chart of claims shows them: of several differences the weakest. */
export function claimRows(judgements: readonly Judgement[]): ClaimRow[] {
  return judgements.map(({ claim, runs, differences, verdict, reason }) => {
    const { name, interval } = weakest(differences) ?? { name: '', interval: null };
    return {
      claim: claim.statement, statistic: differences.length > 1 && interval !== null ? `weakest of ${differences.length}: ${name}` : name, runs: `${claim.where}; ${runs ? `${runs.text}: ` : ''}${reason}`,
      estimate: interval?.mean ?? null, low: interval?.low ?? null, high: interval?.high ?? null, threshold: 0, side: 'above', verdict,
    };
  });
}
