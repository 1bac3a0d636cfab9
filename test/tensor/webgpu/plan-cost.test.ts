import test from 'ava';
import { tf } from '../../../src/tensor/tf.js';
import { trace, type StepFunction } from '../../../src/tensor/trace.js';
import { planCost, type DeviceRates } from '../../../src/tensor/webgpu/plan-cost.js';
import { planGraph } from '../../../src/tensor/webgpu/plan.js';
import type { TensorSpec } from '../../../src/tensor/graph.js';

const floats = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
const RATES: DeviceRates = { device: 'by hand', bytesPerSecond: 1e9, productsPerSecond: 1e9, secondsPerKernel: 1e-3 };
const costOf = (f: StepFunction, inputs: Record<string, TensorSpec>, rates = RATES) => planCost(planGraph(trace(f, inputs, { keeps: () => false })), rates);

test('by hand: an element-wise kernel reads its inputs and writes its output once', (t) => {
  const cost = costOf(({ a, b }) => ({ y: tf.relu(tf.add(tf.mul(a, a), b)) }), { a: floats(1000, 1000), b: floats(1000, 1000) });
  t.deepEqual([cost.read, cost.written, cost.products], [8e6, 4e6, 0]);
  t.deepEqual([cost.byKind, cost.programs], [{ map: 1 }, 1]);
  t.deepEqual([cost.memoryWithoutReuse, cost.kernels[0].bound], [12e6, 'memory']);
  t.true(Math.abs(cost.seconds - 0.012) < 1e-9, '12 MB at 1 GB/s');
  t.true(cost.others > 0);
});

test('by hand: a product is bound by its arithmetic, a small kernel by its start', (t) => {
  const product = costOf(({ a, b }) => ({ y: tf.matMul(a, b) }), { a: floats(300, 200), b: floats(200, 100) });
  t.deepEqual([product.products, product.others], [2 * 300 * 200 * 100, 0]);
  t.is(product.kernels[0].bound, 'arithmetic');
  t.true(Math.abs(product.seconds - 0.012) < 1e-9);
  const small = costOf(({ a }) => ({ y: tf.exp(a) }), { a: floats(3) });
  t.deepEqual([small.seconds, small.kernels[0].bound], [1e-3, 'start']);
  t.deepEqual(small.secondsBy, { start: 1e-3, memory: 0, arithmetic: 0 });
});

test('totals are those of the kernels; memory with reuse is less than without in a chain', (t) => {
  const cost = costOf(({ x }) => {
    let h = x;
    for (let layer = 0; layer < 12; layer++) h = tf.softmax(tf.matMul(h, x));
    return { y: h };
  }, { x: floats(128, 128) });
  const total = (key: 'read' | 'written' | 'products' | 'others' | 'seconds'): number => cost.kernels.reduce((sum, kernel) => sum + kernel[key], 0);
  for (const key of ['read', 'written', 'products', 'others', 'seconds'] as const) t.true(Math.abs(total(key) - cost[key]) <= 1e-9 * cost[key], key);
  t.is(cost.products, 12 * 2 * 128 ** 3);
  t.true(cost.memory < cost.memoryWithoutReuse);
  t.is(Object.values(cost.byKind).reduce((a, b) => a + b), cost.kernels.length);
});
