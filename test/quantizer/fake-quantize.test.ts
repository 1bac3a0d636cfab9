import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { fakeQuantizeActivation, fakeQuantizeWeight, gradientScale, type FakeQuantizeAttributes } from '../../src/quantizer/fake-quantize.js';
import { levels } from '../../src/quantizer/levels.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { backends } from '../tensor/backends.js';

interface Case {
  name: string; shape: number[]; axis: number; bits: number; signed: boolean; withOffset: boolean;
  x: number[]; scale: number[]; offset: number[]; dy: number[]; y: number[]; dx: number[]; dScale: number[]; dOffset: number[];
}
const fixture = JSON.parse(readFileSync('test/fixtures/lsq-plus.json', 'utf8')) as { cases: Case[] };
const perTensor = (bits: number, g = 1): FakeQuantizeAttributes => ({ ...levels(bits), axis: 0, gradientScale: g });
const numbers = (t: Tensor): number[] => [...t.dataSync()];
const farthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) return Infinity;
  return Array.from(a).reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);
};

/** Value and gradients of Q_a for an output gradient. */
function differentiate(x: Tensor, scale: Tensor, offset: Tensor, dy: Tensor, attributes: FakeQuantizeAttributes): { y: number[]; dx: number[]; dScale: number[]; dOffset: number[] } {
  const { value, grads } = tf.valueAndGrads((a, s, z) => fakeQuantizeActivation(a as Tensor, s as Tensor, z as Tensor, attributes))([x, scale, offset], dy);
  return { y: numbers(value), dx: numbers(grads[0]), dScale: numbers(grads[1]), dOffset: numbers(grads[2]) };
}

for (const backend of backends) {
  test.serial(`${backend}: ties round to even, as torch.round and ONNX's Round do`, async (t) => {
    await useBackend(backend);
    t.deepEqual(numbers(tf.round([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 0.49999997])).map((v) => v + 0), [-2, -2, 0, 0, 2, 2, 4, 0]);
  });

  // By hand: 2 bits have the levels -2, -1, 0, 1; alpha = 0.5, z = 0.25, so the grid is -0.75, -0.25, 0.25, 0.75.
  // v = (x - z)/alpha of the seven x: -2.5, -2, -1.4, 0.5, 0.9, 1, 3.
  test.serial(`${backend}: a case by hand`, async (t) => {
    await useBackend(backend);
    const x = tf.tensor1d([-1, -0.75, -0.45, 0.5, 0.7, 0.75, 1.75]);
    const result = differentiate(x, tf.tensor1d([0.5]), tf.tensor1d([0.25]), tf.onesLike(x), perTensor(2));
    t.true(farthest(result.y, [-0.75, -0.75, -0.25, 0.25, 0.75, 0.75, 0.75]) < 1e-6);
    t.deepEqual(result.dx, [0, 0, 1, 1, 1, 0, 0]); // the boundaries v = -2 and v = 1 count as outside
    t.true(Math.abs(result.dScale[0] - (-2 - 2 + 0.4 - 0.5 + 0.1 + 1 + 1)) < 1e-6);
    t.deepEqual(result.dOffset, [4]);
  });

  test.serial(`${backend}: values and gradients equal PyTorch's (torch 2.15.0, autograd of a transcription)`, async (t) => {
    await useBackend(backend);
    for (const c of fixture.cases) {
      const range = levels(c.bits, c.signed);
      const attributes = { ...range, axis: c.axis, gradientScale: gradientScale(c.x.length, range) };
      const [x, dy] = [c.x, c.dy].map((v) => tf.tensor(v, c.shape));
      const [scale, offset] = [c.scale, c.offset].map((v) => tf.tensor1d(v));
      const withOffset = differentiate(x, scale, offset, dy, attributes);
      t.true(farthest(withOffset.y, c.y) < 2e-6, `${c.name}: values`);
      t.is(farthest(withOffset.dx, tf.tensor1d(c.dx).dataSync()), 0, `${c.name}: dx`);
      t.true(farthest(withOffset.dScale, c.dScale) < 1e-5, `${c.name}: dScale`);
      t.true(farthest(withOffset.dOffset, c.dOffset) < 1e-5, `${c.name}: dOffset`);
      if (c.withOffset) continue;
      const { value, grads } = tf.valueAndGrads((a, s) => fakeQuantizeWeight(a as Tensor, s as Tensor, attributes))([x, scale], dy);
      t.true(farthest(numbers(value), c.y) < 2e-6, `${c.name}: values without offset`);
      t.true(farthest(numbers(grads[0]), c.dx) < 1e-6, `${c.name}: dx without offset`);
      t.true(farthest(numbers(grads[1]), c.dScale) < 1e-5, `${c.name}: dScale without offset`);
    }
  });
}

