import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { scoreRanking } from '../../src/quantizer/vt-ptq-attention.js';
import { rankingLoss } from '../../src/quantizer/vt-ptq-ranking.js';
import { centre, pearsonCorrelation } from '../../src/quantizer/vt-ptq-similarity.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf } from '../../src/tensor/tf.js';

interface Fixture {
  correlations: { real: number[]; quantized: number[]; images: number; pearson: number[] }[];
  rankings: { real: number[]; quantized: number[]; columns: number; threshold: number; loss: number }[];
}
const fixture = JSON.parse(readFileSync('test/fixtures/post-training.json', 'utf8')) as Fixture;
const pearson = (real: number[], quantized: number[], images: number): number[] => {
  const as = (values: number[]): tf.Tensor => tf.tensor(values, [images, values.length / images]);
  return [...pearsonCorrelation(centre(as(real)), as(quantized)).dataSync()];
};

test.serial('by hand: correlation of each image', async (t) => {
  await useBackend('wasm');
  const found = pearson([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3], [10, 20, 30, 3, 2, 1, 2, 4, 7, 5, 5, 5], 4);
  [1, -1, 5 / (Math.sqrt(2) * Math.sqrt(114 / 9)), 0].forEach((wanted, i) => t.true(Math.abs(found[i] - wanted) < 1e-6, `${found[i]} instead of ${wanted}`));
});

test.serial("correlations are scipy's", async (t) => {
  await useBackend('wasm');
  for (const { real, quantized, images, pearson: wanted } of fixture.correlations) pearson(real, quantized, images).forEach((r, i) => t.true(Math.abs(r - wanted[i]) < 1e-5, `${r} instead of ${wanted[i]}`));
});

test('by hand: a pair costs what its difference lacks to theta', (t) => {
  const near = (got: number, wanted: number): boolean => t.true(Math.abs(got - wanted) < 1e-12, `${got} instead of ${wanted}`);
  near(rankingLoss([3, 1, 2], 3, 0.2)([2, 1, 1.9]), 0.1 / 3); // 2 over 1.9 by 0.1 only
  near(rankingLoss([1, 0], 2, 0.2)([0, 1]), 1.2); // the wrong order
  near(rankingLoss([1, 1], 2, 0.2)([5, 7]), 0.2); // no order
  near(rankingLoss([2, 1, 2, 0, 5, 1], 3, 0.5)([4, 3, 4, 0, 9, 1]), (0.5 + 0) / 6); // two rows, the first with a tie
  near(rankingLoss([7], 1, 0.2)([1]), 0); // no pair
});

test('ranking losses are those of the definition in numpy', (t) => {
  for (const { real, quantized, columns, threshold, loss } of fixture.rankings) t.true(Math.abs(rankingLoss(real, columns, threshold)(quantized) - loss) < 1e-9);
});

const row = fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 12 });
test('what keeps the order with a margin costs nothing; rounding costs nothing without a margin', (t) => {
  t.notThrows(() => fc.assert(fc.property(row, fc.double({ min: 0.2, max: 9, noNaN: true }), fc.double({ min: -9, max: 9, noNaN: true }), (real, scale, offset) => {
    const loss = rankingLoss(real, real.length, 0.2)(real.map((v) => v * (scale + 1e-9) + offset));
    return loss < 1e-9 && rankingLoss(real, real.length, 0)(real.map((v) => Math.round(v / (4 * scale)))) === 0;
  }), { numRuns: 300, seed: 6 }));
});

test('any order of the columns gives the same loss, and a worse margin no lower one', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: -20, max: 20 })), { minLength: 2, maxLength: 10 }), (pairs) => {
    const [real, quantized] = [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
    const [a, b, wider] = [rankingLoss(real, real.length, 0.2)(quantized), rankingLoss([...real].reverse(), real.length, 0.2)([...quantized].reverse()), rankingLoss(real, real.length, 0.7)(quantized)];
    return Math.abs(a - b) < 1e-9 && a >= 0 && wider >= a;
  }), { numRuns: 300, seed: 7 }));
});

test.serial('scores of two heads: the head whose queries are exchanged is the one that pays', async (t) => {
  await useBackend('wasm');
  const k = tf.tensor4d([1, 2, 3, 1, 2, 3], [1, 2, 3, 1]), q = tf.tensor4d([1, -1, 1, -1], [1, 2, 2, 1]);
  const ranking = scoreRanking(q, k, { rankingRows: 2, threshold: 0.2 });
  t.deepEqual([...ranking(q, k)], [0, 0]);
  const [first, second] = ranking(tf.tensor4d([1, -1, -1, 1], [1, 2, 2, 1]), k);
  t.is(first, 0);
  t.true(Math.abs(second - (1.2 + 1.2 + 2.2) / 3) < 1e-6);
});
