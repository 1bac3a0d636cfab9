import test from 'ava';
import { UserError } from '../../src/errors.js';
import { PRESETS, SCALES, parseAssignments, resolveSettings, trainingSettingsSchema } from '../../src/training/settings.js';

test('every scale has a sound preset of its own name', (t) => {
  for (const scale of SCALES) t.deepEqual(resolveSettings(scale), { ...PRESETS[scale], scale });
});

test("the paper's scale is the paper's protocol: 300 epochs at 16 images a step, 1e-4, a tenth after 200", (t) => {
  const { steps, batchSize, learningRate, backboneFactor, weightDecay, clipNorm, dropAt, dropFactor } = PRESETS.paper;
  t.deepEqual({ batchSize, learningRate, backboneFactor, weightDecay, clipNorm, dropFactor }, { batchSize: 16, learningRate: 1e-4, backboneFactor: 0.1, weightDecay: 1e-4, clipNorm: 0.1, dropFactor: 0.1 });
  t.is(steps, 300 * Math.ceil(16551 / 16));
  t.is(Math.round(dropAt * steps), (200 * steps) / 300);
});

test('a change replaces what the preset says, and nothing else', (t) => {
  t.deepEqual(resolveSettings('smoke', { steps: 30, schedule: 'cosine' }), { ...PRESETS.smoke, steps: 30, schedule: 'cosine' });
});

test('a run without jitter is described as it was before there was jitter', (t) => {
  for (const scale of SCALES) t.false('jitter' in PRESETS[scale]);
  t.deepEqual(resolveSettings('minutes', { jitter: 0 }), resolveSettings('minutes'));
  t.deepEqual(resolveSettings('minutes', { jitter: 0.3 }), { ...PRESETS.minutes, jitter: 0.3 });
});

test('an unknown key or a wrong value names the key and what was expected', (t) => {
  const cases: [Record<string, unknown>, string][] = [
    [{ stepz: 3 }, "--set: 'stepz' is unknown, did you mean 'steps'?: change it and start again"],
    [{ steps: '3' }, `--set: 'steps' should be a whole number of at least 1, but is "3": change it and start again`],
    [{ steps: 0 }, "--set: 'steps' should be a whole number of at least 1, but is 0: change it and start again"],
    [{ learningRate: -1 }, "--set: 'learningRate' should be a number above 0, but is -1: change it and start again"],
    [{ learningRate: NaN }, "--set: 'learningRate' should be a number above 0, but is NaN: change it and start again"],
    [{ schedule: 'linear' }, `--set: 'schedule' should be one of constant, step, cosine, but is "linear": change it and start again`],
    [{ jitter: 1.5 }, "--set: 'jitter' should be a number from 0 to 1, but is 1.5: change it and start again"],
    [{ warmUpSteps: 9 }, "--set: 'warmUpSteps' should be at most 'steps' (8), but is 9: change one of them and start again"],
  ];
  for (const [changes, message] of cases) t.throws(() => resolveSettings('smoke', changes, '--set'), { instanceOf: UserError, message });
});

test('every setting can be described to its reader', (t) => {
  for (const [key, schema] of Object.entries(trainingSettingsSchema.shape)) t.truthy(schema.description, key);
});

test('--set key=value', (t) => {
  t.deepEqual(parseAssignments(['steps=100', 'learningRate=1e-3', 'schedule=cosine', 'seed=']), { steps: 100, learningRate: 1e-3, schedule: 'cosine', seed: '' });
  const cases: [string[], string][] = [
    [['steps'], '--set steps: should be key=value, e.g. --set steps=100'],
    [['stpes=3'], "--set stpes=3: 'stpes' is unknown, did you mean 'steps'?"],
    [['__proto__=3'], `--set __proto__=3: '__proto__' is unknown, the keys are ${Object.keys(trainingSettingsSchema.shape).join(', ')}`],
    [['steps=3', 'steps=4'], "--set steps=4: 'steps' is set twice: keep one of them"],
  ];
  for (const [words, message] of cases) t.throws(() => parseAssignments(words), { instanceOf: UserError, message });
});