test.serial('gradients in each region are the derivatives of the straight-through surrogate', async (t) => {
  await useBackend('cpu');
  const number = (min: number, max: number) => fc.double({ min, max, noNaN: true });
  t.notThrows(() => fc.assert(fc.property(fc.integer({ min: 2, max: 8 }), number(0.05, 2), number(-1, 1), number(-1.5, 1.5), (bits, scale, offset, position) => {
    const { lowest, highest } = levels(bits);
    const v0 = position * 2 ** (bits - 1);
    fc.pre(Math.abs(v0 - lowest) > 1e-3 && Math.abs(v0 - highest) > 1e-3 && Math.abs(v0 - Math.floor(v0) - 0.5) > 1e-3);
    const x = offset + scale * v0;
    const clip = (v: number) => Math.min(Math.max(v, lowest), highest);
    const held = Math.round(clip(v0)) - clip(v0);
    const surrogate = (a: number, s: number, z: number) => s * (clip((a - z) / s) + held) + z;
    const h = 1e-6;
    const expected = [
      (surrogate(x + h, scale, offset) - surrogate(x - h, scale, offset)) / (2 * h),
      (surrogate(x, scale + h, offset) - surrogate(x, scale - h, offset)) / (2 * h),
      (surrogate(x, scale, offset + h) - surrogate(x, scale, offset - h)) / (2 * h),
    ];
    const got = tf.tidy(() => differentiate(tf.tensor1d([x]), tf.tensor1d([scale]), tf.tensor1d([offset]), tf.tensor1d([1]), perTensor(bits)));
    return farthest([...got.dx, ...got.dScale, ...got.dOffset], expected) < 1e-3;
  }), { numRuns: 300, seed: 1 }));
});

test.serial('Q(Q(x)) = Q(x), at most 2^b levels, and no value farther than half a step from its level inside the grid', async (t) => {
  await useBackend('wasm');
  const tensor = fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 1, maxLength: 300 });
  t.notThrows(() => fc.assert(fc.property(fc.integer({ min: 2, max: 8 }), tensor, fc.float({ min: Math.fround(0.01), max: 1, noNaN: true }), fc.float({ min: -2, max: 2, noNaN: true }), (bits, values, alpha, z) => tf.tidy(() => {
    const { lowest, highest } = levels(bits);
    const scale = tf.tensor1d([alpha]), offset = tf.tensor1d([z]);
    const once = fakeQuantizeActivation(tf.tensor1d(values), scale, offset, perTensor(bits));
    const twice = fakeQuantizeActivation(once, scale, offset, perTensor(bits));
    const y = numbers(once);
    const near = y.every((v, i) => {
      const inside = values[i] > z + alpha * lowest && values[i] < z + alpha * highest;
      return !inside || Math.abs(v - values[i]) <= alpha / 2 + 1e-5;
    });
    return near && new Set(y).size <= 2 ** bits && farthest(y, twice.dataSync()) === 0;
  })), { numRuns: 200, seed: 2 }));
});

test.serial('scales along an axis act as one quantizer for each slice', async (t) => {
  await useBackend('wasm');
  const x = tf.randomNormal([2, 3, 4, 5], 0, 1, 'float32', 3);
  const scale = tf.tensor1d([0.1, 0.3, 0.7]), offset = tf.tensor1d([-0.2, 0, 0.4]);
  const whole = fakeQuantizeActivation(x, scale, offset, { ...perTensor(3), axis: 1 });
  for (let n = 0; n < 3; n++) {
    const alone = fakeQuantizeActivation(tf.slice(x, [0, n, 0, 0], [2, 1, 4, 5]), tf.slice(scale, n, 1), tf.slice(offset, n, 1), perTensor(3));
    t.deepEqual(numbers(tf.slice(whole, [0, n, 0, 0], [2, 1, 4, 5])), numbers(alone));
  }
});

test.serial('no tensors leak', async (t) => {
  await useBackend('wasm');
  const x = tf.tensor1d([1, 2, 3]), scale = tf.tensor1d([0.5]), offset = tf.tensor1d([0]);
  const before = tf.memory().numTensors;
  const all = tf.grads((a, s, z) => fakeQuantizeActivation(a as Tensor, s as Tensor, z as Tensor, perTensor(4)))([x, scale, offset]);
  tf.dispose(all);
  t.is(tf.memory().numTensors, before);
});
