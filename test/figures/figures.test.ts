import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { drawFigures } from '../../src/figures/draw.js';
import { figure211, inSteps, printedPoints, progressPoints } from '../../src/figures/figure-2.11.js';
import { figure212a } from '../../src/figures/figure-2.12a.js';
import { figure212b, planePoints } from '../../src/figures/figure-2.12b.js';
import { groupFor } from '../../src/figures/groups.js';
import { paperValues } from '../../src/figures/paper-values.js';
import { MODULE_GROUPS } from '../../src/training/run-record.js';
import { compileFigure, figureToSvg, renderFigure, svgToPng, type Figure } from '../../src/figures/render.js';
import type { RunSummaries } from '../../src/figures/run-summaries.js';
import { METHODS } from '../../src/figures/style.js';
import { table22Chart, table22ConditionsChart } from '../../src/figures/table-2.2-chart.js';
import { table22 } from '../../src/figures/table-2.2.js';
import { methodPoints, tauPoints } from '../../src/figures/tau-points.js';
import { madeUpRun } from './summaries.js';

const paper = paperValues(), costs = { voc: [], coco: [] };
const methods = METHODS.slice(1, 5).map(({ method }) => method);
const tableRuns = [madeUpRun({ method: 'Real-valued', bits: '32-32-32', ap50: 0.8 }), ...methods.map((method, i) => madeUpRun({ method, ap50: 0.5 + 0.05 * i, unseen: 0.2 }))];
const a = { artefact: ['figure-2.12a'], method: '+ DA + FQM (Q-DETR)', bits: '4-4-8' };
const tauRuns = [1, 2].flatMap((seed) => [
  ...[0, 0.6].flatMap((tau) => [1, 2.5].map((lambda) => madeUpRun({ ...a, seed, tau, lambda, ap50: 0.5 + 0.1 * tau + 0.01 * seed }))),
  madeUpRun({ ...a, method: '+ DA', seed, ap50: 0.54 }),
]);
const planeRuns = ['Teacher', ...methods].map((method, i) =>
  madeUpRun({ artefact: ['figure-2.12b'], method, bits: '4-4-8', informationPlane: [2, 1].map((epoch) => ({ epoch, informationX: -0.2 + 0.01 * i + 0.02 * epoch, informationY: 0.2 * epoch })) }),
);
const stepRuns = [1, 2].flatMap((seed) => [
  madeUpRun({ artefact: ['figure-2.11'], method: 'Real-valued', bits: '32-32-32', seed, ap50: 0.8, id: `real ${seed}` }),
  ...['4-4-8', '3-3-8'].flatMap((bits, b) => MODULE_GROUPS.map((_, i) => madeUpRun({ artefact: ['figure-2.11'], groups: MODULE_GROUPS.slice(0, i + 1), bits, seed, ap50: 0.8 - 0.05 * (i + 1) * (b + 1) + 0.01 * seed, id: `${bits} ${i} ${seed}` }))),
]);
/** What `npm start` makes. */
const transformer = { scope: 'transformer', scale: 'minutes', dataset: 'minivoc-64', artefact: ['table-2.2', 'figure-2.12a', 'figure-2.12b'], informationPlane: [{ epoch: 1, informationX: -0.1, informationY: 0.2 }, { epoch: 2, informationX: -0.12, informationY: 0.3 }] } as const;
const startRuns = [
  { method: 'Real-valued', bits: '32-32-32', ap50: 0.36 }, { method: 'Baseline', ap50: 0.15 }, { method: '+ DA + FQM (Q-DETR)', tau: 0.6, lambda: 2.5, ap50: 0.12 },
  { method: 'Q-DETR, same slot', tau: 0.6, lambda: 2.5, ap50: 0.24, distillation: { matching: 'same-slot', selection: 'all' } },
].map((run) => madeUpRun({ ...transformer, artefact: [...transformer.artefact], informationPlane: [...transformer.informationPlane], ...run }));
const figures: Record<string, (runs: RunSummaries) => Figure> = {
  'table-2.2': (runs) => table22Chart(table22(paper, runs)),
  'table-2.2-conditions': (runs) => table22ConditionsChart(table22(paper, runs)),
  'figure-2.11': (runs) => figure211(paper, runs),
  'figure-2.12a': (runs) => figure212a(paper, runs),
  'figure-2.12b': figure212b,
};
const all = [...tableRuns, ...tauRuns, ...planeRuns, ...stepRuns];
const states: Record<string, RunSummaries> = {
  full: { recorded: all, fresh: all.map((run) => ({ ...run, scale: 'minutes' as const })) },
  started: { recorded: all, fresh: startRuns },
  partial: { recorded: [tableRuns[1], tauRuns[0], { ...planeRuns[1], informationPlane: planeRuns[1].informationPlane.slice(1) }], fresh: [] },
  'fresh only': { recorded: [], fresh: [tableRuns[2], tauRuns[4], planeRuns[0]] },
  empty: { recorded: [], fresh: [] },
};

