import { conv2d } from '../quantizer/quantized-convolution.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { TransformerOutput } from './detector-output.js';
import { dense, normalize, type Forward } from './forward.js';
import { paddingMask, type PaddingMask } from './padding-mask.js';
import { maskedSinePositions, sinePositions } from './position-encoding.js';
import { totalStride, type DetectorSettings } from './settings.js';
import { decoder, encoder } from './transformer.js';

/** Tokens that the transformer reads, and where each lies in the image. */
export interface Tokens {
  /** [B, S, C], rows of the feature map first. */
  x: Tensor;
  /** Sine position encoding, [S, C]; [B, S, C] where images differ in size. */
  positions: Tensor;
  /** The padding of a batch of images that differ in size. */
  mask?: PaddingMask;
  /** Height of the feature map; S = height * width. */
  height: number;
  width: number;
}

/** Backbone features [B, h, w, channels] as tokens, through the 1x1 convolution `input_proj`. */
export function tokens(forward: Forward, features: Tensor, { backbone }: DetectorSettings): Tokens {
  const projected = conv2d(forward.parameters, 'input_proj', features, { stride: 1, padding: 0 }, forward.quantization('input_proj'), forward.observe);
  const [batch, height, width, channels] = projected.shape as [number, number, number, number];
  const { imageSizes, canvas = { height: height * totalStride(backbone), width: width * totalStride(backbone) } } = forward;
  const mask = imageSizes && paddingMask(imageSizes, canvas, { height, width });
  const positions = mask ? maskedSinePositions(mask, { height, width }, channels) : tf.tensor2d(sinePositions(height, width, channels), [height * width, channels]);
  return { x: tf.reshape(projected, [batch, height * width, channels]), positions, height, width, ...(mask && { mask }) };
}

/** Three linear layers `<name>.layers.0` to `.2` with ReLUs between: [..., C] -> [..., out]. */
export function mlp3(forward: Forward, name: string, x: Tensor): Tensor {
  const hidden = tf.relu(dense(forward, `${name}.layers.1`, tf.relu(dense(forward, `${name}.layers.0`, x))));
  return dense(forward, `${name}.layers.2`, hidden);
}

/**
 * Class scores (`class_embed`) and boxes (`bbox_embed`) of every decoder layer, after the decoder's final normalization.
 * @param states what each of the L layers gives, [B, Q, C]
 * @param scores of each query: K + 1 with "no object", or K
 * @param centres added to the boxes before the sigmoid, [1, Q, 4]; none where it is left out
 * @returns logits [L, B, Q, scores], boxes [L, B, Q, 4] `cxcywh`
 */
export function detectionHeads(forward: Forward, states: Tensor[], scores: number, centres?: Tensor): Pick<TransformerOutput, 'logits' | 'boxes'> {
  const layers = states.length, [batch, queries] = states[0].shape as [number, number, number];
  const normalized = normalize(forward, 'transformer.decoder.norm', layers === 1 ? states[0] : tf.concat(states, 0)); // [L * B, Q, C]
  const logits = dense(forward, 'class_embed', normalized), boxes = mlp3(forward, 'bbox_embed', normalized);
  return {
    logits: tf.reshape(logits, [layers, batch, queries, scores]),
    boxes: tf.reshape(tf.sigmoid(centres ? tf.add(boxes, centres) : boxes), [layers, batch, queries, 4]),
  };
}

/**
 * DETR (Carion et al., ECCV 2020) behind its backbone, with normalization after each sum and no dropout; the heads read every decoder layer.
 * Parameter names are those of facebookresearch/detr.
 * @param features [B, h, w, channels]
 */
export function detrFromFeatures(forward: Forward, features: Tensor, settings: DetectorSettings): TransformerOutput {
  const { heads, encoderLayers, decoderLayers, classes } = settings;
  const { x, positions, mask } = tokens(forward, features, settings);
  const memory = encoder(forward, 'transformer.encoder', x, positions, encoderLayers, heads, mask);
  const { states, coAttention } = decoder(forward, 'transformer.decoder', forward.parameters['query_embed.weight'], memory, positions, decoderLayers, heads, undefined, mask);
  return { ...detectionHeads(forward, states, classes + 1), memory, coAttention };
}
