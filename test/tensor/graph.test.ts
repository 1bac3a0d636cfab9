import test from 'ava';
import fc from 'fast-check';
import { useBackend } from '../../src/tensor/backend.js';
import type { TensorSpec } from '../../src/tensor/graph.js';
import { defineKernel } from '../../src/tensor/named-kernel.js';
import { lowerToOnnx } from '../../src/tensor/onnx-lowering.js';
import { simplify } from '../../src/tensor/simplify.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { trace, type StepFunction } from '../../src/tensor/trace.js';
import { compiled, difference, draw, eagerly } from './compiled.js';
import { kernelCounts } from './kernel-counts.js';

const floats = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
/** Kernels of the simplified graph and how often each occurs. */
const simplified = (f: StepFunction, inputs: Record<string, TensorSpec>): Record<string, number> => Object.fromEntries(kernelCounts(simplify(trace(f, inputs))));

test('copies, reshapes to the same shape, zeros added and ones multiplied leave nothing behind', (t) => {
  t.deepEqual(simplified(({ x }) => ({ y: tf.clone(x) }), { x: floats(2, 3) }), {});
  t.deepEqual(simplified(({ x }) => ({ y: tf.reshape(tf.reshape(tf.cast(x, 'float32'), [3, 2]), [2, 3]) }), { x: floats(2, 3) }), {});
  t.deepEqual(simplified(({ x }) => ({ y: tf.mul(tf.add(x, tf.zeros([2, 3])), tf.onesLike(x)) }), { x: floats(2, 3) }), {});
  t.deepEqual(simplified(({ x }) => ({ y: tf.neg(tf.neg(tf.transpose(tf.transpose(x)))) }), { x: floats(2, 3) }), {});
  t.deepEqual(simplified(({ x }) => ({ y: tf.concat([tf.pad(tf.slice(x, [0, 0], [2, 3]), [[0, 0], [0, 0]])]) }), { x: floats(2, 3) }), {});
});

test('what is computed twice is computed once; what no output needs is not computed', (t) => {
  t.deepEqual(simplified(({ x }) => ({ y: tf.add(tf.exp(x), tf.exp(x)) }), { x: floats(4) }), { Add: 1, Exp: 1 });
  t.deepEqual(simplified(({ x }) => { tf.sqrt(tf.exp(x)); return { y: tf.relu(x) }; }, { x: floats(4) }), { Relu: 1 });
  t.deepEqual(simplified(({ x }) => ({ a: tf.relu(x), b: tf.relu(x) }), { x: floats(4) }), { Relu: 1 });
});

test('constants are folded, through lists and broadcasts as well', (t) => {
  const scaled = trace(({ x }) => ({ y: tf.mul(x, tf.exp(tf.mul(tf.tensor1d([1, 2]), 3))) }), { x: floats(3, 2) });
  const graph = simplify(scaled);
  t.deepEqual(kernelCounts(graph), [['Multiply', 1]]);
  t.deepEqual(Array.from(graph.nodes[0].inputs[1].constant as Float32Array), [Math.fround(Math.exp(3)), Math.fround(Math.exp(6))]);
  t.deepEqual(simplified(({ x }) => ({ y: tf.add(x, tf.concat([tf.tensor1d([1, 2]), tf.add(tf.tensor1d([3]), 1)])) }), { x: floats(3) }), { Add: 1 });
  t.deepEqual(simplified(({ x }) => ({ y: tf.matMul(x, tf.add(tf.tensor2d([[1, 2]]), tf.zeros([3, 2]))) }), { x: floats(2, 3) }), { BatchMatMul: 1 });
});

test('sums of constants, and the tiles of a gradient of a sum, become arithmetic', (t) => {
  t.deepEqual(simplified(({ x }) => ({ y: tf.add(x, tf.sum(tf.ones([5, 2]))) }), { x: floats(3) }), { Add: 1 });
  t.deepEqual(simplified(({ x }) => ({ y: tf.grad((v: Tensor) => tf.sum(tf.square(v)))(x) }), { x: floats(3) }), { Multiply: 1 });
});

