import { quantizeOperand } from '../quantizer/quantize.js';
import { linearWith } from '../quantizer/quantized-linear.js';
import { isReal } from '../quantizer/precision.js';
import { split } from '../tensor/split.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { align } from './distribution-alignment.js';
import { dense, type Forward } from './forward.js';
import type { PaddingMask } from './padding-mask.js';

/**
 * What a multi-head attention gives (Eq. 2.26). B images, T tokens of the query side (S in the encoder, Q in the decoder), S of the
 * key side, C channels, N heads; D is the width of a head.
 */
export interface Attended {
  /** After the output projection, [B, T, C]. */
  output: Tensor;
  /** The heads' features before the output projection, concatenated, [B, T, C]. For a decoder's co-attention: D of Eq. 2.26 (the co-attended feature). */
  features: Tensor;
  /** A: the attention weights, real-valued, [B, N, T, S]. */
  weights: Tensor;
  /** The log prior that the weights were computed with, where there was one: SMCA's log G, [B or 1, N, T, S]. */
  logPrior?: Tensor;
}

/** [B, T, C] -> [B, N, T, D] */
function splitHeads(x: Tensor, heads: number): Tensor {
  const [batch, tokens, channels] = x.shape as [number, number, number];
  return tf.transpose(tf.reshape(x, [batch, tokens, heads, channels / heads]), [0, 2, 1, 3]);
}

/** [B, N, T, D] -> [B, T, C] */
function mergeHeads(x: Tensor): Tensor {
  const [batch, heads, tokens, width] = x.shape as [number, number, number, number];
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, tokens, heads * width]);
}

/**
 * Quantized multi-head attention (Eq. 2.25, 2.26): q, k, v = Q-FC(query), Q-FC(key), Q-FC(value);
 * A = softmax(Q_a(q) Q_a(k)^T / sqrt(D) + log prior); features = Q_a(A) Q_a(v); output = Q-FC(features). Where the parameters of a
 * distribution alignment exist, q (or k, v) is aligned before Q_a (Eq. 2.32, `align`). With real precision it is
 * torch.nn.MultiheadAttention, whose names it has: `<name>.in_proj_weight` [3C, C], `.in_proj_bias` [3C], `.out_proj`.
 * Modules for quantization: `<name>.q_proj`, `.k_proj`, `.v_proj`, `.out_proj`; the four operands follow `<name>`'s attention
 * bits and are named `<name>.q_quantizer`, `k_`, `v_`, `a_`.
 * @param query [B, T, C]
 * @param key [B, S, C]
 * @param value [B, S, C]
 * @param heads N
 * @param logPrior added to the logits before the softmax, [B or 1, N, T, S] (SMCA's log G); none where it is left out
 * @param mask of the keys: those in the padding have a weight of 0, quantized or not; left out: every key is read
 */
export function multiHeadAttention(forward: Forward, name: string, query: Tensor, key: Tensor, value: Tensor, heads: number, logPrior?: Tensor, mask?: PaddingMask): Attended {
  const { parameters, quantization, observe } = forward;
  const weights = split(parameters[`${name}.in_proj_weight`], 3, 0);
  const biases = split(parameters[`${name}.in_proj_bias`], 3, 0);
  const { attentionBits } = quantization(name);
  const operand = (letter: 'q' | 'k' | 'v', i: number, x: Tensor): Tensor => {
    const module = `${name}.${letter}_proj`;
    const projected = linearWith(parameters, module, weights[i], biases[i], x, quantization(module), observe);
    const aligned = align(forward, `${name}.${letter}`, splitHeads(projected, heads));
    return quantizeOperand(parameters, `${name}.${letter}_quantizer`, aligned, attentionBits, observe);
  };
  const q = operand('q', 0, query), k = operand('k', 1, key), v = operand('v', 2, value);
  let logits: Tensor = tf.matMul(tf.mul(q, 1 / Math.sqrt(q.shape[3]!)), k, false, true); // scaled where there are D columns, not S
  if (logPrior) logits = tf.add(logits, logPrior);
  if (mask) logits = tf.add(logits, mask.logits);
  const attention = tf.softmax(logits);
  const values = mask && !isReal(attentionBits) ? tf.mul(v, mask.valid) : v; // a quantizer with an offset gives a weight of 0 another value
  const features = mergeHeads(tf.matMul(quantizeOperand(parameters, `${name}.a_quantizer`, attention, attentionBits, observe), values));
  return { output: dense(forward, `${name}.out_proj`, features), features, weights: attention, ...(logPrior && { logPrior }) };
}
