import { tf } from './tf.js';
import type { DataType, TensorSpec } from './graph.js';

type Specs = Record<string, TensorSpec>;
type Attrs = Record<string, unknown>;
/** Shape and type of a kernel's outputs from those of its inputs. */
export type ShapeRule = (inputs: Specs, attributes: Attrs) => TensorSpec[];

const numbers = (v: unknown): number[] => v as number[];
const broadcast = (a: TensorSpec, b: TensorSpec): number[] => tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape]);

const unary = (name = 'x'): ShapeRule => (i) => [{ shape: i[name].shape, dtype: i[name].dtype }];
const unaryTo = (dtype: DataType): ShapeRule => (i) => [{ shape: i.x.shape, dtype }];
const binary = (dtype?: DataType): ShapeRule => (i) => [{ shape: broadcast(i.a, i.b), dtype: dtype ?? i.a.dtype }];

/** The axes of a reduction, non-negative. */
export function reductionAxes(attributes: Attrs, rank: number): number[] {
  const axis = (attributes.axis ?? attributes.reductionIndices) as number | number[] | undefined;
  const shape = Array.from({ length: rank }, () => 1);
  return tf.util.parseAxisParam(axis as number, shape);
}

const reduction = (dtype?: DataType): ShapeRule => (i, a) => {
  const axes = reductionAxes(a, i.x.shape.length);
  const shape = a.keepDims ? i.x.shape.map((d, k) => (axes.includes(k) ? 1 : d)) : i.x.shape.filter((_, k) => !axes.includes(k));
  return [{ shape, dtype: dtype ?? i.x.dtype }];
};

const pool: ShapeRule = (i, a) => [{ shape: poolingInfo(i.x.shape, a).outShape, dtype: i.x.dtype }];