test('transpositions move into products and past arithmetic until they meet', (t) => {
  t.deepEqual(simplified(({ x, w }) => ({ y: tf.matMul(x, tf.transpose(w)) }), { x: floats(2, 3), w: floats(4, 3) }), { BatchMatMul: 1 });
  t.deepEqual(simplified(({ x, b }) => ({ y: tf.transpose(tf.relu(tf.add(tf.transpose(x, [0, 3, 1, 2]), tf.reshape(b, [5, 1, 1]))), [0, 2, 3, 1]) }), { x: floats(2, 3, 4, 5), b: floats(5) }), { Relu: 1, Add: 1, Reshape: 1 });
});

test('a residual block stays in one layout: two transpositions of images, at its ends', (t) => {
  const block: StepFunction = ({ x, a, b }) => ({ y: tf.relu(tf.add(x, tf.conv2d(tf.relu(tf.conv2d(x as tf.Tensor4D, a as tf.Tensor4D, 1, 'same')), b as tf.Tensor4D, 1, 'same'))) });
  const { graph } = lowerToOnnx(trace(block, { x: floats(2, 8, 8, 16), a: floats(3, 3, 16, 16), b: floats(3, 3, 16, 16) }));
  t.is(graph.nodes.filter((n) => n.op === 'Transpose' && n.outputs[0].shape[0] === 2).length, 2);
});

test('a step that reads elements is refused, with the reason', (t) => {
  t.throws(() => trace(({ x }) => ({ y: tf.mul(x, tf.sum(x).dataSync()[0]) }), { x: floats(3) }), { message: 'a traced step read the elements of a tensor of shape []: a step must not depend on values' });
  t.throws(() => trace(({ x }) => { x.arraySync(); return { y: x }; }, { x: floats(3, 2) }), { message: /read the elements of a tensor of shape \[3, 2\]/ });
});

test.serial('a tensor made outside of the step is refused, with the way out; the backend is the same afterwards', async (t) => {
  await useBackend('cpu');
  const outside = tf.tensor1d([1, 2, 3]);
  t.throws(() => trace(({ x }) => ({ y: tf.add(x, outside) }), { x: floats(3) }), { message: 'a tensor of shape [3] was made outside of the traced step: pass it in as an input or make it inside' });
  t.is(tf.getBackend(), 'cpu');
  t.deepEqual(Array.from(await outside.data()), [1, 2, 3]);
});

test('a kernel that cannot be traced, or not be lowered, is named', (t) => {
  t.throws(() => trace(({ x }) => ({ y: tf.erf(x) }), { x: floats(3) }), { message: /Erf/ });
  const only = defineKernel<'x', object>({ name: 'TestOnlyKernel', inputs: ['x'], composite: ({ x }) => [tf.exp(x)] });
  const kept = trace(({ x }) => ({ y: only({ x }, {})[0] }), { x: floats(3) }, { keeps: () => true });
  t.throws(() => lowerToOnnx(kept), { message: /kernel TestOnlyKernel has no lowering to ONNX \(inputs \[3\]\): add one to src\/tensor\/onnx-lowering\.ts/ });
  t.deepEqual(simplified(({ x }) => ({ y: only({ x }, {})[0] }), { x: floats(3) }), { Exp: 1 }); // not kept: its composite
});

test('errors inside of a step leave the tracing backend usable', (t) => {
  t.throws(() => trace(() => { throw new Error('a fault of the step'); }, {}), { message: 'a fault of the step' });
  t.deepEqual(simplified(({ x }) => ({ y: tf.relu(x) }), { x: floats(1) }), { Relu: 1 });
});

const UNARY: ((x: Tensor) => Tensor)[] = [tf.neg, tf.relu, tf.sigmoid, tf.abs, tf.square, tf.tanh, (x) => tf.exp(tf.clipByValue(x, -3, 2)), (x) => tf.clipByValue(x, -1, 1), (x) => tf.cast(tf.greater(x, 0), 'float32'), tf.zerosLike, tf.onesLike, (x) => tf.reshape(tf.reshape(x, [-1]), x.shape)];
const BINARY: ((a: Tensor, b: Tensor) => Tensor)[] = [tf.add, tf.sub, tf.mul, tf.maximum, tf.minimum, (a, b) => tf.div(a, tf.add(tf.square(b), 0.5)), tf.squaredDifference];
const SHAPE: ((x: Tensor) => Tensor)[] = [
  (x) => tf.transpose(x), (x) => tf.sum(x, 0, true), (x) => tf.mean(x, -1, true), (x) => tf.max(x, 1, true), (x) => tf.tile(tf.sum(x, 0, true), [x.shape[0], 1]), (x) => tf.transpose(tf.transpose(x)),
  (x) => tf.reshape(x, [x.shape[1]!, x.shape[0]]), (x) => tf.slice(x, [0, 0], [1, x.shape[1]!]), (x) => tf.softmax(x), (x) => tf.matMul(x, x, false, true), (x) => tf.matMul(tf.transpose(x), x), (x) => tf.pad(x, [[0, 1], [0, 0]]),
  (x) => tf.concat([x, tf.mul(x, 2)], 1), (x) => tf.reverse(x, 0),
];
const CONSTANTS = [0, 1, -1, 2.5];

