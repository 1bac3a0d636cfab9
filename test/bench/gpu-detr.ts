import { tf, type Tensor } from '../../src/tensor/tf.js';
import { layerNorm } from '../../src/tensor/layer-norm.js';
import { RandomStream } from '../../src/tensor/random.js';
import { sizeOf, type ParameterValues, type Parameters } from '../../src/tensor/parameters.js';

/**
 * The GPU benchmark's detector: a residual backbone, three encoder and three decoder layers, 1.75 M parameters, fixed targets in place of
 * the matching. test/bench/gpu_workloads.py has the same in PyTorch.
 */
export const DETR = { batch: 16, image: 128, channels: [32, 64, 128], width: 128, layers: 3, heads: 4, feedForward: 256, queries: 25, classes: 21 } as const;
const { batch: B, image: S, channels, width: C, layers, heads, feedForward, queries: Q, classes: K } = DETR;
const TOKENS = (S / 16) ** 2;

/** Random weights. */
export function detrParameters(): ParameterValues {
  const stream = new RandomStream(1), parameters: ParameterValues = {};
  const normal = (name: string, shape: number[], scale: number): void => { parameters[name] = { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => scale * stream.normal()) }; };
  const filled = (name: string, shape: number[], value: number): void => { parameters[name] = { shape, data: new Float32Array(sizeOf(shape)).fill(value) }; };
  const convolution = (name: string, k: number, from: number, to: number): void => normal(name, [k, k, from, to], Math.sqrt(2 / (k * k * from)));
  const linear = (name: string, from: number, to: number): void => { normal(`${name}.weight`, [from, to], Math.sqrt(1 / from)); filled(`${name}.bias`, [to], 0); };
  const norm = (name: string): void => { filled(`${name}.weight`, [C], 1); filled(`${name}.bias`, [C], 0); };
  const attention = (name: string): void => { for (const part of ['q', 'k', 'v', 'out']) linear(`${name}.${part}`, C, C); };
  convolution('stem', 7, 3, channels[0]);
  channels.forEach((to, s) => {
    const from = channels[Math.max(0, s - 1)];
    for (let b = 0; b < 2; b++) { convolution(`stage${s}.${b}.1`, 3, b ? to : from, to); convolution(`stage${s}.${b}.2`, 3, to, to); }
    if (from !== to) convolution(`stage${s}.0.shortcut`, 1, from, to);
  });
  convolution('projection', 1, channels[2], C);
  normal('position', [1, TOKENS, C], 1);
  for (let l = 0; l < layers; l++) { attention(`encoder${l}.self`); linear(`encoder${l}.1`, C, feedForward); linear(`encoder${l}.2`, feedForward, C); norm(`encoder${l}.norm1`); norm(`encoder${l}.norm2`); }
  for (let l = 0; l < layers; l++) { attention(`decoder${l}.self`); attention(`decoder${l}.co`); linear(`decoder${l}.1`, C, feedForward); linear(`decoder${l}.2`, feedForward, C); for (const n of [1, 2, 3]) norm(`decoder${l}.norm${n}`); }
  normal('queries', [Q, C], 1);
  linear('class', C, K);
  linear('box1', C, C); linear('box2', C, C); linear('box3', C, 4);
  return parameters;
}

/** A fixed batch: images [B, S, S, 3], classes as one-hot rows [B, Q, K], boxes [B, Q, 4]. */
export function detrBatch(): ParameterValues {
  const stream = new RandomStream(2);
  const images = Float32Array.from({ length: B * S * S * 3 }, () => stream.normal());
  const classes = new Float32Array(B * Q * K), boxes = Float32Array.from({ length: B * Q * 4 }, () => stream.uniform());
  for (let i = 0; i < B * Q; i++) classes[i * K + stream.integer(K)] = 1;
  return { images: { shape: [B, S, S, 3], data: images }, classes: { shape: [B, Q, K], data: classes }, boxes: { shape: [B, Q, 4], data: boxes } };
}

/** Cross-entropy + 5 l1 of the model on the batch; scalar. */
export function detrLoss(P: Parameters, { images, classes, boxes }: Parameters): Tensor {
  const linear = (x: Tensor, name: string): Tensor => {
    const w = P[`${name}.weight`];
    return tf.reshape(tf.add(tf.matMul(tf.reshape(x, [-1, w.shape[0]]), w as tf.Tensor2D), P[`${name}.bias`]), [...x.shape.slice(0, -1), w.shape[1]!]);
  };
  const norm = (x: Tensor, name: string): Tensor => layerNorm(x, P[`${name}.weight`], P[`${name}.bias`]);
  const split = (x: Tensor): Tensor => tf.transpose(tf.reshape(x, [B, -1, heads, C / heads]), [0, 2, 1, 3]);
  const attention = (q: Tensor, k: Tensor, v: Tensor, name: string): Tensor => {
    const a = tf.softmax(tf.mul(tf.matMul(split(linear(q, `${name}.q`)), split(linear(k, `${name}.k`)), false, true), 1 / Math.sqrt(C / heads)));
    return linear(tf.reshape(tf.transpose(tf.matMul(a, split(linear(v, `${name}.v`))), [0, 2, 1, 3]), [B, -1, C]), `${name}.out`);
  };
  const feed = (x: Tensor, name: string): Tensor => linear(tf.relu(linear(x, `${name}.1`)), `${name}.2`);
  const convolution = (x: Tensor, name: string, stride: number): Tensor => tf.conv2d(x as tf.Tensor4D, P[name] as tf.Tensor4D, stride, 'same');
  let x: Tensor = tf.maxPool(tf.relu(convolution(images, 'stem', 2)) as tf.Tensor4D, 3, 2, 'same');
  channels.forEach((_, s) => {
    for (let b = 0; b < 2; b++) {
      const stride = s > 0 && b === 0 ? 2 : 1;
      const y = convolution(tf.relu(convolution(x, `stage${s}.${b}.1`, stride)), `stage${s}.${b}.2`, 1);
      x = tf.relu(tf.add(y, P[`stage${s}.${b}.shortcut`] ? convolution(x, `stage${s}.${b}.shortcut`, stride) : x));
    }
  });
  let m: Tensor = tf.reshape(convolution(x, 'projection', 1), [B, TOKENS, C]);
  for (let l = 0; l < layers; l++) {
    const q = tf.add(m, P.position);
    m = norm(tf.add(m, attention(q, q, m, `encoder${l}.self`)), `encoder${l}.norm1`);
    m = norm(tf.add(m, feed(m, `encoder${l}`)), `encoder${l}.norm2`);
  }
  const keys = tf.add(m, P.position), queries = tf.tile(tf.expandDims(P.queries, 0), [B, 1, 1]);
  let z: Tensor = tf.zerosLike(queries);
  for (let l = 0; l < layers; l++) {
    const q = tf.add(z, queries);
    z = norm(tf.add(z, attention(q, q, z, `decoder${l}.self`)), `decoder${l}.norm1`);
    z = norm(tf.add(z, attention(tf.add(z, queries), keys, m, `decoder${l}.co`)), `decoder${l}.norm2`);
    z = norm(tf.add(z, feed(z, `decoder${l}`)), `decoder${l}.norm3`);
  }
  const logits = linear(z, 'class'), predicted = tf.sigmoid(linear(tf.relu(linear(tf.relu(linear(z, 'box1')), 'box2')), 'box3'));
  const crossEntropy = tf.neg(tf.mean(tf.sum(tf.mul(classes, tf.logSoftmax(logits)), -1)));
  return tf.add(crossEntropy, tf.mul(tf.mean(tf.abs(tf.sub(predicted, boxes))), 5));
}
