import type { ParameterValues, Parameters } from '../tensor/parameters.js';
import { sizeOf } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { tf, type Tensor } from '../tensor/tf.js';

/** Shape of a decoder from an encoder's memory to its image. */
export interface DecoderShape {
  /** Tokens along one side of the memory: S = side^2. */
  side: number;
  /** C. */
  channels: number;
  /** Pixels along one side of the image: side times a power of two. */
  imageSize: number;
  /** Channels of every convolution but the last. */
  width: number;
}

/** Largest square of pixels that one place of the last convolution's grid gives. */
const LARGEST_SUB_PIXEL = 4;

/** Side of the square of pixels that one place of the last grid gives, and doublings of the grid before. */
function enlargement({ side, imageSize }: DecoderShape): { subPixel: number; doublings: number } {
  const subPixel = Math.min(imageSize / side, LARGEST_SUB_PIXEL);
  return { subPixel, doublings: Math.round(Math.log2(imageSize / side / subPixel)) };
}

/** Input and output channels of the decoder's convolutions, in order. */
export function decoderLayers(shape: DecoderShape): { inputs: number; outputs: number }[] {
  const { subPixel, doublings } = enlargement(shape);
  const ends = [shape.channels, ...Array<number>(doublings + 1).fill(shape.width), 3 * subPixel * subPixel];
  return ends.slice(1).map((outputs, i) => ({ inputs: ends[i], outputs }));
}

/**
 * Parameters of {@link reconstructionDecoder}: `decoder.<i>.weight` [3, 3, in, out] by He's normal, `decoder.<i>.bias` 0; the last layer
 * starts at `colour` in every pixel.
 * @param colour [3], in ]0, 1[: the mean colour of the images
 */
export function initialDecoderParameters(shape: DecoderShape, colour: ArrayLike<number>, random: RandomStream): ParameterValues {
  const layers = decoderLayers(shape);
  return Object.fromEntries(layers.flatMap(({ inputs, outputs }, i) => {
    const last = i === layers.length - 1, kernel = [3, 3, inputs, outputs];
    const deviation = last ? 0.01 : Math.sqrt(2 / (9 * inputs));
    const weight = Float32Array.from({ length: sizeOf(kernel) }, () => deviation * random.normal());
    const bias = last ? Float32Array.from({ length: outputs }, (_, c) => Math.log(colour[c % 3] / (1 - colour[c % 3]))) : new Float32Array(outputs);
    return [[`decoder.${i}.weight`, { shape: kernel, data: weight }], [`decoder.${i}.bias`, { shape: [outputs], data: bias }]];
  }));
}

/** Every pixel four times: [B, H, W, C] -> [B, 2H, 2W, C]. */
export function doubledByNearest(x: Tensor): Tensor {
  const [B, H, W, C] = x.shape;
  const wide = tf.tile(tf.reshape(x, [B * H * W, 1, C]), [1, 2, 1]);
  return tf.reshape(tf.tile(tf.reshape(wide, [B * H, 1, 2 * W * C]), [1, 2, 1]), [B, 2 * H, 2 * W, C]);
}

/** Channels as squares of pixels (sub-pixel convolution, Shi et al., CVPR 2016): [B, H, W, r r C] -> [B, r H, r W, C], channels ordered by row, column, C. */
export function depthToSpace(x: Tensor, r: number): Tensor {
  const [B, H, W, depth] = x.shape, C = depth / (r * r);
  return tf.reshape(tf.transpose(tf.reshape(x, [B * H, W, r, r * C]), [0, 2, 1, 3]), [B, r * H, r * W, C]);
}

/**
 * The image as a small convolutional network decodes it from the encoder's memory (PAPER.md 1.8, A26), all convolutions 3x3: one on the tokens'
 * grid, one after each nearest doubling of the grid, ReLU after each of them, and a last one whose channels are squares of 4x4 pixels (fewer where
 * the memory is finer); a sigmoid at the end.
 *
 * InfoPro (Wang et al., ICLR 2021), which the paper follows, enlarges to the image's size at once (bilinear), has two convolutions there with a
 * batch normalization between them, and takes a binary cross-entropy. Here the grids grow and the last one is coarse, because convolutions at the
 * image's size took most of the time (measured, 150 steps of 32 images of 64x64: 7.8 s became 4.5 s of one core, at a lower error); there is no batch normalization, because the memory is standardized before; the
 * error is the paper's l1.
 * @param memory [B, S, C], standardized by channel
 * @returns [B, imageSize, imageSize, 3] in ]0, 1[
 */
export function reconstructionDecoder(parameters: Parameters, memory: Tensor, shape: DecoderShape): Tensor {
  const { subPixel, doublings } = enlargement(shape);
  const convolve = (layer: number, x: Tensor): Tensor => tf.add(tf.conv2d(x as tf.Tensor4D, parameters[`decoder.${layer}.weight`] as tf.Tensor4D, 1, 'same'), parameters[`decoder.${layer}.bias`]);
  let x = tf.relu(convolve(0, tf.reshape(memory, [memory.shape[0], shape.side, shape.side, shape.channels])));
  for (let i = 1; i <= doublings; i++) x = tf.relu(convolve(i, doubledByNearest(x)));
  return tf.sigmoid(depthToSpace(convolve(doublings + 1, x), subPixel));
}

/** Mean absolute difference of each image: [B, H, W, 3] and [B, H, W, 3] -> [B]. */
export const l1Errors = (decoded: Tensor, images: Tensor): Tensor => tf.mean(tf.abs(tf.sub(decoded, images)), [1, 2, 3]);
