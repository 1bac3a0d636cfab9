import { conv2d } from '../quantizer/quantized-convolution.js';
import type { Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { Attended } from './attention.js';
import { dense, forward as begin, normalize, realValued, type Forward, type ForwardOptions, type Quantization } from './forward.js';
import { sinePositions } from './position-encoding.js';
import { residualBackbone } from './residual-backbone.js';
import type { DetrSettings } from './settings.js';
import { decoder, encoder } from './transformer.js';

/** Where the backbone lies in DETR's state dict. */
export const BACKBONE = 'backbone.0.body';

/** What DETR gives for a batch, for each of the L decoder layers. */
export interface DetrOutput {
  /** Class scores before the softmax, the last one "no object", [L, B, Q, K + 1]. */
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

/** Backbone features as tokens: [B, H, W, 3] -> [B, S, C], rows first, through the 1x1 convolution `input_proj`. */
function tokens(forward: Forward, images: Tensor, settings: DetrSettings): Tensor {
  const features = residualBackbone(forward, BACKBONE, images, settings.backbone);
  const projected = conv2d(forward.parameters, 'input_proj', features, { stride: 1, padding: 0 }, forward.quantization('input_proj'), forward.observe);
  const [batch, height, width, channels] = projected.shape as [number, number, number, number];
  return tf.reshape(projected, [batch, height * width, channels]);
}

/** Three linear layers with ReLUs between, then a sigmoid: [..., C] -> [..., 4]. */
function boxHead(forward: Forward, x: Tensor): Tensor {
  const hidden = tf.relu(dense(forward, 'bbox_embed.layers.1', tf.relu(dense(forward, 'bbox_embed.layers.0', x))));
  return tf.sigmoid(dense(forward, 'bbox_embed.layers.2', hidden));
}

/**
 * DETR (Carion et al., ECCV 2020) with normalization after each sum and no dropout; the heads read every decoder layer.
 * Parameter names are those of facebookresearch/detr.
 * @param images [B, H, W, 3], normalized; H = W = `settings.imageSize`
 * @throws when the images have another size.
 */
export function detr(parameters: Parameters, images: Tensor, settings: DetrSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): DetrOutput {
  const { imageSize, modelWidth, heads, encoderLayers, decoderLayers, queries } = settings;
  const [batch, height, width, colours] = images.shape;
  if (height !== imageSize || width !== imageSize || colours !== 3) throw new Error(`images have shape [${images.shape.join(', ')}] where [B, ${imageSize}, ${imageSize}, 3] is needed`);
  const forward = begin(parameters, quantization, options);
  const x = tokens(forward, images, settings);
  const side = Math.sqrt(x.shape[1]!);
  const positions = tf.tensor2d(sinePositions(side, side, modelWidth), [side * side, modelWidth]);
  const memory = encoder(forward, 'transformer.encoder', x, positions, encoderLayers, heads);
  const { states, coAttention } = decoder(forward, 'transformer.decoder', parameters['query_embed.weight'], memory, positions, decoderLayers, heads);
  const normalized = normalize(forward, 'transformer.decoder.norm', decoderLayers === 1 ? states[0] : tf.concat(states, 0)); // [L * B, Q, C]
  const logits = tf.reshape(dense(forward, 'class_embed', normalized), [decoderLayers, batch, queries, settings.classes + 1]);
  const boxes = tf.reshape(boxHead(forward, normalized), [decoderLayers, batch, queries, 4]);
  return { logits, boxes, memory, coAttention, statistics: forward.statistics };
}
