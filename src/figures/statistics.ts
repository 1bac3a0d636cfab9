/** Mean of n values with its two-sided 95 % confidence interval; no interval (null) for a single value. */
export interface Interval {
  mean: number;
  n: number;
  low: number | null;
  high: number | null;
}

/** P(|T| < t) of Student's t with `df` degrees of freedom, in closed form (Abramowitz & Stegun 26.7.3 and 26.7.4). */
export function studentWithin(t: number, df: number): number {
  const angle = Math.atan(t / Math.sqrt(df));
  const cosine = Math.cos(angle);
  const odd = df % 2 === 1;
  let term = odd ? cosine : 1;
  let sum = df === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k <= df - 2; k += 2) {
    term *= (cosine * cosine * (k - 1)) / k;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}

/** The t that |T| stays below with probability `confidence`: 12.706 for 1 degree of freedom at 0.95, 4.303 for 2. */
export function studentQuantile(df: number, confidence = 0.95): number {
  let low = 0;
  let high = 1;
  while (studentWithin(high, df) < confidence) high *= 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, df) < confidence) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Mean and 95 % t-interval of a sample of at least one value.
 * @throws RangeError for an empty sample.
 */
export function meanInterval(values: readonly number[]): Interval {
  const n = values.length;
  if (n === 0) throw new RangeError('a mean needs at least one value');
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, n, low: null, high: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = studentQuantile(n - 1) * Math.sqrt(variance / n);
  return { mean, n, low: mean - half, high: mean + half };
}
