import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { RandomStream } from '../../src/tensor/random.js';

/** n samples of a Gaussian of mean 0: [n, d]. */
export function gaussianSamples(covariance: Matrix, n: number, seed: number): Matrix {
  const stream = new RandomStream(seed, 77), lower = new CholeskyDecomposition(covariance).lowerTriangularMatrix;
  const white = new Matrix(Array.from({ length: n }, () => Array.from({ length: covariance.rows }, () => stream.normal())));
  return white.mmul(lower.transpose());
}

/** Covariance of two standard normal numbers. */
export const correlated = (rho: number): Matrix => new Matrix([[1, rho], [rho, 1]]);
