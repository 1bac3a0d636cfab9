import test from 'ava';
import { selectsByTau } from '../../src/distillation/settings.js';
import { EXPERIMENTS, experimentNamed } from '../../src/experiments/experiments.js';
import { Q_DETR } from '../../src/experiments/grid.js';
import { answeredCells } from '../../src/figures/answered-cells.js';
import { recordedSummaries } from '../../src/figures/run-summaries.js';
import type { RunSummary } from '../../src/training/run-record.js';

const grid = (name: string, own: object = {}) => experimentNamed(name).grid({ family: 'detr', scale: 'minutes', seeds: [0, 1], ...own });
const template = recordedSummaries()[0];
const run = (own: Partial<RunSummary>): RunSummary => ({ ...template, artefact: ['figure-2.12a'], scope: 'detector', groups: undefined, method: Q_DETR, bits: '4-4-8', tau: 0.6, lambda: 2.5, seed: 0, scale: 'minutes', model: 'detr', ...own });

test('a cell is answered by runs of its method, bits, tau and lambda, seeds put together', (t) => {
  const cells = grid('figure-2.12a');
  const answered = answeredCells('figure-2.12a', cells, [run({}), run({ seed: 4, id: 'b' }), run({ tau: 0.4 }), run({ method: '+ DA', tau: null, lambda: null })]);
  t.is(answered.length, cells.length / 2);
  t.deepEqual(answered.filter(({ runs }) => runs.length > 0).map(({ cell, seeds }) => [cell.method, cell.distillation?.tau ?? null, cell.distillation?.lambda ?? null, seeds]), [['+ DA', null, null, [0]], [Q_DETR, 0.4, 2.5, [0]], [Q_DETR, 0.6, 2.5, [0, 4]]]);
});

test('runs of another artefact, scale, scope, model, bits or groups answer nothing', (t) => {
  for (const own of [{ artefact: ['table-2.2'] }, { scale: 'gpu' }, { scope: 'transformer' }, { model: 'smca-detr' }, { bits: '2-2-8' }, { groups: ['backbone'] }] as Partial<RunSummary>[]) {
    t.true(answeredCells('figure-2.12a', grid('figure-2.12a'), [run(own)]).every(({ runs }) => runs.length === 0), JSON.stringify(own));
  }
});

test('all that npm start recorded answers its cells', (t) => {
  const recorded = recordedSummaries().filter(({ experiment }) => experiment.startsWith('start/'));
  const answered = answeredCells('table-2.2', grid('start'), recorded);
  t.is(answered.reduce((sum, { runs }) => sum + runs.length, 0), recorded.length);
});

test('a run that an experiment would make answers its own cell and no other, in every experiment', (t) => {
  for (const { name, artefact } of EXPERIMENTS) {
    const cells = grid(name, { seeds: [0] });
    for (const cell of cells) {
      const { method, bits, scope, groups, distillation } = cell;
      const made = run({ artefact: [artefact], method, bits, scope, groups: bits === '32-32-32' ? undefined : [...groups].filter((group) => scope !== 'transformer' || group !== 'backbone'), tau: distillation && selectsByTau(distillation) ? distillation.tau : null, lambda: distillation?.lambda ?? null, distillation });
      const answered = answeredCells(artefact, cells, [made]).filter(({ runs }) => runs.length > 0);
      t.deepEqual(answered.map((one) => [one.cell.method, one.cell.bits]), [[method, bits]], `${name}: ${method} ${bits}`);
    }
  }
});
