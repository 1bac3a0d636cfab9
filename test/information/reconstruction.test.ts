import test from 'ava';
import { UserError } from '../../src/errors.js';
import { heldOutSplit, imageTargets, meanOfRows, standardizedMemory } from '../../src/information/memory.js';
import { decoderLayers, depthToSpace, doubledByNearest, initialDecoderParameters, l1Errors, reconstructionDecoder, type DecoderShape } from '../../src/information/reconstruction-decoder.js';
import { reconstructionInformation, RECONSTRUCTION_SETTINGS, type MemoryAndImages } from '../../src/information/reconstruction.js';
import { informationCrossChecks, informationPlanePoint } from '../../src/information/information-plane.js';
import { useBackend } from '../../src/tensor/backend.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { compiled, difference, draw, eagerly, withGradients } from '../tensor/compiled.js';

test.before(() => useBackend('wasm'));

const close = (a: ArrayLike<number>, b: readonly number[], tolerance = 1e-6): boolean => a.length === b.length && b.every((v, i) => Math.abs(a[i] - v) <= tolerance);

test.serial('by hand: doubling, squares of pixels, l1', (t) => {
  t.deepEqual([...doubledByNearest(tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1])).dataSync()], [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
  t.deepEqual([...doubledByNearest(tf.tensor4d([1, 2, 3, 4], [2, 1, 1, 2])).dataSync()], [1, 2, 1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 3, 4]);
  const wide = depthToSpace(tf.tensor4d([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2, 4]), 2); // two places, each a square of 2x2
  t.deepEqual(wide.shape, [1, 2, 4, 1]);
  t.deepEqual([...wide.dataSync()], [1, 2, 5, 6, 3, 4, 7, 8]);
  t.true(close(l1Errors(tf.tensor4d([0, 0.5, 1, 0, 0, 0], [2, 1, 1, 3]), tf.tensor4d([0, 0, 0, 0.3, 0.3, 0.3], [2, 1, 1, 3])).dataSync(), [0.5, 0.3]));
});

