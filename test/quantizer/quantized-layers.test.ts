import test from 'ava';
import { calibrate } from '../../src/quantizer/calibration.js';
import { integerConvolution, integerLinear, roundHalfToEven, toIntegers } from '../../src/quantizer/integer-inference.js';
import { levels } from '../../src/quantizer/levels.js';
import type { Observer } from '../../src/quantizer/observer.js';
import { packBits, unpackBits } from '../../src/quantizer/pack.js';
import { REAL, type Precision } from '../../src/quantizer/precision.js';
import { quantizeOperand } from '../../src/quantizer/quantize.js';
import { conv2d } from '../../src/quantizer/quantized-convolution.js';
import { linear } from '../../src/quantizer/quantized-linear.js';
import { UserError } from '../../src/errors.js';
import { useBackend } from '../../src/tensor/backend.js';
import { sizeOf, toTensors, type ArrayValue, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { backends } from '../tensor/backends.js';

const random = (stream: RandomStream, shape: number[], of = (r: RandomStream) => r.normal()): ArrayValue => ({ shape, data: Float32Array.from({ length: sizeOf(shape) }, () => of(stream)) });
const toTensor = (v: ArrayValue) => tf.tensor(v.data, [...v.shape]);
const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => (a.length === b.length ? Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0) : Infinity);
const magnitude = (a: ArrayLike<number>): number => Array.from(a).reduce((most, v) => Math.max(most, Math.abs(v)), 0);

test.serial('a quantized linear layer by hand', async (t) => {
  await useBackend('cpu');
  // 2 bits. x = [0.3, 1.2], alpha_x = 0.5, z = 0.5: v = [-0.4, 1.4], x_q = [0, 1], Q_a(x) = [0.5, 1].
  // w = [[1, -1]], alpha_w = 0.8: v = [1.25, -1.25], w_q = [1, -1], Q_w(w) = [0.8, -0.8]. Product -0.4, bias 0.1.
  const parameters = toTensors({
    'fc.weight': { shape: [1, 2], data: Float32Array.of(1, -1) }, 'fc.bias': { shape: [1], data: Float32Array.of(0.1) },
    'fc.weight_quantizer.scale': { shape: [1], data: Float32Array.of(0.8) },
    'fc.input_quantizer.scale': { shape: [1], data: Float32Array.of(0.5) }, 'fc.input_quantizer.offset': { shape: [1], data: Float32Array.of(0.5) },
  });
  const x = tf.tensor3d([0.3, 1.2], [1, 1, 2]);
  t.true(Math.abs(linear(parameters, 'fc', x, { weightBits: 2, activationBits: 2, attentionBits: 8 }).dataSync()[0] + 0.3) < 1e-6);
  t.true(Math.abs(linear(parameters, 'fc', x, REAL).dataSync()[0] + 0.8) < 1e-6);
});

