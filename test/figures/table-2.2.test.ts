import test from 'ava';
import { paperValues } from '../../src/figures/paper-values.js';
import { table22Json, table22Markdown } from '../../src/figures/table-2.2-text.js';
import { table22, type Table22, type Table22Cell } from '../../src/figures/table-2.2.js';
import { madeUpRun } from './summaries.js';

const paper = paperValues();
const cellOf = (table: Table22, method: string, bits: string): Table22Cell => table.cells.find((cell) => cell.method === method && cell.bits === bits)!;

const seeds = [0.8, 0.82, 0.87].map((ap50, i) => madeUpRun({ seed: i + 1, ap50, unseen: 0.3 }));

test('the 13 cells, by bit-width, each with its paper value; without runs all others are empty', (t) => {
  const table = table22(paper, { recorded: [], fresh: [] });
  t.is(table.cells.length, 13);
  t.deepEqual(table.cells.map(({ bits }) => bits), ['32-32-32', ...Array<string>(4).fill('4-4-8'), ...Array<string>(4).fill('3-3-8'), ...Array<string>(4).fill('2-2-8')]);
  t.true(table.cells.every((cell) => cell.recorded === null && cell.fresh === null));
  t.is(cellOf(table, '+ DA + FQM (Q-DETR)', '2-2-8').paper, 76.4);
});

test('seeds are averaged in percent, with a 95 % t-interval', (t) => {
  const { recorded, fresh } = cellOf(table22(paper, { recorded: seeds, fresh: [] }), 'Baseline', '2-2-8');
  t.is(fresh, null);
  t.deepEqual(recorded!.seeds, [1, 2, 3]);
  t.is(Number(recorded!.test.mean.toFixed(6)), 83); // as in statistics.test.ts: 83 ± 8.9567
  t.is(Number((recorded!.test.high! - 83).toFixed(3)), 8.957);
  t.is(Number(recorded!.testUnseen!.mean.toFixed(6)), 30);
});

test('recorded and fresh runs stay apart', (t) => {
  const table = table22(paper, { recorded: seeds, fresh: [madeUpRun({ ap50: 0.25, scale: 'minutes', dataset: 'minivoc-64' })] });
  const cell = cellOf(table, 'Baseline', '2-2-8');
  t.is(cell.fresh!.test.mean, 25);
  t.is(cell.fresh!.testUnseen, null);
  t.is(Math.round(cell.recorded!.test.mean), 83);
  t.deepEqual([table.recorded!.dataset, table.fresh!.dataset], ['minivoc-128', 'minivoc-64']);
});

test('runs of different scales or data sets are never averaged: the largest scale is shown, and of that the data set whose run finished last', (t) => {
  const gpu = madeUpRun({ ap50: 0.7, scale: 'gpu' }), later = { finishedAt: '2026-11-23T09:00:00Z' };
  const shown = (...fresh: ReturnType<typeof madeUpRun>[]) => cellOf(table22(paper, { recorded: fresh, fresh }), 'Baseline', '2-2-8');
  for (const origin of ['recorded', 'fresh'] as const) {
    t.is(shown(gpu, madeUpRun({ ap50: 0.2, scale: 'minutes', ...later }))[origin]!.test.mean, 70);
    t.is(shown(gpu, madeUpRun({ ap50: 0.4, scale: 'gpu', dataset: 'minivoc-256', ...later }))[origin]!.test.mean, 40);
  }
});

test('runs of another recipe than the last one are no seeds of a cell', (t) => {
  const old = madeUpRun({ ap50: 0.2, seed: 1, recipe: '0'.repeat(12) }), now = { recipe: '1'.repeat(12), finishedAt: '2026-11-23T09:00:00Z' };
  const { fresh } = cellOf(table22(paper, { recorded: [], fresh: [old, madeUpRun({ ap50: 0.6, ...now }), madeUpRun({ ap50: 0.8, seed: 2, ...now })] }), 'Baseline', '2-2-8');
  t.is(fresh!.test.n, 2);
  t.true(Math.abs(fresh!.test.mean - 70) < 1e-9);
});

test('a run made again counts once, the last time; runs of other artefacts do not count', (t) => {
  const again = [
    madeUpRun({ ap50: 0.6, finishedAt: '2026-11-23T09:00:00Z', id: 'new' }),
    madeUpRun({ ap50: 0.1, id: 'old' }),
    madeUpRun({ ap50: 0.9, seed: 2, artefact: ['figure-2.12a'] }),
  ];
  const { recorded } = cellOf(table22(paper, { recorded: again, fresh: [] }), 'Baseline', '2-2-8');
  t.is(recorded!.test.mean, 60);
  t.is(recorded!.test.n, 1);
});

