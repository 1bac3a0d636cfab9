import { constantValue, type Graph, type TensorSpec, type Value } from '../graph.js';
import { rebuild, type GraphBuilder, type RewriteRule } from '../graph-builder.js';
import { convolutionInfo, poolingInfo, reductionAxes, sliceRange } from '../shape-rules.js';
import { simplifications, simplify } from '../simplify.js';
import { sizeOf } from '../parameters.js';

/**
 * Attributes of `Window`, [B, H, W, C] -> [B, oh, ow, kh, kw, C]: element (b, p, q, i, j, c) is x at row (p sh + i - top)/dh and column
 * (q sw + j - left)/dw, or `fill` where that is no pixel. With dh = dw = 1 the windows of a convolution; with strides 1 and
 * dh, dw the convolution's strides those of its input gradient.
 */
export interface WindowAttributes {
  strides: readonly [number, number];
  pads: readonly [number, number];
  kernel: readonly [number, number];
  output: readonly [number, number];
  dilation: readonly [number, number];
  fill: number;
}

const spec = (shape: readonly number[], dtype: TensorSpec['dtype'] = 'float32'): TensorSpec[] => [{ shape: [...shape], dtype }];

function windows(b: GraphBuilder, x: Value, attributes: WindowAttributes): Value {
  const [B, , , C] = x.shape;
  return b.one('Window', { x }, { ...attributes }, spec([B, ...attributes.output, ...attributes.kernel, C], x.dtype));
}

interface Geometry { strides: [number, number]; pads: [number, number]; kernel: [number, number]; output: [number, number] }

function convolutionGeometry(x: readonly number[], filter: readonly number[], attributes: Record<string, unknown>): Geometry {
  const info = convolutionInfo(x, filter, attributes);
  if (info.dilationHeight !== 1 || info.dilationWidth !== 1) throw new Error('dilated convolutions have no gradient in tfjs and are not planned');
  return { strides: [info.strideHeight, info.strideWidth], pads: [info.padInfo.top, info.padInfo.left], kernel: [info.filterHeight, info.filterWidth], output: [info.outHeight, info.outWidth] };
}

function poolingGeometry(x: readonly number[], attributes: Record<string, unknown>): Geometry {
  const info = poolingInfo(x, attributes);
  return { strides: [info.strideHeight, info.strideWidth], pads: [info.padInfo.top, info.padInfo.left], kernel: [info.filterHeight, info.filterWidth], output: [info.outHeight, info.outWidth] };
}

/** The windows of an input [B, H, W] that an output's gradient (or position) flows back through, the kernel turned around. */
function transposedWindows(b: GraphBuilder, dy: Value, [, H, W]: readonly number[], { strides, pads, kernel }: Geometry, fill = 0): Value {
  return windows(b, dy, { strides: [1, 1], pads: [kernel[0] - 1 - pads[0], kernel[1] - 1 - pads[1]], kernel, output: [H, W], dilation: strides, fill });
}

const LOWEST = -3.4028234663852886e38;

/**
 * dL/dx of a strided convolution without products with the zeros between the pixels of dy. A kernel of one pixel: its product with dy, and the zeros are put between
 * the results. Any other: a column of the product for each place within a stride, since pixel q s + r of the padded x is reached by the taps
 * r, r + s, ... from the pixels q, q - 1, ... of dy; where a place has fewer taps than others, the missing ones are 0.
 */
