import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../../src/errors.js';
import { plannedWhole } from '../../../src/tensor/compile-step.js';
import type { TensorSpec } from '../../../src/tensor/graph.js';
import { linearAssignment } from '../../../src/tensor/linear-assignment.js';
import { defineKernel } from '../../../src/tensor/named-kernel.js';
import { tf, type Tensor } from '../../../src/tensor/tf.js';
import { trace, type StepFunction } from '../../../src/tensor/trace.js';
import type { PlanLimits } from '../../../src/tensor/webgpu/kernel.js';
import { LEAST_LIMITS, planGraph, type Plan } from '../../../src/tensor/webgpu/plan.js';
import { draw, withGradients } from '../compiled.js';
import { kernelCases } from '../kernel-cases.js';

const floats = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
const planned = (f: StepFunction, inputs: Record<string, TensorSpec>, limits?: PlanLimits): Plan => planGraph(trace(f, inputs, { keeps: plannedWhole }), limits);
/** Kinds of the kernels, in the order in which they run. */
const kinds = (f: StepFunction, inputs: Record<string, TensorSpec>): string[] => planned(f, inputs).kernels.map((kernel) => kernel.kind);

test('an element-wise chain with broadcasts, reshapes and transpositions is one kernel', (t) => {
  const plan = planned(({ x, b }) => ({ y: tf.transpose(tf.reshape(tf.relu(tf.mul(tf.exp(tf.add(x, b)), 3)), [20, 30, 40]), [2, 0, 1]) }), { x: floats(600, 40), b: floats(40) });
  t.deepEqual(plan.kernels.map((kernel) => kernel.kind), ['map']);
  const [{ bindings, code }] = plan.kernels;
  t.is(bindings.filter((b) => b.buffer === plan.inputs.get('x')!.buffer && !b.writes).length, 1);
  t.is(bindings.filter((b) => b.buffer === plan.outputs.get('y')!.buffer && b.writes).length, 1);
  t.is(code.match(/exp\(/g)!.length, 1);
  t.is(plan.intermediateBytes, 24_000 * 4, 'the output alone lies in memory');
});

test('a chain whose middle is given out as well is still one kernel, with two results', (t) => {
  const plan = planned(({ x }) => { const e = tf.exp(x); return { e, y: tf.log1p(tf.sigmoid(e)) }; }, { x: floats(10_000) });
  t.is(plan.kernels.length, 1);
  t.is(plan.kernels[0].bindings.filter((b) => b.writes).length, 2);
});

test('softmax is one kernel, and so is layer normalization forward', (t) => {
  t.deepEqual(kinds(({ x }) => ({ y: tf.softmax(x) }), { x: floats(10, 16) }), ['reduction']);
  const layerNorm: StepFunction = ({ x, gamma, beta }) => {
    const { mean, variance } = tf.moments(x, -1, true);
    return { y: tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), gamma), beta) };
  };
  t.deepEqual(kinds(layerNorm, { x: floats(10, 16), gamma: floats(16), beta: floats(16) }), ['reduction']);
});

test('a matrix product with bias, activation and residual is one kernel', (t) => {
  t.deepEqual(kinds(({ x, w, b, r }) => ({ y: tf.add(tf.relu(tf.add(tf.matMul(x, w), b)), r) }), { x: floats(8, 5), w: floats(5, 6), b: floats(6), r: floats(8, 6) }), ['product']);
  t.deepEqual(kinds(({ x, w }) => ({ y: tf.matMul(x, w, false, true) }), { x: floats(8, 5), w: floats(6, 5) }), ['product']);
});

