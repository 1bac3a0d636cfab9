import { tf } from './tf.js';
import { inputOf, sameShape, type Graph, type Node, type TensorSpec, type Value } from './graph.js';
import { elementsOf, rebuild } from './graph-builder.js';
import { OnnxModelWriter, elementType, type OnnxAttribute, type OnnxTensor } from './onnx-model.js';
import { assignmentOfMany } from './onnx-assignment.js';
import { fakeQuantize, fakeQuantizeGradient } from './onnx-fake-quantize.js';
import { convolutionsChannelsFirst } from './onnx-convolution.js';
import { poolingChannelsFirst } from './onnx-pooling.js';
import { reductionAxes, sliceRange } from './shape-rules.js';
import { simplifications, simplify } from './simplify.js';
import { sizeOf } from './parameters.js';

/** What a lowering writes with: the model and the tensors of the node's inputs. */
export interface LoweringContext {
  w: OnnxModelWriter;
  node: Node;
  /** The model's tensor of an input. */
  input: (name: string) => OnnxTensor;
  /** The model's tensors of all inputs. */
  inputs: OnnxTensor[];
  /** Shape and type of the first output. */
  out: TensorSpec;
  /** The model's tensor of any value that has been lowered. */
  tensorOf: (v: Value) => OnnxTensor;
  /** The matrix product that an addition takes over as its bias. */
  fused: (node: Node) => Node | undefined;
}

/** Writes one node of the graph as nodes of an ONNX model; gives a tensor for each output. */
export type OnnxLowering = (c: LoweringContext) => OnnxTensor[];

const CONTRIB = 'com.microsoft', BLOCKED = 'com.microsoft.nchwc';

const unary = (op: string, name = 'x'): OnnxLowering => ({ w, input, out }) => [w.node(op, [input(name)], out.shape, {}, out.dtype)];
const binary = (op: string): OnnxLowering => ({ w, input, out }) => [w.node(op, [input('a'), input('b')], out.shape, {}, out.dtype)];
const reduce = (op: string): OnnxLowering => ({ w, node, input, out }) => {
  const x = input('x');
  return [w.node(op, [x, w.integers(reductionAxes(node.attributes, x.shape.length))], out.shape, { keepdims: node.attributes.keepDims ? 1 : 0 }, out.dtype)];
};
const arg = (op: string): OnnxLowering => ({ w, node, input, out }) => {
  const x = input('x'), [axis] = reductionAxes(node.attributes, x.shape.length);
  return [cast(w, w.node(op, [x], out.shape, { axis, keepdims: 0 }, 'int64'), 'int32')];
};
const cast = (w: OnnxModelWriter, x: OnnxTensor, dtype: 'float32' | 'int32' | 'bool'): OnnxTensor => w.node('Cast', [x], x.shape, { to: elementType(dtype) }, dtype);
const numbers = (v: unknown): number[] => v as number[];

const convolution = (op: string): OnnxLowering => (c) => {
  const { w, node, input, out } = c;
  const { strides, pads, kernel, outputPadding } = node.attributes as Record<string, number[]>;
  const attributes = { strides, pads, kernel_shape: kernel, ...(outputPadding ? { output_padding: outputPadding } : {}) };
  return [(op === 'Conv' && blockedConvolution(c, attributes)) || w.node(op, [input('x'), input('filter')], out.shape, attributes)];
};

/**
 * A convolution in onnxruntime's blocked layout [B, C/b, H, W, b], whose direct kernels are 1.6 to 3.5 times as fast as the
 * ones for plain NCHW (measured: 3x3, 32 to 128 channels). onnxruntime chooses it by itself only where the filter is a
 * constant; here the filter is a parameter, so its blocks are made in the graph. Not for channel counts that are no multiple of b.
 */
function blockedConvolution({ w, input, out }: LoweringContext, attributes: Record<string, OnnxAttribute>): OnnxTensor | undefined {
  const b = w.channelBlock;
  const x = input('x'), filter = input('filter');
  const [O, I, kh, kw] = filter.shape;
  if (b < 2 || O % b || I % b) return undefined;
  const split = [O / b, b, I / b, b, kh, kw], blocked = [O / b, I / b, kh, kw, b, b];
  const blocks = w.node('Transpose', [w.node('Reshape', [filter, w.integers(split)], split)], blocked, { perm: [0, 2, 4, 5, 3, 1] });
  const y = w.node('Conv', [w.node('ReorderInput', [x], x.shape, {}, 'float32', BLOCKED), w.node('Reshape', [blocks, w.integers(filter.shape)], filter.shape)], out.shape, attributes, 'float32', BLOCKED);
  return w.node('ReorderOutput', [y], out.shape, { channels: O }, 'float32', BLOCKED);
}

