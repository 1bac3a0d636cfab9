import { conv2d } from '../quantizer/quantized-convolution.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { TransformerOutput } from './detector-output.js';
import { dense, normalize, type Forward } from './forward.js';
import { sinePositions } from './position-encoding.js';
import type { DetectorSettings } from './settings.js';
import { decoder, encoder } from './transformer.js';

/** Tokens that the transformer reads, and where each lies in the image. */
export interface Tokens {
  /** [B, S, C], rows of the feature map first. */
  x: Tensor;
  /** Sine position encoding, [S, C]. */
  positions: Tensor;
  /** Height of the feature map; S = height * width. */
  height: number;
  width: number;
}

/** Backbone features [B, h, w, channels] as tokens, through the 1x1 convolution `input_proj`. */
export function tokens(forward: Forward, features: Tensor): Tokens {
  const projected = conv2d(forward.parameters, 'input_proj', features, { stride: 1, padding: 0 }, forward.quantization('input_proj'), forward.observe);
  const [batch, height, width, channels] = projected.shape as [number, number, number, number];
  const positions = tf.tensor2d(sinePositions(height, width, channels), [height * width, channels]);
  return { x: tf.reshape(projected, [batch, height * width, channels]), positions, height, width };
}

/** DETR's box head `bbox_embed` before the sigmoid, three linear layers with ReLUs between: [..., C] -> [..., 4]. */
export function boxHead(forward: Forward, x: Tensor): Tensor {
  const hidden = tf.relu(dense(forward, 'bbox_embed.layers.1', tf.relu(dense(forward, 'bbox_embed.layers.0', x))));
  return dense(forward, 'bbox_embed.layers.2', hidden);
}

/**
 * DETR (Carion et al., ECCV 2020) behind its backbone, with normalization after each sum and no dropout; the heads read every decoder layer.
 * Parameter names are those of facebookresearch/detr.
 * @param features [B, h, w, channels]
 */
export function detrFromFeatures(forward: Forward, features: Tensor, settings: DetectorSettings): TransformerOutput {
  const { heads, encoderLayers, decoderLayers, queries, classes } = settings;
  const { x, positions } = tokens(forward, features);
  const batch = x.shape[0];
  const memory = encoder(forward, 'transformer.encoder', x, positions, encoderLayers, heads);
  const { states, coAttention } = decoder(forward, 'transformer.decoder', forward.parameters['query_embed.weight'], memory, positions, decoderLayers, heads);
  const normalized = normalize(forward, 'transformer.decoder.norm', decoderLayers === 1 ? states[0] : tf.concat(states, 0)); // [L * B, Q, C]
  const logits = tf.reshape(dense(forward, 'class_embed', normalized), [decoderLayers, batch, queries, classes + 1]);
  const boxes = tf.reshape(tf.sigmoid(boxHead(forward, normalized)), [decoderLayers, batch, queries, 4]);
  return { logits, boxes, memory, coAttention };
}
