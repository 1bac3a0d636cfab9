import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { drawFigures } from '../../src/figures/draw.js';
import { figure212a, tauPoints } from '../../src/figures/figure-2.12a.js';
import { figure212b, planePoints } from '../../src/figures/figure-2.12b.js';
import { groupFor } from '../../src/figures/groups.js';
import { paperValues } from '../../src/figures/paper-values.js';
import { compileFigure, figureToSvg, renderFigure, svgToPng, type Figure } from '../../src/figures/render.js';
import type { RunSummaries } from '../../src/figures/run-summaries.js';
import { METHODS } from '../../src/figures/style.js';
import { table22Chart } from '../../src/figures/table-2.2-chart.js';
import { table22 } from '../../src/figures/table-2.2.js';
import { madeUpRun } from './summaries.js';

const paper = paperValues();
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
const figures: Record<string, (runs: RunSummaries) => Figure> = {
  'table-2.2': (runs) => table22Chart(table22(paper, runs)),
  'figure-2.12a': (runs) => figure212a(paper, runs),
  'figure-2.12b': figure212b,
};
const all = [...tableRuns, ...tauRuns, ...planeRuns];
const states: Record<string, RunSummaries> = {
  full: { recorded: all, fresh: all.map((run) => ({ ...run, scale: 'minutes' as const })) },
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
  for (const text of ['82.7', '78.8', 'the two printed points', 'No runs of this figure yet']) t.true(tau.includes(text), text);
  const plane = await figureToSvg(figures['figure-2.12b'](states.empty));
  for (const text of ['No points yet', 'The paper prints none of its values', 'I(X; E)', 'I(y; E, q)']) t.true(plane.includes(text), text);
});

test('the information plane keeps the colours that the paper names; the teacher is another red, dashed', async (t) => {
  const style = (method: string) => METHODS.find((candidate) => candidate.method === method)!;
  t.not(style('Teacher').colour, style('+ FQM').colour);
  t.not(style('Teacher').shape, style('+ FQM').shape);
  t.true(style('Teacher').dash[1] > 0);
  const svg = await figureToSvg(figures['figure-2.12b'](states.full));
  for (const { method, colour } of METHODS.slice(1, 6)) t.true(svg.includes(colour) && svg.includes(`>${method}<`), method);
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
  const files = await drawFigures({ only: 'figure-2.12b', runs: states.empty, folder });
  t.deepEqual(files.map((file) => path.basename(file)), ['figure-2.12b.vl.json', 'figure-2.12b.svg', 'figure-2.12b.png']);
  await drawFigures({ runs: states.full, folder });
  t.deepEqual(readdirSync(folder).sort(), [
    'figure-2.12a.png', 'figure-2.12a.svg', 'figure-2.12a.vl.json', 'figure-2.12b.png', 'figure-2.12b.svg', 'figure-2.12b.vl.json',
    'table-2.2.json', 'table-2.2.md', 'table-2.2.png', 'table-2.2.svg', 'table-2.2.vl.json',
  ]);
  const specification = JSON.parse(readFileSync(path.join(folder, 'table-2.2.vl.json'), 'utf8')) as { $schema: string };
  t.is(specification.$schema, 'https://vega.github.io/schema/vega-lite/v5.json');
});

test('where one file of an artefact can not be written, its others stay as they were', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-figures-'));
  await drawFigures({ only: 'table-2.2', runs: states.empty, folder });
  rmSync(path.join(folder, 'table-2.2.png'));
  mkdirSync(path.join(folder, 'table-2.2.png/inside'), { recursive: true });
  const holds = () => ['md', 'json', 'vl.json', 'svg'].map((type) => readFileSync(path.join(folder, `table-2.2.${type}`), 'utf8'));
  const before = holds(), names = readdirSync(folder);
  await t.throwsAsync(drawFigures({ only: 'table-2.2', runs: states.full, folder }), { instanceOf: UserError, message: /table-2\.2\.png can't be written/ });
  t.deepEqual(holds(), before);
  t.deepEqual(readdirSync(folder), names);
});

test('an unknown artefact is named and the known ones listed', async (t) => {
  await t.throwsAsync(drawFigures({ only: 'figure-9', runs: states.empty }), { instanceOf: UserError, message: /'figure-9' is no figure of this kit: choose one of table-2\.2, / });
  t.false(existsSync('figures/figure-9.svg'));
});
