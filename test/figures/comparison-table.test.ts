import test from 'ava';
import { cocoComparisonTable, comparisonTable } from '../../src/figures/comparison-table.js';
import { cocoComparisonJson, cocoComparisonMarkdown, comparisonJson, comparisonMarkdown } from '../../src/figures/comparison-text.js';
import { paperValues } from '../../src/figures/paper-values.js';
import type { RunSummary } from '../../src/training/run-record.js';
import { cvprTable2Chart, orderNotes } from '../../src/figures/cvpr-table-2-chart.js';
import { cvprTable3Chart } from '../../src/figures/cvpr-table-3-chart.js';
import { compileFigure, figureToSvg } from '../../src/figures/render.js';
import { tableCosts } from '../../src/experiments/table-costs.js';
import { madeUpRun } from './summaries.js';

const paper = paperValues(), costs = tableCosts();
const run = (changes: Parameters<typeof madeUpRun>[0]): RunSummary => madeUpRun({ artefact: ['voc-comparison'], ...changes });
const recorded = [
  run({ method: '+ DA + FQM (Q-DETR)', bits: '2-2-8', ap50: 0.6, unseen: 0.2 }), run({ method: '+ DA + FQM (Q-DETR)', bits: '2-2-8', seed: 2, ap50: 0.62, unseen: 0.2 }),
  run({ method: 'VT-PTQ', bits: '8-8-8', scope: 'post-training', ap50: 0.7 }), run({ method: 'LSQ', bits: '4-4-8', model: 'smca-detr', ap50: 0.4 }),
];
const rowOf = (runs: RunSummary[], model: string, method: string, bits: string) => comparisonTable(paper, { recorded: runs, fresh: [] }, costs.voc).rows.find((row) => row.model === model && row.method === method && row.bits === bits)!;

test('the paper\'s 24 rows; a run answers the row of its family, method and bits, and no other', (t) => {
  const { rows } = comparisonTable(paper, { recorded, fresh: [] }, costs.voc);
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
  const text = comparisonMarkdown(comparisonTable(paper, { recorded, fresh: [] }, costs.voc));
  t.true(text.includes('| Model | Bits | Method | Paper: AP | Paper: AP50 | Paper: AP75 | Size (MB), rule | stored | Operations (G), rule | placed | This kit, VOC 2007 test: AP | This kit, VOC 2007 test: AP50 | This kit, VOC 2007 test: AP75 | Recorded (MiniVOC): AP | Recorded (MiniVOC): AP50 | Recorded (MiniVOC): AP75 | Recorded (MiniVOC): test-unseen AP50 |'));
  t.true(text.includes('| DETR-R50 | 2-2-8 | Q-DETR | 50.7 | 76.4 | 54.1 | 9.93 | 13.68 | 5.03 | 4.04 |  |  |  | 30.5 ± 6.4 | **61.0 ± 12.7** | 20.3 ± 4.2 | 20.0 ± 0.0 |'));
  t.true(text.includes('by calibration alone: 1 run, 1 seed') && text.includes('npx qdetr experiment voc-comparison'));
  t.is(text.match(/^\| (SMCA-)?DETR-R50 \|/gm)!.length, 24);
});

test('JSON: rounded values and the runs behind them', (t) => {
  const { rows, columns } = JSON.parse(comparisonJson(comparisonTable(paper, { recorded, fresh: [] }, costs.voc), paper)) as { rows: { recorded: { ap75: { mean: number } } | null }[]; columns: { recorded: { runs: string[] }[]; fresh: unknown[] } };
  t.is(rows.find((row) => row.recorded?.ap75.mean === 20.333) === undefined, false);
  t.deepEqual([columns.recorded.flatMap(({ runs }) => runs).length, columns.fresh.length], [4, 0]);
});

