import { finalEvaluation, type RunSummary } from '../training/run-record.js';
import { groupFor, isSmca, runsOf, type RunGroup } from './groups.js';
import type { PaperValues } from './paper-values.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { meanInterval, type Interval } from './statistics.js';
import { costOf, type TableCost } from './table-costs.js';

/** COCO's numbers of the runs behind a row, in percent: on `test`, and AP50 on sprites that training never shows. */
export interface Compared {
  ap: Interval;
  ap50: Interval;
  ap75: Interval;
  unseenAp50: Interval | null;
  seeds: number[];
}

/**
 * What answers a row, never mixed: `full` and `fullFresh`, runs at scale `paper` on the paper's own data and full-size models, recorded with the kit
 * or made on this machine; `recorded` and `fresh`, small models on MiniVOC.
 */
export const ANSWERS = ['full', 'fullFresh', 'recorded', 'fresh'] as const;
/** See `ANSWERS`. */
export type Answer = (typeof ANSWERS)[number];
/** Where an answer's runs come from. */
export const originOf: Readonly<Record<Answer, Origin>> = { full: 'recorded', fullFresh: 'fresh', recorded: 'recorded', fresh: 'fresh' };

/** A row of one of the two tables: what the paper prints, its costs computed from the model, and this kit's runs. */
export type Answered<Paper> = { model: string; method: string; bits: string; paper: Paper; cost: TableCost | undefined } & Record<Answer, Compared | null>;

/** A table with this kit's runs; the groups are those behind the rows, one of each model and of each way of quantizing. */
export interface AnsweredTable<Paper> {
  rows: Answered<Paper>[];
  groups: Record<Answer, RunGroup[]>;
}
/** CVPR Table 2. The paper's numbers are those on VOC 2007 test. */
export type ComparisonTable = AnsweredTable<{ ap: number; ap50: number; ap75: number }>;
/** CVPR Table 3. The paper's numbers are those on COCO val2017. */
export type CocoComparison = AnsweredTable<PaperValues['cvpr_table_3_coco'][number]>;

/** What runs on MiniVOC are labelled with that answer both tables. */
const MINIVOC_ARTEFACT = 'voc-comparison';
/** What runs of the full-size models are labelled with (`qdetr train --preset`), and the paper's data that they are trained and evaluated on, all of it. */
const FULL_SIZE = { voc: { artefact: 'cvpr-table-2', dataset: 'voc-07+12' }, coco: { artefact: 'cvpr-table-3', dataset: 'coco-2017' } } as const;
/** The tables' short name for it. */
const runMethod = (method: string): string => (method === 'Q-DETR' ? '+ DA + FQM (Q-DETR)' : method);

/** CVPR Table 2: the paper's rows and the runs that answer them, trained ones and those that only calibrate, of one scale and data set for each model and column. */
export function comparisonTable(paper: PaperValues, runs: RunSummaries, costs: readonly TableCost[]): ComparisonTable {
  const { answer, groups } = answers(runs, 'voc');
  return { groups, rows: paper.cvpr_table_2_voc.map(({ model, method, bits, ap, ap50, ap75 }) => ({ model, method, bits, paper: { ap, ap50, ap75 }, cost: costOf(costs, { model, bits }), ...answer({ model, method, bits }) })) };
}

/** CVPR Table 3: the paper's rows, the runs on COCO, and those on MiniVOC that answer CVPR Table 2. */
export function cocoComparisonTable(paper: PaperValues, runs: RunSummaries, costs: readonly TableCost[]): CocoComparison {
  const { answer, groups } = answers(runs, 'coco');
  return { groups, rows: paper.cvpr_table_3_coco.map((row) => ({ model: row.model, method: row.method, bits: row.bits, paper: row, cost: costOf(costs, row), ...answer(row) })) };
}

/** What answers a row of a table of methods, and the groups that it is taken from. */
function answers(runs: RunSummaries, data: 'voc' | 'coco'): { groups: Record<Answer, RunGroup[]>; answer: (row: { model: string; method: string; bits: string }) => Record<Answer, Compared | null> } {
  const each = <T>(of: (answer: Answer) => T): Record<Answer, T> => Object.fromEntries(ANSWERS.map((answer) => [answer, of(answer)])) as Record<Answer, T>;
  const groups = each((answer) => {
    const all = runs[originOf[answer]], { artefact, dataset } = FULL_SIZE[data];
    // teachers (ResNet-101) are no rows of the tables
    const [label, among] = answer.startsWith('full') ? [artefact, all.filter((run) => run.scale === 'paper' && run.dataset === dataset && !run.model.includes('101'))] : [MINIVOC_ARTEFACT, all.filter((run) => run.dataset.startsWith('minivoc'))];
    return [false, true].flatMap((smca) => groupsOf(label, among, smca));
  });
  return {
    groups,
    answer: ({ model, method, bits }) => each((answer) => comparedRuns(groups[answer].filter((group) => isSmca(group.model) === model.startsWith('SMCA')).flatMap((group) => runsOf(group, runMethod(method), bits)))),
  };
}

/** The runs of one family: those that train, and those of the same scale and data set that only calibrate. */
function groupsOf(artefact: string, runs: readonly RunSummary[], smca: boolean): RunGroup[] {
  const model = (name: string): boolean => isSmca(name) === smca;
  const trained = groupFor(artefact, runs, { model });
  const alike = runs.filter(({ scale, dataset }) => trained === null || (scale === trained.scale && dataset === trained.dataset));
  const calibrated = groupFor(artefact, alike, { model, scope: 'post-training' });
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
