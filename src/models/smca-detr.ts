import type { Tensor } from '../tensor/tf.js';
import type { TransformerOutput } from './detector-output.js';
import type { Forward } from './forward.js';
import type { DetectorSettings } from './settings.js';

/** SMCA-DETR behind its backbone. */
export function smcaDetrFromFeatures(forward: Forward, features: Tensor, settings: DetectorSettings): TransformerOutput {
  throw new Error(`${settings.family} is not there yet (${features.shape.join()}, ${Object.keys(forward.parameters).length})`);
}
