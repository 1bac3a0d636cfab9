import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { resolveDistillation } from '../../src/distillation/settings.js';
import { UserError } from '../../src/errors.js';
import { methodParts, paperCell, Q_DETR, type GridOptions } from '../../src/experiments/grid.js';
import type { Cell } from '../../src/experiments/cell.js';
import { detectorRun, openData } from '../../src/experiments/detector-run.js';
import { performCell } from '../../src/experiments/perform-cell.js';
import { checkWeights } from '../../src/experiments/real-valued-weights.js';
import { performRun } from '../../src/experiments/run.js';
import { stageSettings } from '../../src/experiments/stage-settings.js';
import { namedTeacher } from '../../src/experiments/teacher-weights.js';
import { initialClassifierParameters, initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { modelOf, teacherModelOf, type DetectorSettings } from '../../src/models/settings.js';
import { writeParameters } from '../../src/tensor/parameter-file.js';
import { RandomStream } from '../../src/tensor/random.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-teacher-')), root = path.join(folder, 'runs');
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const options: GridOptions = { family: 'detr', scale: 'smoke', seeds: [0], changes: { steps: 2, warmUpSteps: 1, evaluationInterval: 2 } };
const cell = (changes: Partial<Cell> = {}): Cell => ({ ...paperCell(options, 0, { experiment: 'test', artefact: ['table-2.2'], bits: '2-2-8', ...methodParts(options, Q_DETR) }), ...changes });
const linearMap = resolveDistillation({ feature: 'linear-map' });

let files = 0;
/** A file with random weights of a model. */
function fileOf(model: DetectorSettings): string {
  const file = path.join(folder, `${files++}.safetensors`);
  writeParameters(file, initialDetectorParameters(model, new RandomStream(2)));
  return file;
}

test('a file of the student\'s sizes, of the larger teacher\'s, and, through a linear map, of another scale', (t) => {
  for (const model of [modelOf('smoke'), teacherModelOf('smoke')]) t.deepEqual(namedTeacher(cell({ teacher: fileOf(model) })).model, model);
  const wide = fileOf(modelOf('minutes'));
  t.deepEqual(namedTeacher(cell({ teacher: wide, distillation: linearMap })).model, modelOf('minutes'));
  t.notThrows(() => checkWeights([cell({ teacher: wide, distillation: linearMap })]));
});

const student = modelOf('smoke');
for (const [what, model, changes, message] of [
  ['classes', { ...student, classes: 91 }, {}, /the teacher has classes 91 where the student has 20: choose a teacher of the same data set$/],
  ['width', { ...student, modelWidth: 64 }, {}, /the teacher has modelWidth 64 where the student has 32: .*\(--distillation feature=linear-map\)$/],
  ['width, unknown sizes', { ...student, modelWidth: 64 }, { distillation: linearMap }, /its sizes \(detr, 64, 64, 1, 2, 10, 20\) are none of this kit's detectors, .*: name the run that made it by its id$/],
  ['layers', { ...student, decoderLayers: 3 }, {}, /the teacher has decoderLayers 3 .*\(--distillation layers=last\)$/],
  ['queries by slot', { ...student, queries: 12 }, { distillation: resolveDistillation({ matching: 'same-slot' }) }, /the teacher has queries 12 .*\(--distillation matching=literal\)$/],
  ['family', modelOf('smoke', 'smca-detr'), {}, /the teacher has family smca-detr where the student has detr: .*\(--model smca-detr\)$/],
  ['image size', modelOf('gpu'), { distillation: resolveDistillation({ feature: 'linear-map', layers: 'last' }) }, /the teacher has imageSize 128 where the student has 64/],
  ['start', modelOf('minutes'), { distillation: linearMap, studentStart: 'teacher' }, /the teacher has modelWidth 64 .*: choose --start own or --start fresh/],
  ['start alone', modelOf('minutes'), { distillation: null, studentStart: 'teacher' }, /so no student can start from its transformer/],
] as const) {
  test(`a teacher that does not fit (${what}) is refused before any training, in one sentence that names the option`, (t) => {
    const teacher = fileOf(model), wrong = cell({ teacher, ...(changes as Partial<Cell>) });
    const error = t.throws(() => checkWeights([wrong, wrong], root), { instanceOf: UserError, message });
    t.true(error.message.startsWith(`--teacher ${teacher}: `), error.message);
    t.false(/--from|--scale/.test(error.message), error.message);
  });
}

test('no such run, no such file, no safetensors, no detector, a student with DA', (t) => {
  const refusal = (teacher: string): string => t.throws(() => checkWeights([cell({ teacher })], root), { instanceOf: UserError }).message;
  t.is(refusal('nothing'), "--teacher nothing: should be shipped, own, a run's id (12 hexadecimal digits) or a .safetensors file");
  t.regex(refusal('0123456789ab'), /^--teacher 0123456789ab: there is no such run in /);
  t.regex(refusal('nowhere.safetensors'), /^--teacher nowhere\.safetensors can't be read \(.*\): check the path/);
  t.regex(refusal('package.json'), /^--teacher package\.json is no sound safetensors file/);
  const file = path.join(folder, 'backbone.safetensors');
  writeParameters(file, initialClassifierParameters(student.backbone, 20, new RandomStream(1)));
  t.regex(refusal(file), /holds no whole detector \('class_embed\.weight' is missing\): name the run or file of one$/);
  writeParameters(file, { ...initialDetectorParameters(student, new RandomStream(1)), 'transformer.decoder.layers.0.multihead_attn.q_alignment.gamma': { shape: [8], data: new Float32Array(8) } });
  t.regex(refusal(file), /has distribution alignment \('transformer\.decoder\.layers\.0\.multihead_attn\.q_alignment\.gamma'\)/);
  writeFileSync(file, '');
  t.regex(refusal(file), /^--teacher \S+backbone\.safetensors is no sound/);
  t.notThrows(() => checkWeights([cell({ teacher: 'nothing', distillation: null })], root), 'no cell has this teacher');
});

test('the project\'s own weights are looked at too, for each of the scales and families that have some', (t) => {
  for (const family of ['detr', 'smca-detr'] as const) t.notThrows(() => checkWeights([cell({ scale: 'minutes', family }), cell({ scale: 'gpu', family }), cell({ teacher: 'own', family })], path.join(folder, 'none')));
  t.false(existsSync(path.join(folder, 'none')));
});

test.serial('a run of another width teaches through a linear map, from its features and from images', async (t) => {
  const model: DetectorSettings = { ...student, modelWidth: 16, heads: 2 }, training = stageSettings(cell());
  const run = detectorRun({ experiment: 'mine', method: 'Mine', bits: '32-32-32', scale: 'smoke', artefact: [], model, training, data: openData(model, { train: 64, val: 40, test: 40 }), batchStatistics: true });
  const { id } = await performRun(run, { command: 'test', root, threads: 1 });
  t.throws(() => checkWeights([cell({ teacher: id })], root), { instanceOf: UserError, message: new RegExp(`^--teacher ${id}: the teacher has modelWidth 16 where the student has 32`) });
  for (const scope of ['transformer', 'detector'] as const) {
    const taught = cell({ teacher: id, distillation: linearMap, scope });
    t.notThrows(() => checkWeights([taught], root));
    const { summary, parameters } = await performCell(taught, { command: 'test', root, threads: 1 });
    t.deepEqual([summary.teacher, parameters['distillation.map.weight'].shape], [id, [32, 16]]);
    t.true(summary.distillationRatio!.every(({ ratio }) => ratio > 0));
  }
});
