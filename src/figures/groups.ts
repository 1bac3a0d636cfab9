import { finalEvaluation, type RunSummary, type Scale } from '../training/run-record.js';

/** Runs that may be averaged with each other: the same scale, data set and model. */
export interface RunGroup {
  scale: Scale;
  dataset: string;
  model: string;
  runs: RunSummary[];
}

const SCALES: readonly Scale[] = ['smoke', 'minutes', 'gpu', 'paper'];

/**
 * The one group of runs that an artefact shows of those given; null where it has none. Runs of different scales, data
 * sets or models are never averaged or drawn together: the largest scale is shown, and of several groups of that scale the
 * one of the run that finished last (a trial at `smoke` hides nothing). In a cell, runs of another recipe (settings, start weights) than the last one
 * are left out, and a seed that was run again counts once, the last time.
 */
export function groupFor(artefact: string, runs: readonly RunSummary[]): RunGroup | null {
  const groups = new Map<string, RunGroup>();
  for (const run of runs) {
    if (!run.artefact.includes(artefact)) continue;
    const key = [run.scale, run.dataset, run.model].join('|');
    const group = groups.get(key) ?? { scale: run.scale, dataset: run.dataset, model: run.model, runs: [] };
    group.runs.push(run);
    groups.set(key, group);
  }
  const rank = (group: RunGroup): [number, number] => [SCALES.indexOf(group.scale), Math.max(...group.runs.map(finished))];
  const [best] = [...groups.values()].sort((a, b) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1]);
  return best === undefined ? null : { ...best, runs: withoutReruns(best.runs) };
}

const finished = (run: RunSummary): number => Date.parse(run.finishedAt);

const cellOf = (run: RunSummary): string => [run.method, run.bits, run.tau, run.lambda].join('|');

/** Of each cell the runs of the recipe that finished last, each seed once. */
function withoutReruns(runs: readonly RunSummary[]): RunSummary[] {
  const inOrder = [...runs].sort((a, b) => finished(a) - finished(b) || a.id.localeCompare(b.id));
  const recipes = new Map(inOrder.map((run) => [cellOf(run), run.recipe]));
  const latest = new Map(inOrder.filter((run) => run.recipe === recipes.get(cellOf(run))).map((run) => [`${cellOf(run)}|${run.seed}`, run]));
  return [...latest.values()];
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
export function quantizedName(run: Pick<RunSummary, 'bits' | 'quantized'>): string {
  if (run.quantized !== undefined) return run.quantized;
  const [weights, activations, attention] = run.bits.split('-');
  if (run.bits === '32-32-32') return 'nothing';
  return `weights ${weights} bit, activations ${activations} bit, attention ${attention} bit`;
}

/** The model of a group of runs, in words: every scale but `paper` trains a small one. */
export function modelName({ model, scale }: Pick<RunGroup, 'model' | 'scale'>): string {
  const name = model.toUpperCase().replaceAll('_', '-');
  return scale === 'paper' ? name : `small ${name}`;
}
