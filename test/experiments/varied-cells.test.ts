import test from 'ava';
import { UserError } from '../../src/errors.js';
import { cellPlan } from '../../src/experiments/cell-plan.js';
import { departuresOf, departureText, saysDepartures } from '../../src/experiments/departures.js';
import { EXPERIMENTS, experimentNamed } from '../../src/experiments/experiments.js';
import { cellName, type GridOptions } from '../../src/experiments/grid.js';
import { stageSettings } from '../../src/experiments/stage-settings.js';
import { cellsNamed, variedCells, type Variation } from '../../src/experiments/varied-cells.js';
import { parseAlignment } from '../../src/experiments/varied-alignment.js';
import { PRESETS } from '../../src/training/settings.js';

const options = (own: Partial<GridOptions> = {}): GridOptions => ({ family: 'detr', scale: 'minutes', seeds: [0], bits: ['2-2-8'], ...own });
const varied = (name: string, variation: Variation, own: Partial<GridOptions> = {}) => variedCells(experimentNamed(name), options(own), variation);
const names = (name: string, variation: Variation, own: Partial<GridOptions> = {}): string[] => varied(name, variation, own).map(({ cell }) => cellName(cell));

test('without changes the cells are the experiment\'s own', (t) => {
  for (const experiment of EXPERIMENTS) t.deepEqual(variedCells(experiment, options()).map(({ cell }) => cell), experiment.grid(options()));
});

test('names say what is changed, each thing once, a file by its base name, and nothing of what stays', (t) => {
  t.deepEqual(names('table-2.2', { distillation: { tau: 0.4, lambda: 2.5, matching: 'mutual' }, teacher: '/somewhere/far/t.safetensors' }), [
    'Real-valued, 32-32-32, seed 0', 'Baseline, 2-2-8, seed 0', '+ DA, 2-2-8, seed 0', '+ FQM (tau 0.4, matching mutual, teacher t.safetensors), 2-2-8, lambda 2.5, seed 0',
    '+ DA + FQM (Q-DETR) (tau 0.4, matching mutual, teacher t.safetensors), 2-2-8, lambda 2.5, seed 0',
  ]);
  t.deepEqual(names('table-2.2', { teacher: 'shipped', distillation: { tau: 0.6 } }), names('table-2.2', {}));
  t.deepEqual(names('table-2.2', {}, { policy: 'release' }).slice(0, 3), ['Real-valued, 32-32-32, seed 0', 'Baseline (policy release), 2-2-8, seed 0', '+ DA (policy release), 2-2-8, seed 0']);
});

test('decision A10 or A11 is changed in cells that have DA, and the method says so', (t) => {
  const cells = varied('table-2.2', { alignment: { places: 'co-attention.k,co-attention.q', axis: 'queries' } });
  t.deepEqual(cells.map(({ cell }) => cell.method), ['Real-valued', 'Baseline', '+ DA (DA on co-attention.q and co-attention.k, DA over queries)', '+ FQM', '+ DA + FQM (Q-DETR) (DA on co-attention.q and co-attention.k, DA over queries)']);
  t.deepEqual(cells[2].cell.alignment, { places: ['co-attention.q', 'co-attention.k'], axis: 'queries', start: 'measured' });
  t.deepEqual(names('table-2.2', { alignment: { places: 'co-attention.q', axis: 'head-width' } }), names('table-2.2', {}), 'what stays is not said');
  t.is(varied('table-2.2', { alignment: parseAlignment(['places=co-attention.k']) })[2].plainName, '+ DA, 2-2-8, seed 0');
  for (const [words, message] of [
    [['places=k'], /^--alignment: 'places\.0' should be|^--alignment: 'places\.0' is "k"/],
    [['axis=rows'], /^--alignment: 'axis' should be one of head-width, queries, but is "rows"/],
    [['where=co-attention.k'], /^--alignment where=co-attention\.k: 'where' is unknown, the keys are places, axis, start$/],
    [['places=co-attention.k,co-attention.k'], /^--alignment: 'places' should be one or more of .*, each once, but is /],
  ] as const) t.throws(() => varied('table-2.2', { alignment: parseAlignment(words) }), { instanceOf: UserError, message }, words[0]);
});

test('a named teacher teaches all that have one: where students start from it, baselines too', (t) => {
  const teachers = (own: Partial<GridOptions>): string[] => varied('table-2.2', { teacher: 'own' }, own).map(({ cell }) => cell.teacher);
  t.deepEqual(teachers({}), ['shipped', 'shipped', 'shipped', 'own', 'own']);
  t.deepEqual(teachers({ studentStart: 'teacher' }), Array.from({ length: 5 }, () => 'own'));
});

test('cells that a change makes equal are one', (t) => {
  t.is(names('figure-2.12a', { distillation: { tau: 0.4 } }).length, 1 + 2, '+ DA, and a cell for each lambda');
  for (const { name } of EXPERIMENTS) t.is(new Set(names(name, { distillation: { tau: 0.4, matching: 'mutual' }, teacher: 'own' })).size, names(name, { distillation: { tau: 0.4, matching: 'mutual' }, teacher: 'own' }).length, name);
});

