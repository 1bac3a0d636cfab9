import { tf, type Tensor } from '../../src/tensor/tf.js';
import { withoutGradient } from '../../src/tensor/named-kernel.js';
import { layerNorm } from '../../src/tensor/layer-norm.js';
import { linearAssignment } from '../../src/tensor/linear-assignment.js';
import { fakeQuantizeActivation, fakeQuantizeWeight, gradientScale } from '../../src/quantizer/fake-quantize.js';
import { split } from '../../src/tensor/split.js';
import type { RandomStream } from '../../src/tensor/random.js';
import type { Comparison, Given } from './compiled.js';

/** Cases of one kernel: something that differs from case to case, in words, and what is computed. */
export type KernelCases = Record<string, Comparison>;

const g = (...shape: number[]): Given => ({ shape });
const positive = (...shape: number[]): Given => ({ shape, draw: (s) => s.uniform(0.2, 3) });
const whole = (low: number, high: number) => (s: RandomStream): number => low + s.integer(high - low + 1);
const integers = (low: number, high: number, ...shape: number[]): Given => ({ shape, dtype: 'int32', draw: whole(low, high) });
/** Floats with many ties and zeros: where comparisons, maxima and signs go wrong. */
const tied = (...shape: number[]): Given => ({ shape, draw: whole(-2, 2) });
const bools = (...shape: number[]): Given => ({ shape, dtype: 'bool', draw: whole(0, 1) });

const unary = (f: (x: Tensor) => Tensor, given = g): KernelCases => ({ 'rank 1': { inputs: { x: given(7) }, f: ({ x }) => f(x) }, 'rank 3': { inputs: { x: given(2, 3, 5) }, f: ({ x }) => f(x) }, scalar: { inputs: { x: given() }, f: ({ x }) => f(x) } });
const withTies = (f: (x: Tensor) => Tensor): KernelCases => ({ ...unary(f), 'zeros and ties': { inputs: { x: tied(40) }, f: ({ x }) => f(x) } });
const SHAPES: [string, number[], number[]][] = [['equal shapes', [3, 4], [3, 4]], ['a vector', [2, 3, 4], [4]], ['a scalar', [3, 4], []], ['on the left', [1, 4], [3, 1]], ['from the middle', [2, 1, 4], [2, 3, 1]]];
const binary = (f: (a: Tensor, b: Tensor) => Tensor, given: (...shape: number[]) => Given = g, more: Partial<Comparison> = {}): KernelCases =>
  Object.fromEntries(SHAPES.map(([name, a, b]) => [name, { inputs: { a: given(...a), b: given(...b) }, f: ({ a, b }) => f(a, b), ...more }]));
/** Where tfjs's gradient forgets to sum over broadcast axes, it is no oracle (and throws). */
const unbroadcastGradient = (cases: KernelCases): KernelCases => Object.fromEntries(Object.entries(cases).map(([name, c]) => [name, name === 'equal shapes' ? c : { ...c, by: [] }]));
const comparison = (f: (a: Tensor, b: Tensor) => Tensor): KernelCases => ({
  ...Object.fromEntries(Object.entries(binary(f, tied, { by: [] })).map(([k, c]) => [`floats, ${k}`, c])),
  integers: { inputs: { a: integers(-2, 2, 30), b: integers(-2, 2, 30) }, f: ({ a, b }) => f(a, b) },
});
const reduction = (f: (x: Tensor, axis?: number | number[], keepDims?: boolean) => Tensor, { given = g, by }: { given?: (...shape: number[]) => Given; by?: string[] } = {}): KernelCases =>
  Object.fromEntries(([['last axis', -1, false], ['first axis', 0, false], ['two axes', [0, 2], false], ['negative axes, kept', [-1, -2], true], ['middle, kept', 1, true], ['all', undefined, false]] as const)
    .map(([name, axis, keep]) => [name, { inputs: { x: given(3, 4, 5) }, f: ({ x }) => f(x, axis as number, keep), ...(by ? { by } : {}) }]));
const argument = (f: (x: Tensor, axis: number) => Tensor): KernelCases => Object.fromEntries([0, 1, -1].map((axis) => [`axis ${axis}`, { inputs: { x: tied(3, 4, 5) }, f: ({ x }) => f(x, axis), by: [] }]));

