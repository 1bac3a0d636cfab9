import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { resolveDistillation } from '../../src/distillation/settings.js';
import type { Cell } from '../../src/experiments/cell.js';
import { cellTable } from '../../src/experiments/cell-table.js';
import { EXPERIMENTS, experimentNamed } from '../../src/experiments/experiments.js';
import { FULL_IMITATION, TAU_LAMBDA_GRIDS } from '../../src/experiments/figure-2.12a.js';
import { cellName, cellTitle, type GridOptions } from '../../src/experiments/grid.js';
import { paperValues } from '../../src/figures/paper-values.js';
import { madeUpRun } from '../figures/summaries.js';

const paper = paperValues();
const options = (own: Partial<GridOptions> = {}): GridOptions => ({ family: 'detr', scale: 'minutes', seeds: [0], ...own });
const grid = (name: string, own: Partial<GridOptions> = {}): Cell[] => experimentNamed(name).grid(options(own));

/** What a cell trains, without what it is called. */
const training = ({ artefact: _artefact, method: _method, experiment: _experiment, ...rest }: Cell): string => JSON.stringify(rest);

test('Table 2.2: the 13 cells of the paper, and no others', (t) => {
  t.deepEqual(grid('table-2.2').map(({ method, bits }) => `${method} ${bits}`).sort(), paper.table_2_2.map(({ method, bits }) => `${method} ${bits}`).sort());
});

test('Table 2.2: DA where its name says so, distillation where FQM does; the same teacher, stages and settings for all', (t) => {
  for (const { method, alignment, distillation, ...rest } of grid('table-2.2')) {
    t.deepEqual([alignment !== null, distillation !== null], [method.includes('DA'), method.includes('FQM')], method);
    t.like(rest, { scope: 'detector', quantizer: 'LSQ+', preset: 'paper', teacher: 'shipped', studentStart: 'own', informationPoints: 0 });
  }
});

test('sizes of the grids', (t) => {
  const sizes = Object.fromEntries(EXPERIMENTS.map(({ name, grid: of }) => [name, of(options()).length]));
  t.deepEqual(sizes, { start: 5, 'table-2.2': 13, 'figure-2.8': 3, 'figure-2.9': 3, 'figure-2.11': 9, 'figure-2.12a': 11, 'figure-2.12b': 5, 'voc-comparison': 12, 'coco-comparison': 12, controls: 20 });
  t.deepEqual([grid('figure-2.12a', { scale: 'smoke' }).length, grid('figure-2.12a', { scale: 'gpu' }).length], [4, 36]);
});

for (const experiment of EXPERIMENTS) {
  test(`${experiment.name}: pure, cells with names and trainings of their own, seeds one after another, its artefact on each`, (t) => {
    fc.assert(fc.property(fc.constantFrom('smoke', 'minutes', 'gpu'), fc.constantFrom('detr', 'smca-detr'), fc.uniqueArray(fc.nat(20), { minLength: 1, maxLength: 3 }), fc.option(fc.uniqueArray(fc.constantFrom('4-4-8', '3-3-8', '2-2-8', '2-4-8'), { minLength: 1 })), (scale, family, seeds, bits) => {
      const own = options({ scale: scale as 'smoke', family: family as 'detr', seeds, bits: bits ?? undefined });
      const cells = experiment.grid(own);
      t.deepEqual(cells, experiment.grid(own));
      for (const key of [cellName, training]) t.is(new Set(cells.map(key)).size, cells.length, key.name);
      t.deepEqual([...new Set(cells.map(({ seed }) => seed))], seeds);
      t.true(cells.every((cell) => cell.artefact.includes(experiment.artefact) && cell.family === family && cell.scale === scale));
      t.is(cells.length % seeds.length, 0);
      for (const { distillation } of cells) if (distillation) resolveDistillation({ ...distillation });
    }), { numRuns: 20 });
    t.true(experiment.command.startsWith(experiment.name === 'start' ? 'npm start' : `npx qdetr experiment ${experiment.name} `));
    t.true(experiment.protocol.length > 0 && experiment.smoke.length > 0);
  });
}