/**
 * The windows of x [B, H, W, C] as rows [B oh ow, kh kw C]: one Gather with constant indices, which onnxruntime runs on all
 * threads (strided slices and their concatenation, on one thread, took 2-3 times as long).
 */
const unfold: OnnxLowering = ({ w, node, input, out }) => {
  const { strides: [sh, sw], pads: [top, left, bottom, right], kernel: [kh, kw], output: [oh, ow] } = node.attributes as Record<string, number[]>;
  let x = input('x');
  const [B, H, W, C] = x.shape, HP = H + top + bottom, WP = W + left + right;
  if (kh * kw === 1 && sh * sw === 1) return [w.node('Reshape', [x, w.integers(out.shape)], out.shape)];
  if (top + left + bottom + right > 0) x = w.node('Pad', [x, w.integers([0, top, left, 0, 0, bottom, right, 0])], [B, HP, WP, C]);
  const indices = new Int32Array(oh * ow * kh * kw); // the same in every image
  let at = 0;
  for (let p = 0; p < oh; p++) for (let q = 0; q < ow; q++) for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++) indices[at++] = (p * sh + i) * WP + q * sw + j;
  const pixels = w.node('Reshape', [x, w.integers([B, HP * WP, C])], [B, HP * WP, C]);
  const rows = w.node('Gather', [pixels, w.array(indices, [oh * ow, kh * kw], 'int32')], [B, oh * ow, kh * kw, C], { axis: 1 });
  return [w.node('Reshape', [rows, w.integers(out.shape)], out.shape)];
};

const batchMatMul: OnnxLowering = ({ w, node, input, out }) => {
  const a = input('a'), b = input('b');
  const transA = node.attributes.transposeA ? 1 : 0, transB = node.attributes.transposeB ? 1 : 0;
  if (a.shape.length === 2 && b.shape.length === 2) return [w.node('Gemm', [a, b], out.shape, { transA, transB })];
  if (!transA && !transB) return [w.node('MatMul', [a, b], out.shape)];
  return [w.node('FusedMatMul', [a, b], out.shape, { transA, transB, alpha: { float: 1 } }, 'float32', CONTRIB)];
};

/** The quotient rounded down; ONNX's own rounds integers towards zero, and its remainder has the divisor's sign. */
const floorQuotient: OnnxLowering = ({ w, input, out }) => {
  const a = input('a'), b = input('b'), quotient = w.node('Div', [a, b], out.shape, {}, out.dtype);
  if (out.dtype === 'float32') return [w.node('Floor', [quotient], out.shape)];
  const left = w.node('Sub', [a, w.node('Mul', [quotient, b], out.shape, {}, 'int32')], out.shape, {}, 'int32');
  const exact = w.node('Equal', [left, w.node('Mod', [a, b], out.shape, {}, 'int32')], out.shape, {}, 'bool');
  return [w.node('Sub', [quotient, cast(w, w.node('Not', [exact], out.shape, {}, 'bool'), 'int32')], out.shape, {}, 'int32')];
};

/** x w + bias as one Gemm, where the product is used by this addition alone. */
const add: OnnxLowering = (c) => {
  const { w, node, input, out } = c;
  for (const [product, bias] of [['a', 'b'], ['b', 'a']]) {
    const matmul = inputOf(node, product).node;
    if (matmul && c.fused(node) === matmul) {
      const [a, b] = matmul.inputs.map(c.tensorOf);
      return [w.node('Gemm', [a, b, input(bias)], out.shape, { transA: matmul.attributes.transposeA ? 1 : 0, transB: matmul.attributes.transposeB ? 1 : 0 })];
    }
  }
  return binary('Add')(c);
};

/** The matrix products that an addition of a vector takes over: used once, two-dimensional. */
function biasFusions(graph: Graph): { into: Map<Node, Node>; fused: Set<Node> } {
  const uses = new Map<Value, number>();
  for (const v of [...graph.nodes.flatMap((n) => n.inputs), ...graph.outputs.values()]) uses.set(v, (uses.get(v) ?? 0) + 1);
  const into = new Map<Node, Node>();
  for (const node of graph.nodes) {
    if (node.op !== 'Add') continue;
    for (const [x, bias] of [node.inputs, [node.inputs[1], node.inputs[0]]]) {
      if (x.node?.op === 'BatchMatMul' && x.shape.length === 2 && uses.get(x) === 1 && bias.shape.length === 1 && bias.shape[0] === x.shape[1]) into.set(node, x.node);
    }
  }
  return { into, fused: new Set(into.values()) };
}

