import { sameShape, type Graph, type Value } from './graph.js';
import { rebuild, type GraphBuilder, type NodeDraft, type RewriteRule } from './graph-builder.js';
import { reductionAxes } from './shape-rules.js';
import { sizeOf } from './parameters.js';

const UNARY = new Set(['Neg', 'Relu', 'Sigmoid', 'Exp', 'Log', 'Log1p', 'Abs', 'Sign', 'Square', 'Sqrt', 'Rsqrt', 'Reciprocal', 'Round', 'Floor', 'Ceil', 'Step', 'Tanh', 'ClipByValue', 'Cast', 'LogicalNot']);
const BINARY = new Set(['Add', 'Sub', 'Multiply', 'RealDiv', 'Maximum', 'Minimum', 'Pow', 'SquaredDifference', 'FloorDiv', 'Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr']);

const isUniform = (v: Value, value?: number): boolean => typeof v.constant === 'number' && (value === undefined || v.constant === value);
const producer = (v: Value, op: string) => (v.node?.op === op ? v.node : undefined);
const broadcastShape = (a: readonly number[], b: readonly number[]): number[] => {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => Math.max(a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1));
};

/** Copies, casts to the same type and reshapes that change nothing. */
const trivial: RewriteRule = ({ op, inputs, attributes, outputs: [out] }, b) => {
  const x = inputs.x ?? inputs.input;
  if (op === 'Identity') return [x];
  if (op === 'Cast') {
    if (x.dtype === attributes.dtype) return [x];
    const inner = producer(x, 'Cast'); // bool -> int32 -> float32
    if (inner && inner.inputs[0].dtype === 'bool' && attributes.dtype === 'float32') return b.emit('Cast', { x: inner.inputs[0] }, { dtype: 'float32' });
  }
  if (op === 'ExpandDims') return [b.reshape(x, out.shape)];
  if (op === 'Reshape') {
    if (sameShape(x.shape, out.shape)) return [x];
    if (isUniform(x)) return [b.uniform(x.constant as number, out.shape, x.dtype)];
    const inner = producer(x, 'Reshape');
    if (inner) return [b.reshape(inner.inputs[0], out.shape)];
  }
  if (op === 'ZerosLike') return [b.uniform(0, out.shape, out.dtype)];
  if (op === 'OnesLike') return [b.uniform(1, out.shape, out.dtype)];
  if (op === 'Fill') return [b.uniform(attributes.value as number, out.shape, out.dtype)];
  if (op === 'Slice' && sameShape(x.shape, out.shape)) return [x];
  if (op === 'PadV2' && sameShape(x.shape, out.shape)) return [x];
  if (op === 'Concat' && Object.keys(inputs).length === 1) return [Object.values(inputs)[0]];
  if (op === 'AddN') return [Object.values(inputs).reduce((sum, v) => b.one('Add', { a: sum, b: v }))];
  if (op === 'Pack') {
    const axis = (attributes.axis as number) < 0 ? (attributes.axis as number) + out.shape.length : (attributes.axis as number);
    const one = out.shape.map((d, k) => (k === axis ? 1 : d));
    return b.emit('Concat', Object.fromEntries(Object.entries(inputs).map(([k, v]) => [k, b.reshape(v, one)])), { axis });
  }
  if (op === 'Unpack') {
    const axis = (attributes.axis as number) < 0 ? (attributes.axis as number) + inputs.value.shape.length : (attributes.axis as number);
    const count = inputs.value.shape[axis];
    const parts = count === 1 ? [inputs.value] : b.emit('SplitV', { x: inputs.value }, { numOrSizeSplits: Array<number>(count).fill(1), axis });
    return parts.map((part) => b.reshape(part, out.shape));
  }
  if (op === 'Tile') {
    const reps = attributes.reps as number[];
    if (x.shape.every((d, k) => d === 1 || reps[k] === 1)) return b.emit('BroadcastTo', { x }, { shape: [...out.shape] });
  }
  if (op === 'BroadcastTo') {
    if (sameShape(x.shape, out.shape)) return [x];
    if (isUniform(x)) return [b.uniform(x.constant as number, out.shape, x.dtype)];
  }
  return undefined;
};