function stridedInputGradient(b: GraphBuilder, dy: Value, filter: Value, shape: readonly number[], g: Geometry): Value {
  const [B, H, W, C] = shape, [, oh, ow, O] = dy.shape, { strides: [sh, sw], pads: [top, left], kernel: [kh, kw] } = g;
  const product = (rows: Value, matrix: Value): Value => b.one('BatchMatMul', { a: rows, b: matrix }, { transposeA: false, transposeB: false });
  if (kh * kw === 1) {
    const matrix = b.one('Transpose', { x: b.reshape(filter, [C, O]) }, { perm: [1, 0] });
    return b.reshape(transposedWindows(b, b.reshape(product(b.reshape(dy, [B * oh * ow, O]), matrix), [B, oh, ow, C]), shape, g), shape);
  }
  const th = Math.ceil(kh / sh), tw = Math.ceil(kw / sw), qh = Math.floor((H - 1 + top) / sh) + 1, qw = Math.floor((W - 1 + left) / sw) + 1;
  const whole = th * sh === kh && tw * sw === kw ? filter : b.one('PadV2', { x: filter }, { paddings: [[0, th * sh - kh], [0, tw * sw - kw], [0, 0], [0, 0]], constantValue: 0 });
  const turned = b.one('Reverse', { x: b.reshape(whole, [th, sh, tw, sw, C, O]) }, { dims: [0, 2] });
  const matrix = b.reshape(b.one('Transpose', { x: turned }, { perm: [0, 2, 5, 1, 3, 4] }), [th * tw * O, sh * sw * C]);
  const rows = windows(b, dy, { strides: [1, 1], pads: [th - 1, tw - 1], kernel: [th, tw], output: [qh, qw], dilation: [1, 1], fill: 0 });
  const places = b.reshape(product(b.reshape(rows, [B * qh * qw, th * tw * O]), matrix), [B, qh, qw, sh, sw, C]);
  const padded = b.reshape(b.one('Transpose', { x: places }, { perm: [0, 1, 3, 2, 4, 5] }), [B, qh * sh, qw * sw, C]);
  return b.one('Slice', { x: padded }, { begin: [0, top, left, 0], size: [...shape] });
}

/** Convolutions as matrix products over windows: nothing is unfolded in memory, the product's tiles read through the window. */
const convolutions: RewriteRule = ({ op, inputs, attributes, outputs: [out] }, b) => {
  if (op === 'Conv2D') {
    const g = convolutionGeometry(inputs.x.shape, inputs.filter.shape, attributes);
    const [B, oh, ow, O] = out.shape, K = g.kernel[0] * g.kernel[1] * inputs.x.shape[3];
    const columns = b.reshape(windows(b, inputs.x, { ...g, dilation: [1, 1], fill: 0 }), [B * oh * ow, K]);
    return [b.reshape(b.one('BatchMatMul', { a: columns, b: b.reshape(inputs.filter, [K, O]) }, { transposeA: false, transposeB: false }), out.shape)];
  }
  if (op === 'Conv2DBackpropFilter') {
    const g = convolutionGeometry(inputs.x.shape, out.shape, attributes);
    const [B, oh, ow, O] = inputs.dy.shape, K = g.kernel[0] * g.kernel[1] * inputs.x.shape[3];
    const columns = b.reshape(windows(b, inputs.x, { ...g, dilation: [1, 1], fill: 0 }), [B * oh * ow, K]);
    return [b.reshape(b.one('BatchMatMul', { a: columns, b: b.reshape(inputs.dy, [B * oh * ow, O]) }, { transposeA: true, transposeB: false }), out.shape)];
  }
  if (op === 'Conv2DBackpropInput') {
    const g = convolutionGeometry(out.shape, inputs.filter.shape, attributes);
    if (g.strides[0] * g.strides[1] > 1) return [stridedInputGradient(b, inputs.dy, inputs.filter, out.shape, g)];
    const [B, H, W, C] = out.shape, O = inputs.dy.shape[3], K = g.kernel[0] * g.kernel[1] * O;
    const rows = b.reshape(transposedWindows(b, inputs.dy, out.shape, g), [B * H * W, K]);
    const turned = g.kernel[0] * g.kernel[1] === 1 ? inputs.filter : b.one('Reverse', { x: inputs.filter }, { dims: [0, 1] });
    const filter = b.reshape(b.one('Transpose', { x: turned }, { perm: [0, 1, 3, 2] }), [K, C]);
    return [b.reshape(b.one('BatchMatMul', { a: rows, b: filter }, { transposeA: false, transposeB: false }), out.shape)];
  }
  return undefined;
};