test('CVPR Table 3: the paper\'s values, what is not printed a dash; beside them the runs on MiniVOC, named so', (t) => {
  const none = cocoComparisonMarkdown(cocoComparisonTable(paper, { recorded: [], fresh: [] }, costs.coco));
  t.true(none.includes('| DETR-R50 | 4-4-8 | Q-DETR | 39.4 | 60.2 | 41.4 | 17.7 | 43.4 | 59.9 | 19.92 | 19.88 | 23.47 | 13.02 | 12.22 | 11.19 |  |  |  |\n'));
  t.true(none.includes('| SMCA-DETR-R50 | 2-2-8 | Q-DETR | - | - | - | - | - | - | 10.84 |'));
  t.true(none.includes('26.5 (?)'));
  const table = cocoComparisonTable(paper, { recorded, fresh: [] }, costs.coco), text = cocoComparisonMarkdown(table);
  t.regex(text, / placed \| This kit, COCO val2017: AP \| .* \| Recorded \(MiniVOC\): AP \| Recorded \(MiniVOC\): AP50 \| Recorded \(MiniVOC\): AP75 \|/);
  t.regex(text, /\| DETR-R50 \| 2-2-8 \| Q-DETR \|.*\| 30\.5 ± 6\.4 \| \*\*61\.0 ± 12\.7\*\* \| 20\.3 ± 4\.2 \|/);
  const { rows, columns } = JSON.parse(cocoComparisonJson(table, paper)) as { rows: { recorded: object | null }[]; columns: { recorded: { runs: string[] }[] } };
  t.deepEqual([rows.length, rows.filter((one) => one.recorded !== null).length, columns.recorded.flatMap(({ runs }) => runs).length], [paper.cvpr_table_3_coco.length, 3, 4]);
});

/** As `qdetr train --preset` labels its runs. */
const preset = (changes: Parameters<typeof madeUpRun>[0]): RunSummary => madeUpRun({ artefact: ['cvpr-table-2'], scale: 'paper', dataset: 'voc-07+12', experiment: 'preset/some', method: 'Baseline', bits: '4-4-8', ...changes });
const full = [
  preset({ ap50: 0.77 }), preset({ method: 'Real-valued', bits: '32-32-32', model: 'detr-r101', ap50: 0.84 }),
  preset({ artefact: [], groups: ['backbone'], id: 'stage 1', ap50: 0.8 }), preset({ dataset: 'VOC2007', ap50: 0.1, id: 'a folder of its own' }), preset({ scale: 'smoke', ap50: 0.1 }),
  preset({ artefact: ['cvpr-table-3'], dataset: 'coco-2017', model: 'smca-detr', ap50: 0.5 }),
];

test('runs at scale paper on the paper\'s data have columns of their own; they displace no run on MiniVOC, teachers fill no row, VOC and COCO are apart', (t) => {
  const runs = { recorded: [...recorded, ...full], fresh: [full[0]] };
  const voc = comparisonTable(paper, runs, costs.voc), coco = cocoComparisonTable(paper, runs, costs.coco);
  const answered = (rows: typeof voc.rows | typeof coco.rows, answer: 'full' | 'fullFresh') => rows.flatMap((row) => (row[answer] === null ? [] : [[row.model, row.method, row.bits, Number(row[answer].ap50.mean.toFixed(3))]]));
  t.deepEqual(answered(voc.rows, 'full'), [['DETR-R50', 'Baseline', '4-4-8', 77]]);
  t.deepEqual(answered(voc.rows, 'fullFresh'), [['DETR-R50', 'Baseline', '4-4-8', 77]]);
  t.deepEqual(answered(coco.rows, 'full'), [['SMCA-DETR-R50', 'Baseline', '4-4-8', 50]]);
  t.deepEqual(answered(coco.rows, 'fullFresh'), []);
  t.deepEqual(voc.rows.map((row) => row.recorded), comparisonTable(paper, { recorded, fresh: [] }, costs.voc).rows.map((row) => row.recorded));
  const text = comparisonMarkdown(voc);
  t.true(text.includes('This kit, VOC 2007 test, fresh: AP50') && text.includes('| **77.0** |') && text.includes('scale `paper`, trained: 1 run, 1 seed'));
  t.false(text.includes('no runs at scale `paper` yet'));
});

