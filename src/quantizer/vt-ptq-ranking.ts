/**
 * How far quantized attention scores are from keeping the order of the real-valued ones: Eq. 13 of VT-PTQ, the hinge (theta - p)+ with
 * p = (A'_ki - A'_kj) sign(A_ki - A_kj) over rows k and pairs of columns i < j. A pair costs nothing when it keeps its order with a margin of theta; one that is
 * equal in A costs theta. The formula sums over rows and pairs; here it is their mean, so that gamma weighs it against a correlation for matrices of any
 * size. Scores are the products q k^T before scaling and softmax (their Eq. 3).
 * @param real A, rows of `columns` scores
 * @param threshold theta
 * @returns the loss of A', as long as `real`
 */
export function rankingLoss(real: ArrayLike<number>, columns: number, threshold: number): (quantized: ArrayLike<number>) => number {
  const rows = real.length / columns, pairs = (rows * columns * (columns - 1)) / 2;
  // columns of each row by falling score: then every sign is +, and lower[i] is where scores below that of i begin
  const order = new Int32Array(real.length), lower = new Int32Array(real.length);
  let equalPairs = 0;
  for (let start = 0; start < real.length; start += columns) {
    order.set(Array.from({ length: columns }, (_, i) => start + i).sort((a, b) => real[b] - real[a]), start);
    for (let i = columns - 1; i >= 0; i--) {
      const next = start + i + 1;
      lower[start + i] = i + 1 < columns && real[order[start + i]] === real[order[next]] ? lower[next] : i + 1;
      equalPairs += lower[start + i] - i - 1;
    }
  }
  const sorted = new Float64Array(columns);
  return (quantized) => {
    let sum = equalPairs * threshold;
    for (let start = 0; start < real.length; start += columns) {
      for (let i = 0; i < columns; i++) sorted[i] = quantized[order[start + i]];
      for (let i = 0; i < columns - 1; i++) {
        const least = sorted[i] - threshold;
        for (let j = lower[start + i]; j < columns; j++) {
          const short = sorted[j] - least;
          sum += short > 0 ? short : 0;
        }
      }
    }
    return pairs === 0 ? 0 : sum / pairs;
  };
}
