import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { tf, type Tensor } from './tf.js';
import { convolutionInfo, poolingInfo } from './shape-rules.js';
import { sizeOf } from './parameters.js';
import { LOWEST, callKernel as call, region, replaceKernel, type Attrs, type Kernel, type Tensors } from './replace-kernel.js';

const WASM = 'wasm';

/** x [B, H, W, C] with sh - 1 zero rows after each row and sw - 1 zero columns after each column. */
function spread(x: Tensor, sh: number, sw: number): Tensor {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const rows = sh === 1 ? x : tf.pad(tf.reshape(x, [B * H, 1, W * C]), [[0, 0], [0, sh - 1], [0, 0]]);
  const columns = sw === 1 ? rows : tf.pad(tf.reshape(rows, [B * H * sh * W, 1, C]), [[0, 0], [0, sw - 1], [0, 0]]);
  return tf.reshape(columns, [B, H * sh, W * sw, C]);
}

/** dL/dfilter as a convolution whose images are the channels and whose filter is dy, dilated by the stride. wasm has no such kernel. */
function convolutionFilterGradient({ x, dy }: Tensors, attributes: Attrs): Tensor {
  const shape = attributes.filterShape as number[], info = convolutionInfo(x.shape, shape, attributes);
  const { strideHeight: sh, strideWidth: sw, outHeight, outWidth, filterHeight: kh, filterWidth: kw, padInfo: { top, left } } = info;
  if (kh === 1 && kw === 1 && sh === 1 && sw === 1 && top === 0 && left === 0) return tf.reshape(tf.matMul(tf.reshape(x, [-1, shape[2]]), tf.reshape(dy, [-1, shape[3]]), true), shape);
  const seen = region(x, [-top, -left], [(outHeight - 1) * sh + kh, (outWidth - 1) * sw + kw]);
  const sums = tf.conv2d(tf.transpose(seen, [3, 1, 2, 0]) as tf.Tensor4D, tf.transpose(dy, [1, 2, 0, 3]) as tf.Tensor4D, 1, 'valid', 'NHWC', [sh, sw]);
  return tf.transpose(sums, [1, 2, 0, 3]);
}

/** dL/dx as a convolution of dy, spread by the stride, with the filter turned around: wasm's own kernel is a plain loop. */
function convolutionInputGradient({ dy, filter }: Tensors, attributes: Attrs): Tensor {
  const shape = attributes.inputShape as number[], info = convolutionInfo(shape, filter.shape, attributes);
  const { strideHeight, strideWidth, filterHeight: kh, filterWidth: kw, padInfo: { top, left } } = info;
  const around = region(spread(dy, strideHeight, strideWidth), [top + 1 - kh, left + 1 - kw], [shape[1] + kh - 1, shape[2] + kw - 1]);
  return tf.conv2d(around as tf.Tensor4D, tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]) as tf.Tensor4D, 1, 'valid');
}

/**
 * dL/dx of maximum pooling: every dy goes to the first maximum of its window. wasm's own kernel drops it, silently, where all of a
 * window is negative.
 */
function maxPoolGradient({ dy, input: x, output: y }: Tensors, attributes: Attrs): Tensor {
  const { strideHeight: sh, strideWidth: sw, outHeight, outWidth, filterHeight: kh, filterWidth: kw, padInfo: { top, left } } = poolingInfo(x.shape, attributes);
  const rows = (outHeight - 1) * sh + 1, columns = (outWidth - 1) * sw + 1, extent = [rows + kh - 1, columns + kw - 1];
  const seen = region(x, [-top, -left], extent, LOWEST);
  let unplaced = dy, sum: Tensor | undefined;
  for (let i = 0; i < kh; i++) {
    for (let j = 0; j < kw; j++) {
      const pixels = tf.stridedSlice(seen, [0, i, j, 0], [x.shape[0], i + rows, j + columns, x.shape[3]!], [1, sh, sw, 1]);
      const hit = tf.mul(unplaced, tf.cast(tf.equal(pixels, y), 'float32'));
      unplaced = tf.sub(unplaced, hit);
      const placed = region(spread(hit, sh, sw), [-i, -j], extent);
      sum = sum ? tf.add(sum, placed) : placed;
    }
  }
  return region(sum!, [top, left], [x.shape[1]!, x.shape[2]!]);
}

/** Sums of the rows of x with the same id, as a product with the one-hot matrix of the ids. wasm has no such kernel. */
function segmentSum({ x, segmentIds }: Tensors, { numSegments }: Attrs): Tensor {
  const n = numSegments as number, count = segmentIds.size;
  const oneHot = tf.cast(tf.equal(tf.reshape(tf.range(0, n, 1, 'int32'), [n, 1]), tf.reshape(segmentIds, [1, count])), 'float32');
  return tf.reshape(tf.matMul(oneHot, tf.reshape(x, [count, x.size / count])), [n, ...x.shape.slice(segmentIds.rank)]);
}

/** What batched products need of the backend beside its public methods. */
interface WasmInternals {
  dataIdNextNumber: number;
  wasm: { cwrap(name: string, result: null, parameters: string[]): (...values: unknown[]) => void; tfjs: { registerTensor(id: number, size: number, offset: number): void; disposeData(id: number): void } };
}