test('a cell that several experiments need is the same cell in all, so that it is trained once', (t) => {
  const cells = EXPERIMENTS.flatMap((experiment) => experiment.grid(options()));
  for (const cell of cells) for (const other of cells) if (cell.experiment === other.experiment && cellName(cell) === cellName(other)) t.deepEqual(cell, other);
  const trainings = new Map<string, string>();
  for (const cell of cells) {
    const name = `${cell.experiment} ${cellName(cell)}`;
    if (cell.experiment === 'figure-2.12a') continue; // its corner cells are its own, since they follow its --bits
    t.is(trainings.get(training(cell)) ?? name, name);
    trainings.set(training(cell), name);
  }
});

test('Fig. 2.11 adds the groups one after another', (t) => {
  t.deepEqual(grid('figure-2.11', { bits: ['4-4-8'] }).map(({ bits, groups }) => (bits === '32-32-32' ? [] : [...groups])), [
    [], ['backbone'], ['backbone', 'encoder'], ['backbone', 'encoder', 'decoder-attention'], ['backbone', 'encoder', 'decoder-attention', 'feed-forward'],
  ]);
});

test('Fig. 2.12(a): tau = 1 once, without distillation; tau = 0 in both readings; each other pair once', (t) => {
  const cells = grid('figure-2.12a', { scale: 'gpu' }), { taus, lambdas } = TAU_LAMBDA_GRIDS.gpu;
  t.is(cells.filter(({ distillation }) => distillation === null).length, 1);
  for (const lambda of lambdas) {
    const readings = cells.filter(({ distillation }) => distillation?.lambda === lambda && distillation.tau === 0);
    t.deepEqual(readings.map(({ method, distillation }) => [method === FULL_IMITATION, distillation!.tauZero]), [[false, 'literal'], [true, 'full-imitation']]);
    for (const tau of taus.slice(1)) t.is(cells.filter(({ distillation }) => distillation?.lambda === lambda && distillation.tau === tau).length, 1);
  }
  t.true(cells.every(({ alignment }) => alignment !== null));
});

test('controls change one thing of Q-DETR, + DA or both teacher and matching', (t) => {
  const cells = grid('controls'), qDetr = cells.find(({ method }) => method === '+ DA + FQM (Q-DETR)')!;
  for (const cell of cells.filter(({ method }) => method.startsWith('Q-DETR, '))) {
    const changed = Object.keys(qDetr.distillation!).filter((key) => cell.distillation![key as 'tau'] !== qDetr.distillation![key as 'tau']);
    t.deepEqual([changed.length + Number(cell.teacher !== qDetr.teacher) > 0, changed.length <= 2], [true, true], cell.method);
    t.deepEqual([cell.alignment, cell.groups, cell.studentStart], [qDetr.alignment, qDetr.groups, qDetr.studentStart]);
  }
});

test('the student as its own teacher: both matchings with both selections, so that the two are told apart', (t) => {
  const own = grid('controls').filter(({ teacher }) => teacher === 'own').map(({ distillation }) => `${distillation!.matching} ${distillation!.selection}`);
  t.deepEqual(own.sort(), ['literal all', 'literal foreground', 'same-slot all', 'same-slot foreground']);
});

test('a title says tau only where it selects, and nothing twice', (t) => {
  const titles = new Map(grid('controls').map((cell) => [cell.method, cellTitle(cell)]));
  t.is(titles.get('Q-DETR, every query, same slot'), 'Q-DETR, every query, same slot, 2-2-8, lambda 2.5');
  t.is(titles.get('Q-DETR, Hungarian matching'), 'Q-DETR, Hungarian matching, 2-2-8, lambda 2.5');
  t.is(titles.get('Q-DETR, lambda 0.25'), 'Q-DETR, lambda 0.25, 2-2-8, tau 0.6');
  t.is(titles.get('Q-DETR, mutual matching'), 'Q-DETR, mutual matching, 2-2-8, tau 0.6, lambda 2.5');
  t.is(titles.get('+ DA on k'), '+ DA on k, 2-2-8');
});

