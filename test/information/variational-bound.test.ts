import test from 'ava';
import fc from 'fast-check';
import { Matrix } from 'ml-matrix';
import { UserError } from '../../src/errors.js';
import { correlationInformation, gaussianEntropy, gaussianMutualInformation } from '../../src/information/gaussian-information.js';
import { fitLinearGaussian, log2Densities, predictions } from '../../src/information/linear-gaussian.js';
import { principalComponents, project } from '../../src/information/principal-components.js';
import { variationalBound, type SplitSamples } from '../../src/information/variational-bound.js';
import { correlated, gaussianSamples } from './gaussian.js';

const near = (a: number, b: number, tolerance: number): boolean => Math.abs(a - b) <= tolerance;

/** The first `train` samples and the rest, X in the first p columns and E in the others. */
function parts(samples: Matrix, train: number, p: number): SplitSamples {
  const part = (from: number, to: number) => ({ x: samples.subMatrix(from, to, 0, p - 1), e: samples.subMatrix(from, to, p, samples.columns - 1) });
  return { train: part(0, train - 1), heldOut: part(train, samples.rows - 1) };
}

/** Covariance of a white X [p] and E = A X + 2 noise [d]. */
function linearChannel(p: number, d: number, seed: number): Matrix {
  const mixing = gaussianSamples(Matrix.eye(p), d, seed), noise = mixing.mmul(mixing.transpose()).add(Matrix.eye(d).mul(4));
  const covariance = Matrix.eye(p + d);
  covariance.setSubMatrix(noise, p, p).setSubMatrix(mixing, p, 0).setSubMatrix(mixing.transpose(), 0, p);
  return covariance;
}

test('principal components by hand: the long direction first, constant dimensions in none', (t) => {
  const samples = new Matrix([[5, 1, 7], [5, -1, 7], [9, 0, 7], [1, 0, 7]]);
  const { mean, directions, variances } = principalComponents(samples, 3);
  t.deepEqual(mean, [5, 0, 7]);
  t.is(variances.length, 2);
  t.true(near(variances[0], 32 / 3, 1e-12) && near(variances[1], 2 / 3, 1e-12));
  t.true(near(Math.abs(directions.get(0, 0)), 1, 1e-12) && near(Math.abs(directions.get(1, 1)), 1, 1e-12));
  t.is(principalComponents(samples, 1).variances.length, 1);
});

test('principal components: uncorrelated, orthonormal, all of the variance, more dimensions than samples or not', (t) => {
  fc.assert(fc.property(fc.integer({ min: 3, max: 9 }), fc.integer({ min: 1, max: 14 }), fc.integer({ min: 0, max: 1000 }), (n, d, seed) => {
    const samples = gaussianSamples(Matrix.eye(d), n, seed), components = principalComponents(samples, 100);
    const { directions, variances } = components, k = variances.length;
    t.is(k, Math.min(n - 1, d));
    t.true(Matrix.sub(directions.transpose().mmul(directions), Matrix.eye(k)).norm() < 1e-7);
    const z = project(samples, components);
    t.true(Matrix.sub(z.transpose().mmul(z).div(n - 1), Matrix.diag(variances)).norm() < 1e-7);
    t.true(near(variances.reduce((a, b) => a + b), Matrix.sub(samples, samples.clone().fill(0).addRowVector(components.mean)).norm() ** 2 / (n - 1), 1e-7));
  }), { numRuns: 40 });
});

test('the decoder by hand: x = 2 e + 1 is read off e, the density is that of a normal number', (t) => {
  const e = new Matrix([[0], [1], [2], [3]]), x = new Matrix([[1.1], [2.9], [4.9], [7.1]]); // least squares: slope 2, mean 4
  const decoder = fitLinearGaussian(x, e, { components: 5, ridge: 0 });
  t.true(near(predictions(decoder, new Matrix([[10]])).get(0, 0), 4 + 2 * 8.5, 1e-9));
  // residuals 0.1, -0.1, -0.1, 0.1 with leverages 0.7, 0.3, 0.3, 0.7: left out 1/3, -1/7, -1/7, 1/3
  t.true(near(2 ** decoder.conditional.log2Determinant, (2 / 9 + 2 / 49) / 4, 1e-6));
  t.true(near(log2Densities({ lower: new Matrix([[2]]), log2Determinant: 2 }, new Matrix([[2]]))[0], Math.log2(Math.exp(-0.5) / Math.sqrt(8 * Math.PI)), 1e-12)); // N(0, 4) at 2
});

