import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { log2Determinant } from './gaussian-information.js';
import { principalComponents, project, type PrincipalComponents } from './principal-components.js';

/** A Gaussian of any mean, ready for densities: the lower Cholesky factor of its covariance. */
export interface Gaussian {
  lower: Matrix;
  log2Determinant: number;
}

/** q(x | e) = N(W z(e) + b, R), with z(e) the principal components of e; and q(x) = N(b, covariance). */
export interface LinearGaussianDecoder {
  components: PrincipalComponents;
  /** W [k, p]. */
  weights: Matrix;
  /** b [p]: mean of x. */
  mean: number[];
  conditional: Gaussian;
  marginal: Gaussian;
}

/** Ridge added to a covariance's diagonal, relative to its mean: keeps constant dimensions from a density without a limit. */
const COVARIANCE_RIDGE = 1e-6;

function gaussianOf(residuals: Matrix): Gaussian {
  const covariance = residuals.transpose().mmul(residuals).div(residuals.rows);
  const ridge = COVARIANCE_RIDGE * (covariance.trace() / covariance.rows) + Number.MIN_VALUE;
  for (let i = 0; i < covariance.rows; i++) covariance.set(i, i, covariance.get(i, i) + ridge);
  return { lower: new CholeskyDecomposition(covariance).lowerTriangularMatrix, log2Determinant: log2Determinant(covariance) };
}

/**
 * Fits the linear-Gaussian decoder: ridge regression of x on the principal components of e. R is the covariance of the leave-one-out residuals
 * (those of the fit itself would be too small, by much where components are many and samples few).
 * @param x [n, p], @param e [n, d]
 * @param options `components`: at most so many of e; `ridge`: added to each component's variance, relative to the mean of them
 */
export function fitLinearGaussian(x: Matrix, e: Matrix, { components: count, ridge }: { components: number; ridge: number }): LinearGaussianDecoder {
  const components = principalComponents(e, count), z = project(e, components);
  const mean = x.mean('column'), centred = x.clone().subRowVector(mean);
  const n = x.rows, { variances } = components;
  const strength = (ridge * variances.reduce((sum, v) => sum + v, 0)) / Math.max(variances.length, 1);
  const inverse = variances.map((v) => 1 / ((n - 1) * (v + strength))); // the components are uncorrelated: the normal equations are diagonal
  const weights = z.transpose().mmul(centred).mulColumnVector(inverse);
  const residuals = centred.clone().sub(z.mmul(weights));
  for (let i = 0; i < n; i++) {
    const leverage = 1 / n + inverse.reduce((sum, v, k) => sum + v * z.get(i, k) ** 2, 0);
    residuals.mulRow(i, 1 / Math.max(1 - leverage, 1e-6));
  }
  return { components, weights, mean, conditional: gaussianOf(residuals), marginal: gaussianOf(centred.mul(n / (n - 1))) };
}

/** Predictions of x: [m, d] -> [m, p]. */
export const predictions = (decoder: LinearGaussianDecoder, e: Matrix): Matrix => project(e, decoder.components).mmul(decoder.weights).addRowVector(decoder.mean);

/** Differences from a Gaussian's mean in coordinates where its covariance is 1: [m, p] -> [m, p]. */
export function whitened({ lower }: Gaussian, differences: Matrix): Matrix {
  const result = Matrix.zeros(differences.rows, differences.columns);
  for (let i = 0; i < result.rows; i++) {
    for (let r = 0; r < result.columns; r++) {
      let value = differences.get(i, r);
      for (let c = 0; c < r; c++) value -= lower.get(r, c) * result.get(i, c);
      result.set(i, r, value / lower.get(r, r));
    }
  }
  return result;
}

/** log2 of a Gaussian's density at each row of differences from its mean: [m, p] -> [m]. */
export function log2Densities(gaussian: Gaussian, differences: Matrix): Float64Array {
  const rows = whitened(gaussian, differences), constant = rows.columns * Math.log2(2 * Math.PI) + gaussian.log2Determinant;
  return Float64Array.from({ length: rows.rows }, (_, i) => -0.5 * (constant + Math.LOG2E * rows.getRow(i).reduce((sum, v) => sum + v * v, 0)));
}
