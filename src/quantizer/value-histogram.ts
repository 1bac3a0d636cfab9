const BINS = 4096;

/** Counts of values in 4096 equal bins, over a range that grows with the values: it doubles, and neighbours merge. */
export class ValueHistogram {
  readonly counts = new Float64Array(BINS);
  min = Infinity;
  max = -Infinity;
  /** Values added. */
  total = 0;
  /** Sum of |value|. */
  sumOfMagnitudes = 0;
  #low = 0;
  #width = 0;

  /** Adds the values at `start`, `start + step`, ... (blocks of `run` neighbours each, to the end of the array). */
  add(values: ArrayLike<number>, start = 0, run = values.length, step = Math.max(run, 1)): void {
    let min = Infinity, max = -Infinity;
    for (let block = start; block < values.length; block += step) {
      for (let i = block; i < block + run; i++) {
        if (values[i] < min) min = values[i];
        if (values[i] > max) max = values[i];
      }
    }
    if (min > max) return;
    this.#cover(min, max);
    const { counts } = this, low = this.#low, width = this.#width;
    let sum = this.sumOfMagnitudes, added = 0;
    for (let block = start; block < values.length; block += step) {
      for (let i = block; i < block + run; i++) {
        const value = values[i];
        counts[Math.min(Math.max(Math.floor((value - low) / width), 0), BINS - 1)]++;
        sum += Math.abs(value);
      }
      added += run;
    }
    this.sumOfMagnitudes = sum;
    this.total += added;
  }

  /** The bins that hold something: their centres (kept within [min, max]) and counts. */
  points(): { centres: Float64Array; counts: Float64Array } {
    const filled = [...this.counts.keys()].filter((i) => this.counts[i] > 0);
    const centre = (i: number): number => Math.min(Math.max(this.#low + (i + 0.5) * this.#width, this.min), this.max);
    return { centres: Float64Array.from(filled, centre), counts: Float64Array.from(filled, (i) => this.counts[i]) };
  }

  /**
   * The value below which p per cent of the values lie, interpolated between neighbours as numpy.percentile does by default; exact to the width of a bin.
   * @param p 0 to 100; 0 gives min, 100 max
   * @throws RangeError for another p, or where no values were added
   */
  percentile(p: number): number {
    if (!(p >= 0 && p <= 100) || this.total === 0) throw new RangeError(`percentile ${p} of ${this.total} values`);
    if (p === 0 || p === 100) return p === 0 ? this.min : this.max;
    const position = (p / 100) * (this.total - 1), below = Math.floor(position);
    const value = this.#ordered(below);
    return position === below ? value : value + (position - below) * (this.#ordered(below + 1) - value);
  }

  /** The value that has `rank` others below it; those of one bin are taken as evenly spread. */
  #ordered(rank: number): number {
    let bin = 0, below = 0;
    while (below + this.counts[bin] <= rank) below += this.counts[bin++];
    const value = this.#low + (bin + (rank - below + 0.5) / this.counts[bin]) * this.#width;
    return Math.min(Math.max(value, this.min), this.max);
  }

  #cover(min: number, max: number): void {
    if (this.total === 0) {
      this.#low = min;
      this.#width = Math.max(max - min, Math.abs(max) * 1e-6, 1e-12) / BINS;
    }
    this.min = Math.min(this.min, min);
    this.max = Math.max(this.max, max);
    while (min < this.#low) this.#double(BINS / 2);
    while (max > this.#low + BINS * this.#width) this.#double(0);
  }

  /** Merges pairs of bins into the half that begins at `half`; the other half becomes empty. */
  #double(half: number): void {
    const merged = Float64Array.from({ length: BINS / 2 }, (_, i) => this.counts[2 * i] + this.counts[2 * i + 1]);
    this.counts.fill(0);
    this.counts.set(merged, half);
    if (half > 0) this.#low -= BINS * this.#width;
    this.#width *= 2;
  }
}