test('by hand: averaged pixels, mean image, standardized memory', (t) => {
  t.true(close(imageTargets(Uint8Array.from([0, 0, 255, 255, 0, 255, 255, 0, 255, 0, 255, 255]), 2, 1), [0.5, 0.25, 1]));
  t.throws(() => imageTargets(new Uint8Array(27), 3, 2), { instanceOf: UserError, message: /divide/ });
  const memory = Float32Array.from([0, 5, 2, 5, 100, 5, 100, 5]); // 2 images, 2 tokens, 2 channels; the second channel is constant
  t.deepEqual([...meanOfRows(memory, [0, 1], 4)], [50, 5, 51, 5]);
  t.deepEqual([...standardizedMemory(memory, 2, [0], 4)], [-1, 0, 1, 0, 99, 0, 99, 0]);
  const { train, heldOut } = heldOutSplit(10, 0.25, 3);
  t.is(heldOut.length, 2);
  t.deepEqual([...train, ...heldOut].sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  t.deepEqual([...heldOutSplit(10, 0.25, 3).train], [...train]);
  t.notDeepEqual([...heldOutSplit(10, 0.25, 4).train], [...train]);
});

test('the layers: one convolution on the tokens, one after each doubling, the last one to squares of pixels', (t) => {
  const of = (side: number, imageSize: number) => decoderLayers({ side, channels: 6, imageSize, width: 16 }).map(({ inputs, outputs }) => `${inputs}-${outputs}`).join(' ');
  t.is(of(8, 64), '6-16 16-16 16-48');
  t.is(of(4, 64), '6-16 16-16 16-16 16-48');
  t.is(of(8, 16), '6-16 16-12');
  t.is(of(8, 8), '6-16 16-3');
});

for (const [side, imageSize] of [[2, 16], [2, 2]]) {
  test.serial(`the decoder from ${side} to ${imageSize}: compiled as eager, values and gradients`, async (t) => {
    const shape: DecoderShape = { side, channels: 5, imageSize, width: 8 };
    const parameters = initialDecoderParameters(shape, [0.4, 0.5, 0.6], new RandomStream(1));
    const inputs = { memory: { shape: [3, side * side, 5] }, ...Object.fromEntries(Object.entries(parameters).map(([name, v]) => [name, { shape: v.shape, draw: (s: RandomStream) => 0.3 * s.normal() }])) };
    const f = withGradients({ inputs, f: ({ memory, ...rest }) => reconstructionDecoder(rest, memory, shape) }), values = draw(inputs);
    t.is(difference((await compiled(f, values)).results, eagerly(f, values)), undefined);
  });
}

test.serial('a decoder starts at the mean colour', (t) => {
  const shape: DecoderShape = { side: 2, channels: 4, imageSize: 8, width: 8 };
  const parameters = Object.fromEntries(Object.entries(initialDecoderParameters(shape, [0.2, 0.5, 0.9], new RandomStream(1))).map(([name, v]) => [name, tf.tensor(v.data, [...v.shape])]));
  const start = reconstructionDecoder(parameters, tf.zeros([1, 4, 4]), shape);
  t.deepEqual(start.shape, [1, 8, 8, 3]);
  t.true(close(start.dataSync(), Array.from({ length: 192 }, (_, i) => [0.2, 0.5, 0.9][i % 3]), 1e-5));
});

const COUNT = 160, SIDE = 4, CHANNELS = 24, SIZE = 16;

/** Images of a few soft spots, and a memory of each: 2x2 averages under a token, mixed into channels and bent. */
function spots(): MemoryAndImages {
  const random = new RandomStream(4, 1), images = new Float32Array(COUNT * SIZE * SIZE * 3);
  for (let n = 0; n < COUNT; n++) {
    const centres = Array.from({ length: 4 }, () => ({ x: random.uniform(0, SIZE), y: random.uniform(0, SIZE), size: random.uniform(1, 4), colour: [random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(-1, 1)] }));
    for (let i = 0; i < SIZE * SIZE; i++) {
      const sum = [0, 0, 0];
      for (const { x, y, size, colour } of centres) colour.forEach((c, k) => (sum[k] += 2 * c * Math.exp(-(((i % SIZE) - x) ** 2 + (Math.floor(i / SIZE) - y) ** 2) / (2 * size * size))));
      sum.forEach((v, k) => (images[(n * SIZE * SIZE + i) * 3 + k] = 1 / (1 + Math.exp(-v))));
    }
  }
  const mixing = Float32Array.from({ length: 12 * CHANNELS }, () => random.normal());
  const memory = new Float32Array(COUNT * SIDE * SIDE * CHANNELS);
  for (let n = 0; n < COUNT; n++) for (let s = 0; s < SIDE * SIDE; s++) for (let y = 0; y < 4; y++) for (let x = 0; x < 4; x++) for (let k = 0; k < 3; k++) {
    const pixel = images[((n * SIZE + Math.floor(s / SIDE) * 4 + y) * SIZE + (s % SIDE) * 4 + x) * 3 + k] - 0.5;
    const value = ((y >> 1) * 2 + (x >> 1)) * 3 + k;
    for (let c = 0; c < CHANNELS; c++) memory[(n * SIDE * SIDE + s) * CHANNELS + c] += mixing[value * CHANNELS + c] * pixel / 4;
  }
  return { memory: memory.map(Math.tanh), images, side: SIDE, channels: CHANNELS, imageSize: SIZE };
}

/** tanh values on 2^bits levels. */
const quantized = (values: Float32Array, bits: number): Float32Array => values.map((v) => Math.round(((v + 1) / 2) * (2 ** bits - 1)) / (2 ** bits - 1) * 2 - 1);
const settings = { ...RECONSTRUCTION_SETTINGS, width: 16 };

// Measured on 500 MiniVOC images of 64x64 with 8x8 tokens of 64 channels, two seeds: E 0.063/0.061, at 4 bits 0.064/0.062, 3 bits 0.064/0.062, 2 bits 0.068/0.066,
// 1 bit 0.086/0.082, noise 0.179/0.173, mean image 0.178/0.169; 2.3 s of one core's time each.
test.serial('fewer bits in the memory say less about the image, noise nothing; the same seed gives the same number', async (t) => {
  const data = spots(), random = new RandomStream(9, 9);
  const estimate = (memory: Float32Array, seed = 0) => reconstructionInformation({ ...data, memory, settings, seed });
  const noise = await estimate(data.memory.map(() => random.normal()));
  for (const seed of [0, 1]) {
    const e = await estimate(data.memory, seed), two = await estimate(quantized(data.memory, 2), seed), one = await estimate(quantized(data.memory, 1), seed);
    t.true(e.informationX > two.informationX && two.informationX > one.informationX && one.informationX > noise.informationX, [e, two, one, noise].map((r) => r.informationX).join(', '));
    t.true(e.heldOutL1 < 0.5 * e.baselineL1);
    t.is(e.informationX, -e.heldOutL1);
    t.deepEqual(e.examples.map(({ image }) => image), [...heldOutSplit(COUNT, settings.heldOutFraction, seed).heldOut.subarray(0, 8)]);
    const pixels = SIZE * SIZE * 3, l1 = e.examples.map(({ image, decoded }) => decoded.reduce((sum, v, i) => sum + Math.abs(v - data.images[image * pixels + i]), 0) / pixels);
    t.true(l1.every((v) => v < 2 * e.heldOutL1 + 0.02), l1.join(', '));
  }
  t.true(noise.heldOutL1 > 0.9 * noise.baselineL1 && noise.trainL1 < noise.heldOutL1);
  t.deepEqual(await estimate(data.memory), await estimate(data.memory));
});

test.serial('scales and shifts of a channel change nothing but rounding', async (t) => {
  const data = spots(), few = { ...settings, steps: 30 };
  const moved = data.memory.map((v, i) => v * (1 + (i % CHANNELS)) - (i % CHANNELS));
  const [a, b] = [await reconstructionInformation({ ...data, settings: few, seed: 2 }), await reconstructionInformation({ ...data, memory: moved, settings: few, seed: 2 })];
  t.true(Math.abs(a.heldOutL1 - b.heldOutL1) < 1e-4 * a.heldOutL1 + 1e-4, `${a.heldOutL1}, ${b.heldOutL1}`);
});

test.serial('a point of the plane with cross-checks, which order the same memories as the reconstruction does', async (t) => {
  const data = spots(), random = new RandomStream(3, 3);
  const point = await informationPlanePoint({ ...data, epoch: 2, ap50: 0.25, settings: { ...settings, steps: 2 }, seed: 0, crossChecks: true });
  t.is(point.epoch, 2);
  t.is(point.informationY, 0.25);
  t.true(point.informationX < 0);
  t.deepEqual(point.crossChecks, informationCrossChecks({ ...data, seed: 0 }));
  t.false('crossChecks' in (await informationPlanePoint({ ...data, epoch: 0, ap50: 0, settings: { ...settings, steps: 1 }, seed: 0 })));
  const [e, two, one, noise] = [data.memory, quantized(data.memory, 2), quantized(data.memory, 1), data.memory.map(() => random.normal())].map((memory) => informationCrossChecks({ ...data, memory, seed: 0 }));
  for (const key of ['renyi', 'variational', 'infoNce'] as const) t.true(e[key] > two[key] && two[key] > one[key] && one[key] > noise[key], `${key}: ${[e, two, one, noise].map((r) => r[key]).join(', ')}`);
  t.true(noise.variational < 0.1 && noise.infoNce < 0.1);
});

test.serial('an encoder that gives every image the same memory says nothing', async (t) => {
  const data = spots(), memory = data.memory.map((_, i) => data.memory[i % (SIDE * SIDE * CHANNELS)]);
  t.true(Object.values(informationCrossChecks({ ...data, memory, seed: 0 })).every((bits) => Math.abs(bits) < 1e-9));
  const { heldOutL1, baselineL1 } = await reconstructionInformation({ ...data, memory, settings, seed: 0 });
  t.true(heldOutL1 > 0.9 * baselineL1);
});

test.serial('what does not fit is an error that says so', async (t) => {
  const data = spots(), run = (changes: Partial<MemoryAndImages>) => reconstructionInformation({ ...data, ...changes, settings, seed: 0 });
  const broken = data.memory.slice();
  broken[7] = NaN;
  await t.throwsAsync(run({ memory: broken }), { instanceOf: UserError, message: /memory holds a value that is no number/ });
  await t.throwsAsync(run({ side: 3 }), { instanceOf: UserError, message: /power of two/ });
  await t.throwsAsync(run({ channels: 7 }), { instanceOf: UserError, message: /check side, channels/ });
  await t.throwsAsync(run({ images: data.images.subarray(3) }), { instanceOf: UserError, message: /check side, channels/ });
  const few = 10 * SIDE * SIDE * CHANNELS;
  await t.throwsAsync(run({ memory: data.memory.subarray(0, few), images: data.images.subarray(0, 10 * SIZE * SIZE * 3) }), { instanceOf: UserError, message: /10 images are too few.* at least 22,/ });
  await t.throwsAsync(reconstructionInformation({ ...data, settings: { ...settings, heldOutFraction: 1 }, seed: 0 }), { instanceOf: UserError, message: /heldOutFraction/ });
});
