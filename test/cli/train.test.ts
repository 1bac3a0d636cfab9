import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { startingWeights } from '../../src/experiments/starting-weights.js';
import { estimatedNeeds } from '../../src/experiments/train-detector.js';
import { detectorCost, parameterCount } from '../../src/models/cost.js';
import { initialClassifierParameters, initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { detrSettings, modelOf } from '../../src/models/settings.js';
import { readParameters, writeParameters } from '../../src/tensor/parameter-file.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { PRESETS } from '../../src/training/settings.js';
import { qdetr } from './command-line.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-train-command-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));
const runs = path.join(folder, 'runs'), exported = path.join(folder, 'weights.safetensors');
const train = (...args: string[]) => qdetr(['train', '--scale', 'smoke', '--runs', runs, ...args]);
const model = detrSettings.smoke;
const detector = initialDetectorParameters(model, new RandomStream(1));

test.serial('trains a real-valued detector and exports it; again: reused, exported again to the same bytes', async (t) => {
  const first = await train('--export', exported, '--seed', '3');
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /AP50 on MiniVOC \(minivoc-64, scale smoke\): test \d+\.\d, test-unseen \d+\.\d\nRun \w{12}: \S+\nParameters: \S+weights\.safetensors\n$/);
  const bytes = readFileSync(exported);
  const { parameters, notes } = readParameters(exported);
  t.deepEqual(Object.keys(parameters).sort(), Object.keys(detector).sort());
  t.deepEqual([...notes], [['bits', '32-32-32'], ['model', 'detr smoke'], ['run', readdirSync(runs)[0]]]);
  t.is((JSON.parse(readFileSync(path.join(runs, readdirSync(runs)[0], 'run.json'), 'utf8')) as { seed: number }).seed, 3);
  const again = await train('--export', exported, '--set', 'seed=3');
  t.is(again.code, 0, again.stderr);
  t.regex(again.stdout, /is reused: source, settings, data, lock file and engine are unchanged/);
  t.deepEqual(readFileSync(exported), bytes);
});

test.serial('trains a quantized detector from the run and says what it took over', async (t) => {
  const [id] = readdirSync(runs);
  const { code, stdout, stderr } = await train('--bits', '3-3-8', '--from', id, '--set', 'steps=2', 'warmUpSteps=1');
  t.is(code, 0, stderr);
  t.regex(stdout, new RegExp(`^starts from run ${id} \\(train/real-valued, step 8\\): ${Object.keys(detector).length} of ${Object.keys(detector).length} parameters taken over\\.\n`));
  t.is(readdirSync(runs).length, 2);
});

test.serial('--model smca-detr trains, quantizes and says so', async (t) => {
  const { code, stdout, stderr } = await train('--model', 'smca-detr', '--bits', '4-4-8', '--set', 'steps=2', 'warmUpSteps=1');
  t.is(code, 0, stderr);
  const { experiment, model: name } = JSON.parse(readFileSync(path.join(/\nRun \w{12}: (\S+)\n$/.exec(stdout)![1], 'summary.json'), 'utf8')) as Record<string, unknown>;
  t.deepEqual([experiment, name], ['train/smca-detr/baseline-4-4-8', 'smca-detr']);
});

test.serial('--policy release: other quantizers under a name of their own, and the record says so', async (t) => {
  const { code, stdout, stderr } = await train('--bits', '4-4-8', '--policy', 'release', '--set', 'steps=2', 'warmUpSteps=1');
  t.is(code, 0, stderr);
  const at = /\nRun \w{12}: (\S+)\n$/.exec(stdout)![1];
  const { experiment, method, preset, command } = JSON.parse(readFileSync(path.join(at, 'summary.json'), 'utf8')) as Record<string, string>;
  t.deepEqual([experiment, method, preset, command], ['train/baseline-policy-release-4-4-8', 'Baseline (policy release)', 'release', 'npx qdetr train --scale smoke --bits 4-4-8 --policy release --set steps=2 warmUpSteps=1']);
  t.regex((await train('--bits', '4-4-8', '--policy', 'release', '--dry-run')).stdout, /^DETR 4-4-8, quantized as the released code has it, on MiniVOC, scale smoke/);
});

