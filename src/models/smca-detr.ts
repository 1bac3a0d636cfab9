import { tf, type Tensor } from '../tensor/tf.js';
import type { TransformerOutput } from './detector-output.js';
import { detectionHeads, mlp3, tokens, type Tokens } from './detr.js';
import { dense, normalize, type Forward } from './forward.js';
import { gaussianLogPrior } from './gaussian-modulation.js';
import { totalStride, type DetectorSettings } from './settings.js';
import { decoder, encoder, type CoAttentionPrior } from './transformer.js';

const DECODER = 'transformer.decoder';

/** Whether a parameter is one that SMCA-DETR has and DETR has not. */
export const isSmcaParameter = (name: string): boolean => /^transformer\.decoder\.layers\.\d+\.(point[123]|norm4)\./.test(name);

/**
 * Where each query looks first, before the sigmoid: [1, Q, 2], x and y; the same for every image, since the states begin at 0.
 * MLP `point1` of the first decoder layer on LN4(query position).
 * @param queryPositions [Q, C]
 */
function referencePoints(forward: Forward, queryPositions: Tensor): Tensor {
  const first = `${DECODER}.layers.0`;
  return mlp3(forward, `${first}.point1`, normalize(forward, `${first}.norm4`, tf.expandDims(queryPositions, 0)));
}

/**
 * Log G of each decoder layer from its states: out = LN4(state + query position), head centres = reference + `point2`(out), scales =
 * `point3`(out)^2, two for each head ("type3"), all in cells.
 * @param reference in cells, [1, Q, 2]; [B, Q, 2] where images differ in size
 */
function modulation(forward: Forward, reference: Tensor, heads: number, grid: Tokens): CoAttentionPrior {
  return (layer, placed) => {
    const [batch, queries] = placed.shape as [number, number, number];
    const out = normalize(forward, `${layer}.norm4`, placed);
    const ofHeads = (name: string): Tensor => tf.transpose(tf.reshape(dense(forward, `${layer}.${name}`, out), [batch, queries, heads, 2]), [0, 2, 1, 3]);
    return gaussianLogPrior(tf.add(tf.expandDims(reference, 1), ofHeads('point2')), tf.square(ofHeads('point3')), grid);
  };
}

/**
 * Width and height of the images in cells, not rounded, as the release divides its pixels by 32: [2], or [B, 1, 2] where images differ in size.
 */
function imageCells({ imageSizes, canvas }: Forward, { width, height }: Tokens, { backbone }: DetectorSettings): Tensor {
  const stride = totalStride(backbone);
  if (!imageSizes) return tf.tensor1d(canvas ? [canvas.width / stride, canvas.height / stride] : [width, height]);
  return tf.mul(tf.expandDims(tf.reverse(tf.cast(imageSizes, 'float32'), 1), 1), 1 / stride);
}

/**
 * SMCA-DETR (Gao et al., ICCV 2021), single scale, behind its backbone, as its released code has it (PAPER.md 4.3, code form): a DETR
 * whose co-attention has a Gaussian prior around each query's reference point, whose box centres are offsets from that point (before
 * the sigmoid), and whose classes have sigmoids of their own: K of them, where the release has one more that nothing is ever
 * assigned to. Parameter names are those of gaopengcuhk/SMCA-DETR.
 * @param features [B, h, w, channels]
 */
export function smcaDetrFromFeatures(forward: Forward, features: Tensor, settings: DetectorSettings): TransformerOutput {
  const { heads, encoderLayers, decoderLayers, classes } = settings;
  const read = tokens(forward, features, settings), queryPositions = forward.parameters['query_embed.weight'];
  const memory = encoder(forward, 'transformer.encoder', read.x, read.positions, encoderLayers, heads, read.mask);
  const point = referencePoints(forward, queryPositions);
  const reference = tf.mul(tf.sigmoid(point), imageCells(forward, read, settings));
  const { states, coAttention } = decoder(forward, DECODER, queryPositions, memory, read.positions, decoderLayers, heads, modulation(forward, reference, heads, read), read.mask);
  const centres = tf.concat([point, tf.zerosLike(point)], -1); // [1, Q, 4]: sizes have no reference
  return { ...detectionHeads(forward, states, classes, centres), memory, coAttention };
}
