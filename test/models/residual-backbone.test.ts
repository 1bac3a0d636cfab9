import { readFileSync } from 'node:fs';
import test from 'ava';
import { classifier } from '../../src/models/classifier.js';
import { initialActivations, initialClassifierParameters } from '../../src/models/initial-parameters.js';
import { forward } from '../../src/models/forward.js';
import { BACKBONE, residualBackbone } from '../../src/models/residual-backbone.js';
import { residualBlocks } from '../../src/models/residual-layout.js';
import { prelu, rprelu } from '../../src/models/rprelu.js';
import { featureChannels, RESNET_101, RESNET_50, totalStride, type BackboneSettings } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { countedImages, countedValue, countedValues } from './counted-weights.js';
import { worstDifference, type FixtureArray } from './fixture.js';

interface Fixture {
  names: { resnet50: string[]; resnet101: string[] };
  resnet50: FixtureArray;
  rprelu: { settings: BackboneSettings; features: FixtureArray; gradients: Record<string, FixtureArray> }[];
}

const fixture = JSON.parse(readFileSync('test/fixtures/resnet.json', 'utf8')) as Fixture;

/** torchvision's name and shape, `conv1.weight 64x3x7x7`, as ours. */
function named(line: string): [string, number[]] {
  const [name, sides] = line.split(' ');
  const shape = sides.split('x').map(Number);
  return [`${BACKBONE}.${name}`, shape.length === 4 ? [shape[2], shape[3], shape[1], shape[0]] : shape];
}

const SMALL: readonly BackboneSettings[] = [
  { stem: 4, widths: [4, 6], blocks: [1, 2], strides: [1, 2] },
  { stem: 4, widths: [2, 3], blocks: [2, 1], strides: [1, 2], block: 'bottleneck', stemKernel: 7, pool: true },
];

const initial = (settings: BackboneSettings): ParameterValues =>
  Object.fromEntries(Object.entries(initialClassifierParameters(settings, 2, new RandomStream(1))).filter(([name]) => !name.startsWith('fc.')));

test('the blocks of ResNet-50 and -101 have torchvision\'s names and shapes', (t) => {
  for (const [which, settings] of [['resnet50', RESNET_50], ['resnet101', RESNET_101]] as const) {
    const ours = new Map<string, number[]>();
    const convolution = (name: string, normalization: string, shape: number[]): void => {
      ours.set(`${BACKBONE}.${name}.weight`, shape);
      for (const key of ['weight', 'bias', 'running_mean', 'running_var']) ours.set(`${BACKBONE}.${normalization}.${key}`, [shape[3]]);
    };
    convolution('conv1', 'bn1', [7, 7, 3, 64]);
    for (const { name, convolutions, shortcut, inputs, outputs } of residualBlocks(settings)) {
      convolutions.forEach((c, i) => convolution(`${name}.conv${i + 1}`, `${name}.bn${i + 1}`, [c.kernel, c.kernel, c.inputs, c.outputs]));
      if (shortcut) convolution(`${name}.downsample.0`, `${name}.downsample.1`, [1, 1, inputs, outputs]);
    }
    t.deepEqual(Object.fromEntries(ours), Object.fromEntries(fixture.names[which].map(named)), which);
    t.is(featureChannels(settings), 2048);
    t.is(totalStride(settings), 32);
  }
});

test('parameters of a bottleneck backbone are named as its layout says', (t) => {
  const settings: BackboneSettings = { ...RESNET_50, stem: 2, widths: [1, 1, 2, 2], blocks: [3, 4, 6, 3] };
  t.deepEqual(Object.keys(initial(settings)).sort(), fixture.names.resnet50.map((line) => named(line)[0]).sort());
});

test.serial('features of ResNet-50 are torchvision\'s, eagerly and compiled', async (t) => {
  await useBackend('wasm');
  const values = Object.fromEntries(fixture.names.resnet50.map(named).map(([name, shape]) => [name, countedValue(name, shape)]));
  const parameters = toTensors(values), images = countedImages(1, 64, 96);
  const got = residualBackbone(forward(parameters), BACKBONE, images, RESNET_50);
  t.true(worstDifference(got, fixture.resnet50) < 2e-5, String(worstDifference(got, fixture.resnet50)));
  tf.dispose(parameters);

  const step = await compileStep((state, batch) => ({ outputs: { features: residualBackbone(forward(state), BACKBONE, batch.images, RESNET_50) } }), { state: values, inputs: { images: { shape: images.shape, dtype: 'float32' } } });
  const { features } = await step.run({ images: images.dataSync() as Float32Array });
  t.true(fixture.resnet50.data.every((v, i) => Math.abs(v - features[i]) < 2e-5));
  await step.dispose();
});

