import type { Parameters } from '../tensor/parameters.js';
import type { Tensor } from '../tensor/tf.js';
import type { DetectorOutput, TransformerOutput } from './detector-output.js';
import { detrFromFeatures } from './detr.js';
import { forward as begin, realValued, type Forward, type ForwardOptions, type Quantization } from './forward.js';
import type { Extent } from './padding-mask.js';
import { BACKBONE, residualBackbone } from './residual-backbone.js';
import type { DetectorSettings } from './settings.js';
import { smcaDetrFromFeatures } from './smca-detr.js';

export type { DetectorOutput } from './detector-output.js';

const fromFeatures = (forward: Forward, features: Tensor, settings: DetectorSettings): TransformerOutput =>
  settings.family === 'smca-detr' ? smcaDetrFromFeatures(forward, features, settings) : detrFromFeatures(forward, features, settings);

/**
 * The backbone's last feature map.
 * @param images [B, H, W, 3], normalized
 * @returns [B, H / stride, W / stride, channels], rounded up
 * @throws when the images have another shape
 */
export function backboneFeatures(parameters: Parameters, images: Tensor, settings: DetectorSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): Tensor {
  checkImages(images);
  return residualBackbone(begin(parameters, quantization, options), BACKBONE, images, settings.backbone);
}

/**
 * The transformer and its heads on features that a backbone gave: what is trained while the backbone stays as it is.
 * With `options.imageSizes` the canvas is taken to be as large as the features times the backbone's stride.
 * @param features [B, h, w, channels]
 */
export function detectorFromFeatures(parameters: Parameters, features: Tensor, settings: DetectorSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): DetectorOutput {
  return { ...fromFeatures(begin(parameters, quantization, options), features, settings), statistics: {} };
}

/**
 * A detection transformer: residual backbone, encoder, decoder, heads; DETR or SMCA-DETR by `settings.family`.
 * @param images [B, H, W, 3], normalized: of any size, each filling the canvas, or smaller, with zeros beside and below it and `options.imageSizes`
 * @throws when the images or their sizes have another shape
 */
export function detector(parameters: Parameters, images: Tensor, settings: DetectorSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): DetectorOutput {
  const canvas = checkImages(images, options);
  const forward = { ...begin(parameters, quantization, options), canvas };
  const features = residualBackbone(forward, BACKBONE, images, settings.backbone);
  return { ...fromFeatures(forward, features, settings), statistics: forward.statistics };
}

/** Height and width of a batch. */
function checkImages({ shape }: Tensor, { imageSizes }: ForwardOptions = {}): Extent {
  const [batch, height, width, colours] = shape;
  if (shape.length !== 4 || colours !== 3) throw new Error(`images have shape [${shape.join(', ')}] where [B, H, W, 3] is needed`);
  if (imageSizes && imageSizes.shape.join() !== `${batch},2`) throw new Error(`imageSizes has shape [${imageSizes.shape.join(', ')}] where [${batch}, 2] is needed: height and width of each image`);
  return { height, width };
}