/** Arithmetic with 0 and 1, powers, signs. */
const arithmetic: RewriteRule = ({ op, inputs, attributes, outputs: [out] }, b) => {
  const { a, b: c, x } = inputs;
  const same = (v: Value): Value => b.one('BroadcastTo', { x: v }, { shape: [...out.shape] });
  if (op === 'Add') {
    if (isUniform(a, 0)) return [same(c)];
    if (isUniform(c, 0)) return [same(a)];
    const negated = producer(c, 'Neg') ?? producer(a, 'Neg');
    if (negated) return b.emit('Sub', { a: producer(c, 'Neg') ? a : c, b: negated.inputs[0] });
  }
  if (op === 'Sub') {
    if (isUniform(c, 0)) return [same(a)];
    const negated = producer(c, 'Neg');
    if (negated) return b.emit('Add', { a, b: negated.inputs[0] });
  }
  if (op === 'Multiply') {
    if (isUniform(a, 0) || isUniform(c, 0)) return [b.uniform(0, out.shape, out.dtype)];
    if (isUniform(a, 1)) return [same(c)];
    if (isUniform(c, 1)) return [same(a)];
    if (isUniform(a, -1)) return [same(b.one('Neg', { x: c }))];
    if (isUniform(c, -1)) return [same(b.one('Neg', { x: a }))];
  }
  if (op === 'RealDiv') {
    if (isUniform(c, 1)) return [same(a)];
    if (isUniform(a, 0)) return [b.uniform(0, out.shape, out.dtype)];
  }
  if (op === 'Pow' && isUniform(c, 2)) return [same(b.one('Square', { x: a }))];
  if (op === 'Pow' && isUniform(c, 1)) return [same(a)];
  if (op === 'Neg' && producer(x, 'Neg')) return [x.node!.inputs[0]];
  if (op === 'Step') {
    const rectified = producer(x, 'Relu'); // step(relu(z)) = step(z)
    if (rectified) return b.emit('Step', { x: rectified.inputs[0] }, attributes);
  }
  if (op === 'SquaredDifference') return b.emit('Square', { x: b.one('Sub', { a, b: c }) });
  return undefined;
};

/** Broadcasts move behind the operations that would broadcast anyway, or that act element by element. */
const broadcasts: RewriteRule = (draft, b) => {
  const { op, inputs, attributes, outputs: [out] } = draft;
  if (UNARY.has(op)) {
    const wide = producer(inputs.x, 'BroadcastTo');
    if (wide) return b.emit('BroadcastTo', { x: b.one(op, { x: wide.inputs[0] }, attributes) }, { shape: [...out.shape] });
  }
  if (BINARY.has(op)) {
    const narrow = (v: Value): Value => producer(v, 'BroadcastTo')?.inputs[0] ?? (isUniform(v) && v.shape.length > 0 ? b.uniform(v.constant as number, [], v.dtype) : v);
    const a = narrow(inputs.a), c = narrow(inputs.b);
    if (a === inputs.a && c === inputs.b) return undefined;
    const shape = broadcastShape(a.shape, c.shape);
    if (sameShape(shape, out.shape)) return b.emit(op, { a, b: c }, attributes);
    return b.emit('BroadcastTo', { x: b.one(op, { a, b: c }, attributes) }, { shape: [...out.shape] });
  }
  return undefined;
};

/** Sums over nothing, over broadcasts and over constants. */
const reductions: RewriteRule = (draft, b) => {
  const { op, inputs: { x }, attributes, outputs: [out] } = draft;
  if (!['Sum', 'Mean', 'Max', 'Min'].includes(op)) return undefined;
  if (op === 'Mean' && x.dtype !== 'float32') return b.emit(op, { x: b.one('Cast', { x }, { dtype: 'float32' }) }, attributes);
  const axes = reductionAxes(attributes, x.shape.length);
  if (axes.every((k) => x.shape[k] === 1)) return [b.reshape(x, out.shape)];
  const count = axes.reduce((n, k) => n * x.shape[k], 1);
  if (isUniform(x)) return [b.uniform(op === 'Sum' ? (x.constant as number) * count : (x.constant as number), out.shape, out.dtype)];
  const wide = producer(x, 'BroadcastTo');
  if (wide && op === 'Sum') {
    const source = wide.inputs[0];
    const aligned = b.reshape(source, [...x.shape.map(() => 1).slice(source.shape.length), ...source.shape]);
    const repeats = axes.reduce((n, k) => n * (aligned.shape[k] === x.shape[k] ? 1 : x.shape[k]), 1);
    const sum = b.one('Sum', { x: aligned }, { ...attributes, axis: axes });
    return [b.one('BroadcastTo', { x: b.one('Multiply', { a: sum, b: b.uniform(repeats, [], x.dtype) }) }, { shape: [...out.shape] })];
  }
  return undefined;
};