for (const [name, figure] of Object.entries(figures)) {
  for (const [state, runs] of Object.entries(states)) {
    test(`${name}, ${state}: compiles without warnings and draws finite numbers only`, async (t) => {
      const warnings: string[] = [];
      compileFigure(figure(runs), (message) => warnings.push(message));
      t.deepEqual(warnings, []);
      t.notRegex(await figureToSvg(figure(runs)), /NaN|Infinity|undefined|null/);
    });
  }
}

test('texts say which data a panel shows; only what the paper prints stands in its panel', async (t) => {
  const table = await figureToSvg(figures['table-2.2'](states.full));
  for (const text of ['VOC 2007 test, DETR-R50', 'MiniVOC 128 px test, small DETR', 'Recorded by this kit', 'Fresh, made here', "scale 'minutes'", '69.7', '83.3']) t.true(table.includes(text), text);
  const tau = await figureToSvg(figures['figure-2.12a'](states.empty));
  for (const text of ['82.7', '78.8', 'the two printed points', 'No runs yet, recorded or fresh.', 'figure-2.12a']) t.true(tau.includes(text), text);
  const plane = await figureToSvg(figures['figure-2.12b'](states.empty));
  for (const text of ['No points yet', 'The paper prints none of its values', 'I(X; E)', 'I(y; E, q)', 'npx qdetr experiment figure-2.12b --scale minutes']) t.true(plane.includes(text), text);
  const steps = await figureToSvg(figures['figure-2.11'](states.empty));
  for (const text of ['No runs yet, recorded or fresh.', 'figure-2.11 --scale']) t.true(steps.replaceAll(/<[^>]*>/g, ' ').includes(text), text);
});

test('a number leads to its record and says its runs and their command; the paper\'s lead to its values', async (t) => {
  const run = madeUpRun({ id: 'abc', ap50: 0.25, command: 'npx qdetr experiment a' });
  const svg = await figureToSvg(table22Chart(table22(paper, { recorded: [run], fresh: [run] }, { places: new Map([['abc', 'figures/recorded/a.jsonl:3']]), fresh: '.runs' })));
  for (const [link, text] of [
    ['../figures/recorded/a.jsonl#L3', 'Baseline at 2-2-8, recorded: AP50 25.0 (1 seed) on test. Records: abc (figures/recorded/a.jsonl:3). Made by: npx qdetr experiment a'],
    ['../.runs/abc/summary.json', 'Baseline at 2-2-8, fresh: AP50 25.0 (1 seed) on test. Records: abc (.runs/abc/summary.json). Made by: npx qdetr experiment a'],
    ['../data-manifests/paper/paper-tables.json', 'Baseline at 2-2-8, paper: 69.7, as printed'],
  ]) t.true(svg.includes(`<a xlink:href="${link}"><title>${text}`), link);
});

test('Fig. 2.11 as it is written has no bit-width that only the baseline of Table 2.2 has', async (t) => {
  const baseline = [1, 2].map((seed) => madeUpRun({ artefact: ['figure-2.11'], bits: '2-2-8', seed, ap50: 0.2, id: `2-2-8 ${seed}` }));
  t.deepEqual(inSteps([...stepRuns, ...baseline]), stepRuns);
  t.deepEqual(progressPoints(inSteps(baseline)), []);
  const oneStep = madeUpRun({ artefact: ['figure-2.11'], bits: '2-2-8', groups: MODULE_GROUPS.slice(0, 1), seed: 1, id: 'one step' });
  t.deepEqual(inSteps([oneStep, ...baseline]), [oneStep, ...baseline]);
  const runs = { recorded: [...stepRuns, ...baseline], fresh: [] };
  const [all, written] = await Promise.all([{}, { onlyInSteps: true }].map(async (options) => figureToSvg(figure211(paper, runs, options))));
  t.deepEqual([all, written].map((svg) => [svg.includes('>2 bits<'), svg.includes('>3 bits<')]), [[true, true], [false, true]]);
  t.is(written, await figureToSvg(figure211(paper, { recorded: stepRuns, fresh: [] })));
});

