import { isReal, REAL, type Precision } from '../quantizer/precision.js';
import { realValued, type Quantization } from './forward.js';
import { BACKBONE } from './residual-backbone.js';

/** The module groups of Fig. 2.11, in the order in which it quantizes them: (1) to (4); the encoder's feed-forward layers belong to (2) (decision A9). */
export const MODULE_GROUPS = ['backbone', 'encoder', 'decoder-attention', 'feed-forward'] as const;
/** See `MODULE_GROUPS`. */
export type ModuleGroup = (typeof MODULE_GROUPS)[number];

/**
 * `paper`: decisions A6-A8. `release`: what the released code quantizes, and to how many bits (PAPER.md 3.3): shortcuts and co-attention's
 * projections real-valued, the inputs of self-attention's projections too; test/models/quantization-policy.test.ts has both as a table.
 * The kind of quantizer is no part of a policy: also with `release` it is the paper's, one scale for a tensor or head (A3) and a real offset (A2).
 */
export const POLICY_PRESETS = ['paper', 'release'] as const;
/** See `POLICY_PRESETS`. */
export type PolicyPreset = (typeof POLICY_PRESETS)[number];

/** Which modules are quantized, and to what. */
export interface QuantizationPolicy {
  precision: Precision;
  preset?: PolicyPreset;
  /** Groups that are quantized, the others staying real-valued; default all. */
  groups?: readonly ModuleGroup[];
}

/** Bits of the first convolution and of the image that it reads (decision A8). */
const FIRST_CONVOLUTION: Precision = { weightBits: 8, activationBits: 8, attentionBits: 8 };

/**
 * The group of a module, by its name in the state dict; undefined for those that stay real-valued: the projection to the transformer, the
 * heads, SMCA's point layers (decision A8).
 */
export function moduleGroup(module: string): ModuleGroup | undefined {
  if (module.startsWith(`${BACKBONE}.`)) return 'backbone';
  if (/\.point\d(\.|$)/.test(module)) return undefined;
  if (module.startsWith('transformer.encoder.')) return 'encoder';
  if (!module.startsWith('transformer.decoder.')) return undefined;
  return /\.(self_attn|multihead_attn)(\.|$)/.test(module) ? 'decoder-attention' : 'feed-forward';
}

/** What the released code leaves real-valued of a module that the paper quantizes: shortcuts, co-attention's projections, the inputs of the others. */
function asReleased(module: string, precision: Precision): Precision {
  if (/\.downsample\.0$/.test(module) || /\.multihead_attn\.\w+_proj$/.test(module)) return REAL;
  return /\.self_attn\.\w+_proj$/.test(module) ? { ...precision, activationBits: REAL.activationBits } : precision;
}

/**
 * The precision of every module under a policy. With `paper`: every convolution of the backbone, every projection and feed-forward layer of the
 * transformer at W-A bits, the four operands of each attention at the attention's; the first convolution and the image at 8 bits;
 * `input_proj`, heads, queries and normalizations real-valued.
 */
export function quantizationPolicy({ precision, preset = 'paper', groups = MODULE_GROUPS }: QuantizationPolicy): Quantization {
  const { weightBits, activationBits, attentionBits } = precision;
  if ([weightBits, activationBits, attentionBits].every(isReal) || groups.length === 0) return realValued;
  return (module) => {
    const group = moduleGroup(module);
    if (group === undefined || !groups.includes(group)) return REAL;
    if (module === `${BACKBONE}.conv1`) return FIRST_CONVOLUTION;
    return preset === 'release' ? asReleased(module, precision) : precision;
  };
}

/** The paper's placement of the quantizers (decisions A6-A8): {@link quantizationPolicy} with all groups. */
export const paperQuantization = (precision: Precision): Quantization => quantizationPolicy({ precision });
