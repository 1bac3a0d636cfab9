import type { Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { dense, forward as begin, realValued, type ForwardOptions, type Quantization } from './forward.js';
import { BACKBONE, residualBackbone } from './residual-backbone.js';
import type { BackboneSettings } from './settings.js';

/**
 * The backbone as an image classifier, for its pre-training on single sprites: global average pooling and one linear layer,
 * `fc`. The backbone's parameters have the names that they have in DETR.
 * @param images [B, H, W, 3], normalized
 * @returns logits [B, K] and the backbone's updated running averages (see `batchNormalization`)
 */
export function classifier(parameters: Parameters, images: Tensor, settings: BackboneSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): { logits: Tensor; statistics: Parameters } {
  const forward = begin(parameters, quantization, options);
  const features = tf.mean(residualBackbone(forward, BACKBONE, images, settings), [1, 2]);
  return { logits: dense(forward, 'fc', features), statistics: forward.statistics };
}
