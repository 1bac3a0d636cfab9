import { finalEvaluation, type RunSummary } from '../training/run-record.js';
import { groupFor, isSmca, runsOf, type RunGroup } from './groups.js';
import type { PaperValues } from './paper-values.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { meanInterval, type Interval } from './statistics.js';

/** COCO's numbers of the runs behind a row, in percent: on `test`, and AP50 on sprites that training never shows. */
export interface Compared {
  ap: Interval;
  ap50: Interval;
  ap75: Interval;
  unseenAp50: Interval | null;
  seeds: number[];
}

/** A row of CVPR Table 2. The paper's numbers are those on VOC 2007 test, ours those of a small model on MiniVOC. */
export interface ComparisonRow {
  model: string;
  method: string;
  bits: string;
  paper: { ap: number; ap50: number; ap75: number };
  recorded: Compared | null;
  fresh: Compared | null;
}

/** CVPR Table 2 with this kit's runs; the groups are those behind the rows, one of each model and of each way of quantizing. */
export interface ComparisonTable {
  rows: ComparisonRow[];
  groups: Record<Origin, RunGroup[]>;
}

/** What runs are labelled with that answer CVPR Table 2. */
const ARTEFACT = 'voc-comparison';
/** The table's short name for it. */
const runMethod = (method: string): string => (method === 'Q-DETR' ? '+ DA + FQM (Q-DETR)' : method);

/** CVPR Table 2: the paper's rows and the runs that answer them, trained ones and those that only calibrate, of one scale and data set for each model. */
export function comparisonTable(paper: PaperValues, runs: RunSummaries): ComparisonTable {
  const { answer, groups } = answers(runs);
  const rows = paper.cvpr_table_2_voc.map(({ model, method, bits, ap, ap50, ap75 }) => {
    const row = { model, method, bits };
    return { ...row, paper: { ap, ap50, ap75 }, recorded: answer('recorded', row), fresh: answer('fresh', row) };
  });
  return { rows, groups };
}

/** CVPR Table 3 with the runs that answer CVPR Table 2: the same methods on MiniVOC, beside the paper's values on COCO. */
export interface CocoComparison {
  rows: { paper: PaperValues['cvpr_table_3_coco'][number]; recorded: Compared | null; fresh: Compared | null }[];
  groups: ComparisonTable['groups'];
}

/** CVPR Table 3, its rows answered on MiniVOC. */
export function cocoComparisonTable(paper: PaperValues, runs: RunSummaries): CocoComparison {
  const { answer, groups } = answers(runs);
  return { rows: paper.cvpr_table_3_coco.map((row) => ({ paper: row, recorded: answer('recorded', row), fresh: answer('fresh', row) })), groups };
}

/** What answers a row of a table of methods, and the groups that it is taken from. */
function answers(runs: RunSummaries): { groups: ComparisonTable['groups']; answer: (origin: Origin, row: { model: string; method: string; bits: string }) => Compared | null } {
  const models = [false, true];
  const groups = { recorded: models.flatMap((smca) => groupsOf(runs.recorded, smca)), fresh: models.flatMap((smca) => groupsOf(runs.fresh, smca)) };
  return {
    groups,
    answer: (origin, { model, method, bits }) => comparedRuns(groups[origin].filter((group) => isSmca(group.model) === model.startsWith('SMCA')).flatMap((group) => runsOf(group, runMethod(method), bits))),
  };
}

/** The runs of one family: those that train, and those of the same scale and data set that only calibrate. */
function groupsOf(runs: readonly RunSummary[], smca: boolean): RunGroup[] {
  const model = (name: string): boolean => isSmca(name) === smca;
  const trained = groupFor(ARTEFACT, runs, { model });
  const alike = runs.filter(({ scale, dataset }) => trained === null || (scale === trained.scale && dataset === trained.dataset));
  const calibrated = groupFor(ARTEFACT, alike, { model, scope: 'post-training' });
  return [trained, calibrated].filter((group): group is RunGroup => group !== null);
}

function comparedRuns(runs: readonly RunSummary[]): Compared | null {
  const finals = runs.flatMap((run) => {
    const test = finalEvaluation(run, 'test');
    return test === undefined ? [] : [{ seed: run.seed, test, unseen: finalEvaluation(run, 'test-unseen') }];
  }).sort((a, b) => a.seed - b.seed);
  if (finals.length === 0) return null;
  const over = (key: 'ap' | 'ap50' | 'ap75'): Interval => meanInterval(finals.map(({ test }) => 100 * test[key]));
  const unseen = finals.flatMap((one) => (one.unseen === undefined ? [] : [100 * one.unseen.ap50]));
  return { ap: over('ap'), ap50: over('ap50'), ap75: over('ap75'), unseenAp50: unseen.length > 0 ? meanInterval(unseen) : null, seeds: finals.map(({ seed }) => seed) };
}