/** Pooling as reductions over windows. A maximum's gradient goes to the first of equal elements, as in PyTorch. */
const poolings: RewriteRule = ({ op, inputs, attributes, outputs: [out] }, b) => {
  if (!['MaxPool', 'AvgPool', 'MaxPoolGrad', 'AvgPoolGrad'].includes(op)) return undefined;
  const x = op.endsWith('Grad') ? inputs.input : inputs.x;
  const g = poolingGeometry(x.shape, attributes), [kh, kw] = g.kernel;
  const over = (v: Value, reduction: string): Value => b.one(reduction, { x: v }, { axis: [3, 4], keepDims: false });
  if (op === 'MaxPool') return [over(windows(b, x, { ...g, dilation: [1, 1], fill: LOWEST }), 'Max')];
  if (op === 'AvgPool') {
    const [, H, W] = x.shape, [oh, ow] = g.output;
    const inside = (at: number, axis: 0 | 1, size: number): number => Array.from({ length: g.kernel[axis] }, (_, i) => at * g.strides[axis] + i - g.pads[axis]).filter((p) => p >= 0 && p < size).length;
    const counts = constantValue(Float32Array.from({ length: oh * ow }, (_, k) => inside(Math.floor(k / ow), 0, H) * inside(k % ow, 1, W)), { shape: [1, oh, ow, 1], dtype: 'float32' });
    return [b.one('RealDiv', { a: over(windows(b, x, { ...g, dilation: [1, 1], fill: 0 }), 'Sum'), b: counts })];
  }
  if (op === 'AvgPoolGrad') {
    const { top, left, bottom, right } = poolingInfo(x.shape, attributes).padInfo;
    if (top + left + bottom + right > 0) throw new Error(`the gradient of padded average pooling is wrong in tfjs and is not planned: pad the input before, or use 'valid'`);
    return [b.one('Multiply', { a: over(transposedWindows(b, inputs.dy, out.shape, g), 'Sum'), b: b.uniform(1 / (kh * kw), []) })];
  }
  const flat = b.reshape(windows(b, x, { ...g, dilation: [1, 1], fill: LOWEST }), [x.shape[0], ...g.output, kh * kw, x.shape[3]]);
  const first = b.one('ArgMax', { x: flat }, { axis: 3 });
  const position = b.reshape(b.one('Iota', {}, { shape: [kh * kw], axis: 0, start: kh * kw - 1, step: -1 }, spec([kh * kw], 'int32')), [1, 1, 1, kh, kw, 1]); // turned around
  const here = b.one('Equal', { a: transposedWindows(b, first, out.shape, g, -1), b: position });
  const flowing = transposedWindows(b, inputs.dy, out.shape, g);
  return [over(b.one('Multiply', { a: flowing, b: b.one('Cast', { x: here }, { dtype: 'float32' }) }), 'Sum')];
};

