/** On the machine's adapter: steps of work that is done together are replicas of one step, and compute what each would alone. */
import test from 'ava';
import { compileStep, type CompileOptions, type CompiledStep, type StateStep } from '../../../src/tensor/compile-step.js';
import type { ParameterValues } from '../../../src/tensor/parameters.js';
import { RandomStream } from '../../../src/tensor/random.js';
import { tf } from '../../../src/tensor/tf.js';
import { apart, together } from '../../../src/tensor/together.js';
import type { GpuReplica } from '../../../src/tensor/gpu-step.js';
import { testDevice } from './device.js';

const { engine } = await testDevice();
const onDevice = engine ? test.serial : test.serial.skip;

const random = (seed: number, ...shape: number[]): { shape: number[]; data: Float32Array } => {
  const stream = new RandomStream(seed);
  return { shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => stream.normal()) };
};

const WIDE = 72, ROWS = 64, TABLE = 90; // w is larger, b smaller, than what lies in the buffer of small values
const table = { ...random(1, TABLE, WIDE), dtype: 'float32' as const };

/** Rows of a resident table through a softmax layer, by gradient descent; `power` makes another step of it. */
const step = (power: number): StateStep => ({ w, b }, { rows, target, table: all }) => {
  const x = tf.gather(all, rows);
  const { value, grads } = tf.valueAndGrads((...t: tf.Tensor[]) => tf.mean(tf.square(tf.sub(tf.softmax(tf.add(tf.matMul(x, t[0]), t[1])), target))) as tf.Scalar)([w, b]);
  return { state: { w: tf.sub(w, tf.mul(grads[0], power)), b: tf.sub(b, tf.mul(grads[1], power)) }, outputs: { loss: value, lowest: tf.argMin(b) } };
};
const options = (seed: number): CompileOptions => ({
  engine, state: { w: random(seed, WIDE, WIDE), b: random(seed + 100, WIDE) }, resident: { table },
  inputs: { rows: { shape: [ROWS], dtype: 'int32' }, target: { shape: [ROWS, WIDE], dtype: 'float32' } },
});
const inputsOf = (seed: number, n: number): { rows: Int32Array; target: Float32Array } => {
  const stream = new RandomStream(seed, n);
  return { rows: Int32Array.from({ length: ROWS }, () => stream.integer(TABLE)), target: Float32Array.from({ length: ROWS * WIDE }, () => stream.uniform(0, 0.1)) };
};

interface Trained { losses: number[]; state: ParameterValues; replica: number; kernels: object }

/** Trains; two runs are under way at once, and the inputs' arrays are used again. */
async function trained(seed: number, steps: number, power = 8, between?: (compiled: CompiledStep, n: number) => Promise<void>): Promise<Trained> {
  const compiled = await compileStep(step(power), options(seed)) as GpuReplica;
  const losses: number[] = [], kept = inputsOf(seed, 0);
  const run = async (n: number): Promise<void> => {
    const { rows, target } = inputsOf(seed, n);
    kept.rows.set(rows);
    kept.target.set(target);
    losses.push((await compiled.run(kept)).loss[0]);
  };
  for (let n = 0; n < steps; n += 2) {
    await Promise.all([run(n), ...(n + 1 < steps ? [run(n + 1)] : [])]);
    await between?.(compiled, n);
  }
  const state = await compiled.readState();
  await compiled.dispose();
  return { losses, state, replica: compiled.replica, kernels: compiled.program };
}

const close = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => a.length === b.length && Array.from(a).every((x, i) => Math.abs(x - b[i]) <= 1e-5 * (1 + Math.abs(b[i])));
const alike = (a: Trained, b: Trained): boolean => close(a.losses, b.losses) && close(a.state.w.data, b.state.w.data) && close(a.state.b.data, b.state.b.data);
const values = <T>(settled: readonly PromiseSettledResult<T>[]): T[] => settled.map((s) => {
  if (s.status === 'rejected') throw s.reason;
  return s.value;
});

onDevice('three trainings are replicas of one step, and each computes what it computes alone', async (t) => {
  const alone: Trained[] = [];
  for (const seed of [1, 2, 3]) alone.push(await trained(seed, 6));
  const joined = values(await together([1, 2, 3].map((seed) => () => trained(seed, 6))));
  t.deepEqual(joined.map(({ replica }) => replica), [0, 1, 2]);
  t.is(new Set(joined.map(({ kernels }) => kernels)).size, 1);
  joined.forEach((one, k) => t.true(alike(one, alone[k]), `replica ${k}`));
  t.notDeepEqual(joined[0].losses, joined[1].losses);
});

onDevice('one that ends early, one that fails and one that compiles another step hold up nobody', async (t) => {
  const alone = [await trained(1, 8), await trained(2, 3), await trained(4, 6, 4)];
  const settled = await together<Trained>([
    () => trained(1, 8), () => trained(2, 3), () => trained(4, 6, 4),
    () => trained(3, 8, 8, () => Promise.reject(new Error('it failed'))),
  ]);
  t.is(settled[3].status, 'rejected');
  values(settled.slice(0, 3)).forEach((one, k) => t.true(alike(one, alone[k]), `training ${k}`));
});

onDevice('whoever waits for another step than the others gets it: states of those that do not run stay as they are', async (t) => {
  const evaluated = async (compiled: CompiledStep, n: number, at: number): Promise<void> => {
    if (n !== at) return;
    const before = await compiled.readState();
    const other = await compileStep(({ w }, { k }) => ({ outputs: { sum: tf.mul(tf.sum(w), k) } }), { engine, state: { w: before.w }, inputs: { k: { shape: [], dtype: 'float32' } } });
    const { sum } = await other.run({ k: Float32Array.of(2) });
    t.true(close(sum, [2 * before.w.data.reduce((a, b) => a + b, 0)]));
    await other.dispose();
  };
  const alone = [await trained(1, 8), await trained(2, 8)];
  const joined = values(await together([() => trained(1, 8, 8, (c, n) => evaluated(c, n, 0)), () => trained(2, 8, 8, (c, n) => evaluated(c, n, 4))]));
  joined.forEach((one, k) => t.true(alike(one, alone[k]), `training ${k}`));
});

onDevice('what one makes for all is made apart: nobody waits for those that wait for it', async (t) => {
  let shared: Promise<Trained> | undefined;
  const made = values(await together([1, 2].map(() => () => (shared ??= apart(() => trained(5, 2))))));
  t.is(made[0], made[1]);
  t.true(alike(made[0], await trained(5, 2)));
});

onDevice('an input that does not fit fails the run that brings it, and no other', async (t) => {
  const one = async (target: number): Promise<number> => {
    const compiled = await compileStep(step(8), options(1));
    try {
      return (await compiled.run({ ...inputsOf(1, 0), target: new Float32Array(target) })).loss[0];
    } finally {
      await compiled.dispose();
    }
  };
  const [good, bad] = await together([() => one(ROWS * WIDE), () => one(3)]);
  t.is(good.status, 'fulfilled');
  t.regex(String((bad as PromiseRejectedResult).reason), /input target has 3 elements/);
});

test('without a GPU, or alone, work is done as it is', async (t) => {
  const settled = await together([() => Promise.resolve(1), () => Promise.reject(new Error('no'))]);
  t.deepEqual(settled.map(({ status }) => status), ['fulfilled', 'rejected']);
  t.deepEqual(await together([() => Promise.resolve(7)]), [{ status: 'fulfilled', value: 7 }]);
});