test('the information plane keeps the colours that the paper names; the teacher is another red, dashed', async (t) => {
  const style = (method: string) => METHODS.find((candidate) => candidate.method === method)!;
  t.not(style('Teacher').colour, style('+ FQM').colour);
  t.not(style('Teacher').shape, style('+ FQM').shape);
  t.true(style('Teacher').dash[1] > 0);
  const svg = await figureToSvg(figures['figure-2.12b'](states.full));
  for (const { method, colour } of METHODS.slice(1, 6)) t.true(svg.includes(colour) && svg.includes(`>${method}<`), method);
  const withoutTeacher = await figureToSvg(figures['figure-2.12b']({ recorded: planeRuns.slice(1), fresh: [] }));
  t.deepEqual([svg, withoutTeacher].map((one) => /[Tt]eacher/.test(one)), [true, false]);
});

test('runs with only the transformer at low bits are drawn in panels of their own, by name', async (t) => {
  const tau = await figureToSvg(figures['figure-2.12a'](states.started));
  for (const text of ['Recorded by this kit', 'Fresh, made here: only the transformer', 'Q-DETR, same slot', '24.0', '12.0', '15.0']) t.true(tau.includes(text), text);
  const plane = await figureToSvg(figures['figure-2.12b']({ recorded: [], fresh: startRuns }));
  for (const text of ['Fresh, made here: only the transformer', '>Q-DETR, same slot<', '>Real-valued<']) t.true(plane.includes(text), text);
  const table = await figureToSvg(table22ConditionsChart(table22(paper, states.started)));
  for (const text of ['Only the transformer', 'Fresh, made here', 'None of these rows is a cell of Table 2.2', 'Q-DETR, same slot', 'Gain over Baseline', '+9.0']) t.true(table.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ').includes(text), text);
  t.false((await figureToSvg(figures['table-2.2'](states.full))).includes('Only the transformer'));
  const partial = await figureToSvg(figures['table-2.2'](states.partial));
  t.is(partial.match(/>no run</g)?.length, 12);
  const whole = await figureToSvg(figures['table-2.2']({ recorded: paper.table_2_2.map(({ method, bits }) => madeUpRun({ method, bits })), fresh: [] }));
  t.deepEqual([partial, whole].map((svg) => [svg.includes('No run: that cell'), svg.includes('>no run<')]), [[true, true], [false, false]]);
});

test('points of single methods: without distillation at tau 1, matching that distils every query without a tau', (t) => {
  const points = methodPoints(groupFor('figure-2.12a', startRuns, { scope: 'transformer' })!);
  t.deepEqual(points.map(({ method, tau, lambda, mean }) => [method, tau, lambda, Math.round(mean)]), [['Baseline', 1, null, 15], ['+ DA + FQM (Q-DETR)', 0.6, 2.5, 12], ['Q-DETR, same slot', null, 2.5, 24]]);
});

test('the two readings of tau 0 are two points; the reference is + DA, and the real-valued model no point', (t) => {
  const runs = [
    ...tauRuns, madeUpRun({ ...a, method: '+ DA + full imitation', tau: 0, lambda: 1, ap50: 0.3 }), madeUpRun({ ...a, method: 'Baseline', ap50: 0.1 }),
    madeUpRun({ ...a, method: 'Real-valued', bits: '32-32-32', ap50: 0.9 }), madeUpRun({ ...a, method: 'Q-DETR, same slot', tau: 0.6, lambda: 1, ap50: 0.9 }),
  ];
  const points = tauPoints(groupFor('figure-2.12a', runs)!);
  t.is(points.length, 6);
  t.deepEqual(points.filter(({ lambda, tau }) => lambda === 1 && tau === 0).map(({ isFullImitation, mean, n }) => [isFullImitation, Number(mean.toFixed(6)), n]), [[false, 51.5, 2], [true, 30, 1]]);
  t.is(Number(points.find(({ lambda }) => lambda === null)!.mean.toFixed(6)), 54);
});

test('Fig. 2.11: the paper\'s ten values; runs by the groups that they quantize, those that skip one left out', (t) => {
  const printed = printedPoints(paper);
  t.deepEqual(printed.map(({ bits, step, mean }) => [bits, step, mean]).slice(0, 6), [[4, 0, 83.3], [4, 1, 82.2], [4, 2, 81.1], [4, 3, 79.3], [4, 4, 78.8], [3, 0, 83.3]]);
  const points = progressPoints([...stepRuns, madeUpRun({ groups: ['encoder'], bits: '4-4-8', ap50: 0.1 })]);
  t.deepEqual(points.map(({ bits, step, mean, n }) => [bits, step, Number(mean.toFixed(4)), n]), [
    [4, 0, 80, 2], [4, 1, 76.5, 2], [4, 2, 71.5, 2], [4, 3, 66.5, 2], [4, 4, 61.5, 2], [3, 0, 80, 2], [3, 1, 71.5, 2], [3, 2, 61.5, 2], [3, 3, 51.5, 2], [3, 4, 41.5, 2],
  ]);
});

test('points over tau: seeds averaged, no distillation at tau 1', (t) => {
  const points = tauPoints(groupFor('figure-2.12a', tauRuns)!);
  t.deepEqual(points.map(({ tau, lambda, n }) => [lambda, tau, n]), [[null, 1, 2], [1, 0, 2], [1, 0.6, 2], [2.5, 0, 2], [2.5, 0.6, 2]]);
  t.is(Number(points[1].mean.toFixed(6)), 51.5);
});

test('curves on the plane run by epoch, in the order of the paper, unknown methods last', (t) => {
  const runs = [...planeRuns, { ...planeRuns[0], method: 'Another' }];
  const points = planePoints(groupFor('figure-2.12b', runs)!);
  t.deepEqual([...new Set(points.map((point) => point.method))], [...methods, 'Teacher', 'Another']);
  t.deepEqual(points.slice(0, 2).map(({ epoch, ap50 }) => [epoch, ap50]), [[1, 20], [2, 40]]);
});

test('the same records give the same bytes, whatever their order', async (t) => {
  const one = await renderFigure(figures['table-2.2'](states.full));
  const two = await renderFigure(figures['table-2.2']({ recorded: [...all].reverse(), fresh: [...states.full.fresh].reverse() }));
  t.is(one.svg, two.svg);
  t.true(one.png.equals(two.png));
});

test('letters are drawn with the fonts of the package, also where the family is unknown', (t) => {
  const picture = (text: string, family: string): Buffer =>
    svgToPng(`<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="90" height="30" fill="white"/><text x="5" y="20" font-family="${family}">${text}</text></svg>`);
  const blank = picture('', 'DejaVu Sans');
  t.false(picture('AP50 τ λ', 'DejaVu Sans, sans-serif').equals(blank));
  t.true(picture('AP50 τ λ', 'No Such Font').equals(picture('AP50 τ λ', 'DejaVu Sans')));
});

test('drawFigures writes every file of every artefact, or those of one', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-figures-'));
  const files = await drawFigures({ costs, only: 'figure-2.12b', runs: states.empty, folder });
  t.deepEqual(files.map((file) => path.basename(file)), ['figure-2.12b.vl.json', 'figure-2.12b.svg', 'figure-2.12b.png']);
  await drawFigures({ costs, runs: states.full, observations: { recorded: [], fresh: [] }, folder });
  t.deepEqual(readdirSync(folder).sort(), [
    ...['2', '3'].flatMap((number) => ['json', 'md', 'png', 'svg', 'vl.json'].map((type) => `cvpr-table-${number}.${type}`)),
    ...['2.11', '2.12a', '2.12b', '2.8', '2.9'].flatMap((name) => ['png', 'svg', 'vl.json'].map((type) => `figure-${name}.${type}`)),
    'table-2.2.json', 'table-2.2.md', 'table-2.2.png', 'table-2.2.svg', 'table-2.2.vl.json',
  ]);
  const specification = JSON.parse(readFileSync(path.join(folder, 'table-2.2.vl.json'), 'utf8')) as { $schema: string };
  t.is(specification.$schema, 'https://vega.github.io/schema/vega-lite/v5.json');
});

test('where one file of an artefact can not be written, its others stay as they were', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-figures-'));
  await drawFigures({ costs, only: 'table-2.2', runs: states.empty, folder });
  rmSync(path.join(folder, 'table-2.2.png'));
  mkdirSync(path.join(folder, 'table-2.2.png/inside'), { recursive: true });
  const holds = () => ['md', 'json', 'vl.json', 'svg'].map((type) => readFileSync(path.join(folder, `table-2.2.${type}`), 'utf8'));
  const before = holds(), names = readdirSync(folder);
  await t.throwsAsync(drawFigures({ costs, only: 'table-2.2', runs: states.full, folder }), { instanceOf: UserError, message: /table-2\.2\.png can't be written/ });
  t.deepEqual(holds(), before);
  t.deepEqual(readdirSync(folder), names);
});

test('an unknown artefact is named and the known ones listed', async (t) => {
  await t.throwsAsync(drawFigures({ costs, only: 'figure-9', runs: states.empty }), { instanceOf: UserError, message: /'figure-9' is no figure of this kit: choose one of table-2\.2, / });
  t.false(existsSync('figures/figure-9.svg'));
});
