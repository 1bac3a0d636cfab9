/**
 * The integer arithmetic that fake quantization stands for, Eq. 2.25:
 * Q_a(x) . Q_w(w) = alpha_x alpha_w (x_q . w_q + z/alpha_x sum(w_q)). The sum is over small integers; scales are applied
 * once to a result, and the offset z becomes a part of the bias. Plain loops: a definition to compare with, not for speed.
 */
import { sizeOf, type ArrayValue } from '../tensor/parameters.js';
import type { Levels } from './levels.js';

/** A tensor as integers: value = scale * integer + offset. Row-major. */
export interface IntegerTensor {
  shape: readonly number[];
  integers: Int16Array;
  /** One for each index of `axis`, or one for all. */
  scale: ArrayLike<number>;
  offset: ArrayLike<number>;
}

/** The nearest integer; ties go to the even one. */
export function roundHalfToEven(v: number): number {
  const low = Math.floor(v), rest = v - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

/**
 * x_q or w_q of Eq. 2.24, in single precision as the fake quantizer computes it.
 * @param scale one value, or one for each index of `axis`
 * @param offset as `scale`; none for weights
 */
export function toIntegers(values: ArrayValue, scale: ArrayLike<number>, offset: ArrayLike<number> | null, { lowest, highest }: Levels, axis = 0): IntegerTensor {
  const run = sizeOf(values.shape.slice(axis + 1));
  const zeros = offset ?? new Float32Array(scale.length);
  const integers = Int16Array.from(values.data, (x, i) => {
    const c = scale.length === 1 ? 0 : Math.floor(i / run) % scale.length;
    const v = Math.fround(Math.fround(x - zeros[c]) / scale[c]);
    return roundHalfToEven(Math.min(Math.max(v, lowest), highest));
  });
  return { shape: values.shape, integers, scale, offset: zeros };
}

/**
 * A quantized linear layer.
 * @param x [rows, in], one scale and offset
 * @param w [out, in], a scale for each output, no offset
 * @param bias [out] or null
 * @returns [rows, out]
 */
export function integerLinear(x: IntegerTensor, w: IntegerTensor, bias: ArrayLike<number> | null): ArrayValue {
  const [rows, inputs] = x.shape, outputs = w.shape[0];
  const sums = new Int32Array(rows * outputs), weightSums = new Int32Array(outputs);
  for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) weightSums[o] += w.integers[o * inputs + i];
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outputs; o++) {
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += Math.imul(x.integers[r * inputs + i], w.integers[o * inputs + i]);
      sums[r * outputs + o] = sum;
    }
  }
  return { shape: [rows, outputs], data: dequantize(sums, weightSums, x, w, bias) };
}

/**
 * A quantized convolution. The border holds the integer of 0, round(clip(-z/alpha)), as Q_a(0) does in `conv2d`.
 * @param x [B, H, W, in], one scale and offset
 * @param w [height, width, in, out], a scale for each output, no offset
 * @param bias [out] or null
 * @param range the levels of x
 * @returns [B, H', W', out]
 */
export function integerConvolution(x: IntegerTensor, w: IntegerTensor, bias: ArrayLike<number> | null, { stride, padding }: { stride: number; padding: number }, range: Levels): ArrayValue {
  const [images, height, width, channels] = x.shape;
  const [kernelHeight, kernelWidth, , outputs] = w.shape;
  const outHeight = Math.floor((height + 2 * padding - kernelHeight) / stride) + 1, outWidth = Math.floor((width + 2 * padding - kernelWidth) / stride) + 1;
  const border = toIntegers({ shape: [1], data: new Float32Array(1) }, x.scale, x.offset, range).integers[0];
  const at = (b: number, row: number, column: number, c: number): number =>
    row < 0 || column < 0 || row >= height || column >= width ? border : x.integers[((b * height + row) * width + column) * channels + c];
  const sums = new Int32Array(images * outHeight * outWidth * outputs), weightSums = new Int32Array(outputs);
  w.integers.forEach((v, i) => { weightSums[i % outputs] += v; });
  for (let b = 0, place = 0; b < images; b++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++, place += outputs) {
        for (let tap = 0; tap < kernelHeight * kernelWidth * channels; tap++) {
          const c = tap % channels, kx = Math.floor(tap / channels) % kernelWidth, ky = Math.floor(tap / channels / kernelWidth);
          const v = at(b, row * stride + ky - padding, column * stride + kx - padding, c);
          for (let o = 0; o < outputs; o++) sums[place + o] += Math.imul(v, w.integers[tap * outputs + o]);
        }
      }
    }
  }
  return { shape: [images, outHeight, outWidth, outputs], data: dequantize(sums, weightSums, x, w, bias) };
}

/** alpha_x alpha_w sum + (alpha_w z sum(w_q) + bias); what is in brackets is known before x is. */
function dequantize(sums: Int32Array, weightSums: Int32Array, x: IntegerTensor, w: IntegerTensor, bias: ArrayLike<number> | null): Float32Array {
  const outputs = weightSums.length;
  const alphaW = (o: number): number => w.scale[w.scale.length === 1 ? 0 : o];
  const folded = Float64Array.from(weightSums, (s, o) => alphaW(o) * x.offset[0] * s + (bias ? bias[o] : 0));
  return Float32Array.from(sums, (s, i) => x.scale[0] * alphaW(i % outputs) * s + folded[i % outputs]);
}