const poolAttributes = (node: Node): Record<string, OnnxAttribute> => {
  const { strides, pads, kernel } = node.attributes as Record<string, number[]>;
  return { strides, pads, kernel_shape: kernel };
};

/** Channels-first maximum pooling with the flat positions of the maxima. Its gradient asks for the same node, so that there is one. */
const maxPoolWithPositions = (w: OnnxModelWriter, node: Node, x: OnnxTensor, shape: readonly number[]): OnnxTensor[] =>
  w.nodeWithOutputs('MaxPool', [x], [{ shape, dtype: 'float32' }, { shape, dtype: 'int64' }], poolAttributes(node));

/** Every dy is added where its window had its (first) maximum. */
const maxPoolGradient: OnnxLowering = ({ w, node, input, out }) => {
  const dy = input('dy'), n = sizeOf(out.shape), count = sizeOf(dy.shape);
  const [, positions] = maxPoolWithPositions(w, node, input('x'), dy.shape);
  const flat = (t: OnnxTensor): OnnxTensor => w.node('Reshape', [t, w.integers([count])], [count], {}, t.dtype);
  const zeros = w.node('Expand', [w.scalar(0), w.integers([n])], [n]);
  return [w.node('Reshape', [w.node('ScatterElements', [zeros, flat(positions), flat(dy)], [n], { axis: 0, reduction: 'add' }), w.integers(out.shape)], out.shape)];
};

/** Sums of the rows of x with the same id: the one-hot matrix of the ids times x. */
const segmentSum: OnnxLowering = ({ w, node, input, out }) => {
  const x = input('x'), ids = input('segmentIds'), segments = node.attributes.numSegments as number;
  const count = sizeOf(ids.shape), width = sizeOf(x.shape) / count;
  const range = w.array(Int32Array.from({ length: segments }, (_, k) => k), [segments, 1], 'int32');
  const oneHot = cast(w, w.node('Equal', [range, w.node('Reshape', [ids, w.integers([1, count])], [1, count], {}, 'int32')], [segments, count], {}, 'bool'), 'float32');
  const rows = w.node('Reshape', [x, w.integers([count, width])], [count, width]);
  return [w.node('Reshape', [w.node('MatMul', [oneHot, rows], [segments, width]), w.integers(out.shape)], out.shape)];
};

