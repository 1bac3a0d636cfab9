import { sizeOf, type ArrayValue } from '../tensor/parameters.js';

/** The values of an operand that are normalized together: a head's channels of one token, or the tokens of one head and channel. */
export type NormalizedOver = 'head-width' | 'queries';

/**
 * Least squares of q = gamma z + beta, z = (q - mean) / sqrt(variance + eps) of Eq. 2.32, over all values that it has seen: with gamma and beta of
 * shape [D] for each channel, over all heads (`head-width`), or [N, D] for each head and channel (`queries`).
 */
export class AlignmentFit {
  readonly #sums: { n: number; z: number; q: number; zz: number; zq: number }[];

  constructor(readonly shape: readonly number[], readonly over: NormalizedOver, readonly epsilon: number) {
    this.#sums = Array.from({ length: sizeOf(shape) }, () => ({ n: 0, z: 0, q: 0, zz: 0, zq: 0 }));
  }

  /** @param q [B, N, T, D] */
  add({ shape, data }: { shape: readonly number[]; data: ArrayLike<number> }): void {
    const [batch, heads, tokens, width] = shape;
    for (let b = 0; b < batch; b++) {
      for (let n = 0; n < heads; n++) {
        const start = (b * heads + n) * tokens * width;
        if (this.over === 'queries') for (let d = 0; d < width; d++) this.#addTogether(data, start + d, width, tokens, () => n * width + d);
        else for (let t = 0; t < tokens; t++) this.#addTogether(data, start + t * width, 1, width, (d) => d);
      }
    }
  }

  /** gamma and beta; 1 and the mean for a channel whose z never varies. */
  solve(): { gamma: ArrayValue; beta: ArrayValue } {
    const lines = this.#sums.map(({ n, z, q, zz, zq }) => {
      const variance = zz / n - (z / n) ** 2, gamma = variance > 1e-9 ? (zq / n - (z / n) * (q / n)) / variance : 1;
      return { gamma, beta: (q - gamma * z) / n };
    });
    const array = (values: number[]): ArrayValue => ({ shape: this.shape, data: Float32Array.from(values) });
    return { gamma: array(lines.map((l) => l.gamma)), beta: array(lines.map((l) => l.beta)) };
  }

  /** The `size` values at `start`, `start + step`, ...; `parameter` says which gamma and beta the i-th has. */
  #addTogether(data: ArrayLike<number>, start: number, step: number, size: number, parameter: (i: number) => number): void {
    let mean = 0, variance = 0;
    for (let i = 0; i < size; i++) mean += data[start + i * step] / size;
    for (let i = 0; i < size; i++) variance += (data[start + i * step] - mean) ** 2 / size;
    const deviation = Math.sqrt(variance + this.epsilon);
    for (let i = 0; i < size; i++) {
      const q = data[start + i * step], z = (q - mean) / deviation, sums = this.#sums[parameter(i)];
      sums.n++;
      sums.z += z;
      sums.q += q;
      sums.zz += z * z;
      sums.zq += z * q;
    }
  }
}
