import type { Parameters } from '../tensor/parameters.js';
import type { Tensor } from '../tensor/tf.js';
import type { DetectorOutput, TransformerOutput } from './detector-output.js';
import { detrFromFeatures } from './detr.js';
import { forward as begin, realValued, type Forward, type ForwardOptions, type Quantization } from './forward.js';
import { BACKBONE, residualBackbone } from './residual-backbone.js';
import type { DetectorSettings } from './settings.js';
import { smcaDetrFromFeatures } from './smca-detr.js';

export type { DetectorOutput } from './detector-output.js';

const fromFeatures = (forward: Forward, features: Tensor, settings: DetectorSettings): TransformerOutput =>
  settings.family === 'smca-detr' ? smcaDetrFromFeatures(forward, features, settings) : detrFromFeatures(forward, features, settings);

/**
 * The backbone's last feature map.
 * @param images [B, H, W, 3], normalized; H = W = `settings.imageSize`
 * @returns [B, H / stride, W / stride, channels]
 * @throws when the images have another size
 */
export function backboneFeatures(parameters: Parameters, images: Tensor, settings: DetectorSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): Tensor {
  checkImages(images, settings);
  return residualBackbone(begin(parameters, quantization, options), BACKBONE, images, settings.backbone);
}

/**
 * The transformer and its heads on features that a backbone gave: what is trained while the backbone stays as it is.
 * @param features [B, h, w, channels]
 */
export function detectorFromFeatures(parameters: Parameters, features: Tensor, settings: DetectorSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): DetectorOutput {
  return { ...fromFeatures(begin(parameters, quantization, options), features, settings), statistics: {} };
}

/**
 * A detection transformer: residual backbone, encoder, decoder, heads; DETR or SMCA-DETR by `settings.family`.
 * @param images [B, H, W, 3], normalized; H = W = `settings.imageSize`
 * @throws when the images have another size
 */
export function detector(parameters: Parameters, images: Tensor, settings: DetectorSettings, quantization: Quantization = realValued, options: ForwardOptions = {}): DetectorOutput {
  checkImages(images, settings);
  const forward = begin(parameters, quantization, options);
  const features = residualBackbone(forward, BACKBONE, images, settings.backbone);
  return { ...fromFeatures(forward, features, settings), statistics: forward.statistics };
}

function checkImages({ shape }: Tensor, { imageSize }: DetectorSettings): void {
  const [, height, width, colours] = shape;
  if (height !== imageSize || width !== imageSize || colours !== 3) throw new Error(`images have shape [${shape.join(', ')}] where [B, ${imageSize}, ${imageSize}, 3] is needed`);
}
