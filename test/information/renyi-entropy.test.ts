import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { Matrix } from 'ml-matrix';
import { correlationInformation, renyiInformationOfCorrelation } from '../../src/information/gaussian-information.js';
import { gramMatrix, medianWidth, renyiEntropy, renyiJointEntropy, renyiMutualInformation, silvermanWidth, squaredDistances } from '../../src/information/renyi-entropy.js';
import { RandomStream } from '../../src/tensor/random.js';
import { correlated, gaussianSamples } from './gaussian.js';

const near = (a: number, b: number, tolerance: number): boolean => Math.abs(a - b) <= tolerance;
const column = (m: Matrix, c: number) => ({ values: m.getColumn(c), rows: m.rows, columns: 1 });
/** Gram matrix of labels: samples are alike (1) or different (0). */
const gramOfLabels = (labels: readonly number[]): Matrix => gramMatrix(squaredDistances({ values: labels, rows: labels.length, columns: 1 }), 1e-3);

test('by hand: labels have the Renyi entropy of their frequencies, at every order', (t) => {
  for (const alpha of [0.5, 1.01, 2, 3]) {
    t.true(near(renyiEntropy(gramOfLabels([0, 0, 0, 0]), alpha), 0, 1e-9));
    t.true(near(renyiEntropy(gramOfLabels([0, 1, 2, 3]), alpha), 2, 1e-9));
    t.true(near(renyiEntropy(gramOfLabels([0, 0, 1, 1]), alpha), 1, 1e-9));
    t.true(near(renyiEntropy(gramOfLabels([0, 0, 0, 1]), alpha), Math.log2(0.75 ** alpha + 0.25 ** alpha) / (1 - alpha), 1e-9));
  }
});

test('by hand: identical labels share their entropy, independent ones nothing', (t) => {
  const a = gramOfLabels([0, 0, 1, 1]), b = gramOfLabels([0, 1, 0, 1]);
  for (const alpha of [1.01, 2]) {
    t.true(near(renyiMutualInformation(a, a, alpha), 1, 1e-9));
    t.true(near(renyiMutualInformation(a, b, alpha), 0, 1e-9));
  }
});

test('widths by hand; a width of 0 and orders that are none are refused', (t) => {
  t.is(medianWidth(squaredDistances({ values: [0, 1, 3], rows: 3, columns: 1 })), 2); // distances 1, 2, 3
  t.is(medianWidth(squaredDistances({ values: [0, 0, 3, 4, 0, 0], rows: 3, columns: 2 })), 5); // 5, 0, 5
  t.true(near(silvermanWidth({ values: [0, 2], rows: 2, columns: 1 }), Math.sqrt(2) * (2 / 3) ** 0.2, 1e-12)); // (4 / (3 n))^(1/5)
  t.throws(() => gramMatrix(Matrix.zeros(2, 2), 0), { message: /all samples equal/ });
  for (const alpha of [0, 1, -1, NaN]) t.throws(() => renyiEntropy(Matrix.eye(2).div(2), alpha), { message: /order/ });
  t.throws(() => squaredDistances({ values: [1, 2, 3], rows: 2, columns: 2 }));
});

interface Fixture { renyi: { x: number[]; y: number[]; rows: number; widthX: number; widthY: number; orders: Record<string, Record<'x' | 'y' | 'joint', number>> } }

test('entropies and joint entropies equal those through numpy’s eigenvalues (numpy 2.4.6)', (t) => {
  const { x, y, rows, widthX, widthY, orders } = (JSON.parse(readFileSync('test/fixtures/information.json', 'utf8')) as Fixture).renyi;
  const dx = squaredDistances({ values: x, rows, columns: 2 });
  t.true(near(medianWidth(dx), widthX, 1e-12));
  const a = gramMatrix(dx, widthX), b = gramMatrix(squaredDistances({ values: y, rows, columns: 3 }), widthY);
  for (const [alpha, wanted] of Object.entries(orders)) {
    t.true(near(renyiEntropy(a, Number(alpha)), wanted.x, 1e-9), alpha);
    t.true(near(renyiEntropy(b, Number(alpha)), wanted.y, 1e-9), alpha);
    t.true(near(renyiJointEntropy(a, b, Number(alpha)), wanted.joint, 1e-9), alpha);
  }
});

test('between 0 and log2 n; a pair knows at least as much as each; symmetric; the same in any order', (t) => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 0, max: 1e6 }), fc.double({ min: 0.1, max: 3, noNaN: true }), fc.constantFrom(1.01, 2), (n, seed, width, alpha) => {
    const random = new RandomStream(seed, 1), order = random.permutation(n);
    const x = Array.from({ length: n }, () => random.normal()), y = x.map((v) => 0.5 * v + random.normal());
    const gram = (values: number[]): Matrix => gramMatrix(squaredDistances({ values, rows: n, columns: 1 }), width);
    const a = gram(x), b = gram(y);
    const entropies = [a, b].map((m) => renyiEntropy(m, alpha)), joint = renyiJointEntropy(a, b, alpha);
    t.true(entropies.every((s) => s >= -1e-9 && s <= Math.log2(n) + 1e-9));
    t.true(joint >= Math.max(...entropies) - 1e-9);
    const information = renyiMutualInformation(a, b, alpha);
    t.true(near(renyiMutualInformation(b, a, alpha), information, 1e-9));
    t.true(near(renyiMutualInformation(gram(Array.from(order, (i) => x[i])), gram(Array.from(order, (i) => y[i])), alpha), information, 1e-8));
  }), { numRuns: 40 });
});

/** Mutual informations of n Gaussian pairs, the same noise for every rho. */
const ofGaussians = (rho: number, n: number, seed: number, width: number | undefined, alpha = 2): number => {
  const samples = gaussianSamples(correlated(rho), n, seed);
  const [a, b] = [0, 1].map((c) => gramMatrix(squaredDistances(column(samples, c)), width ?? silvermanWidth(column(samples, c))));
  return renyiMutualInformation(a, b, alpha);
};

// Measured with 400 pairs, 5 seeds: width 0.5 gives 0.049 +- 0.027, 0.288 +- 0.045, 0.911 +- 0.044, 1.486 +- 0.038 bits for rho 0, 0.6, 0.9, 0.99, where the
// limit is 0, 0.277, 0.912, 1.462 and Shannon's information 0, 0.322, 1.198, 2.826. Independent pairs: 0.018 at the median width, 0.104 at Silverman's.
test('Gaussians, order 2: the closed-form limit at a known width, within 0.15 bits with 400 pairs', (t) => {
  for (const rho of [0, 0.6, 0.9, 0.99]) {
    for (const width of [0.5, 1]) {
      const mean = [0, 1, 2].reduce((sum, seed) => sum + ofGaussians(rho, 400, seed, width) / 3, 0), limit = renyiInformationOfCorrelation(rho, width);
      t.true(near(mean, limit, 0.15), `rho ${rho}, width ${width}: ${mean}, limit ${limit}`);
    }
  }
});

test('Gaussians: rises with the correlation at both orders, and stays far below Shannon where that is large', (t) => {
  for (const alpha of [2, 1.01]) {
    const course = [0, 0.4, 0.7, 0.9, 0.99].map((rho) => ofGaussians(rho, 120, 4, undefined, alpha));
    course.slice(1).forEach((v, i) => t.true(v > course[i], `order ${alpha}: ${course.join(', ')}`));
    t.true(course[4] < correlationInformation(0.99) - 0.5);
  }
});