type Pad = 'same' | 'valid' | number | [[number, number], [number, number], [number, number], [number, number]];
const around = (top: number, bottom: number, left: number, right: number): Pad => [[0, 0], [top, bottom], [left, right], [0, 0]];
const convolution = (x: number[], filter: number[], stride: number | [number, number], pad: Pad): Comparison => ({ inputs: { x: g(...x), filter: g(...filter) }, f: (t) => tf.conv2d(t.x as tf.Tensor4D, t.filter as tf.Tensor4D, stride, pad) });
/** Strides, paddings, odd sizes; channels that are multiples of 16, of 8 and of neither (blocked convolutions). */
const convolutions: KernelCases = {
  '3x3 same': convolution([2, 6, 6, 3], [3, 3, 3, 5], 1, 'same'),
  '3x3 valid': convolution([2, 7, 5, 3], [3, 3, 3, 5], 1, 'valid'),
  '3x3 stride 2 same, even': convolution([2, 8, 6, 4], [3, 3, 4, 2], 2, 'same'),
  '3x3 stride 2 same, odd': convolution([1, 7, 9, 4], [3, 3, 4, 2], 2, 'same'),
  '3x3 stride 3 valid, remainder': convolution([1, 9, 10, 2], [3, 3, 2, 3], 3, 'valid'),
  '3x3 strides 1 and 2': convolution([1, 6, 8, 2], [3, 3, 2, 3], [1, 2], 'same'),
  '1x1': convolution([2, 3, 4, 5], [1, 1, 5, 6], 1, 'valid'),
  '1x1 stride 2': convolution([2, 5, 6, 5], [1, 1, 5, 6], 2, 'same'),
  '1x1 stride 3': convolution([2, 6, 8, 2], [1, 1, 2, 3], 3, 'valid'),
  '7x7 stride 2, padding 3': convolution([1, 15, 16, 3], [7, 7, 3, 4], 2, around(3, 3, 3, 3)),
  '3x3 stride 2, padding 1': convolution([2, 8, 8, 3], [3, 3, 3, 4], 2, around(1, 1, 1, 1)),
  'uneven padding': convolution([1, 5, 6, 2], [3, 3, 2, 3], 1, around(0, 2, 1, 0)),
  'padding wider than the kernel': convolution([1, 4, 4, 2], [2, 2, 2, 3], 1, around(2, 2, 3, 2)),
  '2x3 kernel': convolution([1, 5, 6, 2], [2, 3, 2, 3], 1, 'same'),
  '16 to 32 channels': convolution([2, 5, 5, 16], [3, 3, 16, 32], 1, 'same'),
  '16 to 16 channels, stride 2, odd': convolution([1, 7, 7, 16], [3, 3, 16, 16], 2, 'same'),
  '1x1 of 32 to 16 channels, stride 2': convolution([1, 6, 6, 32], [1, 1, 32, 16], 2, 'same'),
  '8 to 24 channels': convolution([1, 5, 5, 8], [3, 3, 8, 24], 1, 'same'),
  '12 to 16 channels': convolution([1, 5, 5, 12], [3, 3, 12, 16], 1, 'same'),
  '16 to 12 channels': convolution([1, 5, 5, 16], [3, 3, 16, 12], 1, 'same'),
  'a residual block of 16 channels': {
    inputs: { x: g(2, 6, 6, 16), a: g(3, 3, 16, 16), b: g(3, 3, 16, 16), scale: g(16) },
    f: (t) => tf.relu(tf.add(t.x, tf.mul(tf.conv2d(tf.relu(tf.conv2d(t.x as tf.Tensor4D, t.a as tf.Tensor4D, 1, 'same')), t.b as tf.Tensor4D, 1, 'same'), t.scale))),
  },
};
const pooling = (f: (x: tf.Tensor4D, size: number, stride: number, pad: 'same' | 'valid' | number) => Tensor, given = g): KernelCases => Object.fromEntries(
  ([['2x2', [2, 4, 6, 3], 2, 2, 'valid'], ['3x3 stride 2 valid', [1, 7, 8, 2], 3, 2, 'valid'], ['3x3 stride 1 valid', [2, 5, 5, 2], 3, 1, 'valid'], ['2x2 stride 3, remainder', [1, 8, 7, 2], 2, 3, 'valid'],
    ['3x3 stride 2 same', [2, 8, 7, 4], 3, 2, 'same'], ['3x3 stride 1 same', [1, 5, 6, 2], 3, 1, 'same'], ['3x3 stride 2, padding 1', [2, 8, 8, 3], 3, 2, 1], ['16 channels', [2, 8, 8, 16], 3, 2, 'same']] as [string, number[], number, number, 'same' | 'valid' | number][])
    .map(([name, shape, size, stride, pad]) => [name, { inputs: { x: given(...shape) }, f: ({ x }) => f(x as tf.Tensor4D, size, stride, pad) }]));
