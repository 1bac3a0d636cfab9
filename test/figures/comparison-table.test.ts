import test from 'ava';
import { cocoComparisonTable, comparisonTable } from '../../src/figures/comparison-table.js';
import { cocoComparisonJson, cocoComparisonMarkdown, comparisonJson, comparisonMarkdown } from '../../src/figures/comparison-text.js';
import { paperValues } from '../../src/figures/paper-values.js';
import type { RunSummary } from '../../src/training/run-record.js';
import { madeUpRun } from './summaries.js';

const paper = paperValues();
const run = (changes: Parameters<typeof madeUpRun>[0]): RunSummary => madeUpRun({ artefact: ['voc-comparison'], ...changes });
const recorded = [
  run({ method: '+ DA + FQM (Q-DETR)', bits: '2-2-8', ap50: 0.6, unseen: 0.2 }), run({ method: '+ DA + FQM (Q-DETR)', bits: '2-2-8', seed: 2, ap50: 0.62, unseen: 0.2 }),
  run({ method: 'VT-PTQ', bits: '8-8-8', scope: 'post-training', ap50: 0.7 }), run({ method: 'LSQ', bits: '4-4-8', model: 'smca-detr', ap50: 0.4 }),
];
const rowOf = (runs: RunSummary[], model: string, method: string, bits: string) => comparisonTable(paper, { recorded: runs, fresh: [] }).rows.find((row) => row.model === model && row.method === method && row.bits === bits)!;

test('the paper\'s 24 rows; a run answers the row of its family, method and bits, and no other', (t) => {
  const { rows } = comparisonTable(paper, { recorded, fresh: [] });
  t.is(rows.length, 24);
  t.deepEqual(rows.filter((row) => row.recorded !== null).map(({ model, method, bits }) => [model, method, bits]), [['DETR-R50', 'VT-PTQ', '8-8-8'], ['DETR-R50', 'Q-DETR', '2-2-8'], ['SMCA-DETR-R50', 'LSQ', '4-4-8']]);
  t.true(rows.every((row) => row.fresh === null));
});

test('AP, AP50 and AP75 of the last evaluation in percent, seeds averaged', (t) => {
  const { ap, ap50, ap75, unseenAp50, seeds } = rowOf(recorded, 'DETR-R50', 'Q-DETR', '2-2-8').recorded!;
  t.deepEqual([ap.mean, ap50.mean, ap75.mean].map((value) => Number(value.toFixed(4))), [30.5, 61, 20.3333]);
  t.deepEqual([seeds, unseenAp50!.mean, rowOf(recorded, 'DETR-R50', 'VT-PTQ', '8-8-8').recorded!.unseenAp50], [[1, 2], 20, null]);
});

test('a model calibrated at another scale or data set than the trained ones is not shown with them; other artefacts do not count', (t) => {
  const vtPtq = (changes: Partial<RunSummary>) => rowOf([...recorded.slice(0, 2), run({ method: 'VT-PTQ', bits: '8-8-8', scope: 'post-training', ...changes })], 'DETR-R50', 'VT-PTQ', '8-8-8').recorded;
  t.not(vtPtq({}), null);
  t.is(vtPtq({ scale: 'minutes' }), null);
  t.is(vtPtq({ dataset: 'minivoc-64' }), null);
  t.is(vtPtq({ artefact: ['table-2.2'] }), null);
});

test('markdown: columns of a kind of runs only where there are some, and how they were made', (t) => {
  const text = comparisonMarkdown(comparisonTable(paper, { recorded, fresh: [] }));
  t.true(text.includes('| Model | Bits | Method | Paper: AP | Paper: AP50 | Paper: AP75 | Recorded: AP | Recorded: AP50 | Recorded: AP75 | Recorded: test-unseen AP50 |'));
  t.true(text.includes('| DETR-R50 | 2-2-8 | Q-DETR | 50.7 | 76.4 | 54.1 | 30.5 ± 6.4 | **61.0 ± 12.7** | 20.3 ± 4.2 | 20.0 ± 0.0 |'));
  t.true(text.includes('by calibration alone: 1 run, 1 seed') && text.includes('npx qdetr experiment voc-comparison'));
  t.is(text.match(/^\| (SMCA-)?DETR-R50 \|/gm)!.length, 24);
});

test('JSON: rounded values and the runs behind them', (t) => {
  const { rows, columns } = JSON.parse(comparisonJson(comparisonTable(paper, { recorded, fresh: [] }), paper)) as { rows: { recorded: { ap75: { mean: number } } | null }[]; columns: { recorded: { runs: string[] }[]; fresh: unknown[] } };
  t.is(rows.find((row) => row.recorded?.ap75.mean === 20.333) === undefined, false);
  t.deepEqual([columns.recorded.flatMap(({ runs }) => runs).length, columns.fresh.length], [4, 0]);
});

test('CVPR Table 3: the paper\'s values, what is not printed a dash; beside them the runs on MiniVOC, named so', (t) => {
  const none = cocoComparisonMarkdown(cocoComparisonTable(paper, { recorded: [], fresh: [] }));
  t.true(none.includes('| DETR-R50 | 4-4-8 | Q-DETR | 19.92 | 13.02 | 39.4 | 60.2 | 41.4 | 17.7 | 43.4 | 59.9 |\n'));
  t.true(none.includes('| SMCA-DETR-R50 | 2-2-8 | Q-DETR | 10.84 | 4.54 | - | - | - | - | - | - |'));
  t.true(none.includes('26.5 (?)'));
  const table = cocoComparisonTable(paper, { recorded, fresh: [] }), text = cocoComparisonMarkdown(table);
  t.regex(text, /Paper: AP large \| Recorded \(MiniVOC\): AP \| Recorded \(MiniVOC\): AP50 \| Recorded \(MiniVOC\): AP75 \|/);
  t.regex(text, /\| DETR-R50 \| 2-2-8 \| Q-DETR \|.*\| 30\.5 ± 6\.4 \| \*\*61\.0 ± 12\.7\*\* \| 20\.3 ± 4\.2 \|/);
  const { rows, columns } = JSON.parse(cocoComparisonJson(table, paper)) as { rows: { recorded: object | null }[]; columns: { recorded: { runs: string[] }[] } };
  t.deepEqual([rows.length, rows.filter((one) => one.recorded !== null).length, columns.recorded.flatMap(({ runs }) => runs).length], [paper.cvpr_table_3_coco.length, 3, 4]);
});