/** What tfjs has kernels for and a fused kernel writes as arithmetic. */
const composed: RewriteRule = ({ op, inputs, attributes, outputs }, b) => {
  const [out] = outputs;
  if (op === 'Softmax') {
    const x = inputs.logits, axis = [x.shape.length - 1];
    const e = b.one('Exp', { x: b.one('Sub', { a: x, b: b.one('Max', { x }, { axis, keepDims: true }) }) });
    return [b.one('RealDiv', { a: e, b: b.one('Sum', { x: e }, { axis, keepDims: true }) })];
  }
  if (op === 'Mean') {
    const count = sizeOf(inputs.x.shape) / sizeOf(out.shape);
    return [b.one('Multiply', { a: b.one('Sum', inputs, attributes), b: b.uniform(1 / count, []) })];
  }
  if (op === 'Split' || op === 'SplitV') {
    const axis = attributes.axis as number, along = axis < 0 ? axis + out.shape.length : axis;
    let at = 0;
    return outputs.map((o) => {
      const begin = o.shape.map((_, k) => (k === along ? at : 0));
      at += o.shape[along];
      return b.one('Slice', { x: inputs.x }, { begin, size: [...o.shape] });
    });
  }
  if (op === 'Tile') {
    const { x } = inputs, reps = attributes.reps as number[];
    const wide = b.one('BroadcastTo', { x: b.reshape(x, x.shape.flatMap((d) => [1, d])) }, { shape: x.shape.flatMap((d, k) => [reps[k], d]) });
    return [b.reshape(wide, out.shape)];
  }
  if (op === 'OneHot') {
    const { depth, onValue = 1, offValue = 0 } = attributes as { depth: number; onValue?: number; offValue?: number };
    const range = b.one('Iota', {}, { shape: [depth], axis: 0, start: 0, step: 1 }, spec([depth], 'int32'));
    const hit = b.one('Cast', { x: b.one('Equal', { a: b.reshape(inputs.indices, [...inputs.indices.shape, 1]), b: range }) }, { dtype: out.dtype });
    return [b.one('Add', { a: b.one('Multiply', { a: hit, b: b.uniform(onValue - offValue, [], out.dtype) }), b: b.uniform(offValue, [], out.dtype) })];
  }
  if (op === 'UnsortedSegmentSum') {
    const { x, segmentIds } = inputs, segments = attributes.numSegments as number, count = sizeOf(segmentIds.shape), width = sizeOf(x.shape) / count;
    const range = b.reshape(b.one('Iota', {}, { shape: [segments], axis: 0, start: 0, step: 1 }, spec([segments], 'int32')), [segments, 1]);
    const hit = b.one('Cast', { x: b.one('Equal', { a: range, b: b.reshape(segmentIds, [1, count]) }) }, { dtype: 'float32' });
    return [b.reshape(b.one('BatchMatMul', { a: hit, b: b.reshape(x, [count, width]) }, { transposeA: false, transposeB: false }), out.shape)];
  }
  if (op === 'Cumsum') {
    const { x } = inputs, axis = attributes.axis as number, at = axis < 0 ? axis + x.shape.length : axis, n = x.shape[at];
    const range = (rank: number, k: number): Value => b.reshape(b.one('Iota', {}, { shape: [n], axis: 0, start: 0, step: 1 }, spec([n], 'int32')), Array.from({ length: rank }, (_, i) => (i === k ? n : 1)));
    const rank = x.shape.length + 1; // [..., from, to, ...]
    const comparison = `${attributes.reverse ? 'Greater' : 'Less'}${attributes.exclusive ? '' : 'Equal'}`;
    const counts = b.one('Cast', { x: b.one(comparison, { a: range(rank, at), b: range(rank, at + 1) }) }, { dtype: x.dtype });
    const wide = b.reshape(x, [...x.shape.slice(0, at + 1), 1, ...x.shape.slice(at + 1)]);
    return [b.one('Sum', { x: b.one('Multiply', { a: wide, b: counts }) }, { axis: [at], keepDims: false })];
  }
  if (op === 'Slice') {
    const inner = inputs.x.node;
    if (inner?.op === 'Slice') {
      const { begin } = sliceRange(inputs.x.shape, attributes), outer = sliceRange(inner.inputs[0].shape, inner.attributes);
      return b.emit('Slice', { x: inner.inputs[0] }, { begin: begin.map((n, k) => n + outer.begin[k]), size: [...out.shape] });
    }
  }
  return undefined;
};

/** Sums of fewer elements than this are taken in one step. */
const LONG_REDUCTION = 1024;
/** Elements that a thread of a partial sum should take, and threads that keep a large GPU busy. */
const ELEMENTS_OF_A_THREAD = 16, BUSY_THREADS = 2 ** 17, THREADS_OF_A_RESULT = 8;

const largestDivisor = (n: number, most: number): number => {
  for (let d = Math.min(n, Math.floor(most)); d > 1; d--) if (n % d === 0) return d;
  return 1;
};

/**
 * A long sum with few results as partial sums and their sum, so that all of a GPU takes part: the outer axes of the sum are kept, whole or
 * in parts, until there are enough partial sums.
 */
const longSums: RewriteRule = ({ op, inputs: { x }, attributes, outputs: [out] }, b) => {
  if (!['Sum', 'Max', 'Min'].includes(op) || attributes.partial) return undefined;
  const axes = reductionAxes(attributes, x.shape.length).sort((p, q) => p - q), results = sizeOf(out.shape), count = sizeOf(x.shape) / results;
  const threads = Math.min(BUSY_THREADS, (count * results) / ELEMENTS_OF_A_THREAD);
  const wanted = Math.min(threads / (results * THREADS_OF_A_RESULT), count / 64);
  if (count < LONG_REDUCTION || wanted < 2) return undefined;
  const split: number[] = [], inner: number[] = [], outer: number[] = [];
  let parts = 1;
  x.shape.forEach((d, k) => {
    const kept = axes.includes(k) ? largestDivisor(d, wanted / parts) : 1;
    if (kept > 1) {
      outer.push(split.length);
      split.push(kept);
      parts *= kept;
    }
    if (axes.includes(k)) inner.push(split.length);
    split.push(d / kept);
  });
  if (parts < 2) return undefined;
  const partial = b.one(op, { x: b.reshape(x, split) }, { axis: inner, keepDims: true, partial: true });
  return [b.reshape(b.one(op, { x: partial }, { axis: outer, keepDims: true, partial: true }), out.shape)];
};