test.serial('--dry-run prints what is resolved and needed, and writes nothing', async (t) => {
  const unused = path.join(folder, 'unused');
  const { code, stdout, stderr } = await qdetr(['train', '--scale', 'gpu', '--bits', '2-2-8', '--set', 'steps=77', 'warmUpSteps=7', '--runs', unused, '--dry-run']);
  t.deepEqual([code, stderr], [0, '']);
  t.regex(stdout, /^DETR 2-2-8 on MiniVOC, scale gpu, starts from random weights\.\n/);
  t.regex(stdout, /\n {2}steps +77\n/);
  t.true(stdout.includes(`: ${parameterCount(detrSettings.gpu).toLocaleString('en')}\n`), stdout);
  t.true(stdout.includes(`one image forward: ${detectorCost(detrSettings.gpu).reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0).toLocaleString('en')}\n`), stdout);
  t.regex(stdout, /Memory, about: \d+00 MB\nNothing was trained \(--dry-run\)\.\n$/);
  t.false(existsSync(unused));
});

test.serial('--dry-run --model smca-detr: its own name and numbers', async (t) => {
  const { code, stdout, stderr } = await train('--model', 'smca-detr', '--dry-run');
  t.deepEqual([code, stderr], [0, '']);
  t.regex(stdout, /^SMCA-DETR 32-32-32 on MiniVOC, scale smoke, starts from random weights\.\n/);
  t.true(stdout.includes(`: ${parameterCount(modelOf('smoke', 'smca-detr')).toLocaleString('en')}\n`), stdout);
});

for (const [args, message] of [
  [['--bits', '4-4'], 'error: --bits 4-4: should be weights-activations-attention, such as 4-4-8 or 32-32-32'],
  [['--bits', '9-4-8'], "error: --bits 9-4-8: bit-width 9 can't be quantized to: choose 2 to 8, or 32 for real-valued"],
  [['--policy', 'release'], 'error: --policy release: 32-32-32 quantizes nothing: give low bits, such as --bits 4-4-8, or leave it out'],
  [['--seed', '3', '--set', 'seed=4'], "error: --set seed=3: 'seed' is set twice: keep one of them"],
  [['--seed', '-1'], "error: --set: 'seed' should be a whole number of at least 0, but is -1: change it and start again"],
  [['--from', 'nothing'], "error: --from nothing: should be shipped, a run's id (12 hexadecimal digits) or a .safetensors file"],
  [['--from', 'shipped'], 'error: no weights of scale smoke come with the project, only of minutes (data-manifests/weights): choose one of these with --scale, or other weights with --from'],
  [['--from', 'shipped', '--model', 'smca-detr'], 'error: no smca weights of scale smoke come with the project, only of minutes (data-manifests/weights): choose one of these with --scale, or other weights with --from'],
  [['--runs', 'package.json'], 'error: package.json is a file, but runs go into a folder: name a folder with --runs, or move the file away'],
  [['--from', '0123456789ab', '--runs', 'package.json'], 'error: package.json is a file, but runs go into a folder: name a folder with --runs, or move the file away'],
] as const) {
  test.serial(`train ${args.join(' ')}: one line, exit code 1`, async (t) => {
    const { code, stderr } = await train(...args);
    t.deepEqual([code, stderr], [1, `${message}\n`]);
  });
}

/** Weights of a file that holds these parameters. */
function fromFile(parameters: ParameterValues): ReturnType<typeof startingWeights> {
  const file = path.join(folder, 'some.safetensors');
  writeParameters(file, parameters);
  return startingWeights(file, model, 'smoke', runs);
}

test('a whole detector: all is taken over; its id depends on names and values', (t) => {
  const { id, parameters, note } = fromFile(detector);
  t.deepEqual(parameters, detector);
  t.regex(note, /: 111 of 111 parameters taken over$/);
  t.is(fromFile(detector).id, id);
  const changed = { ...detector, 'class_embed.bias': { shape: [21], data: new Float32Array(21) } };
  t.not(fromFile(changed).id, id);
});

test('quantizers are left out, and the note says so', (t) => {
  const quantizer = { 'transformer.encoder.layers.0.linear1.weight_quantizer.scale': { shape: [64], data: new Float32Array(64).fill(1) } };
  const { parameters, note } = fromFile({ ...detector, ...quantizer });
  t.deepEqual(Object.keys(parameters), Object.keys(detector));
  t.regex(note, /; 1 others are left out \(quantizers, which are calibrated anew\)$/);
});