test.serial('a bottleneck backbone as a classifier: its last channels are 4 times the last width', async (t) => {
  await useBackend('wasm');
  const settings: BackboneSettings = { ...SMALL[1], activation: 'rprelu' }, values = initialClassifierParameters(settings, 5, new RandomStream(1));
  t.deepEqual(values['fc.weight'].shape, [5, 12]);
  t.deepEqual(classifier(toTensors(values), countedImages(2, 32, 32), settings).logits.shape, [2, 5]);
});

test.serial('PReLU and RPReLU by hand', async (t) => {
  await useBackend('cpu');
  const x = tf.tensor2d([[-2, -2], [3, 0.5]]);
  t.deepEqual(prelu(x, tf.tensor1d([0.5, 0])).arraySync(), [[-1, 0], [3, 0.5]]);
  t.deepEqual(rprelu(x, tf.tensor1d([1, -1]), tf.tensor1d([0.5, 0.25]), tf.tensor1d([10, 20])).arraySync(), [[-0.5 + 10, -0.75 + 20], [4 + 10, -0.125 + 20]]);
});

for (const settings of SMALL) {
  const kind = settings.block ?? 'basic';
  test.serial(`decision A21: with slopes and biases of 0 the ${kind} backbone with RPReLU is the plain one, bit for bit, and its parameters have gradients`, async (t) => {
    await useBackend('wasm');
    const rectified: BackboneSettings = { ...settings, activation: 'rprelu' };
    const plain = countedValues(initial(settings)), added = initialActivations(BACKBONE, rectified);
    const parameters = toTensors({ ...plain, ...added }), images = countedImages(2, 32, 32);
    t.deepEqual(Object.keys(initial(rectified)).sort(), Object.keys({ ...plain, ...added }).sort());
    t.deepEqual(initialActivations(BACKBONE, settings), {});
    const run = (all: Record<string, Tensor>, s: BackboneSettings): Tensor => residualBackbone(forward(all), BACKBONE, images, s);
    t.deepEqual(Array.from(run(parameters, rectified).dataSync()), Array.from(run(parameters, settings).dataSync()));

    const names = Object.keys(added);
    const features = run(parameters, settings), dy = tf.randomNormal(features.shape, 0, 1, 'float32', 3);
    const gradients = tf.grads((...xs: Tensor[]) => run({ ...parameters, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }, rectified))(names.map((n) => parameters[n]), dy);
    // what a block reads is above 0 already: the slope before its first convolution waits for a bias to move
    const still = names.filter((_, i) => (gradients[i].dataSync() as Float32Array).every((v) => v === 0));
    t.deepEqual(still, names.filter((name) => name.endsWith('.prelu1.weight')));
  });
}

for (const { settings, features, gradients } of fixture.rprelu) {
  test.serial(`pre-activation and RPReLU, ${settings.block} blocks: features and gradients are PyTorch's, eagerly and compiled`, async (t) => {
    await useBackend('wasm');
    const values = countedValues(initial(settings)), images = countedImages(2, 32, 48);
    const [batch, height, width, channels] = features.shape; // dy is counted in PyTorch's layout
    const dy = tf.transpose(tf.tensor(countedValue('dy', [batch, channels * height * width]).data, [batch, channels, height, width]), [0, 2, 3, 1]);
    const names = Object.keys(gradients);
    const step = (state: Record<string, Tensor>, x: Tensor, slope: Tensor): Tensor[] => {
      const run = (...xs: Tensor[]): Tensor => residualBackbone(forward({ ...state, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }), BACKBONE, x, settings);
      const inputs = names.map((n) => state[n]);
      return [run(...inputs), ...tf.grads(run)(inputs, slope)];
    };
    const wanted = [features, ...names.map((n) => gradients[n])], what = ['features', ...names];
    step(toTensors(values), images, dy).forEach((got, i) => t.true(worstDifference(got, wanted[i]) < 1e-5, `${what[i]}: ${worstDifference(got, wanted[i])}`));

    const compiled = await compileStep((state, batch) => ({ outputs: Object.fromEntries(step(state, batch.images, batch.dy).map((x, i) => [what[i], x])) }), {
      state: values, inputs: { images: { shape: images.shape, dtype: 'float32' }, dy: { shape: dy.shape, dtype: 'float32' } },
    });
    const outputs = await compiled.run({ images: images.dataSync() as Float32Array, dy: dy.dataSync() as Float32Array });
    what.forEach((name, i) => t.true(wanted[i].data.every((v, at) => Math.abs(v - outputs[name][at]) < 1e-5 * Math.max(1, Math.abs(v))), `${name}, compiled`));
    await compiled.dispose();
  });
}
