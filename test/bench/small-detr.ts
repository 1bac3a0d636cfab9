import { tf, type Tensor } from '../../src/tensor/tf.js';
import type { ParameterValues } from '../../src/tensor/parameters.js';
import { layerNorm } from '../../src/tensor/layer-norm.js';
import type { NamedTensors } from '../../src/tensor/compile-step.js';

/**
 * The benchmark's workload: one SGD step of a small DETR-like model (0.78 M parameters, 8 images of 96x96), with fixed targets
 * in place of the matching. The same numbers are drawn in test/bench/small_detr.py, so that both start from the same weights.
 */
export const B = 8, IMAGE = 96, C = 96, HEADS = 4, FFN = 256, Q = 20, CLASSES = 11, S = 144;
const STAGES: [number, number, number][] = [[32, 32, 1], [32, 64, 2], [64, 128, 2]];

/** Linear congruential numbers in [-0.5, 0.5): simple enough to be drawn alike in both languages. */
function generator(): () => number {
  let seed = 1;
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 4294967296 - 0.5;
  };
}

/** Initial parameters and the fixed batch. */
export function smallDetr(): { parameters: ParameterValues; images: Float32Array; targets: Float32Array; boxes: Float32Array } {
  const random = generator();
  const parameters: ParameterValues = {};
  const fill = (name: string, shape: number[], scale: number | 'one'): void => {
    const n = shape.reduce((a, b) => a * b, 1);
    parameters[name] = { shape, data: Float32Array.from({ length: n }, () => (scale === 'one' ? 1 : scale * 2 * random())) };
  };
  const conv = (n: string, k: number, ci: number, co: number): void => { fill(`${n}/w`, [k, k, ci, co], Math.sqrt(3 / (k * k * ci))); fill(`${n}/g`, [co], 'one'); fill(`${n}/b`, [co], 0); };
  const linear = (n: string, i: number, o: number): void => { fill(`${n}/w`, [i, o], Math.sqrt(3 / i)); fill(`${n}/b`, [o], 0); };
  const norm = (n: string): void => { fill(`${n}/g`, [C], 'one'); fill(`${n}/b`, [C], 0); };
  const attention = (n: string): void => { for (const x of ['q', 'k', 'v', 'o']) linear(`${n}/${x}`, C, C); };
  conv('stem', 3, 3, 32);
  STAGES.forEach(([ci, co, s], i) => { conv(`s${i}/c1`, 3, ci, co); conv(`s${i}/c2`, 3, co, co); if (ci !== co || s !== 1) conv(`s${i}/p`, 1, ci, co); });
  linear('inproj', 128, C); fill('pos', [1, S, C], 0.02); fill('query', [1, Q, C], 1);
  for (let l = 0; l < 2; l++) { attention(`e${l}/sa`); norm(`e${l}/n1`); linear(`e${l}/f1`, C, FFN); linear(`e${l}/f2`, FFN, C); norm(`e${l}/n2`); }
  for (let l = 0; l < 2; l++) { attention(`d${l}/sa`); norm(`d${l}/n1`); attention(`d${l}/ca`); norm(`d${l}/n2`); linear(`d${l}/f1`, C, FFN); linear(`d${l}/f2`, FFN, C); norm(`d${l}/n3`); }
  linear('cls', C, CLASSES); linear('b1', C, C); linear('b2', C, C); linear('b3', C, 4);
  const images = Float32Array.from({ length: B * IMAGE * IMAGE * 3 }, () => random() * 2);
  const targets = new Float32Array(B * Q * CLASSES);
  for (let i = 0; i < B * Q; i++) targets[i * CLASSES + ((i * 7) % CLASSES)] = 1;
  const boxes = Float32Array.from({ length: B * Q * 4 }, () => random() + 0.5);
  return { parameters, images, targets, boxes };
}