for (const backend of backends) {
  for (const [weightBits, activationBits] of [[2, 2], [3, 3], [4, 4], [8, 8], [4, 8]]) {
    const precision: Precision = { weightBits, activationBits, attentionBits: 8 };
    const name = `${backend}: fake-quantized equals integer arithmetic at ${weightBits}-${activationBits}`;

    test.serial(`${name}, linear, through packed weights`, async (t) => {
      await useBackend(backend);
      const stream = new RandomStream(1, weightBits);
      const values: ParameterValues = { 'fc.weight': random(stream, [12, 33]), 'fc.bias': random(stream, [12]) };
      const x = random(stream, [7, 33], (r) => Math.max(r.normal() + 0.3, -0.2));
      Object.assign(values, calibrate([x], (batch, observe) => linear(toTensors(values), 'fc', toTensor(batch), REAL, observe), precision));
      const fake = linear(toTensors(values), 'fc', toTensor(x), precision).dataSync();

      const w = toIntegers(values['fc.weight'], values['fc.weight_quantizer.scale'].data, null, levels(weightBits));
      const unpacked = Int16Array.from(unpackBits(packBits(w.integers, weightBits), weightBits, w.integers.length));
      const xq = toIntegers(x, values['fc.input_quantizer.scale'].data, values['fc.input_quantizer.offset'].data, levels(activationBits));
      const integer = integerLinear(xq, { ...w, integers: unpacked }, values['fc.bias'].data);
      t.true(farthest(fake, integer.data) <= 1e-5 * Math.max(1, magnitude(fake)), `farthest ${farthest(fake, integer.data)}`);
      const real = linear(toTensors(values), 'fc', toTensor(x), REAL).dataSync();
      t.true(farthest(fake, real) > 1e-3, 'quantization changes something');
    });

    for (const [stride, padding, size] of [[1, 1, 6], [2, 1, 7], [2, 0, 6], [1, 3, 5]]) {
      test.serial(`${name}, convolution, stride ${stride}, padding ${padding}`, async (t) => {
        await useBackend(backend);
        const stream = new RandomStream(2, activationBits, stride, padding);
        const values: ParameterValues = { 'conv.weight': random(stream, [3, 3, 4, 5]), 'conv.bias': random(stream, [5]) };
        const x = random(stream, [2, size, size, 4], (r) => 1 + Math.abs(r.normal())); // 0 is off the grid's middle: Q_a(0) is not 0
        Object.assign(values, calibrate([x], (batch, observe) => conv2d(toTensors(values), 'conv', toTensor(batch), { stride, padding }, REAL, observe), precision));
        const fake = conv2d(toTensors(values), 'conv', toTensor(x), { stride, padding }, precision);
        const range = levels(activationBits);
        const w = toIntegers(values['conv.weight'], values['conv.weight_quantizer.scale'].data, null, levels(weightBits), 3);
        const xq = toIntegers(x, values['conv.input_quantizer.scale'].data, values['conv.input_quantizer.offset'].data, range);
        const integer = integerConvolution(xq, w, values['conv.bias'].data, { stride, padding }, range);
        t.deepEqual(fake.shape, [...integer.shape]);
        const difference = farthest(fake.dataSync(), integer.data);
        t.true(difference <= 1e-5 * Math.max(1, magnitude(integer.data)), `farthest ${difference}`);
      });
    }
  }
}

test.serial('a border of zeros instead of Q_a(0) would be told apart', async (t) => {
  await useBackend('cpu');
  const ones = (shape: number[]): ArrayValue => ({ shape, data: new Float32Array(sizeOf(shape)).fill(1) });
  // 2 bits, alpha = 1, z = 2: the grid is 0, 1, 2, 3 for z - 2 ... z + 1; with z = 2.5 it is 0.5 ... 3.5, so Q_a(0) = 0.5.
  const parameters = toTensors({
    'conv.weight': ones([3, 3, 1, 1]), 'conv.weight_quantizer.scale': ones([1]),
    'conv.input_quantizer.scale': ones([1]), 'conv.input_quantizer.offset': { shape: [1], data: Float32Array.of(2.5) },
  });
  const y = conv2d(parameters, 'conv', tf.fill([1, 1, 1, 1], 1.5), { stride: 1, padding: 1 }, { weightBits: 2, activationBits: 2, attentionBits: 8 });
  t.deepEqual([...y.dataSync()], [1.5 + 8 * 0.5]);
});

test.serial("the border's g counts the elements of x, and gradients reach x, scale and offset", async (t) => {
  await useBackend('cpu');
  const stream = new RandomStream(4);
  const values: ParameterValues = { 'conv.weight': random(stream, [3, 3, 2, 2]) };
  const input = random(stream, [1, 4, 4, 2], (r) => 1 + r.normal());
  const precision: Precision = { weightBits: 3, activationBits: 3, attentionBits: 8 };
  Object.assign(values, calibrate([input], (batch, observe) => conv2d(toTensors(values), 'conv', toTensor(batch), { stride: 1, padding: 1 }, REAL, observe), precision));
  const parameters = toTensors(values);
  const q = 'conv.input_quantizer';
  const output = (offset: tf.Tensor) => tf.sum(conv2d({ ...parameters, [`${q}.offset`]: offset }, 'conv', toTensor(input), { stride: 1, padding: 1 }, precision));
  // dQ/dz is 1 where x or the border lies outside of the grid: move z far away, and all of them do.
  const far = tf.tensor1d([50]);
  const weights = tf.sum(linearised(parameters, input)).dataSync()[0];
  const g = 1 / Math.sqrt(sizeOf(input.shape) * 3);
  t.true(Math.abs(tf.grad(output)(far).dataSync()[0] - weights * g) < 1e-4 * Math.max(1, Math.abs(weights)));
  const grads = tf.grads((x, scale) => tf.sum(tf.square(conv2d({ ...parameters, [`${q}.scale`]: scale as tf.Tensor }, 'conv', x as tf.Tensor, { stride: 1, padding: 1 }, precision))))([toTensor(input), parameters[`${q}.scale`]]);
  t.true(grads.every((d) => magnitude(d.dataSync()) > 0));
});

