import * as aq from 'arquero';
import type { RunSummary } from '../training/run-record.js';
import { finalAp50, type RunGroup } from './groups.js';
import { meanInterval, type Interval } from './statistics.js';
import { methodOrder } from './style.js';

/** AP50 (percent) at one pair of tau and lambda; lambda null: no distillation, which Fig. 2.12(a) puts at tau = 1. */
export interface TauPoint extends Interval {
  tau: number;
  lambda: number | null;
  /** tau = 0 read as "full imitation", every query distilled, where Eq. 2.34 to the letter keeps those with GIoU above 0 (decision A14). */
  isFullImitation: boolean;
}

/** AP50 (percent) of a method of the transformer-only runs; tau null: no selection by tau (same-slot matching), drawn as a line over all of them. */
export interface MethodPoint extends Interval {
  method: string;
  tau: number | null;
  lambda: number | null;
}

/**
 * What Fig. 2.12(a) shows of the transformer-only runs, a point for each method, tau and lambda, in the order of tables. The real-valued
 * model is left out; methods without distillation are at tau = 1.
 */
export function methodPoints(group: RunGroup): MethodPoint[] {
  const points = new Map<string, { method: string; tau: number | null; lambda: number | null; ap50: number[] }>();
  for (const run of group.runs) {
    const ap50 = finalAp50(run, 'test');
    if (ap50 === null || run.bits === '32-32-32') continue;
    const { method, lambda } = run;
    const tau = selectingTau(run);
    const key = JSON.stringify([method, run.bits, tau, lambda]);
    const point = points.get(key) ?? { method, tau, lambda, ap50: [] };
    point.ap50.push(ap50);
    points.set(key, point);
  }
  return [...points.values()]
    .map(({ ap50, ...point }) => ({ ...point, ...meanInterval(ap50) }))
    .sort((a, b) => methodOrder(a.method) - methodOrder(b.method) || a.method.localeCompare(b.method) || (a.tau ?? 2) - (b.tau ?? 2) || (a.lambda ?? 0) - (b.lambda ?? 0));
}

/** Methods whose runs make up the grid of tau and lambda; of those without distillation the first that there is. */
const Q_DETR = '+ DA + FQM (Q-DETR)', REFERENCES = ['+ DA', 'Baseline'];
/** The method that reads tau = 0 as "every query". */
export const FULL_IMITATION = '+ DA + full imitation';

/** What Fig. 2.12(a) shows of one kind of runs, in order of lambda and tau. */
export function tauPoints(group: RunGroup): TauPoint[] {
  const reference = REFERENCES.find((method) => group.runs.some((run) => run.method === method && run.lambda === null));
  const rows = group.runs.flatMap((run) => {
    const ap50 = finalAp50(run, 'test');
    const isShown = run.lambda === null ? run.method === reference : run.method === Q_DETR || run.method === FULL_IMITATION;
    if (ap50 === null || !isShown || (run.tau === null && run.lambda !== null)) return [];
    return [{ lambda: run.lambda ?? -1, tau: run.lambda === null ? 1 : run.tau ?? 1, isFullImitation: run.method === FULL_IMITATION, ap50 }];
  });
  const grouped = aq.from(rows).groupby('lambda', 'tau', 'isFullImitation').rollup({ ap50: aq.op.array_agg('ap50') }).orderby('lambda', 'tau', 'isFullImitation');
  return (grouped.objects() as { lambda: number; tau: number; isFullImitation: boolean; ap50: number[] }[]).map(({ lambda, tau, isFullImitation, ap50 }) => ({
    tau,
    lambda: lambda < 0 ? null : lambda,
    isFullImitation,
    ...meanInterval(ap50),
  }));
}

/** Whether runs span the grid, several tau to a lambda, rather than being single methods. */
export function isGrid(group: RunGroup): boolean {
  const distilled = tauPoints(group).filter((point) => point.lambda !== null);
  return new Set(distilled.map((point) => point.lambda)).size < distilled.length;
}

/** tau of a run's selection; null where all queries are distilled, or the matching leaves none to select, and 1 without distillation. */
function selectingTau({ lambda, tau, distillation }: RunSummary): number | null {
  if (lambda === null) return 1;
  return distillation?.selection === 'all' || distillation?.matching === 'hungarian' ? null : tau;
}