/**
 * wasm's own matrix product is fast for two matrices as they stand (36 GFLOP/s at 512) and slow for transposed (1 to 3 GFLOP/s) or
 * batched ones: transposed operands are transposed first, and a batch is a row of products over views of its memory.
 */
const matrixProduct = (original: Kernel) => ({ a, b }: Tensors, { transposeA, transposeB }: Attrs): Tensor => {
  const swap = (t: Tensor): Tensor => tf.transpose(t, t.shape.map((_, i) => (i === t.rank - 1 ? i - 1 : i === t.rank - 2 ? i + 1 : i)));
  const A = transposeA ? swap(a) : a, B = transposeB ? swap(b) : b;
  const batches = sizeOf(A.shape.slice(0, -2)), backend = tf.backend() as BackendWasm;
  if (batches === 1 || batches !== sizeOf(B.shape.slice(0, -2))) return call(original, { a: A, b: B }, { transposeA: false, transposeB: false });
  const { wasm } = backend as unknown as WasmInternals, internals = backend as unknown as WasmInternals;
  const [m, k] = A.shape.slice(-2), n = B.shape[B.rank - 1]!;
  const out = backend.makeOutput([...tf.broadcast_util.assertAndGetBroadcastShape(A.shape.slice(0, -2), B.shape.slice(0, -2)), m, n], 'float32');
  const multiply = wasm.cwrap('BatchMatMul', null, ['number', 'array', 'number', 'number', 'array', 'number', 'number', 'number', 'number']);
  const dimensions = (rows: number, columns: number): Uint8Array => new Uint8Array(Int32Array.of(1, rows, columns).buffer);
  const views = [A, B, out].map((t) => ({ offset: backend.getMemoryOffset(t.dataId), size: sizeOf(t.shape) / batches, id: 0 }));
  for (let batch = 0; batch < batches; batch++) {
    for (const view of views) wasm.tfjs.registerTensor((view.id = internals.dataIdNextNumber++), view.size, view.offset + 4 * batch * view.size);
    multiply(views[0].id, dimensions(m, k), 3, views[1].id, dimensions(k, n), 3, 0, 0, views[2].id);
    for (const view of views) wasm.tfjs.disposeData(view.id);
  }
  return tf.engine().makeTensorFromTensorInfo(out);
};

/** wasm's kernel takes integers for floats. */
const clip = (original: Kernel) => ({ x }: Tensors, attrs: Attrs): Tensor => (x.dtype === 'float32' ? call(original, { x }, attrs) : tf.cast(call(original, { x: tf.cast(x, 'float32') }, attrs), x.dtype));

/** wasm's kernel makes other numbers than 0 and 1 of truths. */
const cast = (original: Kernel) => ({ x }: Tensors, attrs: Attrs): Tensor => {
  if (attrs.dtype === 'bool' && x.dtype !== 'bool') return tf.notEqual(x, tf.scalar(0, x.dtype));
  return call(original, { x }, attrs);
};

/** wasm's kernel writes integers into floats. */
const oneHot = (original: Kernel) => ({ indices }: Tensors, { depth, onValue, offValue, dtype }: Attrs): Tensor => {
  const [on, off] = [onValue as number, offValue as number];
  if (dtype !== 'float32') return call(original, { indices }, { depth, onValue, offValue, dtype });
  return tf.add(tf.mul(tf.cast(call(original, { indices }, { depth, onValue: 1, offValue: 0, dtype: 'int32' }), 'float32'), on - off), off);
};

/** wasm's kernel divides integers as 32-bit floats: the quotient of what that leaves over is added. */
const floorQuotient = (original: Kernel) => ({ a, b }: Tensors, attrs: Attrs): Tensor => {
  const quotient = call(original, { a, b }, attrs);
  return a.dtype === 'float32' ? quotient : tf.add(quotient, call(original, { a: tf.sub(a, tf.mul(quotient, b)), b: tf.broadcastTo(b, quotient.shape) }, attrs));
};

/**
 * Training kernels that tfjs-backend-wasm lacks, has wrong or has slow, composed from those that it has. Call it once, after the
 * backend was loaded.
 *
 * The backend's build with threads is not used. In Node it starts only with stand-ins for Blob and URL.createObjectURL, and takes at
 * most half of the cores. Measured on the benchmark's step (test/bench/small-detr.ts) with 2 cores: 332 ms instead of 380 while
 * nothing else ran; beside other work, where its threads wait for each other by spinning, 0.75 to 9 s instead of 0.7 to 5 s.
 */
export function registerWasmKernels(): void {
  replaceKernel(WASM, 'Conv2DBackpropFilter', () => convolutionFilterGradient);
  replaceKernel(WASM, 'Conv2DBackpropInput', () => convolutionInputGradient);
  replaceKernel(WASM, 'MaxPoolGrad', () => maxPoolGradient);
  replaceKernel(WASM, 'UnsortedSegmentSum', () => segmentSum);
  replaceKernel(WASM, 'BatchMatMul', matrixProduct);
  replaceKernel(WASM, 'ClipByValue', clip);
  replaceKernel(WASM, 'Cast', cast);
  replaceKernel(WASM, 'OneHot', oneHot);
  replaceKernel(WASM, 'FloorDiv', floorQuotient);
}