test('a convolution is a product over windows: none of them lies in memory', (t) => {
  const plan = planned(({ x, w, b }) => ({ y: tf.relu(tf.add(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'), b)) }), { x: floats(1, 8, 8, 4), w: floats(3, 3, 4, 6), b: floats(6) });
  t.deepEqual(plan.kernels.map((kernel) => kernel.kind), ['product']);
  t.is(plan.intermediateBytes, 8 * 8 * 6 * 4);
  t.is(plan.kernels[0].operations, 2 * 64 * 6 * 36);
});

test("the input gradient of a strided convolution multiplies the pixels of dy, not the zeros between them", (t) => {
  const gradient = (size: number): StepFunction => ({ dy, filter }) => ({ dx: tf.grad((x: Tensor) => tf.conv2d(x as tf.Tensor4D, tf.reshape(filter, [size, size, 4, 6]) as tf.Tensor4D, 2, 'same'))(tf.zeros([1, 8, 8, 4]), dy) });
  const operations = (size: number): number => planned(gradient(size), { dy: floats(1, 4, 4, 6), filter: floats(size * size * 24) }).kernels.filter(({ kind }) => kind === 'product').reduce((sum, kernel) => sum + kernel.operations, 0);
  t.is(operations(1), 2 * 16 * 6 * 4, 'one tap for each pixel of dy');
  t.is(operations(3), 2 * 16 * (4 * 6) * (4 * 4), 'four taps, of which some are 0, for each of four places');
});

test('operations of a product are counted exactly: 2 P M N K', (t) => {
  t.is(planned(({ a, b }) => ({ y: tf.matMul(a, b) }), { a: floats(2, 7, 5), b: floats(2, 5, 3) }).kernels[0].operations, 2 * 2 * 7 * 3 * 5);
});

test('a sum that everything after it needs, and what follows, take two kernels at most', (t) => {
  const f: StepFunction = ({ x, w }) => ({ y: tf.mul(w, tf.sum(tf.square(x))) });
  t.true(planned(f, { x: floats(50), w: floats(70) }).kernels.length <= 2);
});

const deep: StepFunction = ({ x }) => {
  let h = x;
  for (let layer = 0; layer < 12; layer++) h = tf.softmax(tf.matMul(h, x));
  return { y: h };
};

test('buffers are used again: a chain of layers needs memory for a few of its values', (t) => {
  const plan = planned(deep, { x: floats(128, 128) });
  const used = plan.buffers.reduce((a, b) => a + b, 0), value = 128 * 128 * 4;
  t.true(plan.kernels.length >= 12);
  t.true(plan.intermediateBytes >= 12 * value);
  t.true(used < plan.intermediateBytes, `${used} bytes of ${plan.intermediateBytes}`);
  t.true(used <= 5 * value, `${used / value} values of the chain`);
});

/** Bindings lie inside of their buffers, none overlaps one that is written, and what is an input alone stays as it is. */
function checkBindings({ kernels, outputs, inputs, buffers }: Plan): void {
  const places = [...outputs.values(), ...inputs.values()];
  const large = new Set([...inputs.values()].map(({ buffer }) => buffer).filter((buffer) => places.filter((place) => place.buffer === buffer).length === 1 && buffer > 0));
  for (const { bindings, label } of kernels) {
    const ranges = bindings.map((b) => ({ ...b, end: b.offset + Math.min(b.bytes, buffers[b.buffer] - b.offset) }));
    for (const b of ranges) {
      if (b.offset < 0 || b.offset >= buffers[b.buffer] || b.offset % 256 !== 0 || (Number.isFinite(b.bytes) && b.offset + b.bytes > buffers[b.buffer])) throw new Error(`${label} binds ${b.bytes} bytes at ${b.offset} of a buffer of ${buffers[b.buffer]}`);
      if (b.writes && large.has(b.buffer)) throw new Error(`${label} writes into an input`);
    }
    ranges.forEach((a, k) => ranges.slice(k + 1).forEach((b) => {
      if (a.buffer === b.buffer && a.writes !== b.writes && a.offset < b.end && b.offset < a.end) throw new Error(`${label} reads and writes the same bytes through two bindings`);
    }));
    if (!bindings.some((b) => b.writes)) throw new Error(`${label} writes nothing`);
    if (bindings.length > LEAST_LIMITS.buffers) throw new Error(`${label} binds ${bindings.length} buffers`);
  }
  for (const { buffer, offset, elements } of places) if ((offset + elements) * 4 > buffers[buffer]) throw new Error('an input or output lies outside of its buffer');
}

test('every case of every kernel is planned for the least device: 8 buffers a kernel, bindings inside of their buffers, inputs kept', (t) => {
  let plans = 0;
  for (const cases of Object.values(kernelCases)) for (const [name, c] of Object.entries(cases)) {
    const plan = planGraph(trace(withGradients(c), draw(c.inputs), { keeps: plannedWhole }), LEAST_LIMITS);
    t.notThrows(() => checkBindings(plan), name);
    plans++;
  }
  t.true(plans > 300);
});

test('a step that reads twenty values is divided until each kernel binds what the device takes', (t) => {
  const inputs = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`x${n}`, floats(4)]));
  const sum: StepFunction = (x) => ({ y: Object.values(x).map((v) => tf.exp(v)).reduce((a, b) => tf.add(a, b)) });
  for (const buffers of [4, 8, 32]) {
    const { kernels } = planned(sum, inputs, { buffers, alignment: 256 });
    t.true(kernels.every((kernel) => kernel.bindings.length <= buffers), `${buffers} buffers`);
    if (buffers === 32) t.is(kernels.length, 1);
  }
});

test('an output that is an input is copied to a place of its own, one that is a constant is written once', (t) => {
  const { inputs, outputs, kernels, constants } = planned(({ x }) => ({ same: tf.clone(x), seven: tf.fill([3], 7), list: tf.tensor1d([1, 2, 4]) }), { x: floats(3) });
  t.is(kernels.length, 1);
  t.deepEqual([...outputs].map(([name, { elements }]) => [name, elements]), [['same', 3], ['seven', 3], ['list', 3]]);
  const at = ({ buffer, offset }: { buffer: number; offset: number }): string => `${buffer}/${offset}`;
  t.is(new Set([...outputs.values(), ...inputs.values()].map(at)).size, 4);
  t.deepEqual(constants.map(({ place, data }) => [at(place), ...data]), [[at(outputs.get('seven')!), 7, 7, 7], [at(outputs.get('list')!), 1, 2, 4]]);
});

test('a part of an input is read in place', (t) => {
  const plan = planned(({ x }) => ({ y: tf.exp(tf.slice(x, [2, 0], [3, 4])) }), { x: floats(8, 4) });
  t.is(plan.kernels.length, 1);
  t.is(plan.intermediateBytes, 12 * 4);
});

test('equal kernels have equal programs: twelve layers compile two', (t) => {
  const { kernels } = planned(deep, { x: floats(128, 128) });
  const programs = new Set(kernels.map((kernel) => kernel.code));
  t.true(programs.size < kernels.length / 3, `${programs.size} programs of ${kernels.length} kernels`);
});

test('what has no plan is an error that names it, and where to add it', (t) => {
  const odd = defineKernel({ name: 'KernelWithoutPlan', inputs: ['x'], composite: ({ x }) => [tf.exp(x)] });
  const graph = trace(({ x }) => ({ y: odd({ x: tf.relu(x) }, {})[0] }), { x: floats(2, 3) }, { keeps: () => true });
  t.throws(() => planGraph(graph), { message: /^kernel KernelWithoutPlan has no plan for WebGPU \(inputs \[2, 3\]\): add it to src\/tensor\/webgpu\// });
  t.notThrows(() => planned(({ x }) => ({ y: odd({ x: tf.relu(x) }, {})[0] }), { x: floats(2, 3) }), 'its composite is planned');
  t.throws(() => planned(({ x }) => ({ y: tf.avgPool(tf.grad((v: Tensor) => tf.sum(tf.avgPool(v as tf.Tensor4D, 3, 2, 'same')))(x) as tf.Tensor4D, 1, 1, 'valid') }), { x: floats(1, 6, 6, 2) }), { message: /padded average pooling/ });
});

test('a value larger than any buffer of the device is an error that names it, its size and the way out', (t) => {
  const graph = trace(({ x }) => ({ y: tf.matMul(tf.exp(x), x, true) }), { x: floats(64, 1024) }), limits = { ...LEAST_LIMITS, largestBuffer: 2 ** 22 };
  t.notThrows(() => planGraph(graph, limits), '1024 x 1024 floats are exactly 4 MiB');
  t.throws(() => planGraph(graph, { ...limits, largestBuffer: 2 ** 22 - 4 }), { instanceOf: UserError, message: /^the result of \w+, of shape \[1024, 1024\], takes 4 MiB, and a buffer of this GPU at most 4 MiB: take fewer images/ });
  t.throws(() => planGraph(graph, { ...limits, replicas: 3 }), { instanceOf: UserError, message: /\[1024, 1024\], takes 12 MiB for 3 seeds as one, .*\(--together 1\)$/ });
  t.throws(() => planGraph(graph, { ...limits, largestBuffer: 1000 }), { message: /^'x', of shape \[64, 1024\]/ });
});

test('a named kernel that is planned whole is one kernel: an assignment reads costs that lie in memory, and what follows reads its result', (t) => {
  const f: StepFunction = ({ a, b, valid }) => ({ y: tf.sum(tf.mul(linearAssignment(tf.transpose(tf.sub(tf.exp(a), tf.mul(b, 5)), [0, 2, 1]), valid), tf.relu(a)), -1) });
  const { kernels, intermediateBytes } = planned(f, { a: floats(96, 6, 100), b: floats(96, 6, 100), valid: floats(96, 6) });
  t.deepEqual(kernels.map(({ kind }) => kind), ['map', 'whole', 'reduction']);
  t.is(kernels[1].label, 'LinearAssignment [96, 6, 100]');
  t.deepEqual(kernels[1].workgroups, [96, 1, 1]);
  t.deepEqual(kernels[1].bindings.map(({ bytes, writes }) => [bytes, writes]).sort(), [[96 * 6 * 100 * 4, false], [96 * 6 * 100 * 4, true], [96 * 6 * 4, false]].sort());
  t.is(intermediateBytes, (2 * 96 * 6 * 100 + 96 * 6) * 4);
});

test('an assignment whose tables a workgroup can not hold is an error that names the sizes', (t) => {
  const f: StepFunction = ({ cost, valid }) => ({ y: linearAssignment(cost, valid) });
  const inputs = { cost: floats(2, 1400, 8), valid: floats(2, 8) };
  t.throws(() => planned(f, inputs), { message: /^assigning 8 boxes to 1400 queries takes 17856 bytes of workgroup memory; this device has 16384$/ });
  t.is(planned(f, inputs, { ...LEAST_LIMITS, sharedBytes: 32768 }).kernels.length, 1);
});

test('the same step gives the same plan', (t) => {
  const text = (): string => JSON.stringify(planned(deep, { x: floats(16, 16) }), (_, v: unknown) => (v instanceof Map ? [...v] : v));
  t.is(text(), text());
});

test('chains of element-wise operations of any shape and length are one kernel of the right size', (t) => {
  const operations: ((x: Tensor) => Tensor)[] = [tf.exp, tf.relu, tf.neg, (x) => tf.add(x, 2), (x) => tf.reshape(x, [-1]), (x) => tf.mul(x, x)];
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }), fc.array(fc.nat(operations.length - 1), { minLength: 1, maxLength: 8 }), (shape, chosen) => {
    const f: StepFunction = ({ x }) => ({ y: chosen.reduce((v, n) => operations[n](v), x as Tensor) });
    t.is(planned(f, { x: floats(...shape) }).kernels.length, 1); // where nothing is left of the chain, a copy
  }), { numRuns: 60 });
});
