import { RandomStream } from '../src/tensor/random.js';

/** Numbers for 41 million weights in a second, instead of Philox's in several. */
export class QuickStream extends RandomStream {
  #state = 1;

  override uniform(low = 0, high = 1): number {
    this.#state = (Math.imul(1664525, this.#state) + 1013904223) >>> 0;
    return low + (high - low) * (this.#state / 2 ** 32);
  }

  override normal(): number {
    return Math.sqrt(3) * this.uniform(-1, 1);
  }
}
