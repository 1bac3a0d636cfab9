import type { Levels } from '../quantizer/levels.js';
import { toIntegers } from '../quantizer/integer-inference.js';
import type { ArrayValue } from '../tensor/parameters.js';

/**
 * H(q) of Eq. 2.31 for q ~ N(mu, sigma^2): 1/2 ln(2 pi e sigma^2), in nats. The book prints 1/2 log(2 pi sigma^2), without the e that a Gaussian's
 * -E[log p] has (and Eq. 2.30's normalizer with the exponent +1/2 for -1/2): a constant, which moves no maximum.
 * @param variance sigma^2
 */
export function gaussianEntropy(variance: number): number {
  return 0.5 * Math.log(2 * Math.PI * Math.E * variance);
}

/**
 * The Gaussian entropy of queries after Eq. 2.32, in nats: their variance is gamma^2 sigma^2 / (sigma^2 + eps). The book claims
 * 1/2 log(2 pi e (sigma^2 + eps) / gamma^2), in which the fraction stands on its head.
 */
export function alignedEntropy(variance: number, gamma: number, epsilon = 1e-5): number {
  return gaussianEntropy((gamma * gamma * variance) / (variance + epsilon));
}

/** How many values lie in each of equal bins from `low` to `high`. */
export interface Histogram {
  low: number;
  high: number;
  counts: number[];
}

/** Distribution of query values (Fig. 2.8). */
export interface QueryDistribution {
  mean: number;
  variance: number;
  /** Of a Gaussian with this variance, nats. */
  entropy: number;
  histogram: Histogram;
}

/**
 * Mean, variance, Gaussian entropy and histogram of captured queries.
 * @param values in any order
 * @param bins the histogram's range and number of bins; values outside count in the first and the last one. Left out: from the lowest to the highest value, 64 bins
 */
export function queryDistribution(values: ArrayLike<number>, bins: { low?: number; high?: number; count?: number } = {}): QueryDistribution {
  let mean = 0, low = Infinity, high = -Infinity, variance = 0;
  for (let i = 0; i < values.length; i++) {
    mean += values[i] / values.length;
    low = Math.min(low, values[i]);
    high = Math.max(high, values[i]);
  }
  for (let i = 0; i < values.length; i++) variance += (values[i] - mean) ** 2 / values.length;
  ({ low = low, high = high } = bins);
  const counts = new Array<number>(bins.count ?? 64).fill(0), width = (high - low) / counts.length || 1;
  for (let i = 0; i < values.length; i++) counts[Math.min(Math.max(Math.floor((values[i] - low) / width), 0), counts.length - 1)]++;
  return { mean, variance, entropy: gaussianEntropy(variance), histogram: { low, high, counts } };
}

/** How often each level of a quantizer is used. */
export interface CodeUse {
  /** The level of `counts[0]`. */
  lowest: number;
  counts: number[];
  /** Entropy of the codes, bits: at most the quantizer's bit-width. */
  entropy: number;
}

/**
 * Use of a quantizer's codes by captured queries (x_q of Eq. 2.24), over all heads.
 * @param queries [B, N, T, D], as the quantizer sees them: after the alignment
 * @param scale [N]
 * @param offset [N], or null for a quantizer without one
 */
export function codeUse(queries: ArrayValue, scale: ArrayLike<number>, offset: ArrayLike<number> | null, levels: Levels): CodeUse {
  const counts = new Array<number>(levels.highest - levels.lowest + 1).fill(0);
  for (const code of toIntegers(queries, scale, offset, levels, 1).integers) counts[code - levels.lowest]++;
  return { lowest: levels.lowest, counts, entropy: entropyInBits(counts) };
}

/** Entropy of a discrete distribution from its counts, bits; 0 without any. */
export function entropyInBits(counts: readonly number[]): number {
  const total = counts.reduce((sum, c) => sum + c, 0);
  return counts.reduce((sum, c) => (c > 0 ? sum - (c / total) * Math.log2(c / total) : sum), 0);
}