/** A random expression: each choice takes tensors from those that there are already and adds one. */
const expression = fc.array(fc.tuple(fc.constantFrom('unary', 'binary', 'shape', 'constant', 'transposed'), fc.nat(1000), fc.nat(1000), fc.nat(1000)), { minLength: 1, maxLength: 14 });
type Choices = [string, number, number, number][];

/** All tensors of an expression; matrices of at most 200 elements, an operation whose shapes do not fit is passed over. */
function evaluate(choices: Choices, start: Tensor[]): Tensor[] {
  const all = [...start];
  for (const [kind, which, i, j] of choices) {
    const a = all[i % all.length], b = all[j % all.length];
    const fits = a.shape.every((d, k) => d === b.shape[k] || d === 1 || b.shape[k] === 1);
    const made = kind === 'unary' ? UNARY[which % UNARY.length](a) : kind === 'shape' ? SHAPE[which % SHAPE.length](a) : kind === 'constant' ? BINARY[j % BINARY.length](a, tf.scalar(CONSTANTS[which % CONSTANTS.length]))
      : kind === 'transposed' ? tf.transpose(BINARY[which % BINARY.length](tf.transpose(a), tf.transpose(fits ? b : a))) : fits ? BINARY[which % BINARY.length](a, b) : undefined;
    if (made && made.size <= 200) all.push(made);
  }
  return all.slice(start.length);
}

test.serial('random expressions give the same values compiled as eagerly', async (t) => {
  await useBackend('cpu');
  const inputs = draw({ p: { shape: [3, 4] }, q: { shape: [1, 4] }, r: { shape: [4, 3] } });
  await fc.assert(fc.asyncProperty(expression, async (choices) => {
    const f: StepFunction = ({ p, q, r }) => {
      const made = evaluate(choices as Choices, [p, q, r]);
      return Object.fromEntries(made.map((x, i) => [`value ${i}`, x]));
    };
    if (Object.keys(eagerly(f, inputs)).length === 0) return;
    const fault = difference((await compiled(f, inputs)).results, eagerly(f, inputs), 1e-4);
    if (fault) throw new Error(fault);
  }), { numRuns: 150, seed: 3, endOnFailure: false });
  t.pass();
});

test.serial('random expressions have the same gradients compiled as eagerly', async (t) => {
  await useBackend('cpu');
  const inputs = draw({ p: { shape: [3, 4] }, r: { shape: [4, 3] } });
  // not those that tfjs has no right gradient of: comparisons, and broadcast maxima, minima and squared differences
  const smooth = expression.map((choices) => (choices as Choices).map(([kind, which, i, j]): [string, number, number, number] => [kind, kind === 'unary' ? which % 8 : kind === 'binary' || kind === 'transposed' ? which % 3 : which, i, kind === 'constant' ? j % 3 : j]));
  await fc.assert(fc.asyncProperty(smooth, async (choices) => {
    const f: StepFunction = ({ p, r }) => {
      const loss = (a: Tensor, b: Tensor): Tensor => [a, b, ...evaluate(choices, [a, b])].map((x) => tf.mean(x)).reduce((x, y) => tf.add(x, y));
      const [dp, dr] = tf.grads(loss as never)([p, r]);
      return { dp, dr };
    };
    const fault = difference((await compiled(f, inputs)).results, eagerly(f, inputs), 1e-4);
    if (fault) throw new Error(fault);
  }), { numRuns: 80, seed: 4, endOnFailure: false });
  t.pass();
});
