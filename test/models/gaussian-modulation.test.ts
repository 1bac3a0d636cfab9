import test from 'ava';
import fc from 'fast-check';
import { gaussianLogPrior } from '../../src/models/gaussian-modulation.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { backends } from '../tensor/backends.js';
import { compiled, difference, draw, eagerly, withGradients } from '../tensor/compiled.js';
import { readSmcaFixture, tensorOf, worstDifference } from './fixture.js';

test.serial('by hand: one head on a 2 x 2 grid; cells are counted from 0, columns first in a pair, rows first in memory', async (t) => {
  await useBackend('cpu');
  const at = (x: number, y: number, scaleX: number, scaleY: number): number[] =>
    Array.from(gaussianLogPrior(tf.tensor4d([x, y], [1, 1, 1, 2]), tf.tensor4d([scaleX, scaleY], [1, 1, 1, 2]), { height: 2, width: 2 }).dataSync(), (v) => Math.round(v * 1e5) / 1e5 + 0);
  t.deepEqual(at(0, 0, 1, 3), [0, -1 / 8, -3 / 8, -4 / 8]); // (0, 0), (1, 0), (0, 1), (1, 1)
  t.deepEqual(at(0.5, 0.5, 2, 2), [-1 / 8, -1 / 8, -1 / 8, -1 / 8]); // 2 (1/4 + 1/4) / 8 from everywhere
  t.deepEqual(at(3, 1, 1, 1), [-10 / 8, -5 / 8, -9 / 8, -4 / 8]); // outside of the grid
  t.deepEqual(at(3, 1, 0, 0), [0, 0, 0, 0]); // no scale, no prior: DETR's attention
});

test.serial('it is never above 0, highest at the nearest cell, and the product of a Gaussian over rows and one over columns', async (t) => {
  await useBackend('cpu');
  const numbers = (most: number) => fc.tuple(fc.double({ min: -2, max: most, noNaN: true }), fc.double({ min: -2, max: most, noNaN: true }));
  fc.assert(fc.property(numbers(8), fc.double({ min: 0.01, max: 4, noNaN: true }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }), ([x, y], scale, height, width) => tf.tidy(() => {
    const prior = gaussianLogPrior(tf.tensor4d([x, y], [1, 1, 1, 2]), tf.tensor4d([scale, scale], [1, 1, 1, 2]), { height, width });
    const g = tf.exp(tf.reshape(prior, [height, width])) as Tensor;
    const [values, rank1] = [g, tf.mul(tf.mul(tf.slice(g, [0, 0], [height, 1]), tf.slice(g, [0, 0], [1, width])), 1 / g.dataSync()[0])].map((v) => v.dataSync());
    const squared = (i: number): number => (x - (i % width)) ** 2 + (y - Math.floor(i / width)) ** 2;
    const nearest = Math.min(...Array.from(values, (_, i) => squared(i)));
    const highest = values.indexOf(Math.max(...values));
    return values.every((v, i) => v <= 1 && Math.abs(v - rank1[i]) < 1e-4) && Math.abs(squared(highest) - nearest) < 1e-3;
  })), { numRuns: 60 });
  t.pass();
});

for (const backend of backends) {
  test.serial(`values and gradients on a 3 x 5 grid are those of PyTorch (${backend})`, async (t) => {
    await useBackend(backend);
    const { height, width, centres, scales, y, dy, dCentres, dScales } = readSmcaFixture().modulation;
    const f = (c: Tensor, s: Tensor): Tensor => gaussianLogPrior(c, s, { height, width });
    const [c, s] = [tensorOf(centres), tensorOf(scales)];
    t.true(worstDifference(f(c, s), y) < 1e-5);
    const [dc, ds] = tf.grads(f)([c, s], tensorOf(dy));
    t.true(worstDifference(dc, dCentres) < 1e-5);
    t.true(worstDifference(ds, dScales) < 1e-5);
  });
}

test.serial('compiled, values and gradients are those of the eager backend', async (t) => {
  await useBackend('wasm');
  const inputs = { centres: { shape: [2, 2, 3, 2] }, scales: { shape: [2, 2, 3, 2] } };
  const step = withGradients({ inputs, f: ({ centres, scales }) => gaussianLogPrior(centres, tf.square(scales), { height: 3, width: 4 }) });
  const arrays = draw(inputs);
  t.is(difference((await compiled(step, arrays)).results, eagerly(step, arrays)), undefined);
});