test('leave-one-out residuals are those of fits without each sample', (t) => {
  const samples = gaussianSamples(linearChannel(1, 2, 3), 12, 5), { train: { x, e } } = parts(samples, 11, 1);
  const all = fitLinearGaussian(x, e, { components: 2, ridge: 0 });
  const rows = [...Array(x.rows).keys()];
  const squares = rows.map((i) => {
    const others = rows.filter((r) => r !== i), without = fitLinearGaussian(x.subMatrixRow(others), e.subMatrixRow(others), { components: 2, ridge: 0 });
    return (x.get(i, 0) - predictions(without, e.subMatrixRow([i])).get(0, 0)) ** 2;
  });
  t.true(near(2 ** all.conditional.log2Determinant / (squares.reduce((a, b) => a + b) / x.rows), 1, 1e-5));
});

// Measured, 1,000 to fit and 500 to judge: within 1.7 standard errors (0.02 to 0.07 bits) of -1/2 log2(1 - rho^2) for rho 0.6 to 0.99, 3 seeds.
test('correlated numbers: at most the truth and close to it, within sampling error; the same with the known entropy', (t) => {
  const known = gaussianEntropy(new Matrix([[1]]));
  for (const rho of [0, 0.3, 0.6, 0.9, 0.99]) {
    const truth = correlationInformation(rho), runs = [0, 1, 2, 3].map((seed) => parts(gaussianSamples(correlated(rho), 1500, seed), 1000, 1));
    for (const entropyX of [undefined, known]) {
      const bounds = runs.map((run) => variationalBound(run, undefined, entropyX));
      const mean = bounds.reduce((sum, { bits }) => sum + bits / 4, 0), error = Math.sqrt(bounds.reduce((sum, { standardError }) => sum + standardError ** 2, 0)) / 4;
      t.true(mean <= truth + 3 * error, `rho ${rho}: ${mean} above ${truth}`);
      t.true(mean >= truth - 3 * error - 0.01, `rho ${rho}: ${mean} far below ${truth}`);
      t.true(error < 0.05);
    }
  }
});

// Measured: truth 8.56 to 8.88 bits; with 200 to fit 7.90 to 8.36, with 1,000 8.30 to 8.88 (standard error 0.15); InfoNCE 6.4 to 7.1 of at most 7.97.
test('a linear channel of 6 and 30 dimensions: below the truth, nearer with more samples; InfoNCE below log2 of its candidates', (t) => {
  const covariance = linearChannel(6, 30, 100), truth = gaussianMutualInformation(covariance, 6);
  const samples = gaussianSamples(covariance, 1500, 1), { train, heldOut } = parts(samples, 1000, 6);
  const few = { x: train.x.subMatrix(0, 149, 0, 5), e: train.e.subMatrix(0, 149, 0, 29) };
  const little = variationalBound({ train: few, heldOut }), much = variationalBound({ train, heldOut });
  t.true(little.bits < much.bits);
  t.true(much.bits <= truth + 3 * much.standardError && much.bits >= truth - 3 * much.standardError - 0.3, `${much.bits} of ${truth}`);
  t.is(much.candidates, 250);
  t.true(much.infoNce <= Math.log2(250) && much.infoNce < truth && much.infoNce > 0.7 * truth);
  const fewComponents = variationalBound({ train, heldOut }, { components: 2, ridge: 0 });
  t.true(fewComponents.bits < much.bits - 1);
});

test('unchanged by shifts and by scales common to all dimensions; independent variables give no more than sampling error', (t) => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1000 }), fc.double({ min: 0.01, max: 100, noNaN: true }), fc.double({ min: -10, max: 10, noNaN: true }), (seed, scale, shift) => {
    const samples = gaussianSamples(linearChannel(2, 3, 7), 120, seed), run = parts(samples, 80, 2), { bits, infoNce } = variationalBound(run);
    const moved = variationalBound(parts(samples.clone().mul(scale).add(shift), 80, 2));
    t.true(near(moved.bits, bits, 1e-6) && near(moved.infoNce, infoNce, 1e-6));
    const unrelated = variationalBound(parts(gaussianSamples(Matrix.eye(5), 240, seed), 120, 2));
    t.true(unrelated.bits <= 5 * unrelated.standardError + 1e-9, `${unrelated.bits}`);
  }), { numRuns: 15 });
});

test('too few samples, or unequal numbers of them, are an error in words', (t) => {
  const run = parts(gaussianSamples(correlated(0.5), 15, 0), 8, 1);
  t.throws(() => variationalBound(run), { instanceOf: UserError, message: /at least 8/ });
});
