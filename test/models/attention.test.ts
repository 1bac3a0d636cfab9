import test from 'ava';
import { multiHeadAttention } from '../../src/models/attention.js';
import { forward } from '../../src/models/forward.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors } from '../../src/tensor/parameters.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { readDetrFixture, tensorOf, valuesOf, worstDifference } from './fixture.js';

const identity = (n: number): number[] => Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));

test.serial('by hand: one head of width 1 weighs the values by the softmax of q k', async (t) => {
  await useBackend('cpu');
  const parameters = { 'a.in_proj_weight': tf.tensor2d([1, 1, 1], [3, 1]), 'a.in_proj_bias': tf.zeros([3]), 'a.out_proj.weight': tf.tensor2d([[10]]), 'a.out_proj.bias': tf.tensor1d([1]) };
  const query = tf.tensor3d([1], [1, 1, 1]), key = tf.tensor3d([0, Math.log(3)], [1, 2, 1]), value = tf.tensor3d([4, 8], [1, 2, 1]);
  const { output, features, weights } = multiHeadAttention(forward(parameters), 'a', query, key, value, 1); // softmax(0, ln 3) = (1/4, 3/4)
  const rounded = (x: Tensor): number[] => Array.from(x.dataSync(), (v) => Math.round(v * 1e4) / 1e4);
  t.deepEqual(rounded(weights), [0.25, 0.75]);
  t.deepEqual(rounded(features), [7]);
  t.deepEqual(rounded(output), [71]);
});

test.serial('values, attention weights and gradients are those of torch.nn.MultiheadAttention', async (t) => {
  await useBackend('wasm');
  const { inputs, parameters, output, weights, gradients } = readDetrFixture().attention;
  const named = Object.fromEntries(Object.entries(toTensors(valuesOf(parameters))).map(([k, v]) => [`m.${k}`, v]));
  const [query, key, value, dy] = [inputs.query, inputs.key, inputs.value, inputs.dy].map(tensorOf);
  const attended = multiHeadAttention(forward(named), 'm', query, key, value, 2);
  t.true(worstDifference(attended.output, output) < 1e-5);
  t.true(worstDifference(attended.weights, weights) < 1e-5);

  const names = Object.keys(parameters);
  const f = (...xs: Tensor[]): Tensor => multiHeadAttention(forward(Object.fromEntries(names.map((n, i) => [`m.${n}`, xs[i + 3]]))), 'm', xs[0], xs[1], xs[2], 2).output;
  const got = tf.grads(f)([query, key, value, ...names.map((n) => named[`m.${n}`])], dy);
  ['query', 'key', 'value', ...names].forEach((name, i) => t.true(worstDifference(got[i], gradients[name]) < 1e-5, name));
});

test.serial('features are what the output projection sees', async (t) => {
  await useBackend('wasm');
  const parameters = { 'm.in_proj_weight': tf.randomNormal([12, 4], 0, 1, 'float32', 1), 'm.in_proj_bias': tf.zeros([12]), 'm.out_proj.weight': tf.tensor2d(identity(4), [4, 4]), 'm.out_proj.bias': tf.zeros([4]) };
  const x = tf.randomNormal([2, 3, 4], 0, 1, 'float32', 2);
  const { output, features } = multiHeadAttention(forward(parameters), 'm', x, x, x, 2);
  t.deepEqual(Array.from(features.dataSync()), Array.from(output.dataSync()));
});

test.serial('bits reach the operands, by module name', async (t) => {
  await useBackend('wasm');
  const seen: string[] = [];
  const parameters = { 'm.in_proj_weight': tf.ones([12, 4]), 'm.in_proj_bias': tf.zeros([12]), 'm.out_proj.weight': tf.ones([4, 4]), 'm.out_proj.bias': tf.zeros([4]) };
  const x = tf.ones([1, 2, 4]);
  const asked = new Set<string>();
  const real = { weightBits: 32, activationBits: 32, attentionBits: 32 };
  multiHeadAttention(forward(parameters, (module) => (asked.add(module), real), { observe: (name) => seen.push(name) }), 'm', x, x, x, 2);
  t.deepEqual([...asked].sort(), ['m', 'm.k_proj', 'm.out_proj', 'm.q_proj', 'm.v_proj']);
  t.deepEqual([...new Set(seen)].sort(), ['m.a_quantizer', 'm.k_proj.input_quantizer', 'm.k_proj.weight_quantizer', 'm.k_quantizer', 'm.out_proj.input_quantizer', 'm.out_proj.weight_quantizer', 'm.q_proj.input_quantizer', 'm.q_proj.weight_quantizer', 'm.q_quantizer', 'm.v_proj.input_quantizer', 'm.v_proj.weight_quantizer', 'm.v_quantizer']);
  t.throws(() => multiHeadAttention(forward(parameters, () => ({ ...real, attentionBits: 8 })), 'm', x, x, x, 2), { message: /m\.q_quantizer/ });
});
