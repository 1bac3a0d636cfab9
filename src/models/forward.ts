import type { Observer } from '../quantizer/observer.js';
import { REAL, type Precision } from '../quantizer/precision.js';
import { linear } from '../quantizer/quantized-linear.js';
import type { Parameters } from '../tensor/parameters.js';
import { layerNorm } from '../tensor/layer-norm.js';
import type { Tensor } from '../tensor/tf.js';
import type { Extent } from './padding-mask.js';

/** The precision of each module, by its name in the state dict, such as `transformer.encoder.layers.0.linear1`. */
export type Quantization = (module: string) => Precision;

/** 32-32-32 everywhere. */
export const realValued: Quantization = () => REAL;

/** How a forward pass is done. */
export interface ForwardOptions {
  /** Batch normalization by the statistics of the batch (training), or by the running averages (evaluation, frozen; the default). */
  batchStatistics?: boolean;
  /** Listens to the operands of every quantizer. */
  observe?: Observer;
  /**
   * Heights and widths in pixels of the images of a padded batch, which lie in the upper left corner of their canvas, int32 [B, 2]: no attention
   * reads keys of the padding, and positions count each image's own cells. Left out: the images fill the canvas.
   */
  imageSizes?: Tensor;
}

/** What every layer of one forward pass sees. */
export interface Forward extends ForwardOptions {
  parameters: Parameters;
  quantization: Quantization;
  /** Height and width of the images' canvas, pixels; left out: the feature map's times the backbone's stride. */
  canvas?: Extent;
  /** Updated running averages, by parameter name; filled where `batchStatistics` is on. */
  statistics: Parameters;
}

/** A forward pass about to begin. */
export function forward(parameters: Parameters, quantization: Quantization = realValued, options: ForwardOptions = {}): Forward {
  return { parameters, quantization, ...options, statistics: {} };
}

/** The linear layer `name` in its precision: [..., in] -> [..., out]. */
export function dense({ parameters, quantization, observe }: Forward, name: string, x: Tensor): Tensor {
  return linear(parameters, name, x, quantization(name), observe);
}

/** The layer normalization `name`: [..., C] -> [..., C]. */
export function normalize({ parameters }: Forward, name: string, x: Tensor): Tensor {
  return layerNorm(x, parameters[`${name}.weight`], parameters[`${name}.bias`]);
}