test('costs: a model with VOC\'s classes is smaller by the rows of its class head; a missing one is an empty cell', (t) => {
  const size = (data: 'voc' | 'coco', model: string) => costs[data].find((cost) => cost.model === model && cost.bits === '32-32-32')!.rule.size;
  t.is(Math.round((size('coco', 'DETR-R50') - size('voc', 'DETR-R50')) * 2 ** 20), 4 * 71 * 257);
  t.is(costs.voc.length, 10);
  t.true(comparisonMarkdown(comparisonTable(paper, { recorded: [], fresh: [] }, [])).includes('| 54.1 |  |  |  |  |  |  |  |\n'));
});

test('charts of both tables: no warnings, finite numbers, the paper\'s values labelled so, runs where there are some', async (t) => {
  for (const runs of [{ recorded: [], fresh: [] }, { recorded, fresh: [] }, { recorded: [...recorded, ...full], fresh: [full[0], ...recorded.slice(0, 1)] }]) {
    for (const figure of [cvprTable2Chart(comparisonTable(paper, runs, costs.voc)), cvprTable3Chart(cocoComparisonTable(paper, runs, costs.coco)), cvprTable3Chart(cocoComparisonTable(paper, runs, []))]) {
      const warnings: string[] = [];
      compileFigure(figure, (message) => warnings.push(message));
      t.deepEqual(warnings, []);
      t.notRegex(await figureToSvg(figure), /NaN|Infinity|undefined|null/);
    }
  }
  const empty = { recorded: [], fresh: [] }, filled = { recorded: [...recorded, ...full], fresh: [] };
  const [two, twoFilled] = await Promise.all([empty, filled].map(async (runs) => figureToSvg(cvprTable2Chart(comparisonTable(paper, runs, costs.voc)))));
  for (const text of ['Paper: DETR-R50', 'Paper: SMCA-DETR-R50', 'as printed', 'Q-DETR 76.4', 'Percentile 79.2', 'This kit has no run of the full-size models on VOC yet']) t.true(two.includes(text), text);
  t.false(two.includes('Recorded by this kit'));
  for (const text of ['Recorded by this kit: small DETR', "VOC 2007 test, scale 'paper'", 'Baseline 77.0']) t.true(twoFilled.includes(text) !== two.includes(text), text);
  const [three, threeFilled] = await Promise.all([empty, filled].map(async (runs) => figureToSvg(cvprTable3Chart(cocoComparisonTable(paper, runs, costs.coco)))));
  for (const text of ['SMCA-DETR-R50: AP over operations', 'Q-DETR 39.4', 'lost in the text copy', 'every AP is the paper’s']) t.true(three.includes(text), text);
  t.true(threeFilled.includes('Diamonds with a dark edge') && !threeFilled.includes('every AP is the paper’s'));
});

test('where the order of trained methods is not the paper\'s, the chart says so; where it is, nothing', async (t) => {
  const of = (baseline: number) => comparisonTable(paper, { recorded: [...recorded.slice(0, 2), run({ bits: '2-2-8', ap50: baseline })], fresh: [] }, costs.voc);
  const turned = of(0.7), detr = (table: typeof turned) => orderNotes(table.rows.filter(({ model }) => model === 'DETR-R50'));
  t.deepEqual([detr(turned), detr(of(0.5))], [['Not the paper’s order: recorded on MiniVOC, DETR, Q-DETR below Baseline at 2-2-8 (means).'], []]);
  t.true((await figureToSvg(cvprTable2Chart(turned))).includes('Q-DETR below Baseline at 2-2-8'));
});