/**
 * Batch normalization in two sums, one after the other, in place of four: mean and squared deviations of each part of the rows, then those of
 * all from the parts' (Chan, Golub and LeVeque, 1979), which loses nothing to cancellation.
 */
const batchNormalizations: RewriteRule = ({ op, inputs, attributes, outputs }, b) => {
  if (op !== 'BatchNorm') return undefined;
  const { x, weight, bias } = inputs, C = x.shape[x.shape.length - 1], rows = sizeOf(x.shape) / C;
  const threads = Math.min(BUSY_THREADS, (rows * C) / ELEMENTS_OF_A_THREAD), parts = largestDivisor(rows, Math.min(threads / (C * THREADS_OF_A_RESULT), rows / 64));
  const sum = (v: Value, axis: number): Value => b.one('Sum', { x: v }, { axis: [axis], keepDims: true, partial: true });
  const scaled = (v: Value, factor: number): Value => b.one('Multiply', { a: v, b: b.uniform(factor, []) });
  const squared = (v: Value): Value => b.one('Square', { x: v });
  const grouped = b.reshape(x, [parts, rows / parts, C]);
  const means = scaled(sum(grouped, 1), parts / rows), deviations = sum(squared(b.one('Sub', { a: grouped, b: means })), 1); // [parts, 1, C]
  const mean = scaled(sum(means, 0), 1 / parts);
  const between = scaled(squared(b.one('Sub', { a: means, b: mean })), rows / parts);
  const variance = scaled(sum(b.one('Add', { a: deviations, b: between }), 0), 1 / rows); // [1, 1, C]
  const [m, v] = [mean, variance].map((t) => b.reshape(t, [C]));
  const scale = b.one('Multiply', { a: weight, b: b.one('Rsqrt', { x: b.one('Add', { a: v, b: b.uniform(attributes.epsilon as number, []) }) }) });
  const y = b.one('Add', { a: b.one('Multiply', { a: b.one('Sub', { a: x, b: m }), b: scale }), b: bias });
  return [b.reshape(y, outputs[0].shape), m, v];
};

/** Tiles of a matrix product below which its inner dimension is split, tiles that keep a large GPU busy, and the least inner dimension of a part. */
const FEW_TILES = 96, MANY_TILES = 264, SHORT_INNER = 128;

/** A product of small matrices over a long inner dimension as several products and their sum: dL/dfilter, dL/dweight. */
const longProducts: RewriteRule = ({ op, inputs, attributes, outputs: [out] }, b) => {
  if (op !== 'BatchMatMul' || out.shape.length !== 2) return undefined;
  const [M, N] = out.shape, K = attributes.transposeA ? inputs.a.shape[0] : inputs.a.shape[1], least = Math.min(M, N);
  const side = least >= 96 ? 128 : least > 32 ? 64 : 32, tiles = Math.ceil(M / side) * Math.ceil(N / side);
  if (tiles >= FEW_TILES || K < 4 * SHORT_INNER) return undefined;
  const parts = largestDivisor(K, Math.min(Math.ceil(MANY_TILES / tiles), K / SHORT_INNER));
  if (parts < 2) return undefined;
  const part = (v: Value, size: number, innerFirst: boolean): Value => (innerFirst ? b.reshape(v, [parts, K / parts, size]) : b.one('Transpose', { x: b.reshape(v, [size, parts, K / parts]) }, { perm: [1, 0, 2] }));
  const a = part(inputs.a, M, Boolean(attributes.transposeA)), c = part(inputs.b, N, !attributes.transposeB);
  const partial = b.one('BatchMatMul', { a, b: c }, { transposeA: Boolean(attributes.transposeA), transposeB: Boolean(attributes.transposeB) });
  return [b.one('Sum', { x: partial }, { axis: [0], keepDims: false })];
};

/**
 * A traced step in the operations that kernels are written from: element-wise operations, views (`Reshape`, `Transpose`, `BroadcastTo`, `Slice`,
 * `PadV2`, `Concat`, `Reverse`, `GatherV2`, `Window`, `Iota`), reductions and matrix products.
 */
export function toPrimitives(traced: Graph): Graph {
  const rules = [convolutions, poolings, batchNormalizations, composed, ...simplifications];
  const plain = rebuild(rebuild(simplify(traced), rules), rules);
  return rebuild(rebuild(plain, [longProducts, ...rules]), [longSums, ...rules]);
}