test('policy release: quantizers and DA as released in every quantized cell, and nothing else; names and trainings stay apart', (t) => {
  for (const { name } of EXPERIMENTS) {
    const paper = grid(name), release = grid(name, { policy: 'release' });
    t.is(new Set(release.map(training)).size, paper.length, name);
    release.forEach((cell, i) => {
      const places = paper[i].alignment?.places.join() === 'co-attention.q' ? ['decoder-self-attention.q'] : paper[i].alignment?.places.join() === 'decoder-self-attention.q' ? ['co-attention.q'] : paper[i].alignment?.places;
      t.deepEqual({ ...cell, method: '' }, { ...paper[i], method: '', preset: cell.bits === '32-32-32' ? 'paper' : 'release', alignment: paper[i].alignment && { ...paper[i].alignment, places: places! } }, cellName(cell));
    });
  }
});

test('the paper\'s values: all cells of Table 2.2, all rows of CVPR Table 2 for both families, what it prints of the others', (t) => {
  const printed = (name: string, own: Partial<GridOptions> = {}): unknown[] => grid(name, own).map((cell) => experimentNamed(name).paper(paper, cell)?.ap50);
  t.deepEqual(printed('table-2.2').slice(0, 3), [83.3, 78, 78.8]);
  t.true(printed('table-2.2').every((value) => value !== undefined));
  for (const family of ['detr', 'smca-detr'] as const) {
    const cells = grid('voc-comparison', { family }), rows = paper.cvpr_table_2_voc.filter(({ model }) => model.startsWith('SMCA') === (family === 'smca-detr'));
    t.deepEqual(cells.map((cell) => experimentNamed('voc-comparison').paper(paper, cell)), rows.map(({ ap, ap50, ap75 }) => ({ ap, ap50, ap75 })));
  }
  t.deepEqual(printed('figure-2.11'), paper.figure_2_11.filter(({ bits, quantized }) => bits === '4-bit' || quantized !== 'real-valued').map(({ ap50 }) => ap50));
  t.deepEqual(printed('figure-2.12a').filter((value) => value !== undefined), [78.8, 82.7]);
  t.true(printed('figure-2.12b').every((value) => value === undefined));
  t.deepEqual(experimentNamed('coco-comparison').paper(paper, grid('coco-comparison')[1]), { ap: 38.6 });
});

test('students start fresh but at minutes; DA then starts so that the trained model changes least; both can be chosen', (t) => {
  const start = (own: Partial<GridOptions>): unknown[] => grid('table-2.2', own).filter(({ method }) => method === '+ DA').slice(0, 1).flatMap(({ studentStart, alignment }) => [studentStart, alignment!.start]);
  t.deepEqual([start({ scale: 'gpu' }), start({ scale: 'minutes' }), start({ scale: 'minutes', studentStart: 'fresh' })], [['fresh', 'ones'], ['own', 'measured'], ['fresh', 'ones']]);
});

test('an unknown experiment: the nearest name', (t) => {
  t.throws(() => experimentNamed('tabel-2.2'), { instanceOf: UserError, message: /^experiment 'tabel-2\.2' is unknown, did you mean 'table-2\.2'\?/ });
  t.throws(() => experimentNamed('x'), { instanceOf: UserError, message: /there are start, table-2\.2, / });
});

test('the table of a grid: seeds averaged, the paper beside, a dash where there is nothing', (t) => {
  const cells = grid('table-2.2', { seeds: [0, 1], bits: ['2-2-8'] });
  const runs = new Map(cells.filter(({ method }) => method !== '+ DA').map((cell) => [cell, madeUpRun({ method: cell.method, bits: cell.bits, seed: cell.seed, ap50: cell.seed === 0 ? 0.4 : 0.5, unseen: 0.1 })]));
  const lines = cellTable(experimentNamed('table-2.2'), cells, runs, paper).split('\n');
  t.is(lines.length, 2 + 5);
  t.regex(lines[0], /^Percent, on MiniVOC 128 px with a small DETR, scale gpu;/);
  t.regex(lines[3], /^Baseline, 2-2-8 +69\.7 +45\.0 ± 63\.5 \(2 seeds\) +10\.0 ± 0\.0 \(2 seeds\)$/);
  t.regex(lines[4], /^\+ DA, 2-2-8 +71\.6 +- +-$/);
  t.is(cellTitle(cells.find(({ method }) => method === '+ FQM')!), '+ FQM, 2-2-8, tau 0.6, lambda 2.5');
});