/** The output of the convolution for an input and border of ones: what d output / d z is where all values are clipped. */
function linearised(parameters: Record<string, tf.Tensor>, input: ArrayValue): tf.Tensor {
  const [b, h, w, c] = input.shape;
  const { 'conv.weight': weight, 'conv.weight_quantizer.scale': scale } = parameters;
  const { integers } = toIntegers({ shape: weight.shape, data: weight.dataSync() as Float32Array }, scale.dataSync(), null, levels(3), 3);
  const kernel = tf.mul(tf.tensor(Array.from(integers), weight.shape), scale);
  return tf.conv2d(tf.ones([b, h + 2, w + 2, c]) as tf.Tensor4D, kernel as tf.Tensor4D, 1, 'valid');
}

test.serial('attention operands have a scale and an offset for each head; softmax outputs span [0, 1]', async (t) => {
  await useBackend('wasm');
  const stream = new RandomStream(5);
  const heads = [0.1, 1, 10];
  const x: ArrayValue = { shape: [2, 3, 4, 5], data: Float32Array.from({ length: 120 }, (_, i) => heads[Math.floor(i / 20) % 3] * stream.normal()) };
  const attention = tf.softmax(tf.randomNormal([2, 3, 4, 6], 0, 1, 'float32', 1));
  const precision: Precision = { weightBits: 2, activationBits: 2, attentionBits: 4 };
  const forward = (_: null, observe: Observer) => [quantizeOperand({}, 'attn.q_quantizer', toTensor(x), 32, observe), quantizeOperand({}, 'attn.a_quantizer', tf.clone(attention), 32, observe)];
  const values = calibrate([null], forward, precision);
  t.deepEqual(Object.keys(values).sort(), ['attn.a_quantizer.offset', 'attn.a_quantizer.scale', 'attn.q_quantizer.offset', 'attn.q_quantizer.scale']);
  const [small, middle, large] = values['attn.q_quantizer.scale'].data;
  t.true(small * 3 < middle && middle * 3 < large);
  t.true(farthest(values['attn.a_quantizer.scale'].data, [1 / 15, 1 / 15, 1 / 15]) < 1e-7);
  const a = quantizeOperand(toTensors(values), 'attn.a_quantizer', tf.tensor4d([0, 1, 0.5], [1, 3, 1, 1]), 4).dataSync();
  t.true(farthest(a, [0, 1, 8 / 15]) < 1e-6 || farthest(a, [0, 1, 7 / 15]) < 1e-6);
  const q = quantizeOperand(toTensors(values), 'attn.q_quantizer', toTensor(x), 4);
  for (let n = 0; n < 3; n++) t.true(new Set(tf.slice(q, [0, n, 0, 0], [2, 1, 4, 5]).dataSync()).size <= 16);
});

test.serial('a quantizer without its parameters, or with those of another size, is an error that names it', async (t) => {
  await useBackend('cpu');
  const parameters = toTensors({ 'fc.weight': { shape: [2, 1], data: Float32Array.of(1, 2) } });
  const precision: Precision = { weightBits: 2, activationBits: 32, attentionBits: 32 };
  t.throws(() => linear(parameters, 'fc', tf.ones([1, 1]), precision), { instanceOf: UserError, message: /fc\.weight_quantizer\.scale is missing: calibrate/ });
  const wrong = { ...parameters, 'fc.weight_quantizer.scale': tf.ones([3]) };
  t.throws(() => linear(wrong, 'fc', tf.ones([1, 1]), precision), { instanceOf: UserError, message: /holds 3 values where 2 are needed/ });
});

test('integers round half to even', (t) => {
  t.deepEqual([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, -2.6].map((v) => roundHalfToEven(v) + 0), [-2, -2, 0, 0, 2, 2, 2, -3]);
});
