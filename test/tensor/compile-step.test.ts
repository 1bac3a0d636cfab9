import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import test from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep, type StateStep } from '../../src/tensor/compile-step.js';
import { findEngine, type EngineFinding } from '../../src/tensor/engine.js';
import { lowerToOnnx } from '../../src/tensor/onnx-lowering.js';
import { sizeOf, toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { simplify } from '../../src/tensor/simplify.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { trace } from '../../src/tensor/trace.js';
import { testDevice } from './webgpu/device.js';

/** The engines of this machine that every test of a compiled step runs on. */
const ENGINES: [string, EngineFinding][] = [['onnxruntime-node', await findEngine('onnxruntime-node')]];
const { engine: webGpu } = await testDevice();
if (webGpu) ENGINES.push([webGpu.name, webGpu]);

const stream = new RandomStream(5);
const values = (shape: number[], scale = 1): { shape: number[]; data: Float32Array } => ({ shape, data: Float32Array.from({ length: sizeOf(shape) }, () => scale * stream.normal()) });

/** By hand: w = w - 0.1 x, count = count + 1, y = w . x before the update. */
const byHand: StateStep = ({ w, count }, { x }) => ({ state: { w: tf.sub(w, tf.mul(x, 0.1)), count: tf.add(count, 1) }, outputs: { y: tf.sum(tf.mul(w, x)) } });
const byHandOptions = () => ({ state: { w: { shape: [2], data: Float32Array.of(1, 2) }, count: { shape: [], data: Float32Array.of(0) }, fixed: { shape: [1], data: Float32Array.of(7) } }, inputs: { x: { shape: [2], dtype: 'float32' as const } } });

for (const [name, engine] of ENGINES) {
  test.serial(`${name}: by hand: the state goes from run to run, what a step does not give back stays`, async (t) => {
    const options = { ...byHandOptions(), engine };
    const step = await compileStep(byHand, options);
    t.deepEqual(Array.from((await step.run({ x: Float32Array.of(10, 0) })).y), [10]);
    t.deepEqual(Array.from((await step.run({ x: Float32Array.of(10, 0) })).y), [0]); // w is (0, 2) now
    t.deepEqual(Array.from((await step.run({ x: Float32Array.of(0, 1) })).y), [2]);
    const { w, count, fixed } = (await step.readState());
    t.deepEqual([Array.from(w.data), Array.from(count.data), Array.from(fixed.data)], [[-1, Math.fround(1.9)], [3], [7]]);
    t.deepEqual([w.shape, count.shape], [[2], []]);
    t.deepEqual(Array.from(options.state.w.data), [1, 2], 'the initial values are the caller\'s and stay as they were');
    await step.dispose();
  });

  test.serial(`${name}: readState is a copy; writeState replaces what it names and nothing else`, async (t) => {
    const step = await compileStep(byHand, { ...byHandOptions(), engine });
    (await step.readState()).w.data.fill(100);
    t.deepEqual(Array.from((await step.run({ x: Float32Array.of(1, 0) })).y), [1]);
    const written = { w: { shape: [2], data: Float32Array.of(5, 6) } };
    step.writeState(written);
    written.w.data.fill(100);
    t.deepEqual(Array.from((await step.run({ x: Float32Array.of(1, 0) })).y), [5]);
    t.deepEqual(Array.from((await step.readState()).count.data), [2]);
    t.throws(() => step.writeState({ v: { shape: [2], data: new Float32Array(2) } }), { message: 'state v is unknown: the step has no such state' });
    t.throws(() => step.writeState({ w: { shape: [3], data: new Float32Array(3) } }), { message: 'state w has shape [3], expected [2]' });
    await step.dispose();
  });

  test.serial(`${name}: inputs that are missing or have another length, and steps that give other shapes, are refused by name`, async (t) => {
    const step = await compileStep(byHand, { ...byHandOptions(), engine });
    await t.throwsAsync(step.run({}), { message: 'input x has no value; its shape [2] wants 2' });
    await t.throwsAsync(step.run({ x: new Float32Array(3) }), { message: 'input x has 3 elements; its shape [2] wants 2' });
    t.deepEqual(Array.from((await step.readState()).w.data), [1, 2]);
    await step.dispose();
    await t.throwsAsync(compileStep(({ w }) => ({ state: { w: tf.sum(w) }, outputs: {} }), { ...byHandOptions(), inputs: {}, engine }), { message: 'state w has shape [], expected [2]' });
    await t.throwsAsync(compileStep(({ w }) => ({ state: { v: w }, outputs: {} }), { ...byHandOptions(), inputs: {}, engine }), { message: 'state v is unknown: the step has no such state' });
  });

  test.serial(`${name}: integers and truths go in and out`, async (t) => {
    const step = await compileStep((_, { a, b }) => ({ outputs: { sum: tf.add(a, tf.scalar(1, 'int32')), more: tf.greater(a, 2), kept: b } }), { state: {}, inputs: { a: { shape: [3], dtype: 'int32' }, b: { shape: [2], dtype: 'bool' } }, engine });
    const first = await step.run({ a: Int32Array.of(1, 2, 3), b: Uint8Array.of(1, 0) });
    t.deepEqual([first.sum, first.more, first.kept], [Int32Array.of(2, 3, 4), Uint8Array.of(0, 0, 1), Uint8Array.of(1, 0)]);
    const second = await step.run({ a: Int32Array.of(7, 8, 9), b: Uint8Array.of(0, 1) });
    if (engine.runtime) t.is(first.sum, second.sum, 'onnxruntime writes into the same arrays every run');
    t.deepEqual(second.sum, Int32Array.of(8, 9, 10));
    await step.dispose();
  });

  test.serial(`${name}: a resident array is there in every run, large ones too; a wrong length and a name for two things are refused`, async (t) => {
    const big = Int32Array.from({ length: 2 ** 24 + 3 }, (_, i) => i), table = { shape: [big.length], dtype: 'int32' as const, data: big };
    const options = { state: {}, inputs: { at: { shape: [2], dtype: 'int32' as const } }, resident: { table }, engine };
    const lookUp: StateStep = (_, { table: x, at }) => ({ outputs: { found: tf.gather(x, at) } });
    const step = await compileStep(lookUp, options);
    for (const at of [[0, 5], [2 ** 24 - 1, 2 ** 24], [2 ** 24 + 2, 7]]) t.deepEqual((await step.run({ at: Int32Array.from(at) })).found, Int32Array.from(at));
    await step.dispose();
    await t.throwsAsync(compileStep(lookUp, { ...options, resident: { table: { ...table, shape: [4] } } }), { message: `resident array table has ${big.length} elements; its shape [4] wants 4` });
    await t.throwsAsync(compileStep(lookUp, { ...options, resident: { at: table } }), { message: 'at is both an input and a resident array: give it one name for each' });
  });
}

/** A convolution, a product and their gradients with SGD. */
const smallStep: StateStep = (state, { x }) => {
  const names = Object.keys(state);
  const loss = (...ts: Tensor[]): Tensor => {
    const p = Object.fromEntries(names.map((n, i) => [n, ts[i]]));
    const features = tf.relu(tf.conv2d(x as tf.Tensor4D, p.filter as tf.Tensor4D, 2, 'same'));
    return tf.mean(tf.square(tf.matMul(tf.reshape(tf.maxPool(features as tf.Tensor4D, 2, 2, 'same'), [4, -1]), p.w)));
  };
  const { value, grads } = tf.valueAndGrads(loss as never)(names.map((n) => state[n]));
  return { state: Object.fromEntries(names.map((n, i) => [n, tf.sub(state[n], tf.mul(grads[i], 0.05))])), outputs: { loss: value } };
};
const smallState = (): ParameterValues => ({ filter: values([3, 3, 3, 16], 0.3), w: values([64, 8], 0.3) });
const images = { shape: [4, 8, 8, 3], dtype: 'float32' as const };

for (const [name, engine] of ENGINES) {
  test.serial(`${name}: twenty steps of training give the losses and weights of eager tfjs`, async (t) => {
    await useBackend('cpu');
    const state = smallState(), x = values(images.shape).data;
    const step = await compileStep(smallStep, { state, inputs: { x: images }, engine });
    let tensors = toTensors(state), first = 0;
    for (let i = 0; i < 20; i++) {
      const { loss } = await step.run({ x });
      const eager = smallStep(tensors, { x: tf.tensor(x, images.shape) });
      const wanted = eager.outputs.loss.dataSync()[0];
      if (i === 0) first = wanted; // it falls by five powers of ten
      t.true(Math.abs(loss[0] - wanted) < 1e-4 * Math.max(wanted, first / 1000), `step ${i}: ${loss[0]} instead of ${wanted}`);
      tensors = eager.state!;
    }
    for (const [key, { data }] of Object.entries((await step.readState()))) tensors[key].dataSync().forEach((v, i) => t.true(Math.abs(v - data[i]) < 1e-4, `${key}[${i}]`));
    await step.dispose();
  });
}

const SESSIONS: [string, { engine: EngineFinding; threads?: number }][] = [
  ...[1, 2].map((threads): [string, { engine: EngineFinding; threads: number }] => [`onnxruntime-node on ${threads} thread(s)`, { engine: ENGINES[0][1], threads }]),
  ...(webGpu ? [[webGpu.name, { engine: webGpu }] as [string, { engine: EngineFinding }]] : []),
];
for (const [name, session] of SESSIONS) {
  test.serial(`${name}: twenty steps give the same bits in a second session`, async (t) => {
    const state = smallState(), batches = Array.from({ length: 20 }, () => values(images.shape).data);
    const train = async (): Promise<Buffer> => {
      const step = await compileStep(smallStep, { state, inputs: { x: images }, ...session });
      const losses: number[] = [];
      for (const x of batches) losses.push((await step.run({ x })).loss[0]);
      const end = (await step.readState());
      await step.dispose();
      return Buffer.concat([Float32Array.from(losses), ...Object.values(end).map((v) => v.data)].map((a) => Buffer.from(a.buffer)));
    };
    const first = await train();
    t.true(first.equals(await train()));
    batches[19][0] += 1; // negative control: one pixel of the last batch
    t.false(first.equals(await train()));
  });
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
/** Memory in use once the garbage is gone. Buffers of native code are freed a turn of the event loop after their collection. */
const memory = async (): Promise<NodeJS.MemoryUsage> => {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise(setImmediate);
  }
  return process.memoryUsage();
};
/** Runs `step` 4 x 250 times; the smallest growth of the four spans. A leak grows in each of them, a pool or a late release in some. */
async function steadyGrowth(step: () => Promise<unknown>): Promise<{ rss: number; arrayBuffers: number }> {
  const growth: { rss: number; arrayBuffers: number }[] = [];
  let before = await memory();
  for (let span = 0; span < 4; span++) {
    for (let i = 0; i < 250; i++) await step();
    const after = await memory();
    growth.push({ rss: after.rss - before.rss, arrayBuffers: after.arrayBuffers - before.arrayBuffers });
    before = after;
  }
  return { rss: Math.min(...growth.map((g) => g.rss)), arrayBuffers: Math.min(...growth.map((g) => g.arrayBuffers)) };
}

test.serial('onnxruntime-node: memory is flat over 1,000 steps, tensors of tfjs included; state or batch kept in every step would be seen', async (t) => {
  const step = await compileStep(smallStep, { state: smallState(), inputs: { x: images }, threads: 1, engine: ENGINES[0][1] });
  const x = values(images.shape).data;
  for (let i = 0; i < 300; i++) await step.run({ x });
  const tensors = tf.memory().numTensors;
  const { rss, arrayBuffers } = await steadyGrowth(() => step.run({ x }));
  // 250 states (3.8 kB each) are 0.94 MB, 250 batches (3.1 kB) 0.77 MB: the bound is half of the smaller
  t.true(arrayBuffers < 0.38e6, `array buffers grew by ${arrayBuffers / 1e6} MB in each span`);
  t.true(rss < 4e6, `rss grew by ${rss / 1e6} MB in each span`);
  t.is(tf.memory().numTensors, tensors);
  const kept: Float32Array[] = []; // negative control: the batch alone
  const leaking = await steadyGrowth(async () => { kept.push(x.slice()); await step.run({ x }); });
  t.true(leaking.arrayBuffers > 0.7e6, `${kept.length} batches that were kept show as ${leaking.arrayBuffers / 1e6} MB a span`);
  await step.dispose();
});

if (webGpu) {
  test.serial(`${webGpu.name}: memory is flat over 1,000 steps`, async (t) => {
    const step = await compileStep(byHand, { ...byHandOptions(), engine: webGpu });
    const x = Float32Array.of(1, 2);
    for (let i = 0; i < 100; i++) await step.run({ x });
    const tensors = tf.memory().numTensors;
    const { rss, arrayBuffers } = await steadyGrowth(() => step.run({ x }));
    t.true(arrayBuffers < 1000, `array buffers grew by ${arrayBuffers} bytes in each span of 250 steps: 4 for each would be its output`);
    t.true(rss < 4e6, `rss grew by ${rss / 1e6} MB in each span`);
    t.is(tf.memory().numTensors, tensors);
    await step.dispose();
  });

  test.serial(`${webGpu.name}: a lost device is a sentence that says how to go on, before, while and after it goes`, async (t) => {
    const engine = await findEngine(webGpu.name); // a device of its own
    const step = await compileStep(byHand, { ...byHandOptions(), engine });
    const x = Float32Array.of(1, 2);
    await step.run({ x });
    const expected = { name: 'UserError', message: /^the GPU was lost \(.+\): start the same command again, a run resumes from its last checkpoint$/ };
    const [running] = await Promise.allSettled([step.run({ x }), Promise.resolve().then(() => engine.gpu!.device.destroy())]);
    if (running.status === 'rejected') t.like(running.reason, { name: 'UserError' }); // it may have been quick enough
    await t.throwsAsync(step.run({ x }), expected);
    await t.throwsAsync(step.readState(), expected);
    await t.throwsAsync(compileStep(byHand, { ...byHandOptions(), engine }).then((late) => late.run({ x })), expected);
  });
}

test.serial('a step of full size (ResNet-50, 8 images of 800 x 800: gigabytes of tensors when computed) is traced and lowered in little memory', async (t) => {
  const widths: [number, number][] = [[64, 3], [128, 4], [256, 6], [512, 3]];
  const inputs: Record<string, { shape: number[]; dtype: 'float32' }> = { images: { shape: [8, 800, 800, 3], dtype: 'float32' }, stem: { shape: [7, 7, 3, 64], dtype: 'float32' } };
  let channels = 64;
  widths.forEach(([width, blocks], s) => {
    for (let b = 0; b < blocks; b++) {
      const filters: [string, number[]][] = [['a', [1, 1, channels, width]], ['b', [3, 3, width, width]], ['c', [1, 1, width, 4 * width]]];
      if (b === 0) filters.push(['p', [1, 1, channels, 4 * width]]);
      for (const [name, shape] of filters) inputs[`${s}.${b}.${name}`] = { shape, dtype: 'float32' };
      channels = 4 * width;
    }
  });
  const names = Object.keys(inputs).filter((n) => n !== 'images');
  const before = await memory();
  const graph = trace((all) => {
    const loss = (...ts: Tensor[]): Tensor => {
      const p = Object.fromEntries(names.map((n, i) => [n, ts[i]])) as Record<string, tf.Tensor4D>;
      let h = tf.maxPool(tf.relu(tf.conv2d(all.images as tf.Tensor4D, p.stem, 2, 'same')), 3, 2, 'same');
      widths.forEach(([, blocks], s) => {
        for (let b = 0; b < blocks; b++) {
          const key = `${s}.${b}`, stride = b === 0 && s > 0 ? 2 : 1;
          const y = tf.conv2d(tf.relu(tf.conv2d(tf.relu(tf.conv2d(h, p[`${key}.a`], 1, 'same')), p[`${key}.b`], stride, 'same')), p[`${key}.c`], 1, 'same');
          h = tf.relu(tf.add<tf.Tensor4D>(y, b === 0 ? tf.conv2d(h, p[`${key}.p`], stride, 'same') : h));
        }
      });
      return tf.mean(h);
    };
    const { value, grads } = tf.valueAndGrads(loss as never)(names.map((n) => all[n]));
    return { loss: value, ...Object.fromEntries(names.map((n, i) => [`d ${n}`, grads[i]])) };
  }, inputs);
  const small = simplify(graph);
  const after = await memory();
  t.is(small.nodes.filter((n) => n.op === 'Conv2D').length, 53); // ResNet-50
  t.is(small.nodes.filter((n) => n.op === 'Conv2DBackpropFilter').length, 53);
  t.deepEqual(small.outputs.get('d stem')!.shape, [7, 7, 3, 64]);
  t.true(after.rss - before.rss < 200e6, `rss grew by ${(after.rss - before.rss) / 1e6} MB`);
  t.true(after.arrayBuffers - before.arrayBuffers < 10e6, `array buffers grew by ${(after.arrayBuffers - before.arrayBuffers) / 1e6} MB`);
  const { nodes, model } = lowerToOnnx(graph);
  t.true(nodes > 300);
  t.log(`${graph.nodes.length} kernels traced, ${nodes} nodes, ${(model.length / 1e6).toFixed(1)} MB of model`);
});
