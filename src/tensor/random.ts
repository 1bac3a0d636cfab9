/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011). A number depends on (seed, stream, position)
 * and on nothing else, so that a resumed run draws what the uninterrupted one would have drawn.
 */

/** The upper and lower halves of the 64-bit product of two unsigned 32-bit integers, into `out`. */
function multiply32(a: number, b: number, out: Uint32Array): void {
  const ah = a >>> 16, al = a & 0xffff, bh = b >>> 16, bl = b & 0xffff;
  const low = al * bl, mid1 = ah * bl + (low >>> 16), mid2 = al * bh + (mid1 & 0xffff);
  out[0] = ah * bh + Math.floor(mid1 / 65536) + Math.floor(mid2 / 65536);
  out[1] = Math.imul(a, b);
}

const product = new Uint32Array(2);

/**
 * One block of Philox4x32-10.
 * @param counter four 32-bit words; overwritten with the four random words.
 * @param key0 first key word
 * @param key1 second key word
 */
export function philox4x32(counter: Uint32Array, key0: number, key1: number): void {
  let [c0, c1, c2, c3] = counter;
  let k0 = key0 >>> 0, k1 = key1 >>> 0;
  for (let round = 0; round < 10; round++) {
    multiply32(0xd2511f53, c0, product);
    const h0 = product[0], l0 = product[1];
    multiply32(0xcd9e8d57, c2, product);
    const h1 = product[0], l1 = product[1];
    c0 = (h1 ^ c1 ^ k0) >>> 0;
    c1 = l1;
    c2 = (h0 ^ c3 ^ k1) >>> 0;
    c3 = l0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  counter[0] = c0; counter[1] = c1; counter[2] = c2; counter[3] = c3;
}

/** A stream of random numbers with a seed, up to three stream numbers (say: purpose, epoch, item) and a position. */
export class RandomStream {
  readonly #block = new Uint32Array(4);
  #position = 0;

  /** @param seed run seed; @param stream up to three numbers that tell this stream from the others of the seed. */
  constructor(readonly seed: number, ...stream: [number?, number?, number?]) {
    this.stream = [stream[0] ?? 0, stream[1] ?? 0, stream[2] ?? 0];
  }

  readonly stream: readonly [number, number, number];

  /** An unsigned 32-bit integer. */
  uint32(): number {
    const lane = this.#position & 3;
    if (lane === 0) {
      this.#block.set([this.#position >>> 2, this.stream[0], this.stream[1], this.stream[2]]);
      philox4x32(this.#block, this.seed >>> 0, Math.floor(this.seed / 4294967296) >>> 0);
    }
    this.#position++;
    return this.#block[lane];
  }

  /** A float in [0, 1), or in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 4294967296);
  }

  /** An integer in [0, n). */
  integer(n: number): number {
    return Math.floor(this.uniform(0, n));
  }

  /** A standard normal number (Box-Muller). */
  normal(): number {
    const u = (this.uint32() + 1) / 4294967297;
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** The numbers 0 to n - 1 in random order (Fisher-Yates). */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