test('a pre-trained backbone: its part is taken over, the head of the classifier is not', (t) => {
  const { parameters, note } = fromFile(initialClassifierParameters(model.backbone, 20, new RandomStream(1)));
  t.deepEqual(Object.keys(parameters), Object.keys(detector).filter((name) => name.startsWith('backbone.')));
  t.regex(note, /\(the backbone; the transformer starts from random weights\); 2 others are left out \(the classifier's head\)$/);
});

const without = (name: string): ParameterValues => Object.fromEntries(Object.entries(detector).filter(([key]) => key !== name));
for (const [what, parameters, message] of [
  ['another width', initialDetectorParameters({ ...model, modelWidth: 64 }, new RandomStream(1)), /'input_proj\.weight' has the shape \[1, 1, 32, 64\], this model's has \[1, 1, 32, 32\]/],
  ['another number of queries', initialDetectorParameters({ ...model, queries: 12 }, new RandomStream(1)), /'query_embed\.weight' has the shape \[12, 32\], this model's has \[10, 32\]/],
  ['one layer more', initialDetectorParameters({ ...model, encoderLayers: 2 }, new RandomStream(1)), /'transformer\.encoder\.layers\.1\.\S+' is a name that this model has not/],
  ['one parameter less', without('class_embed.bias'), /'class_embed\.bias' is missing, this model's has \[21\]/],
  ['nothing in common', { a: { shape: [1], data: Float32Array.of(1) } }, /'backbone\.0\.body\.conv1\.weight' is missing/],
] as const) {
  test(`weights of another model (${what}) are refused with the first key that differs`, (t) => {
    const error = t.throws(() => fromFile(parameters), { instanceOf: UserError, message });
    t.regex(error.message, /^\S+some\.safetensors holds another model: .*; give weights of this scale, or choose the scale that they were made at with --scale$/);
  });
}

test('weights of the other family are refused by name', (t) => {
  const smca = modelOf('smoke', 'smca-detr'), file = path.join(folder, 'some.safetensors');
  const weights = initialDetectorParameters(smca, new RandomStream(1));
  t.throws(() => fromFile(weights), { instanceOf: UserError, message: /some\.safetensors holds the weights of SMCA-DETR, and this model is DETR: train SMCA-DETR with --model smca-detr, or give weights of DETR$/ });
  t.deepEqual(startingWeights(file, smca, 'smoke').parameters, weights);
  writeParameters(file, detector);
  t.throws(() => startingWeights(file, smca, 'smoke'), { instanceOf: UserError, message: /some\.safetensors holds the weights of DETR, and this model is SMCA-DETR: train DETR with --model detr, or give weights of SMCA-DETR$/ });
  writeParameters(file, initialClassifierParameters(smca.backbone, 20, new RandomStream(1)));
  t.regex(startingWeights(file, smca, 'smoke').note, /\(the backbone; the transformer starts from random weights\)/);
});

test('a file that is missing or is no safetensors is named, and so is a run that is not there', (t) => {
  t.throws(() => startingWeights(path.join(folder, 'none.safetensors'), model, 'smoke'), { instanceOf: UserError, message: /none\.safetensors can't be read/ });
  t.throws(() => startingWeights('package.json', model, 'smoke'), { instanceOf: UserError, message: /^package\.json is no sound safetensors file/ });
  t.throws(() => startingWeights('0123456789ab', model, 'smoke', path.join(folder, 'no-runs')), { instanceOf: UserError, message: /^--from 0123456789ab: there is no such run in \S+no-runs: train one first$/ });
});

test('needs grow with the batch and with quantizers; trained elements are those of the model', (t) => {
  const small = estimatedNeeds(model, '32-32-32', PRESETS.smoke, 64), large = estimatedNeeds(model, '32-32-32', { ...PRESETS.smoke, batchSize: 16 }, 64), quantized = estimatedNeeds(model, '2-2-8', PRESETS.smoke, 64);
  t.is(small.trained, parameterCount(model));
  t.true(large.bytes > small.bytes + 1e6 && quantized.bytes > small.bytes + 1e5);
});