const maxPools: KernelCases = {
  ...pooling((x, ...rest) => tf.maxPool(x, ...rest)),
  'all negative': { inputs: { x: { shape: [2, 6, 6, 3], draw: (s) => s.uniform(-3, -1) } }, f: ({ x }) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'same') },
  'ties: the first of a window': { inputs: { x: tied(2, 7, 8, 3) }, f: ({ x }) => tf.maxPool(x as tf.Tensor4D, 3, 2, 'same') },
  'between convolutions': { inputs: { x: g(1, 6, 6, 3), a: g(3, 3, 3, 16), b: g(3, 3, 16, 2) }, f: (t) => tf.conv2d(tf.maxPool(tf.conv2d(t.x as tf.Tensor4D, t.a as tf.Tensor4D, 1, 'same'), 3, 2, 'same'), t.b as tf.Tensor4D, 1, 'same') },
};
const average = pooling((x, ...rest) => tf.avgPool(x, ...rest));
/** tfjs's gradient of padded average pooling is wrong, so that it is no oracle there. */
const averages: KernelCases = Object.fromEntries(Object.entries(average).map(([name, c]) => [name, /same|padding/.test(name) || name === '16 channels' ? { ...c, by: [] } : c]));

const product = (a: number[], b: number[], transposeA = false, transposeB = false): Comparison => ({ inputs: { a: g(...a), b: g(...b) }, f: (t) => tf.matMul(t.a, t.b, transposeA, transposeB) });
const products: KernelCases = {
  '2-D': product([5, 7], [7, 3]), '2-D, left transposed': product([7, 5], [7, 3], true), '2-D, right transposed': product([5, 7], [3, 7], false, true), '2-D, both': product([7, 5], [3, 7], true, true),
  '3-D': product([2, 5, 7], [2, 7, 3]), '4-D, right transposed': product([2, 3, 5, 7], [2, 3, 4, 7], false, true), '4-D, left transposed': product([2, 3, 7, 5], [2, 3, 7, 4], true), '4-D, both': product([2, 2, 7, 5], [2, 2, 4, 7], true, true),
  'one row': product([1, 7], [7, 3]), 'one column, batched': product([2, 5, 7], [2, 7, 1]),
  'broadcast batch': { ...product([2, 3, 5, 7], [1, 3, 7, 4]), by: [] },
  'of transpositions': { inputs: { a: g(2, 5, 7), b: g(2, 3, 7) }, f: (t) => tf.matMul(t.a, tf.transpose(t.b, [0, 2, 1])) },
  'of heads': { inputs: { a: g(2, 5, 12), b: g(2, 4, 12) }, f: (t) => { const heads = (x: Tensor): Tensor => tf.transpose(tf.reshape(x, [2, -1, 3, 4]), [0, 2, 1, 3]); return tf.matMul(heads(t.a), heads(t.b), false, true); } },
};
const x = (shape: number[], f: (x: Tensor) => Tensor | Tensor[], given = g): Comparison => ({ inputs: { x: given(...shape) }, f: (t) => f(t.x) });
const softmaxes = (f: (x: Tensor) => Tensor): KernelCases => ({
  vector: x([7], f), 'rank 3': x([2, 3, 5], f), 'large logits': x([4, 6], f, (...shape) => ({ shape, draw: (s) => 60 * s.normal() })),
});

