import test from 'ava';
import { plannedWhole, traceStep, type StateStep } from '../../../src/tensor/compile-step.js';
import { GpuState } from '../../../src/tensor/gpu-step.js';
import { tf } from '../../../src/tensor/tf.js';
import { testDevice } from './device.js';

const { engine } = await testDevice();
const onDevice = engine ? test.serial : test.serial.skip;
const N = 48;
const weights = () => ({ w: { shape: [N, N], data: Float32Array.from({ length: N * N }, (_, i) => Math.sin(i) / 8) } });

/** Two products, so that there are intermediate values in memory: w = w + mean(x w w) of as many rows as x has. */
const step: StateStep = ({ w }, { x }) => {
  const y = tf.matMul(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), w as tf.Tensor2D);
  return { state: { w: tf.add(w, tf.mul(tf.mean(y), 0.1)) }, outputs: { mean: tf.mean(y) } };
};

onDevice('steps of several sizes share the memory of their intermediate values, and compute what they compute alone', async (t) => {
  const rows = [200, 40, 120], input = (count: number): Float32Array => Float32Array.from({ length: count * N }, (_, i) => Math.cos(i));
  const state = new GpuState(engine!.gpu!, weights());
  const compile = (of: GpuState, count: number) => {
    const inputs = { x: { shape: [count, N], dtype: 'float32' as const } };
    return of.compile(traceStep(step, { state: weights(), inputs }, plannedWhole), { inputs });
  };
  const first = await compile(state, rows[0]), alone = state.transientBytes;
  t.true(alone > 0);
  const steps = [first, await compile(state, rows[1]), await compile(state, rows[2])];
  t.is(state.transientBytes, alone, 'smaller steps take no memory of their own');

  const expected: { w: Float32Array } = { w: weights().w.data };
  for (const k of [0, 1, 2, 1, 0]) {
    const { mean } = await steps[k].run({ x: input(rows[k]) }), single = new GpuState(engine!.gpu!, { w: { shape: [N, N], data: expected.w } }), one = await compile(single, rows[k]);
    t.is(mean[0], (await one.run({ x: input(rows[k]) })).mean[0]);
    expected.w = (await single.read()).w.data;
    single.dispose();
  }
  t.deepEqual((await state.read()).w.data, expected.w);
  state.dispose();
});
