import test from 'ava';
import { lambdaFactor, PAPER_DISTILLATION, resolveDistillation } from '../../src/distillation/settings.js';
import { checkTeacher } from '../../src/distillation/teacher.js';
import { UserError } from '../../src/errors.js';
import { detrSettings, type DetectorSettings } from '../../src/models/settings.js';

const refused = (changes: Record<string, unknown>): string => {
  try {
    resolveDistillation(changes, 'cell.json');
  } catch (error) {
    if (error instanceof UserError) return error.message;
  }
  return 'accepted';
};

test('the defaults are the paper\'s: tau 0.6, lambda 2.5, its own matching of D before the projection, all layers, no warm-up', (t) => {
  t.deepEqual(resolveDistillation(), { tau: 0.6, tauZero: 'literal', matching: 'literal', selection: 'foreground', feature: 'before-projection', layers: 'all', lambda: 2.5, warmUpSteps: 0 });
  t.deepEqual(resolveDistillation({ tau: 0, matching: 'same-slot' }), { ...PAPER_DISTILLATION, tau: 0, matching: 'same-slot' });
});

test('wrong settings: one sentence with the place, the key, the range and what was found', (t) => {
  t.is(refused({ tau: 1.2 }), 'cell.json: \'tau\' should be a number from 0 to 1, but is 1.2: change it and start again');
  t.is(refused({ tau: -0.1 }), 'cell.json: \'tau\' should be a number from 0 to 1, but is -0.1: change it and start again');
  t.is(refused({ tau: NaN }), 'cell.json: \'tau\' should be a number from 0 to 1, but is NaN: change it and start again');
  t.is(refused({ lambda: -1 }), 'cell.json: \'lambda\' should be a number of at least 0, but is -1: change it and start again');
  t.is(refused({ lambda: Infinity }), 'cell.json: \'lambda\' should be a number of at least 0, but is Infinity: change it and start again');
  t.is(refused({ warmUpSteps: 0.5 }), 'cell.json: \'warmUpSteps\' should be a whole number of at least 0, but is 0.5: change it and start again');
  t.is(refused({ matching: 'index' }), 'cell.json: \'matching\' should be one of literal, same-slot, one-to-one, mutual, hungarian, but is "index": change it and start again');
  t.is(refused({ layers: 2 }), 'cell.json: \'layers\' should be one of all, last, but is 2: change it and start again');
  t.is(refused({ tauzero: 'literal' }), 'cell.json: \'tauzero\' is unknown, did you mean \'tauZero\'?: change it and start again');
});

test('lambda rises over the warm-up and then stays', (t) => {
  t.deepEqual([0, 1, 2, 3, 4, 100].map((step) => lambdaFactor(step, { warmUpSteps: 3 })), [0.25, 0.5, 0.75, 1, 1, 1]);
  t.is(lambdaFactor(0, { warmUpSteps: 0 }), 1);
});

test('a teacher that fits: a deeper backbone, other encoder, feed-forward and queries', (t) => {
  const student = detrSettings.gpu;
  const teacher = { ...student, backbone: { ...student.backbone, blocks: [2, 3, 3] }, encoderLayers: 6, feedForward: 1024, queries: 50 };
  t.notThrows(() => checkTeacher(student, teacher, PAPER_DISTILLATION));
});

test('a teacher that does not fit: what, where, and the way out', (t) => {
  const student = detrSettings.smoke;
  const refusal = (changes: Partial<DetectorSettings>, settings = PAPER_DISTILLATION): string =>
    t.throws(() => checkTeacher(student, { ...student, ...changes }, settings, 'teacher.safetensors'), { instanceOf: UserError })?.message ?? '';
  t.is(refusal({ classes: 91 }), 'teacher.safetensors has classes 91 where the student has 20: choose a teacher of the same data set');
  t.is(refusal({ modelWidth: 64 }), 'teacher.safetensors has modelWidth 64 where the student has 32: choose a teacher of that width, or distil through a linear map (--distillation feature=linear-map)');
  t.is(refusal({ decoderLayers: 3 }), 'teacher.safetensors has decoderLayers 3 where the student has 2: choose a teacher with as many, or distil the last layer alone (--distillation layers=last)');
  t.is(refusal({ queries: 100 }, { ...PAPER_DISTILLATION, matching: 'same-slot' }), 'teacher.safetensors has queries 100 where the student has 10: choose a teacher with as many, or another matching (--distillation matching=literal)');
  t.regex(refusal({ family: 'smca-detr' }), /has family smca-detr where the student has detr/);
  t.regex(refusal({ imageSize: 128 }), /has imageSize 128 where the student has 64/);
  t.regex(refusal({ backbone: { ...student.backbone, strides: [1, 2, 2] } }, { ...PAPER_DISTILLATION, feature: 'attention-maps' }), /has feature map side 8 where the student has 4/);
});

test('what another setting makes fit', (t) => {
  const student = detrSettings.smoke, accepted = (changes: Partial<DetectorSettings>, settings: Partial<typeof PAPER_DISTILLATION>): void => checkTeacher(student, { ...student, ...changes }, { ...PAPER_DISTILLATION, ...settings });
  t.notThrows(() => accepted({ modelWidth: 64 }, { feature: 'linear-map' }));
  t.notThrows(() => accepted({ modelWidth: 64, heads: 8 }, { feature: 'attention-maps' }));
  t.notThrows(() => accepted({ decoderLayers: 6 }, { layers: 'last' }));
});