test('a wrong setting is named', (t) => {
  t.throws(() => varied('table-2.2', { distillation: { tau: 2 } }), { instanceOf: UserError, message: /^--distillation: 'tau' should be a number from 0 to 1, but is 2/ });
});

test('cells are found by their names with and without changes; a whole name means one cell', (t) => {
  const cells = varied('table-2.2', { distillation: { tau: 0.4 } }, { seeds: Array.from({ length: 11 }, (_, seed) => seed) });
  const found = (...texts: string[]): string[] => cellsNamed(cells, texts).map(({ cell }) => cellName(cell));
  t.deepEqual(found('+ fqm, 2-2-8, tau 0.6, lambda 2.5, seed 1'), ['+ FQM (tau 0.4), 2-2-8, lambda 2.5, seed 1']);
  t.is(found('+ FQM, 2-2-8').length, 11);
  t.is(found('(tau 0.4)').length, 22);
  t.deepEqual(found('Baseline, 2-2-8, seed 1'), ['Baseline, 2-2-8, seed 1']);
  for (const { cell } of cells) t.deepEqual(found(cellName(cell)), [cellName(cell)]);
  t.deepEqual(found('nothing'), []);
});

test('the plan of a grid: what is shared once, what differs in columns, every setting somewhere', (t) => {
  const lines = cellPlan(varied('table-2.2', {}).map(({ cell }) => cell)).split('\n');
  t.deepEqual(lines.map((line) => line.trim().split(/ {2,}/)), [
    ['trained', 'whole detector'], ['student starts from', 'its own real-valued weights'], ['quantizer', 'LSQ+'], ['quantized', 'all groups'], ['policy', 'paper'], ['weight scales start', 'at the least error'],
    ['DA over', 'head-width'], ['DA starts', 'as measured'], ['tau', '0.6'], ['lambda', '2.5'], ['lambda warm-up', '0 steps'], ['matching', 'literal'], ['selection', 'foreground'], ['feature', 'before-projection'], ['decoder layers', 'all'],
    ['bits', 'stages', 'DA', 'teacher'],
    ['Real-valued, 32-32-32, seed 0', '32-32-32', '1 of 1000 steps', '-', '-'],
    ['Baseline, 2-2-8, seed 0', '2-2-8', '2 of 500 steps', '-', '-'],
    ['+ DA, 2-2-8, seed 0', '2-2-8', '2 of 500 steps', 'co-attention.q', '-'],
    ['+ FQM, 2-2-8, tau 0.6, lambda 2.5, seed 0', '2-2-8', '2 of 500 steps', '-', 'shipped'],
    ['+ DA + FQM (Q-DETR), 2-2-8, tau 0.6, lambda 2.5, seed 0', '2-2-8', '2 of 500 steps', 'co-attention.q', 'shipped'],
  ]);
  for (const { name } of EXPERIMENTS) {
    const cells = varied(name, {}, { policy: 'release' }).map(({ cell }) => cell), text = cellPlan(cells);
    for (const cell of cells) t.regex(text, new RegExp(`^ {2}${cellName(cell).replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}( |$)`, 'm'));
    t.regex(text, /release/, name);
  }
});

test('protocols of Table 2.2 and of npm start name what a scale has other than the paper, with the numbers of the program', (t) => {
  for (const [name, scale] of [['table-2.2', 'minutes'], ['table-2.2', 'gpu'], ['start', 'minutes']] as const) {
    const { protocol, grid } = experimentNamed(name), cells = grid({ family: 'detr', scale, seeds: [0] });
    t.true(saysDepartures(protocol, cells), `${name} ${scale}`);
    const line = protocol.find((text) => text.startsWith(`Scale ${scale}, `))!, training = stageSettings(cells[0]);
    for (const key of ['steps', 'batchSize', 'learningRate', 'backboneFactor', 'quantizerFactor', 'schedule'] as const) t.is(line.includes(`${key} ${training[key]} (${PRESETS.paper[key]}`), training[key] !== PRESETS.paper[key], `${line} ${key}`);
    for (const [text, holds] of [['at the least error', scale === 'minutes'], ['DA starts as measured', scale === 'minutes'], ['real-valued weights', scale === 'minutes']] as const) t.is(line.includes(text), holds, text);
  }
  const start = experimentNamed('start'), counts = new Set(start.grid(options()).map(({ informationPoints }) => informationPoints));
  t.deepEqual(start.protocol.flatMap((text) => /has (\d+) points a curve here, where decision A26 asks for at least 5/.exec(text)?.[1] ?? []), [...counts].map(String));
  const [cell] = experimentNamed('table-2.2').grid({ family: 'detr', scale: 'gpu', seeds: [0], changes: { learningRate: 0.3 } });
  t.true(departuresOf(cell).includes('learningRate 0.3 (0.0001)'));
  t.false(saysDepartures(experimentNamed('table-2.2').protocol, [cell]));
  t.regex(departureText([cell, cell]), /^Scale gpu, with the paper's in brackets: steps 5000 \(310500\); /);
});
