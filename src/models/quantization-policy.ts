import { isReal, REAL, type Precision } from '../quantizer/precision.js';
import { BACKBONE } from './detr.js';
import { realValued, type Quantization } from './forward.js';

/** Modules that stay real-valued (decision A8): the projection to the transformer and the heads. */
const REAL_MODULES = /^(input_proj|class_embed|bbox_embed\..*|fc)$/;

/**
 * The paper's placement of the quantizers (decisions A6-A8): every convolution of the backbone, every projection and feed-forward
 * layer of the transformer at W-A bits, the four operands of each attention at the attention's; the first convolution and the
 * image at 8 bits; `input_proj`, heads, queries and normalizations real-valued.
 */
export function paperQuantization(precision: Precision): Quantization {
  const { weightBits, activationBits, attentionBits } = precision;
  if ([weightBits, activationBits, attentionBits].every(isReal)) return realValued;
  const first: Precision = { weightBits: 8, activationBits: 8, attentionBits: 8 };
  return (module) => (REAL_MODULES.test(module) ? REAL : module === `${BACKBONE}.conv1` ? first : precision);
}