/** Loss and updated parameters of one SGD step. */
export function smallDetrStep(P: NamedTensors, { images, targets, boxes }: NamedTensors): { state: NamedTensors; outputs: NamedTensors } {
  const names = Object.keys(P);
  const { value, grads } = tf.valueAndGrads((...tensors: Tensor[]) => loss(Object.fromEntries(names.map((n, i) => [n, tensors[i]])), images, targets, boxes) as tf.Scalar)(names.map((n) => P[n]));
  return { state: Object.fromEntries(names.map((n, i) => [n, tf.sub(P[n], tf.mul(grads[i], 0.02))])), outputs: { loss: value } };
}

function loss(P: NamedTensors, images: Tensor, targets: Tensor, boxes: Tensor): Tensor {
  const cv = (x: Tensor, n: string, s: number): Tensor => tf.add(tf.mul(tf.conv2d(x as tf.Tensor4D, P[`${n}/w`] as tf.Tensor4D, s, 'same'), P[`${n}/g`]), P[`${n}/b`]);
  const fc = (x: Tensor, n: string): Tensor => {
    const w = P[`${n}/w`];
    return tf.reshape(tf.add(tf.matMul(tf.reshape(x, [-1, w.shape[0]]), w as tf.Tensor2D), P[`${n}/b`]), [...x.shape.slice(0, -1), w.shape[1]!]);
  };
  const norm = (x: Tensor, n: string): Tensor => layerNorm(x, P[`${n}/g`], P[`${n}/b`]);
  const split = (x: Tensor): Tensor => tf.transpose(tf.reshape(x, [B, -1, HEADS, C / HEADS]), [0, 2, 1, 3]);
  const attention = (q: Tensor, k: Tensor, v: Tensor, n: string): Tensor => {
    const a = tf.softmax(tf.mul(tf.matMul(split(fc(q, `${n}/q`)), split(fc(k, `${n}/k`)), false, true), 1 / Math.sqrt(C / HEADS)));
    return fc(tf.reshape(tf.transpose(tf.matMul(a, split(fc(v, `${n}/v`))), [0, 2, 1, 3]), [B, -1, C]), `${n}/o`);
  };
  const mlp = (x: Tensor, n: string): Tensor => fc(tf.relu(fc(x, `${n}/f1`)), `${n}/f2`);
  let h = tf.relu(cv(images, 'stem', 2));
  STAGES.forEach(([, , s], i) => {
    const y = cv(tf.relu(cv(h, `s${i}/c1`, s)), `s${i}/c2`, 1);
    h = tf.relu(tf.add(y, P[`s${i}/p/w`] ? cv(h, `s${i}/p`, s) : h));
  });
  let t = fc(tf.reshape(h, [B, S, 128]), 'inproj');
  for (let l = 0; l < 2; l++) {
    const q = tf.add(t, P.pos);
    t = norm(tf.add(t, attention(q, q, t, `e${l}/sa`)), `e${l}/n1`);
    t = norm(tf.add(t, mlp(t, `e${l}`)), `e${l}/n2`);
  }
  const memory = t, keys = tf.add(memory, P.pos), query = tf.tile(P.query, [B, 1, 1]);
  let z = tf.zerosLike(query);
  for (let l = 0; l < 2; l++) {
    const q = tf.add(z, query);
    z = norm(tf.add(z, attention(q, q, z, `d${l}/sa`)), `d${l}/n1`);
    z = norm(tf.add(z, attention(tf.add(z, query), keys, memory, `d${l}/ca`)), `d${l}/n2`);
    z = norm(tf.add(z, mlp(z, `d${l}`)), `d${l}/n3`);
  }
  const logits = fc(z, 'cls'), predicted = tf.sigmoid(fc(tf.relu(fc(tf.relu(fc(z, 'b1')), 'b2')), 'b3'));
  const crossEntropy = tf.neg(tf.mean(tf.sum(tf.mul(targets, tf.logSoftmax(logits)), -1)));
  return tf.add(crossEntropy, tf.mul(tf.mean(tf.abs(tf.sub(predicted, boxes))), 5));
}