/** Transpositions: nothing to do, two in a row, into a matrix product, past element-wise operations and reductions. */
const transpositions: RewriteRule = (draft, b) => {
  const { op, inputs, attributes, outputs: [out] } = draft;
  if (op === 'Transpose') {
    const perm = attributes.perm as number[], { x } = inputs;
    const moved = perm.filter((p) => x.shape[p] !== 1);
    if (moved.every((p, i) => i === 0 || p > moved[i - 1])) return [b.reshape(x, out.shape)];
    const inner = producer(x, 'Transpose');
    if (inner) return b.emit('Transpose', { x: inner.inputs[0] }, { perm: perm.map((p) => (inner.attributes.perm as number[])[p]) });
  }
  if (op === 'BatchMatMul') {
    const swaps = (v: Value) => {
      const t = producer(v, 'Transpose'), perm = t?.attributes.perm as number[] | undefined, n = v.shape.length;
      return t && perm!.every((p, i) => p === (i === n - 1 ? n - 2 : i === n - 2 ? n - 1 : i)) ? t.inputs[0] : undefined;
    };
    const a = swaps(inputs.a), c = swaps(inputs.b);
    if (a || c) return b.emit(op, { a: a ?? inputs.a, b: c ?? inputs.b }, { transposeA: Boolean(attributes.transposeA) !== Boolean(a), transposeB: Boolean(attributes.transposeB) !== Boolean(c) });
  }
  return throughElements(draft, b) ?? throughReduction(draft, b) ?? throughQuantizer(draft, b);
};

function throughElements({ op, inputs, attributes }: NodeDraft, b: GraphBuilder): Value[] | undefined {
  if (UNARY.has(op)) {
    const t = producer(inputs.x, 'Transpose');
    if (t) return b.emit('Transpose', { x: b.one(op, { x: t.inputs[0] }, attributes) }, t.attributes);
  }
  if (!BINARY.has(op)) return undefined;
  const ta = producer(inputs.a, 'Transpose'), tb = producer(inputs.b, 'Transpose');
  const perm = (ta ?? tb)?.attributes.perm as number[] | undefined;
  if (!perm) return undefined;
  const inverse = perm.map((_, i) => perm.indexOf(i));
  const back = (v: Value): Value | undefined => {
    const t = producer(v, 'Transpose');
    if (t) return sameShape(t.attributes.perm as number[], perm) ? t.inputs[0] : undefined;
    if (sizeOf(v.shape) === 1) return v;
    if (v.shape.length > perm.length || v.shape.filter((d) => d !== 1).length > 1) return undefined; // a vector along one axis moves for free
    const full = [...Array<number>(perm.length - v.shape.length).fill(1), ...v.shape];
    return b.reshape(v, inverse.map((p) => full[p]));
  };
  const a = back(inputs.a), c = back(inputs.b);
  if (!a || !c) return undefined;
  return b.emit('Transpose', { x: b.one(op, { a, b: c }, attributes) }, { perm });
}

/** A quantizer with one scale for all elements acts element by element; so does its gradient. */
function throughQuantizer({ op, inputs, attributes, outputs }: NodeDraft, b: GraphBuilder): Value[] | undefined {
  if (!op.startsWith('FakeQuantize') || inputs.scale.shape[0] !== 1) return undefined;
  const t = producer(inputs.x, 'Transpose');
  if (!t) return undefined;
  const perm = t.attributes.perm as number[], inverse = perm.map((_, i) => perm.indexOf(i));
  const moved = { ...inputs, x: t.inputs[0], ...(inputs.dy ? { dy: b.one('Transpose', { x: inputs.dy }, { perm: inverse }) } : {}) };
  const results = b.emit(op, moved, { ...attributes, axis: perm[attributes.axis as number] }, [{ ...outputs[0], shape: moved.x.shape }, ...outputs.slice(1)]);
  return [b.one('Transpose', { x: results[0] }, { perm }), ...results.slice(1)];
}

function throughReduction({ op, inputs: { x }, attributes, outputs: [out] }: NodeDraft, b: GraphBuilder): Value[] | undefined {
  if (op !== 'Sum' && op !== 'Mean') return undefined;
  const t = producer(x, 'Transpose');
  if (!t) return undefined;
  const perm = t.attributes.perm as number[], axes = reductionAxes(attributes, perm.length);
  const kept = perm.filter((_, i) => !axes.includes(i));
  if (kept.some((p, i) => i > 0 && p < kept[i - 1])) return undefined;
  return [b.reshape(b.one(op, { x: t.inputs[0] }, { axis: axes.map((k) => perm[k]).sort((p, q) => p - q), keepDims: false }), out.shape)];
}

/** The rules, in the order in which they are tried. */
export const simplifications: readonly RewriteRule[] = [trivial, arithmetic, broadcasts, reductions, transpositions];

/** A graph without copies, repeated work, dead work and arithmetic that changes nothing; constants are folded. */
export function simplify(graph: Graph): Graph {
  return rebuild(rebuild(graph, simplifications), simplifications);
}