const scales = (...shape: number[]): Given => ({ shape, draw: (s) => s.uniform(0.2, 0.7) });
const levels = (lowest: number, highest: number, axis: number, count: number) => ({ lowest, highest, axis, gradientScale: gradientScale(count, { lowest, highest }) });
/** Elements on the levels, half-way between two and at the ends of the range, for a scale of 0.5: every tie of the quantizer. */
const onTheGrid = (...shape: number[]): Given => ({ shape, draw: (_s, i) => ((i % 25) - 12) / 4 });
const half = (...shape: number[]): Given => ({ shape, draw: () => 0.5 });
const activations: KernelCases = {
  'one scale': { inputs: { x: g(3, 4, 5), scale: scales(1), offset: g(1) }, f: (t) => fakeQuantizeActivation(t.x, t.scale, t.offset, levels(-2, 1, 0, 60)) },
  'a scale for each head, 8 bits': { inputs: { x: g(2, 3, 4, 5), scale: scales(3), offset: g(3) }, f: (t) => fakeQuantizeActivation(t.x, t.scale, t.offset, levels(-128, 127, 1, 120)) },
  'unsigned, 2 bits': { inputs: { x: g(3, 4, 5), scale: scales(1), offset: g(1) }, f: (t) => fakeQuantizeActivation(t.x, t.scale, t.offset, levels(0, 3, 0, 60)) },
  'unsigned, 8 bits, far outside': { inputs: { x: { shape: [60], draw: (s) => 200 * s.normal() }, scale: scales(1), offset: g(1) }, f: (t) => fakeQuantizeActivation(t.x, t.scale, t.offset, levels(0, 255, 0, 60)) },
  'on the grid': { inputs: { x: onTheGrid(5, 10), scale: half(1), offset: { shape: [1], draw: () => 0.25 } }, f: (t) => fakeQuantizeActivation(t.x, t.scale, t.offset, levels(-2, 1, 0, 50)) },
  'between transpositions': { inputs: { x: g(2, 3, 4, 5), scale: scales(3), offset: g(3) }, f: (t) => tf.square(tf.transpose(fakeQuantizeActivation(tf.transpose(t.x, [0, 1, 3, 2]), t.scale, t.offset, levels(-4, 3, 1, 120)), [0, 2, 1, 3])) },
  'of images, before a convolution': { inputs: { x: g(2, 5, 5, 16), w: g(3, 3, 16, 16), scale: scales(1), offset: g(1) }, f: (t) => tf.conv2d(fakeQuantizeActivation(tf.relu(tf.conv2d(t.x as tf.Tensor4D, t.w as tf.Tensor4D, 1, 'same')), t.scale, t.offset, levels(-2, 1, 0, 800)) as tf.Tensor4D, t.w as tf.Tensor4D, 2, 'same') },
};
const weights: KernelCases = {
  'output channels of a convolution': { inputs: { x: g(3, 3, 4, 6), scale: scales(6) }, f: (t) => fakeQuantizeWeight(t.x, t.scale, levels(-2, 1, 3, 216)) },
  'rows, 3 bits': { inputs: { x: g(6, 8), scale: scales(6) }, f: (t) => fakeQuantizeWeight(t.x, t.scale, levels(-4, 3, 0, 48)) },
  'on the grid': { inputs: { x: onTheGrid(5, 10), scale: half(5) }, f: (t) => fakeQuantizeWeight(t.x, t.scale, levels(-2, 1, 0, 50)) },
  'of a product': { inputs: { a: g(5, 8), x: g(6, 8), scale: scales(6) }, f: (t) => tf.matMul(t.a, fakeQuantizeWeight(t.x, t.scale, levels(-2, 1, 0, 48)), false, true) },
  'of a convolution': { inputs: { a: g(1, 5, 5, 16), x: g(3, 3, 16, 32), scale: scales(32) }, f: (t) => tf.conv2d(t.a as tf.Tensor4D, fakeQuantizeWeight(t.x, t.scale, levels(-2, 1, 3, 4608)) as tf.Tensor4D, 1, 'same') },
};

/** Costs [P, Q, G] without ties, so that one assignment is the best. */
const assignment = (P: number, Q: number, G: number, isBox: (k: number) => boolean): Comparison => ({ inputs: { cost: g(P, Q, G), valid: { shape: [P, G], draw: (_s, i) => Number(isBox(i)) } }, f: (t) => linearAssignment(t.cost, t.valid), by: [] });
const assignments: KernelCases = {
  '12 boxes, 30 queries, padding': assignment(5, 30, 12, (k) => k % 7 !== 3), 'as many boxes as queries': assignment(2, 11, 11, () => true), 'padding alone': assignment(2, 9, 9, () => false), 'one box among padding': assignment(3, 20, 10, (k) => k % 10 === 6),
  'few boxes': assignment(3, 7, 4, () => true), 'few, padding alone': assignment(2, 5, 3, () => false), 'one query': assignment(3, 1, 1, (k) => k !== 1),
  'between other kernels': { inputs: { a: g(2, 9, 40), b: g(2, 40, 9) }, f: (t) => { const found = linearAssignment(tf.sub(tf.mul(t.b, 3), tf.transpose(tf.exp(t.a), [0, 2, 1])), tf.ones([2, 9])); return [tf.sum(tf.mul(found, t.a), -1), tf.argMax(found, -1)]; }, by: [] },
};

