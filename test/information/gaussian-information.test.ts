import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { Matrix } from 'ml-matrix';
import { correlationInformation, gaussianEntropy, gaussianMutualInformation, log2Determinant, renyiInformationOfCorrelation } from '../../src/information/gaussian-information.js';
import { correlated } from './gaussian.js';

const near = (a: number, b: number, tolerance = 1e-12): boolean => Math.abs(a - b) <= tolerance;

test('by hand: entropy of one number, half a bit for twice the deviation squared, information of a correlation', (t) => {
  t.true(near(gaussianEntropy(new Matrix([[1]])), 2.047095585180641)); // 1/2 log2(2 pi e); scipy 1.17.1: multivariate_normal.entropy / ln 2
  t.true(near(gaussianEntropy(new Matrix([[2]])) - gaussianEntropy(new Matrix([[1]])), 0.5));
  t.true(near(correlationInformation(Math.sqrt(3) / 2), 1)); // 1 - 3/4 = 1/4
  t.is(correlationInformation(0), -0);
  t.true(near(log2Determinant(new Matrix([[4, 2], [2, 5]])), 4)); // 20 - 4 = 16
  t.true(near(gaussianMutualInformation(correlated(Math.sqrt(3) / 2), 1), 1));
});

test('a covariance that is none is refused', (t) => {
  t.throws(() => gaussianEntropy(new Matrix([[1, 2], [2, 1]])), { message: /not positive definite/ });
});

test('information of several numbers: the sum over independent pairs, never below 0, unchanged by invertible maps of one side', (t) => {
  const rho = fc.double({ min: -0.95, max: 0.95, noNaN: true }), factor = fc.double({ min: 0.2, max: 5, noNaN: true });
  fc.assert(fc.property(rho, rho, factor, rho, (a, b, scale, shear) => {
    const covariance = new Matrix([[1, 0, a, 0], [0, 1, 0, b], [a, 0, 1, 0], [0, b, 0, 1]]);
    const information = gaussianMutualInformation(covariance, 2);
    t.true(near(information, correlationInformation(a) + correlationInformation(b), 1e-9));
    t.true(information >= -1e-12);
    const map = new Matrix([[scale, shear, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]);
    t.true(near(gaussianMutualInformation(map.mmul(covariance).mmul(map.transpose()), 2), information, 1e-8));
  }));
});

test('what the matrix-based information tends to: below the truth, which a width of 0 would give, and falling with the width', (t) => {
  t.is(renyiInformationOfCorrelation(0.8, 0), correlationInformation(0.8));
  t.true(near(renyiInformationOfCorrelation(0.8, 2), correlationInformation(0.4)));
  fc.assert(fc.property(fc.double({ min: 0.05, max: 0.95, noNaN: true }), fc.double({ min: 0.01, max: 5, noNaN: true }), (rho, width) => {
    t.true(renyiInformationOfCorrelation(rho, width) < correlationInformation(rho));
    t.true(renyiInformationOfCorrelation(rho, 2 * width) < renyiInformationOfCorrelation(rho, width));
  }));
});

interface Fixture { gaussian: { covariance: number[][]; split: number; entropy: number; information: number } }

test('five dimensions: scipy’s entropies (scipy 1.17.1)', (t) => {
  const { covariance, split, entropy, information } = (JSON.parse(readFileSync('test/fixtures/information.json', 'utf8')) as Fixture).gaussian;
  t.true(near(gaussianEntropy(new Matrix(covariance)), entropy, 1e-9));
  t.true(near(gaussianMutualInformation(new Matrix(covariance), split), information, 1e-9));
});
