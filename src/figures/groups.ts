import { MODULE_GROUPS, finalEvaluation, type RunScope, type RunSummary, type Scale } from '../training/run-record.js';
import { isByProtocol, type ConditionedRun } from './conditions.js';

/** What grouping needs to know of a run: keys that summaries and observations have. */
export type GroupedRun = Pick<RunSummary, 'id' | 'artefact' | 'method' | 'bits' | 'model' | 'scale' | 'dataset' | 'seed' | 'recipe' | 'tau' | 'lambda' | 'scope' | 'groups' | 'finishedAt'> & ConditionedRun & Partial<Pick<RunSummary, 'experiment'>>;

/** Runs that may be averaged with each other: the same scope, scale, data set, model and protocol. */
export interface RunGroup<R extends GroupedRun = RunSummary> {
  scope: RunScope;
  scale: Scale;
  dataset: string;
  model: string;
  runs: R[];
}

const SCALES: readonly Scale[] = ['smoke', 'minutes', 'gpu', 'paper'];

/** What a run quantizes; records that say nothing quantize the whole detector. */
export const scopeOf = (run: Pick<RunSummary, 'scope'>): RunScope => run.scope ?? 'detector';

/** The module groups of Fig. 2.11 that a run quantizes, in its order. */
export function quantizedGroups(run: Pick<RunSummary, 'bits' | 'scope' | 'groups'>): (typeof MODULE_GROUPS)[number][] {
  if (run.bits === '32-32-32') return [];
  const { groups = scopeOf(run) === 'transformer' ? MODULE_GROUPS.slice(1) : MODULE_GROUPS } = run;
  return MODULE_GROUPS.filter((group) => groups.includes(group));
}

/** How a run came about: runs of `npm start` and of `qdetr train` have other steps than those of experiments. */
export const protocolOf = ({ experiment }: GroupedRun): string => /^(start|train)\//.exec(experiment ?? '')?.[1] ?? 'experiment';

/** Which runs {@link groupFor} may choose from. */
export interface GroupWish {
  /** Default: the whole detector. */
  scope?: RunScope;
  /** Whether runs of a model, by its name, may be shown; default: all. */
  model?: (model: string) => boolean;
  /** Whether a run of an experiment, by its conditions, may be shown; default {@link isByProtocol}: those trained as the paper's protocol says. */
  conditions?: (run: ConditionedRun) => boolean;
}

/**
 * The one group of runs that an artefact shows of those given; null where it has none. Runs of different scopes, scales, data
 * sets, models, protocols (experiments, `npm start`, `qdetr train`) or conditions are never averaged or drawn together. DETR comes before
 * SMCA-DETR (the artefacts of the book are DETR's); of several groups the largest scale is shown (a trial at `smoke` hides
 * nothing), of several of that scale the one of an experiment, and of several of those the one of the run that finished last. In a cell, runs of another recipe (settings, start weights) than the last one are left out, and a
 * seed that was run again counts once, the last time.
 */
export function groupFor<R extends GroupedRun>(artefact: string, runs: readonly R[], { scope = 'detector', model: wanted = () => true, conditions = isByProtocol }: GroupWish = {}): RunGroup<R> | null {
  const groups = new Map<string, RunGroup<R>>();
  for (const run of runs) {
    const { scale, dataset, model } = run;
    if (!run.artefact.includes(artefact) || scopeOf(run) !== scope || !wanted(model) || (protocolOf(run) === 'experiment' && !conditions(run))) continue;
    const key = [scale, dataset, model, protocolOf(run)].join('|');
    const group = groups.get(key) ?? { scope, scale, dataset, model, runs: [] };
    group.runs.push(run);
    groups.set(key, group);
  }
  const ranks = (group: RunGroup<R>): number[] => [Number(!isSmca(group.model)), SCALES.indexOf(group.scale), Number(protocolOf(group.runs[0]) === 'experiment'), Math.max(...group.runs.map(finished))];
  const [best] = [...groups.values()].sort((a, b) => ranks(a).reduce((order, rank, i) => order || ranks(b)[i] - rank, 0));
  return best === undefined ? null : { ...best, runs: withoutReruns(best.runs) };
}

/** Whether a model, by its name, is an SMCA-DETR. */
export const isSmca = (model: string): boolean => model.startsWith('smca');

const finished = (run: GroupedRun): number => Date.parse(run.finishedAt);

const cellOf = (run: GroupedRun): string => [run.method, run.bits, run.tau, run.lambda, quantizedGroups(run).join('+')].join('|');

/** Of each cell the runs of the recipe that finished last, each seed once. */
function withoutReruns<R extends GroupedRun>(runs: readonly R[]): R[] {
  const inOrder = [...runs].sort((a, b) => finished(a) - finished(b) || a.id.localeCompare(b.id));
  const recipes = new Map(inOrder.map((run) => [cellOf(run), run.recipe]));
  const latest = new Map(inOrder.filter((run) => run.recipe === recipes.get(cellOf(run))).map((run) => [`${cellOf(run)}|${run.seed}`, run]));
  return [...latest.values()];
}

/** Runs of one cell of a table or one point of a figure. */
export const runsOf = (group: Pick<RunGroup, 'runs'> | null, method: string, bits: string): RunSummary[] => (group?.runs ?? []).filter((run) => run.method === method && run.bits === bits);

/** The number of seeds of some runs, in words. */
export function seedsText(runs: readonly Pick<RunSummary, 'seed'>[]): string {
  const seeds = new Set(runs.map((run) => run.seed)).size;
  return `${seeds} ${seeds === 1 ? 'seed' : 'seeds'}`;
}

/** AP50 of a run's last evaluation on a split, in percent; null where it has none. */
export function finalAp50(run: RunSummary, split: 'test' | 'test-unseen'): number | null {
  const evaluation = finalEvaluation(run, split);
  return evaluation === undefined ? null : 100 * evaluation.ap50;
}

/** A data set's name for readers: 'minivoc-64' is 'MiniVOC 64 px'. */
export function datasetName(dataset: string): string {
  const pixels = /^minivoc-(\d+)$/.exec(dataset);
  return pixels === null ? dataset : `MiniVOC ${pixels[1]} px`;
}

/** What a run quantizes, in words. */
export function quantizedName(run: Pick<RunSummary, 'bits' | 'quantized' | 'scope'>): string {
  if (run.quantized !== undefined) return run.quantized;
  const [weights, activations, attention] = run.bits.split('-');
  if (run.bits === '32-32-32') return 'nothing';
  return `${run.scope === 'transformer' ? 'the transformer only: ' : ''}weights ${weights} bit, activations ${activations} bit, attention ${attention} bit`;
}

/** The model of a group of runs, in words: every scale but `paper` trains a small one. */
export function modelName({ model, scale }: Pick<RunGroup, 'model' | 'scale'>): string {
  const name = model.toUpperCase().replaceAll('_', '-');
  return scale === 'paper' ? name : `small ${name}`;
}