test('a run without an evaluation on test leaves its cell empty', (t) => {
  const table = table22(paper, { recorded: [madeUpRun({ evaluations: [] })], fresh: [] });
  t.is(cellOf(table, 'Baseline', '2-2-8').recorded, null);
});

test('markdown: data sets in the heads, 13 lines, cells without a run say so, the runs and what they quantize below', (t) => {
  const fresh = [madeUpRun({ id: 'abc', ap50: 0.25, scale: 'minutes', dataset: 'minivoc-64', command: 'npm start' })];
  const text = table22Markdown(table22(paper, { recorded: seeds, fresh }));
  t.true(text.includes('| Bits | Method | Paper: AP50 on VOC 2007 test | Recorded: AP50 on MiniVOC 128 px, scale gpu, test |'));
  t.true(text.includes('Fresh: AP50 on MiniVOC 64 px, scale minutes, test |'));
  t.true(text.includes('| 2-2-8 | Baseline | 69.7 | **83.0 ± 9.0 (3 seeds)** | 30.0 ± 0.0 (3 seeds) | **[25.0 (1 seed)](../.runs/abc/summary.json)** | not evaluated |'));
  t.true(text.includes('| 4-4-8 | + DA | 78.8 | no run | no run | no run | no run |'));
  t.regex(text, /\*\*Recorded\*\*: 3 runs .* Without a run: Real-valued, Baseline 4-4-8, .*\+ DA 2-2-8, .* \(`npx qdetr experiment table-2\.2 --scale minutes` trains/);
  t.is(text.match(/^\| (32-32-32|\d-\d-8) \|/gm)!.length, 13 + 9); // and 9 gains
  t.true(text.includes('| fresh | 2-2-8 | Baseline | weights 2 bit, activations 2 bit, attention 8 bit | minivoc-64 | minutes | 1 |'));
});

test('markdown without runs says so and names the way to one', (t) => {
  const text = table22Markdown(table22(paper, { recorded: [], fresh: [] }));
  t.true(text.includes('the kit comes without runs of the whole detector') && !text.includes('Without a run:') && text.includes('`npx qdetr experiment table-2.2 --scale minutes` makes them') && text.includes('`npm start` makes others, of the transformer alone'));
});

test('a bar in a record cannot break the table', (t) => {
  const text = table22Markdown(table22(paper, { recorded: [madeUpRun({ machine: 'a | b' })], fresh: [] }));
  t.true(text.includes('| a \\| b |'));
});

test('JSON: the same cells, rounded, and the runs behind each column', (t) => {
  const json = JSON.parse(table22Json(table22(paper, { recorded: seeds, fresh: [] }), paper)) as { columns: { recorded: { runs: string[] }; fresh: unknown }; cells: Table22Cell[] };
  t.is(json.columns.recorded.runs.length, 3);
  t.is(json.columns.fresh, null);
  t.deepEqual(json.cells.find(({ method, bits }) => method === 'Baseline' && bits === '2-2-8')!.recorded!.test, { mean: 83, n: 3, low: 74.043, high: 91.957 });
});

const only = { scope: 'transformer', scale: 'minutes', dataset: 'minivoc-64' } as const;
const started = [
  madeUpRun({ ...only, method: 'Real-valued', bits: '32-32-32', ap50: 0.36 }), madeUpRun({ ...only, ap50: 0.15, groups: ['encoder', 'decoder-attention', 'feed-forward'] }),
  madeUpRun({ ...only, method: 'Q-DETR, same slot', ap50: 0.24, quantized: 'the transformer' }),
];

test('runs with only the transformer at low bits stand beside the table, never in its cells', (t) => {
  const table = table22(paper, { recorded: seeds, fresh: [...started, madeUpRun({ ...only, scope: 'detector', ap50: 0.06 })] });
  t.is(cellOf(table, 'Baseline', '2-2-8').fresh!.test.mean, 6);
  t.is(cellOf(table, 'Real-valued', '32-32-32').fresh, null);
  t.deepEqual(table.transformerOnly.cells.map(({ method, bits, recorded, fresh }) => [method, bits, recorded, Math.round(fresh!.test.mean)]), [
    ['Real-valued', '32-32-32', null, 36], ['Baseline', '2-2-8', null, 15], ['Q-DETR, same slot', '2-2-8', null, 24],
  ]);
  t.is(table.transformerOnly.recorded, null);
});

test('runs that leave a module group real-valued, and post-training ones, answer no cell', (t) => {
  const partial = [madeUpRun({ groups: ['backbone'] }), madeUpRun({ scope: 'post-training' })];
  t.is(cellOf(table22(paper, { recorded: partial, fresh: [] }), 'Baseline', '2-2-8').recorded, null);
});

test('runs of npm start or of qdetr train are not mixed with those of an experiment, which come first', (t) => {
  const later = { finishedAt: '2026-11-24T08:00:00Z' };
  const runs = [madeUpRun({ ap50: 0.5 }), madeUpRun({ ap50: 0.9, seed: 2, experiment: 'train/baseline-2-2-8', ...later }), madeUpRun({ method: 'Real-valued', bits: '32-32-32', experiment: 'start/real-valued', ...later })];
  const table = table22(paper, { recorded: runs, fresh: runs.slice(1) });
  t.deepEqual([cellOf(table, 'Baseline', '2-2-8').recorded!.test.mean, cellOf(table, 'Real-valued', '32-32-32').recorded], [50, null]);
  t.is(table.fresh!.runs.length, 1);
});

test('DETR\'s runs fill the table although SMCA-DETR\'s are larger and later; without any, SMCA-DETR\'s do', (t) => {
  const smca = madeUpRun({ model: 'smca-detr', ap50: 0.9, finishedAt: '2026-11-24T08:00:00Z' }), detr = madeUpRun({ scale: 'minutes', ap50: 0.3 });
  t.is(cellOf(table22(paper, { recorded: [smca, detr], fresh: [smca] }), 'Baseline', '2-2-8').recorded!.test.mean, 30);
  const { fresh } = table22(paper, { recorded: [], fresh: [smca] });
  t.is(fresh!.model, 'smca-detr');
});

test('markdown: a second table says what is quantized, and its runs are listed apart', (t) => {
  const text = table22Markdown(table22(paper, { recorded: [], fresh: started }));
  t.true(text.includes('## Fresh: transformer only, 2-2-8, scale minutes'));
  t.regex(text, /\| 2-2-8 \| Baseline \| the transformer only: weights 2 bit, activations 2 bit, attention 8 bit \| \*\*\[15\.0 \(1 seed\)\]\(\S+\)\*\* \| not evaluated \| {2}\|/);
  t.regex(text, /\| 2-2-8 \| Q-DETR, same slot \| the transformer \| \*\*\[24\.0 \(1 seed\)\]\([^|]*\)\*\* \| not evaluated \| \+9\.0 \(1 seed\) \|/);
  t.true(text.includes('| fresh, transformer only | 2-2-8 | Q-DETR, same slot |'));
  t.true(text.includes('no run of the whole detector on this machine yet'));
  t.is(text.match(/^\| (32-32-32|\d-\d-8) \|/gm)!.length, 13 + 9 + 3);
  t.false(table22Markdown(table22(paper, { recorded: seeds, fresh: [] })).includes('transformer only'));
  const json = JSON.parse(table22Json(table22(paper, { recorded: [], fresh: started }), paper)) as { transformerOnly: { columns: { fresh: { runs: string[] } }; cells: unknown[] } };
  t.deepEqual([json.transformerOnly.columns.fresh.runs.length, json.transformerOnly.cells.length], [3, 3]);
});

/** A run of a table at scale gpu by the protocol, as records say it. */
const byProtocol = { studentStart: 'fresh', warmUp: 4000 } as const;
const distilled = { ...byProtocol, method: '+ FQM', tau: 0.6, lambda: 2.5 } as const;

test('a run from another start, without the warm-up, with another matching, lambda or number of steps is no cell: it stands in a table of its own, under its condition', (t) => {
  const literal = [madeUpRun({ ...byProtocol, ap50: 0.5 }), madeUpRun({ ...distilled, ap50: 0.6, distillation: { matching: 'literal' } })], later = { finishedAt: '2026-11-24T08:00:00Z' };
  const longer = madeUpRun({ ...distilled, ...later, ap50: 0.9 });
  for (const [departing, said] of [
    [madeUpRun({ ...distilled, ...later, studentStart: 'teacher', warmUp: undefined, ap50: 0.9 }), "students start from the teacher's transformer"],
    [madeUpRun({ ...distilled, ...later, warmUp: undefined, ap50: 0.9 }), 'no warm-up'],
    [madeUpRun({ ...distilled, ...later, distillation: { matching: 'same-slot' }, ap50: 0.9 }), 'matching same-slot'],
    [madeUpRun({ ...distilled, ...later, method: '+ FQM (lambda 0.5)', lambda: 0.5, ap50: 0.9 }), 'lambda 0.5'],
    [madeUpRun({ ...distilled, ...later, alignment: ['co-attention.k'], method: '+ DA', lambda: null, tau: null, ap50: 0.9 }), 'DA on co-attention.k'],
    [{ ...longer, evaluations: longer.evaluations.map((one) => ({ ...one, step: 40 })) }, '40 steps in the last stage'],
  ] as const) {
    const table = table22(paper, { recorded: [...literal, departing], fresh: [] });
    t.is(cellOf(table, '+ FQM', '2-2-8').recorded!.test.mean, 60, said);
    t.is(cellOf(table, '+ DA', '2-2-8').recorded, null);
    t.deepEqual(table.conditions.map(({ conditions }) => conditions), [[said]]);
    const block = table.conditions[0].cells.find(({ method }) => method !== 'Baseline' && method === (departing.method === '+ DA' ? '+ DA' : '+ FQM'))!;
    t.is(block.recorded!.test.mean, 90, said);
    t.true(table22Markdown(table).includes(`Other than the paper's protocol as it is at this scale: ${said}.`));
  }
});

test('what a condition says nothing about is shared: the Baseline stands beside + FQM with another matching, and gives its gain', (t) => {
  const other = madeUpRun({ ...distilled, ap50: 0.7, distillation: { matching: 'same-slot' } });
  const { conditions, cells } = table22(paper, { recorded: [madeUpRun({ ...byProtocol, ap50: 0.5 }), other], fresh: [madeUpRun({ ...byProtocol, ap50: 0.4 })] });
  t.is(conditions[0].fresh, null);
  t.deepEqual(conditions[0].cells.map(({ method, recorded }) => [method, recorded!.test.mean]), [['Baseline', 50], ['+ FQM', 70]]);
  t.is(Math.round(conditions[0].cells[1].recorded!.gain!.mean), 20);
  t.is(cells.find(({ method, bits }) => method === '+ FQM' && bits === '2-2-8')!.recorded, null);
});

test('scales are not mixed: the smaller one that is recorded as well has a table of its own', (t) => {
  const small = madeUpRun({ scale: 'minutes', studentStart: 'own', dataset: 'minivoc-64', ap50: 0.2 });
  const table = table22(paper, { recorded: [madeUpRun({ ...byProtocol, ap50: 0.5 }), small], fresh: [] });
  t.is(cellOf(table, 'Baseline', '2-2-8').recorded!.test.mean, 50);
  t.deepEqual(table.conditions.map(({ scale, conditions, cells: [cell] }) => [scale, conditions, cell.recorded!.test.mean]), [['minutes', [], 20]]);
});

test('the best conditions found are labelled so, come first and name each method\'s', (t) => {
  const best = { artefact: ['table-2.2-best'] };
  const runs = [madeUpRun({ ...byProtocol, ...best }), madeUpRun({ ...distilled, ...best, distillation: { matching: 'same-slot' }, ap50: 0.8 })];
  const { conditions: [block], cells } = table22(paper, { recorded: runs, fresh: [] });
  t.true(block.isBest && cells.every(({ recorded }) => recorded === null));
  t.deepEqual(block.conditions, ['matching same-slot']);
});

test('gains are paired by seed: 3, 4 and 8 points of three seeds, 5 ± 6.57; a seed that one side lacks, or other steps, are no pair', (t) => {
  const gains = [0.03, 0.04, 0.08], runs = [...gains.flatMap((gain, seed) => [madeUpRun({ seed, ap50: 0.3 + 0.1 * seed }), madeUpRun({ seed, method: '+ DA', ap50: 0.3 + 0.1 * seed + gain })]), madeUpRun({ seed: 9, method: '+ DA', ap50: 0.99 })];
  const gain = cellOf(table22(paper, { recorded: runs, fresh: [] }), '+ DA', '2-2-8').recorded!.gain!;
  t.is(Number(gain.mean.toFixed(9)), 5);
  t.deepEqual(gain.seeds, [0, 1, 2]);
  t.is(Number((gain.high! - gain.mean).toFixed(2)), 6.57); // deviation sqrt(7), t 4.303, sqrt(3)
  t.is(cellOf(table22(paper, { recorded: runs.slice(0, 2), fresh: [] }), '+ DA', '2-2-8').recorded!.gain!.low, null);
  t.is(cellOf(table22(paper, { recorded: [runs[0], runs[3]], fresh: [] }), '+ DA', '2-2-8').recorded!.gain, null);
});
