import { UserError } from '../errors.js';
import { RandomStream } from '../tensor/random.js';

const SPLIT = 11;

/**
 * Images that an estimator is fitted to and those that it is judged on; the same for all models of a seed.
 * @returns image numbers: floor(count heldOutFraction) are held out
 */
export function heldOutSplit(count: number, heldOutFraction: number, seed: number): { train: Int32Array; heldOut: Int32Array } {
  const order = new RandomStream(seed, SPLIT).permutation(count), heldOutCount = Math.floor(count * heldOutFraction);
  return { train: order.subarray(heldOutCount), heldOut: order.subarray(0, heldOutCount) };
}

/** Mean of chosen rows of an array [n, size]: [size]. */
export function meanOfRows(values: Float32Array, rows: ArrayLike<number>, size: number): Float32Array {
  const sum = new Float64Array(size);
  for (let r = 0; r < rows.length; r++) {
    const from = rows[r] * size;
    for (let i = 0; i < size; i++) sum[i] += values[from + i];
  }
  return Float32Array.from(sum, (v) => v / rows.length);
}

/**
 * Memories with every channel at mean 0 and deviation 1 over the tokens of the given images; a channel that never changes becomes 0.
 * An invertible map of E, so that I(X; E) stays as it is.
 * @param memory [n, S, C]
 * @param rows images whose statistics are taken
 * @param size S C
 */
export function standardizedMemory(memory: Float32Array, channels: number, rows: ArrayLike<number>, size: number): Float32Array {
  const sum = new Float64Array(channels), squares = new Float64Array(channels);
  const count = rows.length * (size / channels);
  const each = (visit: (channel: number, value: number) => void): void => {
    for (let r = 0; r < rows.length; r++) for (let i = 0, at = rows[r] * size; i < size; i++, at++) visit(i % channels, memory[at]);
  };
  each((c, v) => (sum[c] += v));
  each((c, v) => (squares[c] += (v - sum[c] / count) ** 2));
  const mean = sum.map((s) => s / count), deviation = squares.map((s) => Math.sqrt(s / count));
  const factor = deviation.map((d, c) => (d > 1e-6 * Math.max(1, Math.abs(mean[c])) ? 1 / d : 0));
  return memory.map((v, i) => (v - mean[i % channels]) * factor[i % channels]);
}

/**
 * Pixels as the target of a reconstruction: averaged over squares, in [0, 1].
 * @param pixels RGB 0..255, [n, size, size, 3]
 * @param size of the images
 * @param targetSize of the result; divides `size`
 * @returns [n, targetSize, targetSize, 3]
 * @throws UserError when targetSize does not divide size
 */
export function imageTargets(pixels: Uint8Array, size: number, targetSize: number): Float32Array {
  const factor = size / targetSize, count = pixels.length / (size * size * 3);
  if (!Number.isInteger(factor) || !Number.isInteger(count)) throw new UserError(`targetSize (${targetSize}) should divide the images' size (${size}), and ${pixels.length} pixels be images of it`);
  const targets = new Float32Array(count * targetSize * targetSize * 3);
  for (let n = 0, at = 0; n < count; n++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const to = ((n * targetSize + Math.floor(y / factor)) * targetSize + Math.floor(x / factor)) * 3;
        for (let c = 0; c < 3; c++) targets[to + c] += pixels[at++];
      }
    }
  }
  return targets.map((v) => v / (255 * factor * factor));
}
