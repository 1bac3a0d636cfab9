import { sizeOf, type ArrayValue } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import type { Tensor } from '../tensor/tf.js';
import type { Observer } from './observer.js';

/** What VT-PTQ keeps of the calibration batches. */
export interface CaptureSettings {
  /** I: images kept of each operand, the first ones. */
  images: number;
  /** P: tokens, or windows of a convolution, kept of each image, the same at random for all operands of as many tokens. */
  positions: number;
}

/** Some rows of an operand, [I, ...shape], in pieces of one batch each. */
export interface Captured {
  images: number;
  shape: readonly number[];
  pieces: Float32Array[];
}

/** What was seen: weights as matrices [in, out] and inputs [I, P, in] by module, operands of attention [I, N, P, D] by quantizer. */
export interface Capture {
  observe: Observer;
  weights: ReadonlyMap<string, ArrayValue>;
  inputs: ReadonlyMap<string, Captured>;
  operands: ReadonlyMap<string, Captured>;
}

/** All of 0 to count - 1 in order, or `limit` of them at random, always the same. */
export function samplePositions(count: number, limit: number): Int32Array {
  if (count <= limit) return Int32Array.from({ length: count }, (_, i) => i);
  return new RandomStream(0, count).permutation(count).slice(0, limit).sort();
}

/**
 * Captures weights and subsamples of inputs and attention operands from forward passes. An input of a convolution is kept as windows [height * width * in] of its kernel's
 * size, zeros beyond the border, around any pixels: the stride isn't known here, and its own pixels look like the others. Of `v` all tokens are kept, since every
 * row of the attention weights needs them.
 */
export function createCapture({ images, positions }: CaptureSettings): Capture {
  const weights = new Map<string, ArrayValue>(), kernels = new Map<string, readonly number[]>();
  const inputs = new Map<string, Captured>(), operands = new Map<string, Captured>();
  const keep = (into: Map<string, Captured>, name: string, count: number, shape: readonly number[], fill: (to: Float32Array, images: number) => void): void => {
    const seen = into.get(name) ?? { images: 0, shape, pieces: [] };
    const kept = Math.min(count, images - seen.images);
    into.set(name, seen);
    if (kept <= 0) return;
    const piece = new Float32Array(kept * sizeOf(shape));
    fill(piece, kept);
    seen.pieces.push(piece);
    seen.images += kept;
  };

  const observe: Observer = (quantizer, values) => {
    const [, module, kind] = /^(.*)\.([a-z]+)_quantizer$/.exec(quantizer) ?? [];
    const shape = values.shape as number[];
    if (kind === 'weight') {
      if (weights.has(module)) return;
      kernels.set(module, shape);
      weights.set(module, asMatrix(values));
    } else if (kind === 'input') {
      const isConvolution = shape.length === 4 && kernels.get(module)?.length === 4;
      const [tokens, channels] = isConvolution ? [shape[1] * shape[2], shape[3]] : shape.slice(-2);
      const chosen = samplePositions(tokens, positions);
      const [height, width] = isConvolution ? kernels.get(module)! : [1, 1];
      const inner = height * width * channels;
      keep(inputs, module, values.size / (tokens * channels), [chosen.length, inner], (to, kept) => {
        const from = values.dataSync() as Float32Array;
        if (isConvolution) copyWindows(from, to, chosen, kept, shape, height, width);
        else copyRows(from, to, chosen, kept, tokens, channels);
      });
    } else {
      const [batch, heads, tokens, columns] = shape;
      const chosen = samplePositions(tokens, kind === 'v' ? tokens : positions);
      keep(operands, quantizer, batch, [heads, chosen.length, columns], (to, kept) => copyRows(values.dataSync() as Float32Array, to, chosen, kept * heads, tokens, columns));
    }
  };
  return { observe, weights, inputs, operands };
}

/** Linear weight [out, in] or kernel HWIO as a matrix [in, out]. */
function asMatrix(weight: Tensor): ArrayValue {
  const from = weight.dataSync() as Float32Array, shape = weight.shape as number[];
  if (shape.length !== 2) return { shape: [sizeOf(shape.slice(0, -1)), shape[shape.length - 1]], data: Float32Array.from(from) };
  const [outputs, inputs] = shape;
  return { shape: [inputs, outputs], data: Float32Array.from(from, (_, i) => from[(i % outputs) * inputs + Math.floor(i / outputs)]) };
}

/** Rows `chosen` of each of `blocks` matrices [tokens, columns]. */
function copyRows(from: Float32Array, to: Float32Array, chosen: Int32Array, blocks: number, tokens: number, columns: number): void {
  for (let block = 0; block < blocks; block++) {
    chosen.forEach((token, i) => to.set(from.subarray((block * tokens + token) * columns, (block * tokens + token + 1) * columns), (block * chosen.length + i) * columns));
  }
}

/** Windows of the kernel's size around the pixels `chosen` of each image, [images, chosen, kernelHeight, kernelWidth, in]. */
function copyWindows(from: Float32Array, to: Float32Array, chosen: Int32Array, images: number, shape: readonly number[], kernelHeight: number, kernelWidth: number): void {
  const [, height, width, channels] = shape;
  let at = 0;
  for (let image = 0; image < images; image++) {
    for (const pixel of chosen) {
      const top = Math.floor(pixel / width) - ((kernelHeight - 1) >> 1), left = (pixel % width) - ((kernelWidth - 1) >> 1);
      for (let y = top; y < top + kernelHeight; y++) {
        for (let x = left; x < left + kernelWidth; x++, at += channels) {
          if (y < 0 || y >= height || x < 0 || x >= width) continue;
          const start = ((image * height + y) * width + x) * channels;
          to.set(from.subarray(start, start + channels), at);
        }
      }
    }
  }
}