/** Kernels of tfjs that a step may use, by name: the recording backend computes shapes with these and nothing else. */
export const shapeRules: Record<string, ShapeRule> = {
  ...Object.fromEntries(['Identity', 'Neg', 'Relu', 'Sigmoid', 'Exp', 'Log', 'Log1p', 'Abs', 'Sign', 'Square', 'Sqrt', 'Rsqrt', 'Reciprocal', 'Round', 'Floor', 'Ceil', 'Step', 'Tanh', 'Sin', 'Cos', 'Softplus', 'ClipByValue', 'ZerosLike', 'OnesLike', 'Reverse', 'Cumsum'].map((op) => [op, unary()])),
  Softmax: unary('logits'),
  LogicalNot: unaryTo('bool'),
  Cast: (i, a) => [{ shape: i.x.shape, dtype: a.dtype as DataType }],
  Reshape: (i, a) => [{ shape: tf.util.inferFromImplicitShape(numbers(a.shape), tf.util.sizeFromShape([...i.x.shape])), dtype: i.x.dtype }],
  ExpandDims: (i, a) => {
    const shape = [...i.input.shape], dim = a.dim as number;
    shape.splice(dim < 0 ? shape.length + dim + 1 : dim, 0, 1);
    return [{ shape, dtype: i.input.dtype }];
  },
  ...Object.fromEntries(['Add', 'Sub', 'Multiply', 'Maximum', 'Minimum', 'Pow', 'SquaredDifference', 'FloorDiv'].map((op) => [op, binary()])),
  RealDiv: binary('float32'),
  ...Object.fromEntries(['Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr'].map((op) => [op, binary('bool')])),
  AddN: (i) => [{ shape: Object.values(i)[0].shape, dtype: Object.values(i)[0].dtype }],
  Select: (i) => [{ shape: i.t.shape, dtype: i.t.dtype }],
  Sum: reduction(), Mean: reduction('float32'), Max: reduction(), Min: reduction(), Prod: reduction(), ArgMax: reduction('int32'), ArgMin: reduction('int32'),
  Transpose: (i, a) => [{ shape: numbers(a.perm).map((p) => i.x.shape[p]), dtype: i.x.dtype }],
  Tile: (i, a) => [{ shape: i.x.shape.map((d, k) => d * numbers(a.reps)[k]), dtype: i.x.dtype }],
  BroadcastTo: (i, a) => [{ shape: numbers(a.shape), dtype: i.x.dtype }],
  Concat: (i, a) => {
    const parts = Object.values(i), rank = parts[0].shape.length, axis = tf.util.parseAxisParam(a.axis as number, [...parts[0].shape])[0];
    return [{ shape: Array.from({ length: rank }, (_, k) => (k === axis ? parts.reduce((n, p) => n + p.shape[k], 0) : parts[0].shape[k])), dtype: parts[0].dtype }];
  },
  Pack: (i, a) => {
    const parts = Object.values(i), shape = [...parts[0].shape], axis = a.axis as number;
    shape.splice(axis < 0 ? shape.length + axis + 1 : axis, 0, parts.length);
    return [{ shape, dtype: parts[0].dtype }];
  },
  Unpack: (i, a) => {
    const axis = (a.axis as number) < 0 ? (a.axis as number) + i.value.shape.length : (a.axis as number);
    const shape = i.value.shape.filter((_, k) => k !== axis);
    return Array.from({ length: i.value.shape[axis] }, () => ({ shape, dtype: i.value.dtype }));
  },
  SplitV: (i, a) => {
    const axis = tf.util.parseAxisParam(a.axis as number, [...i.x.shape])[0];
    return tf.backend_util.prepareSplitSize({ shape: [...i.x.shape] } as never, a.numOrSizeSplits as number[], axis).map((n) => ({ shape: i.x.shape.map((d, k) => (k === axis ? n : d)), dtype: i.x.dtype }));
  },
  Slice: (i, a) => [{ shape: sliceRange(i.x.shape, a).size, dtype: i.x.dtype }],
  PadV2: (i, a) => [{ shape: i.x.shape.map((d, k) => d + (a.paddings as number[][])[k][0] + (a.paddings as number[][])[k][1]), dtype: i.x.dtype }],
  GatherV2: (i, a) => {
    const axis = tf.util.parseAxisParam(a.axis as number, [...i.x.shape])[0];
    if (a.batchDims) throw new Error('GatherV2 with batchDims is not traced');
    return [{ shape: [...i.x.shape.slice(0, axis), ...i.indices.shape, ...i.x.shape.slice(axis + 1)], dtype: i.x.dtype }];
  },
  UnsortedSegmentSum: (i, a) => [{ shape: [a.numSegments as number, ...i.x.shape.slice(i.segmentIds.shape.length)], dtype: i.x.dtype }],
  OneHot: (i, a) => [{ shape: [...i.indices.shape, a.depth as number], dtype: (a.dtype as DataType | undefined) ?? 'int32' }],
  Fill: (_, a) => [{ shape: numbers(a.shape), dtype: (a.dtype as DataType | undefined) ?? 'float32' }],
  BatchMatMul: (i, a) => {
    const A = i.a.shape, B = i.b.shape, n = A.length;
    const rows = a.transposeA ? A[n - 1] : A[n - 2], columns = a.transposeB ? B[B.length - 2] : B[B.length - 1];
    return [{ shape: [...tf.broadcast_util.assertAndGetBroadcastShape(A.slice(0, -2), B.slice(0, -2)), rows, columns], dtype: 'float32' }];
  },
  Conv2D: (i, a) => [{ shape: convolutionInfo(i.x.shape, i.filter.shape, a).outShape, dtype: 'float32' }],
  Conv2DBackpropInput: (_, a) => [{ shape: numbers(a.inputShape), dtype: 'float32' }],
  Conv2DBackpropFilter: (_, a) => [{ shape: numbers(a.filterShape), dtype: 'float32' }],
  MaxPool: pool, AvgPool: pool,
  MaxPoolGrad: (i) => [{ shape: i.input.shape, dtype: 'float32' }],
  AvgPoolGrad: (i) => [{ shape: i.input.shape, dtype: 'float32' }],
};

/** tfjs's own account of a 2-D convolution (NHWC, HWIO): output shape and paddings. */
export function convolutionInfo(x: readonly number[], filter: readonly number[], a: Attrs): ReturnType<typeof tf.backend_util.computeConv2DInfo> {
  const format = tf.backend_util.convertConv2DDataFormat((a.dataFormat ?? 'NHWC') as 'NHWC');
  return tf.backend_util.computeConv2DInfo(x as [number, number, number, number], filter as [number, number, number, number], a.strides as number, (a.dilations ?? 1) as number, a.pad as number, a.dimRoundingMode as 'floor', false, format);
}

/** tfjs's own account of a 2-D pooling (NHWC): output shape and paddings. */
export function poolingInfo(x: readonly number[], a: Attrs): ReturnType<typeof tf.backend_util.computePool2DInfo> {
  return tf.backend_util.computePool2DInfo(x as [number, number, number, number], a.filterSize as number, a.strides as number, 1, a.pad as number, a.dimRoundingMode as 'floor');
}

/** First element and size of a slice along every axis: tfjs leaves out trailing axes and writes -1 for the rest of one. */
export function sliceRange(x: readonly number[], a: Attrs): { begin: number[]; size: number[] } {
  const [begin, size] = tf.slice_util.parseSliceParams({ shape: x } as tf.TensorInfo, a.begin as number[], a.size as number[]);
  return { begin, size };
}
