import type { Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { Attended } from './attention.js';

/** What a detector gives for a batch, for each of the L decoder layers. */
export interface DetectorOutput {
  /** Class scores. DETR: before the softmax, the last one "no object", [L, B, Q, K + 1]. SMCA-DETR: before the sigmoid, [L, B, Q, K]. */
  logits: Tensor;
  /** `cxcywh` in 0..1, [L, B, Q, 4]. */
  boxes: Tensor;
  /** E: the encoder's output, [B, S, C]. */
  memory: Tensor;
  /** Co-attention of each decoder layer; its features are the co-attended feature, the distilled tensor (D of Eq. 2.26). */
  coAttention: Attended[];
  /** Updated running averages of the backbone (with `batchStatistics`): see `batchNormalization`. */
  statistics: Parameters;
}

/** What the transformer and the heads give, without the backbone's part. */
export type TransformerOutput = Omit<DetectorOutput, 'statistics'>;

/** The last decoder layer's part of logits or boxes: [L, ...] -> [1, ...]. */
export const lastLayer = (x: Tensor): Tensor => (x.shape[0] === 1 ? x : tf.slice(x, [x.shape[0] - 1], [1]));