/** Lowerings of tfjs's kernels, by name. */
const lowerings: Record<string, OnnxLowering> = {
  Neg: unary('Neg'), Relu: unary('Relu'), Sigmoid: unary('Sigmoid'), Exp: unary('Exp'), Log: unary('Log'), Abs: unary('Abs'), Sign: unary('Sign'), Sqrt: unary('Sqrt'),
  Reciprocal: unary('Reciprocal'), Round: unary('Round'), Floor: unary('Floor'), Ceil: unary('Ceil'), Tanh: unary('Tanh'), Sin: unary('Sin'), Cos: unary('Cos'), Softplus: unary('Softplus'), LogicalNot: unary('Not'),
  Square: ({ w, input, out }) => [w.node('Mul', [input('x'), input('x')], out.shape, {}, out.dtype)],
  Rsqrt: ({ w, input, out }) => [w.node('Reciprocal', [w.node('Sqrt', [input('x')], out.shape)], out.shape)],
  Log1p: ({ w, input, out }) => [w.node('Log', [w.node('Add', [input('x'), w.scalar(1)], out.shape)], out.shape)],
  Step: ({ w, node, input, out }) => {
    const x = input('x'), alpha = (node.attributes.alpha as number | undefined) ?? 0;
    const positive = cast(w, w.node('Greater', [x, w.scalar(0)], out.shape, {}, 'bool'), 'float32');
    return [alpha === 0 ? positive : w.node('Add', [w.node('Mul', [positive, w.scalar(1 - alpha)], out.shape), w.scalar(alpha)], out.shape)];
  },
  ClipByValue: ({ w, node, input, out }) => [w.node('Clip', [input('x'), w.scalar(node.attributes.clipValueMin as number, out.dtype), w.scalar(node.attributes.clipValueMax as number, out.dtype)], out.shape, {}, out.dtype)],
  Cast: ({ w, input, out }) => [cast(w, input('x'), out.dtype)],
  Add: add, Sub: binary('Sub'), Multiply: binary('Mul'), RealDiv: binary('Div'), Maximum: binary('Max'), Minimum: binary('Min'), Pow: binary('Pow'), FloorDiv: floorQuotient,
  Equal: binary('Equal'), Greater: binary('Greater'), GreaterEqual: binary('GreaterOrEqual'), Less: binary('Less'), LessEqual: binary('LessOrEqual'), LogicalAnd: binary('And'), LogicalOr: binary('Or'),
  NotEqual: ({ w, input, out }) => [w.node('Not', [w.node('Equal', [input('a'), input('b')], out.shape, {}, 'bool')], out.shape, {}, 'bool')],
  Select: ({ w, input, out }) => [w.node('Where', [input('condition'), input('t'), input('e')], out.shape, {}, out.dtype)],
  Softmax: ({ w, input, out }) => [w.node('Softmax', [input('logits')], out.shape, { axis: -1 })],
  Sum: reduce('ReduceSum'), Mean: reduce('ReduceMean'), Max: reduce('ReduceMax'), Min: reduce('ReduceMin'), Prod: reduce('ReduceProd'), ArgMax: arg('ArgMax'), ArgMin: arg('ArgMin'),
  Reshape: ({ w, input, out }) => [w.node('Reshape', [input('x'), w.integers(out.shape)], out.shape, {}, out.dtype)],
  Transpose: ({ w, node, input, out }) => [w.node('Transpose', [input('x')], out.shape, { perm: numbers(node.attributes.perm) }, out.dtype)],
  Tile: ({ w, node, input, out }) => [w.node('Tile', [input('x'), w.integers(numbers(node.attributes.reps))], out.shape, {}, out.dtype)],
  BroadcastTo: ({ w, input, out }) => [w.node('Expand', [input('x'), w.integers(out.shape)], out.shape, {}, out.dtype)],
  Concat: ({ w, node, inputs, out }) => {
    const axis = node.attributes.axis as number;
    return [w.node('Concat', inputs, out.shape, { axis: axis < 0 ? axis + out.shape.length : axis }, out.dtype)];
  },
  Slice: ({ w, node, input, out }) => {
    const x = input('x'), { begin } = sliceRange(x.shape, node.attributes);
    return [w.node('Slice', [x, w.integers(begin), w.integers(begin.map((b, k) => b + out.shape[k])), w.integers(begin.map((_, k) => k))], out.shape, {}, out.dtype)];
  },
  PadV2: ({ w, node, input, out }) => {
    const paddings = node.attributes.paddings as [number, number][];
    return [w.node('Pad', [input('x'), w.integers([...paddings.map((p) => p[0]), ...paddings.map((p) => p[1])]), w.scalar((node.attributes.constantValue as number | undefined) ?? 0, out.dtype)], out.shape, {}, out.dtype)];
  },
  Reverse: ({ w, node, input, out }) => {
    const axes = tf.util.parseAxisParam(node.attributes.dims as number | number[], [...out.shape]);
    return [w.node('Slice', [input('x'), w.integers(axes.map(() => -1)), w.integers(axes.map((k) => -out.shape[k] - 1)), w.integers(axes), w.integers(axes.map(() => -1))], out.shape, {}, out.dtype)];
  },
  GatherV2: ({ w, node, input, out }) => {
    const x = input('x');
    const axis = (node.attributes.axis as number) < 0 ? (node.attributes.axis as number) + x.shape.length : (node.attributes.axis as number);
    return [w.node('Gather', [x, input('indices')], out.shape, { axis }, out.dtype)];
  },
  OneHot: ({ w, node, input, out }) => {
    const { depth, onValue = 1, offValue = 0 } = node.attributes as { depth: number; onValue?: number; offValue?: number };
    const range = w.array(Int32Array.from({ length: depth }, (_, k) => k), [depth], 'int32');
    const indices = input('indices');
    const column = w.node('Reshape', [indices, w.integers([...indices.shape, 1])], [...indices.shape, 1], {}, indices.dtype);
    const hit = w.node('Equal', [column, range], out.shape, {}, 'bool');
    return [w.node('Where', [hit, w.scalar(onValue, out.dtype), w.scalar(offValue, out.dtype)], out.shape, {}, out.dtype)];
  },
  Cumsum: ({ w, node, input, out }) => [w.node('CumSum', [input('x'), cast(w, w.scalar(node.attributes.axis as number, 'int32'), 'int32')], out.shape, { exclusive: node.attributes.exclusive ? 1 : 0, reverse: node.attributes.reverse ? 1 : 0 }, out.dtype)],
  BatchMatMul: batchMatMul,
  OnnxConv: convolution('Conv'), OnnxConvTranspose: convolution('ConvTranspose'), OnnxUnfold: unfold,
  OnnxMaxPool: ({ w, node, input, out }) => [maxPoolWithPositions(w, node, input('x'), out.shape)[0]], OnnxMaxPoolGrad: maxPoolGradient,
  OnnxAveragePool: ({ w, node, input, out }) => [w.node('AveragePool', [input('x')], out.shape, poolAttributes(node))],
  UnsortedSegmentSum: segmentSum, LinearAssignmentOfMany: assignmentOfMany,
  FakeQuantizeActivation: fakeQuantize, FakeQuantizeWeight: fakeQuantize, FakeQuantizeActivationGradient: fakeQuantizeGradient, FakeQuantizeWeightGradient: fakeQuantizeGradient,
  LayerNorm: ({ w, node, input, out }) => w.nodeWithOutputs('LayerNormalization', [input('x'), input('weight'), input('bias')], node.outputs.map((o) => ({ shape: o.shape, dtype: 'float32' as const })), { axis: out.shape.length - 1, epsilon: { float: node.attributes.epsilon as number } }),
  SplitV: ({ w, node, input }) => {
    const axis = node.attributes.axis as number, positive = axis < 0 ? axis + node.outputs[0].shape.length : axis;
    return w.nodeWithOutputs('Split', [input('x'), w.integers(node.outputs.map((o) => o.shape[positive]))], node.outputs.map((o) => ({ shape: o.shape, dtype: o.dtype })), { axis: positive });
  },
  Split: ({ w, node, input }) => {
    const { axis, parts } = node.attributes as { axis: number; parts: number };
    return w.nodeWithOutputs('Split', [input('x')], node.outputs.map((o) => ({ shape: o.shape, dtype: 'float32' as const })), { axis, num_outputs: parts });
  },
};

