import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

/** Directions of greatest variance of samples. */
export interface PrincipalComponents {
  /** Mean of the samples [d]. */
  mean: number[];
  /** Orthonormal directions, one a column, in order of falling variance [d, k]. */
  directions: Matrix;
  /** Variance of the samples along each [k]. */
  variances: number[];
}

/** Variances below this part of the largest one are rounding. */
const SMALLEST_RELATIVE_VARIANCE = 1e-10;

/**
 * Principal components of samples [n, d]: at most `count`, fewer where the samples span fewer. With more dimensions than samples, from the inner
 * products of the samples [n, n] instead of the covariance [d, d].
 */
export function principalComponents(samples: Matrix, count: number): PrincipalComponents {
  const mean = samples.mean('column');
  const centred = samples.clone().subRowVector(mean);
  const wide = centred.columns > centred.rows;
  const products = (wide ? centred.mmul(centred.transpose()) : centred.transpose().mmul(centred)).div(samples.rows - 1);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(products, { assumeSymmetric: true });
  const falling = realEigenvalues.map((value, i) => ({ value, i })).sort((a, b) => b.value - a.value);
  const kept = falling.slice(0, count).filter(({ value }) => value > SMALLEST_RELATIVE_VARIANCE * falling[0].value);
  const vectors = eigenvectorMatrix.subMatrixColumn(kept.map(({ i }) => i));
  const directions = wide ? centred.transpose().mmul(vectors) : vectors;
  if (wide) kept.forEach(({ value }, k) => directions.mulColumn(k, 1 / Math.sqrt(value * (samples.rows - 1))));
  return { mean, directions, variances: kept.map(({ value }) => value) };
}

/** Samples [n, d] in the coordinates of principal components: [n, k]. */
export const project = (samples: Matrix, { mean, directions }: PrincipalComponents): Matrix => samples.clone().subRowVector(mean).mmul(directions);
