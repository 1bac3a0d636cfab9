import type { ClaimRow } from '../figures/claims-chart.js';
import { datasetName, groupFor, isSmca, modelName, scopeOf, seedsText, type GroupedRun } from '../figures/groups.js';
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

/** Runs that would decide a claim. */
export interface DecisiveRuns {
  /** Method and bits of each cell. */
  cells: string[];
  seeds: number;
  /** The command that makes all of them, without any run that is there: fresh runs are never compared with recorded ones. */
  command: string;
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
  /** null: it is decided. */
  decidedBy: DecisiveRuns | null;
}

/** Seeds without which there is no interval, and those with which it is narrow enough to say something (t: 12.7 and 4.3 deviations). */
const FEWEST = 2, USUAL = 3;

/** Whether its whole interval is below 0: it refutes what is claimed. */
const isBelow = ({ interval }: Difference): boolean => interval !== null && interval.high !== null && interval.high < 0;

/** What differences, each claimed to be above 0, say together. */
export function verdictOf(differences: readonly Difference[]): { verdict: Verdict; reason: string } {
  const below = weakest(differences.filter(isBelow));
  if (below) return { verdict: 'not reproduced', reason: `${below.name} is below 0` };
  const empty = [...new Set(differences.flatMap((one) => one.empty))];
  if (empty.length > 0) return { verdict: 'undecided', reason: `no runs of ${empty.join(', ')}` };
  const missing = differences.find(({ interval }) => interval === null);
  if (missing) return { verdict: 'undecided', reason: `${missing.name}: ${missing.missing}` };
  const few = differences.find(({ interval }) => interval!.n < FEWEST);
  if (few) return { verdict: 'undecided', reason: 'one seed gives no interval' };
  const crossing = differences.find(({ interval }) => interval!.low! <= 0);
  if (crossing) return { verdict: 'undecided', reason: `the interval of ${crossing.name} holds 0` };
  return { verdict: 'reproduced', reason: differences.length === 1 ? 'its interval is above 0' : `all ${differences.length} intervals are above 0` };
}

/** The runs that would decide a claim on runs like those: same scope, scale (but never `smoke`, which decides nothing) and model. */
function decisiveRuns({ experiment: { name, bits, wholeDetector = false } }: Claim, differences: readonly Difference[], { scope, scale, model }: Pick<JudgedRuns, 'scope' | 'scale' | 'model'>): DecisiveRuns {
  const isCrossing = differences.every(({ interval }) => interval !== null && interval.n >= FEWEST);
  const seeds = isCrossing ? 2 * Math.max(...differences.map(({ interval }) => interval!.n)) : USUAL;
  const options = [
    `--scale ${scale === 'paper' ? 'gpu' : scale}`, `--seeds ${seeds}`, ...(bits ? [`--bits ${bits.join(' ')}`] : []),
    ...(scope === 'transformer' && !wholeDetector ? ['--scope transformer'] : []), ...(isSmca(model) ? ['--model smca-detr'] : []),
  ];
  return { cells: [...new Set(differences.flatMap((one) => one.cells))], seeds, command: `npx qdetr experiment ${name} ${options.join(' ')}` };
}

const USUAL_RUNS = { scope: 'detector', scale: 'minutes', model: 'detr' } as const;

/** A claim that no run answers. @param there the runs of its artefact, which are of other cells, or were not observed */
function unanswered(claim: Claim, there: readonly RunSummary[]): Judgement {
  const differences = claim.differences({ scale: USUAL_RUNS.scale, runs: [], observations: [] });
  const kinds = [...new Set(there.filter(({ bits }) => bits !== '32-32-32').map((run) => `${run.bits}${scopeOf(run) === 'detector' ? '' : ` (${scopeOf(run)} only)`}`))].join(', ');
  const at = claim.experiment.bits ? ` at ${claim.experiment.bits.join(', ')}` : '';
  const [wanted, others] = claim.needsObservations ? ['observations', `the runs at ${kinds} were not observed`] : ['runs', `there are runs of other cells, at ${kinds}`];
  const reason = `no ${wanted}${at} answer it${kinds === '' ? '' : `; ${others}`}`;
  return { claim, runs: null, differences, verdict: 'undecided', reason, decidedBy: decisiveRuns(claim, differences, USUAL_RUNS) };
}

