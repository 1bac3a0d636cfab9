import { tf, type Tensor } from '../tensor/tf.js';
import { multiHeadAttention, type Attended } from './attention.js';
import { dense, normalize, type Forward } from './forward.js';
import type { PaddingMask } from './padding-mask.js';

/** Two linear layers with a ReLU between: `<name>.linear1`, `<name>.linear2`. */
function feedForward(forward: Forward, name: string, x: Tensor): Tensor {
  return dense(forward, `${name}.linear2`, tf.relu(dense(forward, `${name}.linear1`, x)));
}

/** DETR's encoder layer with normalization after each sum; positions enter queries and keys. x [B, S, C], positions [S, C] or [B, S, C]. */
function encoderLayer(forward: Forward, name: string, x: Tensor, positions: Tensor, heads: number, mask?: PaddingMask): Tensor {
  const placed = tf.add(x, positions);
  const { output } = multiHeadAttention(forward, `${name}.self_attn`, placed, placed, x, heads, undefined, mask);
  const y = normalize(forward, `${name}.norm1`, tf.add(x, output));
  return normalize(forward, `${name}.norm2`, tf.add(y, feedForward(forward, name, y)));
}

/**
 * DETR's encoder: layers `<name>.layers.0`, ...
 * @param x backbone tokens [B, S, C]
 * @param positions [S, C], or [B, S, C] where images differ in size
 * @param mask of the padding, whose tokens are computed and never read; none where images fill the canvas
 * @returns memory [B, S, C]
 */
export function encoder(forward: Forward, name: string, x: Tensor, positions: Tensor, layers: number, heads: number, mask?: PaddingMask): Tensor {
  for (let layer = 0; layer < layers; layer++) x = encoderLayer(forward, `${name}.layers.${layer}`, x, positions, heads, mask);
  return x;
}

/** x [1, Q, C] as [batch, Q, C], by a sum, whose gradient is one sum too. */
function forBatch(x: Tensor, batch: number): Tensor {
  return x.shape[0] === batch ? x : tf.add(x, tf.zeros([batch, 1, 1]));
}

/** What a decoder gives. */
export interface Decoded {
  /** Decoder states: what each layer gives, before the final normalization, [B, Q, C]. */
  states: Tensor[];
  /** Co-attention of each layer. */
  coAttention: Attended[];
}

/**
 * A prior of a layer's co-attention, before the layer's own attentions.
 * @param layer its name, such as `transformer.decoder.layers.0`
 * @param placed the layer's input states plus query positions, [B or 1, Q, C]
 * @returns added to the logits of the co-attention, [B or 1, N, Q, S]
 */
export type CoAttentionPrior = (layer: string, placed: Tensor) => Tensor;

/**
 * DETR's decoder with normalization after each sum: layers `<name>.layers.0`, ... States begin at 0; query positions enter
 * queries and keys of the self-attention and queries of the co-attention (`multihead_attn`), positions its keys. Before the
 * first co-attention nothing depends on the image: that part runs once for the batch (batch 1 in what an observer sees of
 * `layers.0.self_attn`, and in the first layer's prior).
 * @param queryPositions [Q, C]
 * @param memory [B, S, C]
 * @param positions [S, C], or [B, S, C] where images differ in size
 * @param prior of the co-attention (SMCA-DETR); none where it is left out (DETR)
 * @param mask of the padding in the memory; none where images fill the canvas
 */
export function decoder(forward: Forward, name: string, queryPositions: Tensor, memory: Tensor, positions: Tensor, layers: number, heads: number, prior?: CoAttentionPrior, mask?: PaddingMask): Decoded {
  const [batch, , channels] = memory.shape as [number, number, number];
  const keys = tf.add(memory, positions);
  const states: Tensor[] = [], coAttention: Attended[] = [];
  let x: Tensor = tf.zeros([1, queryPositions.shape[0], channels]);
  for (let layer = 0; layer < layers; layer++) {
    const at = `${name}.layers.${layer}`;
    const placed = tf.add(x, queryPositions);
    const logPrior = prior?.(at, placed);
    const self = multiHeadAttention(forward, `${at}.self_attn`, placed, placed, x, heads);
    x = forBatch(normalize(forward, `${at}.norm1`, tf.add(x, self.output)), batch);
    const attended = multiHeadAttention(forward, `${at}.multihead_attn`, tf.add(x, queryPositions), keys, memory, heads, logPrior, mask);
    x = normalize(forward, `${at}.norm2`, tf.add(x, attended.output));
    x = normalize(forward, `${at}.norm3`, tf.add(x, feedForward(forward, at, x)));
    coAttention.push(attended);
    states.push(x);
  }
  return { states, coAttention };
}