/** For every kernel that can be traced: functions of tfjs whose graphs hold it. */
export const kernelCases: Record<string, KernelCases> = {
  Identity: { clone: x([3], (v) => tf.mul(tf.clone(v), v)) },
  Neg: unary(tf.neg), Relu: withTies(tf.relu), Sigmoid: unary(tf.sigmoid), Exp: unary(tf.exp), Abs: withTies(tf.abs), Sign: withTies(tf.sign), Square: { ...unary(tf.square), integers: { inputs: { x: integers(-5, 5, 9) }, f: (t) => tf.square(t.x) } },
  Log: unary(tf.log, positive), Log1p: unary(tf.log1p, positive), Sqrt: unary(tf.sqrt, positive), Rsqrt: unary(tf.rsqrt, positive), Reciprocal: unary(tf.reciprocal, positive),
  Tanh: unary(tf.tanh), Sin: unary(tf.sin), Cos: unary(tf.cos), Softplus: { ...unary(tf.softplus), far: x([8], tf.softplus, (...shape) => ({ shape, draw: (s) => 40 * s.normal() })) },
  Floor: withTies(tf.floor), Ceil: withTies(tf.ceil), Round: { ...withTies(tf.round), 'halves go to the even number': { inputs: { x: { shape: [21], draw: (_, i) => (i - 10) / 2 } }, f: (t) => tf.round(t.x), by: [] } },
  Step: { ...withTies((v) => tf.step(v)), alpha: { inputs: { x: tied(20) }, f: (t) => tf.step(t.x, 0.25), by: [] }, 'of a relu': { inputs: { x: tied(20) }, f: (t) => tf.step(tf.relu(t.x), -1), by: [] }, 'gradient of abs': { inputs: { x: tied(20) }, f: (t) => tf.abs(t.x) } },
  ClipByValue: { ...withTies((v) => tf.clipByValue(v, -1, 0.5)), integers: { inputs: { x: integers(-9, 9, 30) }, f: (t) => tf.clipByValue(t.x, -3, 4) } },
  Cast: {
    'truncates towards zero': { inputs: { x: { shape: [30], draw: (s) => 4 * s.normal() } }, f: (t) => tf.cast(t.x, 'int32'), by: [] },
    'integers to floats': { inputs: { x: integers(-9, 9, 9) }, f: (t) => tf.cast(t.x, 'float32') },
    'truths to floats': { inputs: { x: bools(9) }, f: (t) => tf.cast(t.x, 'float32') },
    'truths to integers': { inputs: { x: bools(9) }, f: (t) => tf.cast(t.x, 'int32') },
    'floats to truths': { inputs: { x: tied(20) }, f: (t) => tf.cast(t.x, 'bool'), by: [] },
    'there and back': { inputs: { x: tied(3, 4) }, f: (t) => tf.mul(t.x, withoutGradient((v) => tf.cast(tf.greater(v, 0), 'float32'), [t.x])) },
  },
  ZerosLike: { plus: x([3, 2], (v) => tf.add(tf.exp(v), tf.zerosLike(v))) }, OnesLike: { times: x([3, 2], (v) => tf.mul(tf.exp(v), tf.onesLike(v))) },
  Fill: { constant: x([3, 2], (v) => tf.mul(v, tf.fill([3, 2], 2.5))) },
  Add: { ...binary(tf.add), integers: { inputs: { a: integers(-9, 9, 3, 4), b: integers(-9, 9, 4) }, f: (t) => tf.add(t.a, t.b) }, 'a bias of a product': { inputs: { a: g(5, 7), b: g(7, 3), c: g(3) }, f: (t) => tf.add(tf.matMul(t.a, t.b), t.c) }, 'a bias first, transposed': { inputs: { a: g(7, 5), b: g(3, 7), c: g(3) }, f: (t) => tf.add(t.c, tf.matMul(t.a, t.b, true, true)) }, 'a bias of a product used twice': { inputs: { a: g(5, 7), b: g(7, 3), c: g(3) }, f: (t) => { const p = tf.matMul(t.a, t.b); return tf.mul(tf.add(p, t.c), p); } } },
  Sub: { ...binary(tf.sub), integers: { inputs: { a: integers(-9, 9, 3, 4), b: integers(-9, 9, 4) }, f: (t) => tf.sub(t.a, t.b) } },
  Multiply: { ...binary(tf.mul), integers: { inputs: { a: integers(-9, 9, 3, 4), b: integers(-9, 9, 4) }, f: (t) => tf.mul(t.a, t.b) }, 'integers by zero': { inputs: { a: integers(-9, 9, 4) }, f: (t) => tf.mul(t.a, tf.scalar(0, 'int32')) } },
  RealDiv: binary(tf.div, positive), Maximum: unbroadcastGradient(binary(tf.maximum, tied)), Minimum: unbroadcastGradient(binary(tf.minimum, tied)),
  Pow: binary(tf.pow, positive), SquaredDifference: unbroadcastGradient(binary(tf.squaredDifference)),
  FloorDiv: { ...binary(tf.floorDiv, positive, { by: [] }), integers: { inputs: { a: integers(-9, 9, 40), b: integers(1, 4, 40) }, f: (t) => tf.floorDiv(t.a, t.b) }, 'negative divisors': { inputs: { a: integers(-9, 9, 40), b: integers(-4, -1, 40) }, f: (t) => tf.floorDiv(t.a, t.b) }, 'bytes of a word': { inputs: { a: { shape: [20, 1], dtype: 'int32', draw: (s) => s.uint32() | 0 } }, f: (t) => { const q = tf.floorDiv(t.a, tf.tensor1d([1, 256, 65536, 16777216], 'int32')); return tf.sub(q, tf.mul(tf.floorDiv(q, tf.scalar(256, 'int32')), tf.scalar(256, 'int32'))); } } },
  AddN: { three: { inputs: { a: g(3, 2), b: g(3, 2), c: g(3, 2) }, f: (t) => tf.addN([t.a, t.b, t.c]) } },
  Equal: comparison(tf.equal), NotEqual: comparison(tf.notEqual), Greater: comparison(tf.greater), GreaterEqual: comparison(tf.greaterEqual), Less: comparison(tf.less), LessEqual: comparison(tf.lessEqual),
  LogicalAnd: binary(tf.logicalAnd, bools), LogicalOr: binary(tf.logicalOr, bools), LogicalNot: unary(tf.logicalNot, bools),
  Select: {
    floats: { inputs: { c: bools(3, 4), a: g(3, 4), b: g(3, 4) }, f: (t) => tf.where(t.c, t.a, t.b) },
    'broadcast condition': { inputs: { c: bools(3, 1), a: g(3, 4), b: g(3, 4) }, f: (t) => tf.where(t.c, t.a, t.b) },
    'of a comparison': { inputs: { a: tied(3, 4), b: g(3, 4) }, f: (t) => tf.where(tf.greater(t.a, 0), tf.square(t.b), tf.neg(t.b)), by: ['b'] },
    integers: { inputs: { c: bools(9), a: integers(0, 9, 9), b: integers(0, 9, 9) }, f: (t) => tf.where(t.c, t.a, t.b) },
  },
  Softmax: softmaxes(tf.softmax),
  Sum: { ...reduction(tf.sum), integers: { inputs: { x: integers(-9, 9, 3, 4) }, f: (t) => tf.sum(t.x, 1) }, truths: { inputs: { x: bools(3, 4) }, f: (t) => tf.sum(t.x, 0) }, 'of a broadcast': x([3, 1], (v) => tf.sum(tf.broadcastTo(v, [3, 4]), 1)), 'of broadcast integers': { inputs: { x: integers(1, 5, 3, 1) }, f: (t) => tf.sum(tf.broadcastTo(t.x, [3, 4])) }, 'of a transposition': x([2, 3, 4], (v) => tf.sum(tf.transpose(tf.exp(v), [2, 0, 1]), 1)) },
  Mean: { ...reduction(tf.mean), integers: { inputs: { x: integers(-9, 9, 3, 4) }, f: (t) => tf.mean(t.x, 1) }, 'of a transposition': x([2, 3, 4], (v) => tf.mean(tf.transpose(tf.exp(v), [2, 0, 1]), [0, 2])) },
  Max: { ...reduction(tf.max), ties: x([4, 5], (v) => tf.max(v, 1), tied) }, Min: { ...reduction(tf.min), ties: x([4, 5], (v) => tf.min(v, 0), tied) }, Prod: reduction(tf.prod, { by: [] }),
  ArgMax: argument(tf.argMax), ArgMin: argument(tf.argMin),
  Reshape: { flat: x([2, 3, 4], (v) => tf.mul(tf.reshape(v, [-1]), 2)), 'up and down': x([2, 3, 4], (v) => tf.reshape(tf.exp(tf.reshape(v, [6, 4])), [3, 8])), integers: { inputs: { x: integers(0, 9, 6) }, f: (t) => tf.reshape(t.x, [2, 3]) } },
  ExpandDims: { last: x([2, 3], (v) => tf.expandDims(v, -1)), first: x([2, 3], (v) => tf.expandDims(v, 0)), middle: x([2, 3], (v) => tf.expandDims(v, 1)) },
  Transpose: { 'two axes': x([3, 4], (v) => tf.transpose(v)), 'four axes': x([2, 3, 4, 5], (v) => tf.transpose(v, [0, 2, 1, 3])), turned: x([2, 3, 4], (v) => tf.transpose(v, [2, 0, 1])), 'one after the other': x([2, 3, 4], (v) => tf.transpose(tf.transpose(v, [1, 2, 0]), [0, 2, 1])), 'through arithmetic': { inputs: { x: g(2, 3, 4), b: g(4) }, f: (t) => tf.mul(tf.transpose(tf.relu(tf.add(tf.transpose(t.x, [2, 1, 0]), 1)), [2, 1, 0]), t.b) }, 'of a thin axis': x([3, 1, 4], (v) => tf.transpose(v, [1, 0, 2])), integers: { inputs: { x: integers(0, 9, 2, 3) }, f: (t) => tf.transpose(t.x) }, truths: { inputs: { x: bools(2, 3) }, f: (t) => tf.transpose(t.x) } },
  Tile: { 'two axes': x([2, 3], (v) => tf.tile(v, [2, 3])), 'one axis': x([2, 3], (v) => tf.tile(v, [1, 2])), 'of one row': x([1, 3], (v) => tf.tile(v, [4, 1])), integers: { inputs: { x: integers(0, 9, 2, 3) }, f: (t) => tf.tile(t.x, [2, 1]) } },
  BroadcastTo: { row: x([1, 3], (v) => tf.broadcastTo(v, [4, 3])), 'new axes': x([3], (v) => tf.broadcastTo(v, [2, 4, 3])), 'before a product': { inputs: { a: g(1, 3), b: g(3, 2) }, f: (t) => tf.matMul(tf.broadcastTo(t.a, [4, 3]), t.b) } },
  Concat: { 'last axis': { inputs: { a: g(2, 3), b: g(2, 4) }, f: (t) => tf.concat([t.a, t.b], -1) }, 'first axis, three': { inputs: { a: g(2, 3), b: g(1, 3), c: g(3, 3) }, f: (t) => tf.concat([t.a, t.b, t.c], 0) }, 'twelve in order': { inputs: { a: g(1, 2) }, f: (t) => tf.concat(Array.from({ length: 12 }, (_, k) => tf.mul(t.a, k + 2)), 0) }, integers: { inputs: { a: integers(0, 9, 2), b: integers(0, 9, 3) }, f: (t) => tf.concat([t.a, t.b]) } },
  Pack: { first: { inputs: { a: g(2, 3), b: g(2, 3) }, f: (t) => tf.stack([t.a, t.b]) }, last: { inputs: { a: g(2, 3), b: g(2, 3) }, f: (t) => tf.stack([t.a, t.b], -1) } },
  Unpack: { first: x([3, 4], (v) => tf.unstack(v)), last: x([3, 4], (v) => tf.unstack(v, -1)), one: { ...x([1, 4], (v) => tf.unstack(v)), by: [] } },
  SplitV: { equal: x([4, 6], (v) => tf.split(v, 3, 1)), sizes: x([4, 6], (v) => tf.split(v, [1, 2, 3], -1)), rows: x([4, 6], (v) => tf.split(v, [1, 3], 0)) },
  Slice: { 'of two axes, with what follows': x([4, 6], (v) => tf.mul(tf.add(tf.slice(v, [1, 2], [2, 3]), 1), 2)), 'of three axes, summed': x([4, 6, 2], (v) => tf.sum(tf.slice(v, [1, 2, 0], [2, 3, 2]), 2)), 'of the axes behind one row': x([2, 3, 4], (v) => tf.square(tf.slice(v, [1, 0, 1], [1, 2, 2]))), inner: x([4, 5], (v) => tf.slice(v, [1, 2], [2, 3])), rest: x([4, 5], (v) => tf.slice(v, [1, 0], [-1, -1])), 'one row': x([4, 5], (v) => tf.slice(v, 2, 1)), integers: { inputs: { x: integers(0, 9, 7) }, f: (t) => tf.slice(t.x, 2, 3) } },
  PadV2: { zeros: x([2, 3], (v) => tf.pad(v, [[1, 0], [2, 1]])), value: x([2, 3], (v) => tf.pad(v, [[0, 1], [1, 0]], -1.5)), integers: { inputs: { x: integers(1, 9, 4) }, f: (t) => tf.pad(t.x, [[1, 2]], 7) } },
  Reverse: { 'one axis': x([3, 4], (v) => tf.reverse(v, 1)), all: x([3, 4], (v) => tf.reverse(v)), 'two axes, negative': x([2, 3, 4], (v) => tf.reverse(v, [-1, 0])) },
  Cumsum: { last: x([3, 4], (v) => tf.cumsum(v, 1)), first: { ...x([3, 4], (v) => tf.cumsum(v, 0)), by: [] }, 'exclusive, reversed': x([3, 4], (v) => tf.cumsum(v, 1, true, true)) },
  GatherV2: { rows: { inputs: { x: g(5, 3), i: integers(0, 4, 7) }, f: (t) => tf.gather(t.x, t.i) }, 'last axis, table of indices': { inputs: { x: g(2, 5), i: integers(0, 4, 3, 2) }, f: (t) => tf.gather(t.x, t.i, -1), by: [] }, 'middle axis': { inputs: { x: g(2, 5, 3), i: integers(0, 4, 4) }, f: (t) => tf.gather(t.x, t.i, 1) } },
  UnsortedSegmentSum: { rows: { inputs: { x: g(6, 3), i: integers(0, 3, 6) }, f: (t) => tf.unsortedSegmentSum(t.x, t.i as tf.Tensor1D, 4), by: [] }, numbers: { inputs: { x: g(6), i: integers(0, 4, 6) }, f: (t) => tf.unsortedSegmentSum(t.x, t.i as tf.Tensor1D, 5), by: [] } },
  OneHot: { 'floats, other values': { inputs: { i: integers(0, 4, 6) }, f: (t) => tf.oneHot(t.i, 5, 0.75, -0.5, 'float32') }, floats: { inputs: { i: integers(0, 4, 6) }, f: (t) => tf.oneHot(t.i, 5, 1, 0, 'float32') }, 'integers, other values': { inputs: { i: integers(0, 4, 2, 3) }, f: (t) => tf.oneHot(t.i, 5, 7, -2, 'int32') }, 'outside: no hit': { inputs: { i: integers(-1, 5, 12) }, f: (t) => tf.oneHot(t.i, 5) } },
  BatchMatMul: products,
  Conv2D: convolutions, Conv2DBackpropInput: convolutions, Conv2DBackpropFilter: convolutions, OnnxConv: convolutions, OnnxConvTranspose: convolutions, OnnxUnfold: convolutions,
  MaxPool: maxPools, MaxPoolGrad: maxPools, OnnxMaxPool: maxPools, OnnxMaxPoolGrad: maxPools, AvgPool: averages, AvgPoolGrad: averages, OnnxAveragePool: averages,
  LayerNorm: { '2-D': { inputs: { x: g(5, 8), w: g(8), b: g(8) }, f: (t) => layerNorm(t.x, t.w, t.b) }, '3-D, epsilon': { inputs: { x: g(2, 3, 5), w: g(5), b: g(5) }, f: (t) => layerNorm(t.x, t.w, t.b, 0.1) } },
  FakeQuantizeActivation: activations, FakeQuantizeActivationGradient: activations, FakeQuantizeWeight: weights, FakeQuantizeWeightGradient: weights,
  LinearAssignmentOfMany: assignments,
  Split: { last: x([2, 3, 6], (v) => split(v, 3, 2)), first: x([4, 3], (v) => split(v, 2, 0)) },
};