/**
 * Judges the claims on each set of runs that may be compared: runs of different origins, scopes, scales, data sets or models are never
 * mixed, nor are those of `npm start` and `qdetr train` with those of experiments, whose steps are others.
 */
export function judgeClaims(runs: RunSummaries, observations: Observations = { recorded: [], fresh: [] }, claims: readonly Claim[] = CLAIMS): Judgement[] {
  return claims.flatMap((claim) => {
    const there = ORIGINS.flatMap((origin) => runs[origin].filter(({ artefact }) => artefact.includes(claim.artefact)).map((run) => ({ origin, run })));
    const judged = ORIGINS.flatMap((origin) => {
      const seen = observations[origin].filter(({ artefact }) => artefact.includes(claim.artefact));
      return partitions(there.filter((one) => one.origin === origin).map(({ run }) => run)).map((own) => judgeOn(claim, origin, own, seen));
    });
    const hasIntervals = judged.filter(({ differences }) => differences.some(({ interval }) => interval !== null));
    if (hasIntervals.length > 0) return hasIntervals;
    const begun = judged.find(({ runs: used }) => used !== null && used.ids.length > 0);
    return [begun ?? unanswered(claim, there.map(({ run }) => run))];
  });
}

const ORIGINS = ['recorded', 'fresh'] as const;

/** A claim, judged on runs that may be compared, and on what was observed of them. */
function judgeOn(claim: Claim, origin: Origin, own: readonly RunSummary[], seen: Observations[Origin]): Judgement {
  const [{ scale, dataset, model }] = own, scope = scopeOf(own[0]);
  const comparable = groupFor(claim.artefact, own, { scope })?.runs ?? [];
  const observed = groupFor(claim.artefact, seen.filter((record) => keyOf(record) === keyOf(own[0]) && comparable.some(({ id }) => id === record.id)), { scope })?.runs ?? [];
  const differences = claim.differences({ scale, runs: comparable, observations: observed });
  const ids = [...new Set(differences.flatMap((one) => one.runs))].sort();
  const kind = `${origin}, ${datasetName(dataset)}, ${modelName({ model, scale })}, scale ${scale}${scope === 'detector' ? '' : `, ${scope} only`}`;
  const found = { claim, runs: { origin, scope, scale, dataset, model, ids, text: `${kind}, ${seedsText(comparable)}` }, differences };
  if (scale === 'smoke') {
    const wanted = claim.differences({ scale: USUAL_RUNS.scale, runs: [], observations: [] });
    return { ...found, verdict: 'undecided', reason: 'runs of scale smoke learn nothing', decidedBy: decisiveRuns(claim, wanted, { scope, scale: USUAL_RUNS.scale, model }) };
  }
  const { verdict, reason } = verdictOf(differences);
  return { ...found, verdict, reason, decidedBy: verdict === 'undecided' ? decisiveRuns(claim, differences, { scope, scale, model }) : null };
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

/** The difference that decides: of those wholly below 0, or without such a one of all, the one whose interval, or mean, is lowest. */
export function weakest(differences: readonly Difference[]): Difference | undefined {
  const lowest = ({ interval }: Difference): number => (interval === null ? Infinity : interval.low ?? interval.mean);
  const below = differences.filter(isBelow);
  return (below.length > 0 ? below : differences).reduce<Difference | undefined>((best, one) => (best === undefined || lowest(one) < lowest(best) ? one : best), undefined);
}

/** Judgements as the chart of claims shows them: of several differences the weakest. */
export function claimRows(judgements: readonly Judgement[]): ClaimRow[] {
  return judgements.map(({ claim, runs, differences, verdict, reason, decidedBy }) => {
    const { name, interval } = weakest(differences) ?? { name: '', interval: null };
    return {
      claim: claim.statement, statistic: differences.length > 1 && interval !== null ? `weakest of ${differences.length}: ${name}` : name, where: claim.where, runs: runs?.text ?? null, reason,
      estimate: interval?.mean ?? null, low: interval?.low ?? null, high: interval?.high ?? null, threshold: 0, side: 'above', verdict,
      decidedBy: decidedBy?.command ?? null,
    };
  });
}
