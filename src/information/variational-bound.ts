import { Matrix } from 'ml-matrix';
import { UserError } from '../errors.js';
import { fitLinearGaussian, log2Densities, predictions, whitened, type LinearGaussianDecoder } from './linear-gaussian.js';

/** Samples of X and E, split into those that the decoder is fitted to and those that it is judged on; each [n, p] and [n, d]. */
export interface SplitSamples {
  train: { x: Matrix; e: Matrix };
  heldOut: { x: Matrix; e: Matrix };
}

/** How the decoder q(x | e) is fitted. */
export interface VariationalSettings {
  /** At most so many principal components of E. */
  components: number;
  /** Relative to the mean variance of the components. */
  ridge: number;
}

/** The settings of the cross-checks. */
export const VARIATIONAL_SETTINGS: VariationalSettings = { components: 64, ridge: 1e-3 };

/** Result of {@link variationalBound}, in bits. */
export interface VariationalBound {
  /** H(X) + E[log2 q(x | e)]. */
  bits: number;
  /** Standard error of `bits` from the number of held-out samples; where samples depend on each other it is too small. */
  standardError: number;
  /** InfoNCE with the critic log2 q(x | e) - log2 q(x): a bound without H(X), never above log2 of the number of candidates. */
  infoNce: number;
  /** Samples among which InfoNCE looks for the right one. */
  candidates: number;
}

/** Most held-out samples that InfoNCE compares with each other. */
const MOST_CANDIDATES = 256;

/**
 * Lower bounds of I(X; E) (Barber and Agakov, NIPS 2003): I = H(X) - H(X|E) >= H(X) + E[log2 q(x | e)] for any q, here a linear-Gaussian decoder
 * fitted to the training part and judged on the held-out part. Tight where X and E are jointly Gaussian and samples many.
 *
 * H(X) is often not known. Without `entropyX`, the cross-entropy of a Gaussian q(x) fitted to the training part stands for it, which is H(X) or more:
 * `bits` then is the information that a linear-Gaussian reader can use (predictive V-information, Xu et al., ICLR 2020), equal to I for Gaussians and
 * possibly above I for others; as H(X) is the same for all models, their order does not depend on it. `infoNce` (van den Oord et al., 2018) stays
 * a lower bound whatever X is, because its critic is fitted on other samples.
 * @param entropyX H(X) in bits, where it is known
 * @throws UserError for fewer than 8 samples in a part
 */
export function variationalBound({ train, heldOut }: SplitSamples, settings: VariationalSettings = VARIATIONAL_SETTINGS, entropyX?: number): VariationalBound {
  for (const { x, e } of [train, heldOut]) if (x.rows < 8 || x.rows !== e.rows) throw new UserError(`${x.rows} samples of X and ${e.rows} of E: give at least 8 pairs to fit and 8 to judge`);
  const decoder = fitLinearGaussian(train.x, train.e, settings);
  const predicted = predictions(decoder, heldOut.e);
  const conditional = log2Densities(decoder.conditional, Matrix.sub(heldOut.x, predicted));
  const marginal = log2Densities(decoder.marginal, heldOut.x.clone().subRowVector(decoder.mean));
  const gains = conditional.map((v, i) => (entropyX === undefined ? v - marginal[i] : v + entropyX));
  const bits = meanOf(gains);
  const standardError = Math.sqrt(meanOf(gains.map((v) => (v - bits) ** 2)) / (gains.length - 1));
  return { bits, standardError, ...infoNce(decoder, heldOut.x, predicted, marginal) };
}

/**
 * InfoNCE in bits: the mean over i of f(x_i, e_i) - log2 of the mean over j of 2^f(x_j, e_i), in groups of equal size. What log2 q(x | e) has beside
 * the distance is the same everywhere and falls out.
 */
function infoNce(decoder: LinearGaussianDecoder, x: Matrix, predicted: Matrix, marginal: Float64Array): { infoNce: number; candidates: number } {
  const groups = Math.ceil(x.rows / MOST_CANDIDATES), candidates = Math.floor(x.rows / groups);
  const xs = whitened(decoder.conditional, x).to2DArray(), means = whitened(decoder.conditional, predicted).to2DArray();
  const score = (i: number, j: number): number => -0.5 * Math.LOG2E * xs[j].reduce((sum, v, k) => sum + (v - means[i][k]) ** 2, 0) - marginal[j];
  const terms = Array.from({ length: groups * candidates }, (_, i) => {
    const from = i - (i % candidates), scores = Float64Array.from({ length: candidates }, (_, j) => score(i, from + j));
    const highest = scores.reduce((a, b) => Math.max(a, b));
    return scores[i - from] - highest - Math.log2(meanOf(scores.map((v) => 2 ** (v - highest))));
  });
  return { infoNce: meanOf(terms), candidates };
}

const meanOf = (values: readonly number[] | Float64Array): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
};
