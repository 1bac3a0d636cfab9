import { CholeskyDecomposition, Matrix } from 'ml-matrix';

/**
 * Differential entropy of a Gaussian in bits: 1/2 log2 ((2 pi e)^d det covariance); with d = 1 this is Eq. 2.29 as it should be printed.
 * @param covariance [d, d], positive definite
 * @throws Error when it is not positive definite
 */
export function gaussianEntropy(covariance: Matrix): number {
  return 0.5 * (covariance.rows * Math.log2(2 * Math.PI * Math.E) + log2Determinant(covariance));
}

/**
 * Mutual information of jointly Gaussian variables in bits: H(X) + H(Y) - H(X, Y).
 * @param covariance of (X, Y) [d, d], positive definite
 * @param split dimensions of X, between 1 and d - 1
 */
export function gaussianMutualInformation(covariance: Matrix, split: number): number {
  const last = covariance.rows - 1;
  const x = covariance.subMatrix(0, split - 1, 0, split - 1), y = covariance.subMatrix(split, last, split, last);
  return 0.5 * (log2Determinant(x) + log2Determinant(y) - log2Determinant(covariance));
}

/** Mutual information of two Gaussian numbers with correlation rho, in bits: -1/2 log2(1 - rho^2). */
export const correlationInformation = (rho: number): number => -0.5 * Math.log2(1 - rho * rho);

/**
 * What the matrix-based mutual information of order 2 (`renyiMutualInformation`) tends to with many samples of two standard normal numbers of
 * correlation rho, both under the kernel exp(-d^2 / (2 width^2)): Shannon's information at the smaller correlation rho / (1 + width^2 / 4).
 * It follows from E[exp(-(d1^2 + d2^2) / width^2)] over the differences (d1, d2) of two samples, which are Gaussian with twice the covariance.
 * (Our derivation: the sources give no closed form.)
 */
export const renyiInformationOfCorrelation = (rho: number, width: number): number => correlationInformation(rho / (1 + (width * width) / 4));

/**
 * log2 of the determinant of a symmetric positive definite matrix.
 * @throws Error when it is not positive definite
 */
export function log2Determinant(matrix: Matrix): number {
  const cholesky = new CholeskyDecomposition(matrix);
  if (!cholesky.isPositiveDefinite()) throw new Error(`a covariance [${matrix.rows}, ${matrix.columns}] is not positive definite`);
  return 2 * cholesky.lowerTriangularMatrix.diagonal().reduce((sum, v) => sum + Math.log2(v), 0);
}
