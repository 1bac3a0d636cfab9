/** On the machine's adapter (a software one will do): every kernel's values and gradients, tiled products, reuse of memory. */
import test from 'ava';
import { useBackend } from '../../../src/tensor/backend.js';
import { batchNorm } from '../../../src/tensor/batch-norm.js';
import { tf, type Tensor } from '../../../src/tensor/tf.js';
import type { StepFunction } from '../../../src/tensor/trace.js';
import type { Tiles } from '../../../src/tensor/webgpu/kernel.js';
import { difference, draw, eagerly, withGradients, type Comparison } from '../compiled.js';
import { kernelCases } from '../kernel-cases.js';
import { computed } from './computed.js';
import { testDevice } from './device.js';

const { gpu } = await testDevice();
const onDevice = gpu ? test.serial : test.serial.skip;

test.before(() => useBackend('cpu'));

const tested = new Set<object>();
for (const [kernel, cases] of Object.entries(kernelCases)) {
  if (tested.has(cases)) continue; // the same cases serve several kernels
  tested.add(cases);
  onDevice(`${kernel}: as on tfjs's cpu backend, values and gradients`, async (t) => {
    await Promise.all(Object.entries(cases).map(async ([name, c]) => {
      const f = withGradients(c), inputs = draw(c.inputs);
      const wanted = eagerly(f, inputs);
      t.is(difference(await computed(gpu!, f, inputs), wanted, 2e-5), undefined, name);
    }));
  });
}

const REPLICATED = ['Conv2D', 'Softmax', 'FakeQuantizeActivation', 'LinearAssignmentOfMany', 'GatherV2', 'ConcatV2', 'Concat', 'ArgMin', 'LayerNorm', 'MaxPool'];
for (const [kernel, cases] of Object.entries(kernelCases).filter(([name]) => REPLICATED.includes(name))) {
  onDevice(`${kernel}: the third of three replicas computes on its own values`, async (t) => {
    await Promise.all(Object.entries(cases).slice(0, 3).map(async ([name, c]) => {
      const f = withGradients(c), inputs = draw(c.inputs);
      t.is(difference(await computed(gpu!, f, inputs, { limits: { ...gpu!, replicas: 3 } }), eagerly(f, inputs), 2e-5), undefined, name);
    }));
  });
}

for (const [name, rows, offset] of [['rows in several parts', 1024, 0], ['a number of rows without divisors', 1013, 0], ['few rows', 6, 0], ['a mean 100 times the deviation', 1024, 100]] as const) {
  onDevice(`batch normalization: ${name}, values, statistics and gradients`, async (t) => {
    const inputs = draw({ x: { shape: [rows, 1, 1, 3], draw: (s) => offset + s.normal() }, w: { shape: [3] }, b: { shape: [3] }, dy: { shape: [rows, 1, 1, 3] } });
    const f: StepFunction = ({ x, w, b, dy }) => {
      const { y, mean, variance } = batchNorm(x, w, b);
      const [dx, dw, db] = tf.grads((...of: Tensor[]) => batchNorm(of[0], of[1], of[2]).y)([x, w, b], dy);
      return { y, mean, variance, dx, dw, db };
    };
    t.is(difference(await computed(gpu!, f, inputs), eagerly(f, inputs), offset ? 2e-4 : 2e-5), undefined);
  });
}

/** Products whose sizes are, and are not, multiples of the tiles; transposed, batched, with an epilogue. */
const g = (...shape: number[]): Comparison['inputs'][string] => ({ shape });
const tiledProducts: Record<string, Comparison> = {
  'larger than a tile, ragged': { inputs: { a: g(37, 21), b: g(21, 35) }, f: ({ a, b }) => tf.matMul(a, b) },
  'batched, left transposed, with bias and activation': { inputs: { a: g(2, 9, 33), b: g(2, 9, 5), c: g(5) }, f: ({ a, b, c }) => tf.relu(tf.add(tf.matMul(a, b, true), c)) },
  'right transposed, multiples of the tile': { inputs: { a: g(64, 32), b: g(32, 32) }, f: ({ a, b }) => tf.matMul(a, b, false, true) },
  'a convolution': { inputs: { x: g(1, 6, 7, 3), w: g(3, 3, 3, 5) }, f: ({ x, w }) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same') },
};
const TILES: Record<string, Tiles> = { '32 x 32': { rows: 32, columns: 32, inner: 16, height: 4, width: 4 }, '64 x 32, unequal': { rows: 64, columns: 32, inner: 8, height: 8, width: 4 } };
for (const [size, tiles] of Object.entries(TILES)) {
  for (const [name, c] of Object.entries(tiledProducts).slice(0, size === '32 x 32' ? undefined : 1)) {
    onDevice(`products in tiles of ${size}: ${name}`, async (t) => {
      const inputs = draw(c.inputs), f: StepFunction = (x) => ({ y: c.f(x) as Tensor });
      t.is(difference(await computed(gpu!, f, inputs, { limits: { ...gpu!, tiles } }), eagerly(f, inputs), 2e-5), undefined);
    });
  }
}

onDevice('the least device\'s 8 buffers a kernel and offsets of 256 bytes compute the same', async (t) => {
  const c: Comparison = { inputs: Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`x${n}`, g(3, 5)])), f: (x) => tf.concat(Object.values(x).map((v, n) => tf.exp(tf.mul(v, n / 7))), 0) };
  const f = withGradients(c), inputs = draw(c.inputs);
  t.is(difference(await computed(gpu!, f, inputs, { limits: { buffers: 8, alignment: 256, isSoftware: true } }), eagerly(f, inputs)), undefined);
});

onDevice('a run on buffers that hold what the last one left gives the same', async (t) => {
  const f: StepFunction = ({ x }) => {
    let h = x;
    for (let layer = 0; layer < 4; layer++) h = tf.softmax(tf.add(tf.matMul(h, x), tf.sum(h, 0)));
    return { y: h, s: tf.sum(h) };
  };
  const inputs = draw({ x: g(12, 12) });
  const wanted = eagerly(f, inputs);
  t.is(difference(await computed(gpu!, f, inputs, { runs: 3 }), wanted), undefined);
});