/** Named kernels that have a lowering of their own; the others become their composites. */
export const loweredToOnnx = (kernelName: string): boolean => kernelName in lowerings;

/** Names of all kernels that can be lowered, sorted. */
export const onnxKernelNames = (): string[] => Object.keys(lowerings).sort();

/**
 * A traced step as an ONNX model: simplified, convolutions in channels-first layout, every kernel through its lowering.
 * @param channelBlock block of onnxruntime's blocked convolutions on this machine; 1: there are none.
 * @throws for a kernel without a lowering, naming it.
 */
export function lowerToOnnx(traced: Graph, channelBlock = 1, name = 'step'): { model: Uint8Array; graph: Graph; nodes: number } {
  const graph = rebuild(rebuild(simplify(traced), [convolutionsChannelsFirst, poolingChannelsFirst, ...simplifications]), simplifications);
  const w = new OnnxModelWriter(channelBlock);
  const tensors = new Map<Value, OnnxTensor>();
  for (const [key, v] of graph.inputs) tensors.set(v, w.input(key, v.shape, v.dtype));
  const tensorOf = (v: Value): OnnxTensor => {
    let t = tensors.get(v);
    if (!t) {
      if (v.constant === undefined) throw new Error(`a value of shape [${v.shape.join(', ')}] is used before it is computed`);
      t = constantTensor(w, v);
      tensors.set(v, t);
    }
    return t;
  };
  const { into, fused } = biasFusions(graph);
  for (const node of graph.nodes) {
    if (fused.has(node)) continue;
    const results = lowerNode(w, node, tensorOf, (n) => into.get(n));
    node.outputs.forEach((v, i) => tensors.set(v, results[i]));
  }
  for (const [key, v] of graph.outputs) w.output(tensorOf(v), key);
  return { model: w.finish(name), graph, nodes: w.nodes };
}

function lowerNode(w: OnnxModelWriter, node: Node, tensorOf: (v: Value) => OnnxTensor, fused: (node: Node) => Node | undefined): OnnxTensor[] {
  const out = node.outputs[0];
  const lowering = lowerings[node.op];
  if (!lowering) throw new Error(`kernel ${node.op} has no lowering to ONNX (inputs ${node.inputs.map((v) => `[${v.shape.join(', ')}]`).join(', ')}): add one to src/tensor/onnx-lowering.ts`);
  return lowering({ w, node, input: (name) => tensorOf(inputOf(node, name)), get inputs() { return node.inputs.map(tensorOf); }, out, tensorOf, fused });
}

function constantTensor(w: OnnxModelWriter, v: Value): OnnxTensor {
  if (typeof v.constant === 'number') {
    const scalar = w.scalar(v.constant, v.dtype);
    if (sameShape(v.shape, [])) return scalar;
    if (sizeOf(v.shape) === 1) return w.array(elementsOf(v), v.shape, v.dtype);
    return w.node('Expand', [scalar, w.integers(v.shape)], v.shape, {}, v.dtype);
  }
  return w.array(elementsOf(v), v.shape, v.dtype);
}
