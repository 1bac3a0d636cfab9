import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

/** Samples, one a row: n rows of d values. */
export interface Samples {
  values: ArrayLike<number>;
  /** n. */
  rows: number;
  /** d. */
  columns: number;
}

/**
 * Squared Euclidean distances of all pairs: [n, n].
 * @throws Error when there are fewer values than rows and columns say
 */
export function squaredDistances({ values, rows, columns }: Samples): Matrix {
  if (values.length !== rows * columns) throw new Error(`${rows} samples of ${columns} values are not ${values.length} values`);
  const distances = Matrix.zeros(rows, rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < i; j++) {
      let sum = 0;
      for (let c = 0, a = i * columns, b = j * columns; c < columns; c++) {
        const d = values[a++] - values[b++];
        sum += d * d;
      }
      distances.set(i, j, sum);
      distances.set(j, i, sum);
    }
  }
  return distances;
}

/** The median distance of two samples, a width that suits samples of any number of dimensions. @param distances squared, [n, n] */
export function medianWidth(distances: Matrix): number {
  const below: number[] = [];
  for (let i = 0; i < distances.rows; i++) for (let j = 0; j < i; j++) below.push(Math.sqrt(distances.get(i, j)));
  const sorted = Float64Array.from(below).sort(), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Silverman's rule: s (4 / ((d + 2) n))^(1 / (d + 4)) with s^2 the mean variance of the d values. For few dimensions: with many, all kernel values
 * off the diagonal vanish and every entropy is log2 n.
 */
export function silvermanWidth({ values, rows, columns }: Samples): number {
  const mean = new Float64Array(columns), squares = new Float64Array(columns);
  for (let i = 0; i < rows * columns; i++) mean[i % columns] += values[i] / rows;
  for (let i = 0; i < rows * columns; i++) squares[i % columns] += (values[i] - mean[i % columns]) ** 2 / (rows - 1);
  const variance = squares.reduce((sum, v) => sum + v, 0) / columns;
  return Math.sqrt(variance) * (4 / ((columns + 2) * rows)) ** (1 / (columns + 4));
}

/**
 * The normalized Gram matrix of a Gaussian kernel: A_ij = exp(-|x_i - x_j|^2 / (2 width^2)) / n, so that its trace is 1.
 * @param distances squared, [n, n]
 */
export function gramMatrix(distances: Matrix, width: number): Matrix {
  if (!(width > 0)) throw new Error(`the width of a kernel should be above 0, but is ${width}: are all samples equal?`);
  const n = distances.rows, factor = -1 / (2 * width * width), gram = Matrix.zeros(n, n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) gram.set(i, j, Math.exp(factor * distances.get(i, j)) / n);
  return gram;
}

/**
 * Matrix-based Renyi entropy of order alpha in bits (Giraldo, Rao and Principe, IEEE Trans. Inf. Theory 2015, Eq. 6):
 * S(A) = 1 / (1 - alpha) log2 tr(A^alpha), between 0 (all samples alike under the kernel) and log2 n (all different).
 * alpha = 2 needs no eigenvalues, since tr(A^2) is the sum of squares. Near 1 it resembles Shannon's entropy of the spectrum.
 * @param gram normalized to trace 1, [n, n]
 * @param alpha above 0, not 1; the literature on information planes takes 1.01
 */
export function renyiEntropy(gram: Matrix, alpha = 2): number {
  if (!(alpha > 0) || alpha === 1) throw new Error(`Renyi's order should be above 0 and not 1, but is ${alpha}`);
  let trace = 0;
  if (alpha === 2) {
    for (let i = 0; i < gram.rows; i++) for (let j = 0; j < gram.columns; j++) trace += gram.get(i, j) ** 2;
  } else {
    const { realEigenvalues } = new EigenvalueDecomposition(gram, { assumeSymmetric: true });
    for (const value of realEigenvalues) if (value > gram.rows * Number.EPSILON) trace += value ** alpha; // what is left is rounding, also below 0
  }
  return Math.log2(trace) / (1 - alpha);
}

/** Joint entropy in bits: that of the Hadamard product, A o B / tr(A o B) (Giraldo et al. 2015, Eq. 8). */
export function renyiJointEntropy(a: Matrix, b: Matrix, alpha = 2): number {
  const product = Matrix.mul(a, b);
  return renyiEntropy(product.div(product.trace()), alpha);
}

/**
 * Matrix-based mutual information in bits: S(A) + S(B) - S(A, B) (Giraldo et al. 2015, Eq. 9). Symmetric, and the same in any order of the samples.
 *
 * It is not Shannon's information and no bound of it. The kernel blurs what is nearer than its width: for Gaussians and alpha = 2 the value tends to
 * that of a smaller correlation (`renyiInformationOfCorrelation`), and finitely many samples add to it even where the variables are independent.
 * I(X; X) is not S(X) either (the product of a kernel with itself is a narrower kernel), except for samples that are equal or far apart.
 * So it orders memories of one width rule and one number of samples; how far it agrees with closed forms is in test/information/renyi-entropy.test.ts.
 */
export function renyiMutualInformation(a: Matrix, b: Matrix, alpha = 2): number {
  return renyiEntropy(a, alpha) + renyiEntropy(b, alpha) - renyiJointEntropy(a, b, alpha);
}
