import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import type { Cell } from '../../src/experiments/cell.js';
import { INFORMATION_POINTS } from '../../src/experiments/figure-2.12b.js';
import { methodParts, paperCell, Q_DETR, type GridOptions } from '../../src/experiments/grid.js';
import { performCell } from '../../src/experiments/perform-cell.js';
import { stageSettings } from '../../src/experiments/stage-settings.js';
import { UserError } from '../../src/errors.js';
import { readRun } from '../../src/training/run-folder.js';
import { finalEvaluation } from '../../src/training/run-record.js';

const root = mkdtempSync(path.join(tmpdir(), 'qdetr-cell-'));
test.after.always(() => rmSync(root, { recursive: true, force: true }));
const options: GridOptions = { family: 'detr', scale: 'smoke', seeds: [0], changes: { steps: 2, warmUpSteps: 1, evaluationInterval: 2 } };
const cell = (changes: Partial<Cell> = {}): Cell => ({ ...paperCell(options, 0, { experiment: 'test', artefact: ['table-2.2'], bits: '2-2-8', ...methodParts(options, Q_DETR) }), ...changes });

test.serial('a cell of the paper\'s protocol: two stages of one length, the first with the backbone alone quantized, teacher and alignment in both (A19, A20)', async (t) => {
  const names: string[] = [];
  const { summary } = await performCell(cell(), { command: 'test', root, threads: 1, listen: (name) => (names.push(name), {}) });
  t.deepEqual(names.slice(-2), [`${Q_DETR} 2-2-8, stage 1`, `${Q_DETR} 2-2-8, stage 2`]);
  const runs = readdirSync(root).map((id) => readRun(path.join(root, id))!);
  const stage = (experiment: RegExp) => runs.find((run) => experiment.test(run.experiment))!;
  const first = stage(/^stage-1\/da-fqm-q-detr-2-2-8$/), second = stage(/^test\/da-fqm-q-detr-2-2-8$/);
  t.deepEqual([first.settings.groups, second.settings.groups], [['backbone'], ['backbone', 'encoder', 'decoder-attention', 'feed-forward']]);
  t.is(second.settings.startsFrom, first.id);
  t.deepEqual(second.settings.training, first.settings.training);
  for (const key of ['alignment', 'distillation', 'teacher'] as const) t.deepEqual(second.settings[key], first.settings[key], key);
  t.deepEqual([summary.tau, summary.lambda, summary.scope], [0.6, 2.5, 'detector']);
  t.is(stageSettings(cell()).steps, 2);
});

test.serial('a warm-up: one real-valued run on L_GT alone that all methods of a seed begin with, the real-valued one too; records and recipes say so (H1)', async (t) => {
  const names: string[] = [], perform = (own: Partial<Cell>) => performCell(cell({ warmUp: 3, ...own }), { command: 'test', root, threads: 1, listen: (name) => (names.push(name), {}) });
  const { summary } = await perform({}), plain = await performCell(cell(), { command: 'test', root, threads: 1 });
  const real = await perform({ method: 'Real-valued', bits: '32-32-32', alignment: null, distillation: null });
  t.deepEqual(names.filter((name) => !name.includes('backbone') && !/^real-valued /.test(name)), ['warm-up', `${Q_DETR} 2-2-8, stage 1`, `${Q_DETR} 2-2-8, stage 2`, 'warm-up', 'Real-valued 32-32-32']);
  const runs = readdirSync(root).map((id) => readRun(path.join(root, id))!), warm = runs.filter(({ experiment }) => experiment === 'stage-0/real-valued');
  t.is(warm.length, 1);
  t.like(warm[0].settings.training, { steps: 3, schedule: 'constant' });
  t.deepEqual([warm[0].settings.distillation, warm[0].settings.groups, warm[0].settings.bits], [null, [], '32-32-32']);
  const starts = runs.filter(({ settings }) => settings.startsFrom === warm[0].id).map(({ experiment }) => experiment);
  t.deepEqual(starts.sort(), ['stage-1/da-fqm-q-detr-2-2-8', 'test/real-valued-32-32-32']);
  t.deepEqual([summary.warmUp, real.summary.warmUp, plain.summary.warmUp], [3, 3, undefined]);
  t.not(summary.recipe, plain.summary.recipe);
});

