import test from 'ava';
import fc from 'fast-check';
import { compileStep, type StateStep } from '../../src/tensor/compile-step.js';
import { findEngine, type EngineFinding } from '../../src/tensor/engine.js';
import { openStepFamily } from '../../src/tensor/step-family.js';
import { tf } from '../../src/tensor/tf.js';
import { testDevice } from './webgpu/device.js';

const ENGINES: [string, EngineFinding][] = [['onnxruntime-node', await findEngine('onnxruntime-node')]];
const { engine: webGpu } = await testDevice();
if (webGpu) ENGINES.push([webGpu.name, webGpu]);

const filled = (shape: number[], value: number) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value) });
/** A large part, a small one, and one that no step changes. */
const state = () => ({ large: filled([40, 40], 1), small: filled([2], 0), fixed: filled([1], 3) });

/** Adds the sum of an input of any length, times `fixed`, to everything. */
const add: StateStep = ({ large, small, fixed }, { x }) => {
  const by = tf.mul(tf.sum(x), fixed);
  return { state: { large: tf.add(large, by), small: tf.add(small, by) }, outputs: { before: tf.mean(large) } };
};
/** Doubles the small part alone. */
const double: StateStep = ({ small }) => ({ state: { small: tf.mul(small, 2) }, outputs: { before: tf.mean(small) } });

for (const [name, engine] of ENGINES) {
  test.serial(`${name}: by hand: steps of two shapes and of two kinds go on from one another's state`, async (t) => {
    const values = state(), family = await openStepFamily({ state: values, engine });
    const addTwo = await family.compile(add, { inputs: { x: { shape: [2], dtype: 'float32' } } });
    const addThree = await family.compile(add, { inputs: { x: { shape: [3], dtype: 'float32' } } });
    const twice = await family.compile(double, { inputs: {} });
    const before = async (run: Promise<Record<string, ArrayLike<number>>>): Promise<number> => (await run).before[0];
    t.is(await before(addTwo.run({ x: Float32Array.of(1, 1) })), 1); // +6: large 7, small 6
    t.is(await before(addThree.run({ x: Float32Array.of(1, 0, 0) })), 7); // +3: 10, 9
    t.is(await before(twice.run({})), 9); // small 18
    t.is(await before(addThree.run({ x: Float32Array.of(0, 0, 1) })), 10); // +3: 13, 21
    t.is(await before(addTwo.run({ x: Float32Array.of(0, 0) })), 13);
    const { large, small, fixed } = await family.readState();
    t.deepEqual([large.data[0], large.data[1599], [...small.data], [...fixed.data]], [13, 13, [21, 21], [3]]);
    family.writeState({ small: filled([2], 5), large: filled([40, 40], -1) });
    t.is(await before(twice.run({})), 5);
    t.is(await before(addTwo.run({ x: Float32Array.of(0, 0) })), -1);
    t.is(values.large.data[0], 1, 'the initial values are the caller\'s');
    await family.dispose();
  });

  test.serial(`${name}: runs that are queued follow one another across steps`, async (t) => {
    const family = await openStepFamily({ state: state(), engine });
    const addTwo = await family.compile(add, { inputs: { x: { shape: [2], dtype: 'float32' } } }), twice = await family.compile(double, { inputs: {} });
    if (addTwo.queue > 1) await Promise.all([addTwo.run({ x: Float32Array.of(1, 0) }), twice.run({}), addTwo.run({ x: Float32Array.of(1, 0) }), twice.run({})]);
    else for (const run of [addTwo, twice, addTwo, twice]) await run.run({ x: Float32Array.of(1, 0) });
    t.deepEqual([...(await family.readState()).small.data], [18, 18]);
    await family.dispose();
  });

  test.serial(`${name}: any order of runs gives what one step after another gives`, async (t) => {
    const family = await openStepFamily({ state: state(), engine });
    const members = [await family.compile(add, { inputs: { x: { shape: [2], dtype: 'float32' } } }), await family.compile(double, { inputs: {} })];
    const alone = await Promise.all([add, double].map((step, k) => compileStep(step, { state: state(), inputs: k === 0 ? { x: { shape: [2], dtype: 'float32' as const } } : {}, engine })));
    await fc.assert(fc.asyncProperty(fc.array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 6 }), async (order) => {
      family.writeState(state());
      let expected = state() as Awaited<ReturnType<typeof family.readState>>;
      for (const k of order) {
        await members[k].run({ x: Float32Array.of(0.5, 0.25) });
        alone[k].writeState(expected);
        await alone[k].run({ x: Float32Array.of(0.5, 0.25) });
        expected = await alone[k].readState();
      }
      t.deepEqual(await family.readState(), expected);
    }), { numRuns: 12 });
    await Promise.all([family, ...alone].map((one) => one.dispose()));
  });
}

test('a step that gives an unknown part, or writes another shape, is refused by name', async (t) => {
  const family = await openStepFamily({ state: state(), engine: ENGINES[0][1] });
  await t.throwsAsync(family.compile(({ small }) => ({ state: { smaller: small }, outputs: {} }), { inputs: {} }), { message: 'state smaller is unknown: the step has no such state' });
  t.throws(() => family.writeState({ small: filled([3], 0) }), { message: 'state small has shape [3], expected [2]' });
  await family.dispose();
});