test.serial('studentStart teacher: a baseline without distillation starts from the teacher\'s transformer too, as every method does (A20)', async (t) => {
  const { summary } = await performCell(cell({ ...methodParts(options, 'Baseline'), studentStart: 'teacher', scope: 'transformer' }), { command: 'test', root, threads: 1 });
  t.regex(summary.quantized!, /starts from backbone of \w{12}, transformer of \w{12}/);
  t.is(summary.teacher, null);
});

test.serial('a real-valued cell takes the steps of both stages in one run', async (t) => {
  const { summary } = await performCell(cell({ method: 'Real-valued', bits: '32-32-32', alignment: null, distillation: null }), { command: 'test', root, threads: 1 });
  t.is(Math.max(...summary.evaluations.map(({ step }) => step)), 4);
});

const fewest = { steps: 1, warmUpSteps: 1, evaluationInterval: 1 };
for (const [quantizer, scope] of [['Percentile', 'post-training'], ['VT-PTQ', 'post-training'], ['LSQ', 'transformer']] as const) {
  test.serial(`a cell quantized with ${quantizer}, scope ${scope}: its record says so, its quantizers are among its parameters, and all splits are evaluated`, async (t) => {
    const own = { ...methodParts(options, 'Baseline'), method: quantizer, quantizer, scope, bits: '4-4-8', studentStart: 'own', changes: fewest } as const;
    const { summary, parameters } = await performCell(cell(own), { command: 'test', root, threads: 1 });
    t.deepEqual([summary.method, summary.bits, summary.quantizer, summary.scope, summary.studentStart], [quantizer, '4-4-8', quantizer, scope, 'own']);
    const ofEnd = scope === 'post-training' ? 0 : 1;
    t.deepEqual(summary.evaluations.filter(({ step }) => step === ofEnd).map(({ split }) => split), ['val', 'test', 'test-unseen']);
    for (const { split, ap, ap50, ap75 } of summary.evaluations) for (const value of [ap, ap50, ap75]) t.true(Number.isFinite(value) && value >= 0 && value <= 1, `${split}: ${value}`);
    const scales = Object.keys(parameters).filter((name) => name.endsWith('_quantizer.scale'));
    t.is(scales.some((name) => name.startsWith('backbone.')), scope === 'post-training');
    t.true(scales.some((name) => name.startsWith('transformer.encoder.')) && scales.some((name) => name.startsWith('transformer.decoder.')));
    for (const name of scales) t.true(parameters[name].data.every((value) => Number.isFinite(value) && value > 0), name);
  });
}

test.serial('five points on the information plane along a run: finite, at rising epochs, the last at its end with the AP50 of test', async (t) => {
  const { summary } = await performCell(cell({ ...methodParts(options, 'Baseline'), scope: 'transformer', informationPoints: INFORMATION_POINTS, changes: { steps: 5, warmUpSteps: 1, evaluationInterval: 1 } }), { command: 'test', root, threads: 1 });
  const points = summary.informationPlane;
  t.is(points.length, 5);
  for (const { informationX, informationY } of points) t.true(Number.isFinite(informationX) && informationY >= 0 && informationY <= 1);
  t.true(points.every(({ epoch }, i) => i === 0 || epoch > points[i - 1].epoch));
  const { epoch, ap50 } = finalEvaluation(summary, 'test')!;
  t.deepEqual([points[4].epoch, points[4].informationY], [epoch, ap50]);
});

for (const [changes, message] of [
  [{ bits: '9-2-8' }, /bit-width 9 can't be quantized to/],
  [{ groups: ['neck' as 'encoder'] }, /groups holds 'neck'/],
  [{ quantizer: 'VT-PTQ' as const }, /choose scope post-training/],
  [{ teacher: 'nowhere.safetensors' }, /nowhere\.safetensors/],
] as const) {
  test.serial(`refused: ${JSON.stringify(changes)}`, async (t) => {
    const error = await t.throwsAsync(performCell(cell(changes as Partial<Cell>), { command: 'test', root, threads: 1 }), { instanceOf: UserError });
    t.regex(error!.message, message);
    t.true(existsSync(root));
  });
}
