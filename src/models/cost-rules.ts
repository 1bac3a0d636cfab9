import { isReal, type Precision } from '../quantizer/precision.js';
import { sizeInBytes } from '../quantizer/pack.js';
import { detectorCost, parameterCount, type ImageSides, type ModuleCost } from './cost.js';
import { paperQuantization } from './quantization-policy.js';
import { BACKBONE } from './residual-backbone.js';
import type { DetectorSettings } from './settings.js';

/**
 * What a multiplication of `bits` bits counts beside a real-valued one: the paper's 1/32, 1/16 and 1/8 for 2, 3 and 4 bits (the rule of
 * Bi-Real Net, PAPER.md 2.3); 1/4 for 8 bits, which it doesn't print and which its 8-8-8 rows follow; undefined for 5, 6 and 7.
 */
export function operationFactor(bits: number): number | undefined {
  if (isReal(bits)) return 1;
  if (bits <= 4) return 2 ** (bits - 7);
  return bits === 8 ? 1 / 4 : undefined;
}

/** Size and operations of a model by the paper's rule. */
export interface PaperCost {
  bytes: number;
  /** Multiply-accumulate operations for one image, those of low bits weighted; undefined where the rule knows no factor. */
  operations: number | undefined;
}

/** What the rule for operations can be read to leave real-valued: the first convolution alone, which is nearest to most of the paper's counts, */
export const FIRST_CONVOLUTION_REAL = /^backbone\.0\.body\.conv1$/;
/** or also what the released code leaves so around the transformer: input projection, heads and SMCA's point layers (decision A8). */
export const ENDS_REAL = /^backbone\.0\.body\.conv1$|^input_proj$|^class_embed$|^bbox_embed\.|\.point\d/;

/**
 * The paper's rule (PAPER.md 2.3). Size: every trained element at the bits of the weights, since the paper's 8- and 4-bit rows are exactly
 * 8/32 and 4/32 of its real-valued ones. Operations: the modules of `real` real-valued, by default the first convolution, about what the
 * paper's counts leave room for; the products inside of attention at attention's bits, all others at the wider of weight and activation.
 */
export function paperCost(settings: DetectorSettings, precision: Precision, image?: ImageSides, real = FIRST_CONVOLUTION_REAL): PaperCost {
  const { weightBits, activationBits, attentionBits } = precision;
  return {
    bytes: sizeInBytes([{ count: parameterCount(settings), bits: weightBits }]),
    operations: weighted(detectorCost(settings, image), ({ name, kind }) => {
      if (real.test(name)) return 32;
      return kind === 'attention' ? attentionBits : Math.max(weightBits, activationBits);
    }),
  };
}

function weighted(costs: readonly ModuleCost[], bitsOf: (cost: ModuleCost) => number): number | undefined {
  return costs.reduce<number | undefined>((sum, cost) => {
    const factor = operationFactor(bitsOf(cost));
    return sum === undefined || factor === undefined ? undefined : sum + factor * cost.multiplyAdds;
  }, 0);
}

/** What a model of this kit stores and multiplies. */
export interface StoredCost {
  /** Bytes of the quantized weights, each packed into whole bytes, by bits; the first convolution's are at 8. */
  quantizedWeights: Record<number, number>;
  /** Bytes of the weights that stay real-valued: `input_proj`, heads, SMCA's point layers; all of a real-valued model. */
  realWeights: number;
  /** Bytes of biases, RPReLU, layer normalizations, query positions, and batch normalization: weight, bias, mean and variance. */
  others: number;
  /** Bytes of the quantizers' scales and offsets, 32 bits each. */
  quantizers: number;
  /** The sum of the above. */
  bytes: number;
  /** Multiply-accumulate operations for one image, by bits of the wider operand; 32 = real-valued. */
  multiplyAdds: Record<number, number>;
  /** Their sum, weighted by `operationFactor`; undefined where that knows no factor. */
  operations: number | undefined;
}

/**
 * Honest accounting: every weight at the bits that it is stored with under decision A8 (first convolution 8, `input_proj`, heads and point
 * layers real-valued), and whatever else evaluation reads. Distribution alignment is left out: 2 D numbers for each decoder layer.
 */
export function storedCost(settings: DetectorSettings, precision: Precision, image?: ImageSides): StoredCost {
  const quantization = paperQuantization(precision), costs = detectorCost(settings, image);
  const quantizedWeights: Record<number, number> = {}, multiplyAdds: Record<number, number> = {};
  const add = (to: Record<number, number>, bits: number, n: number): void => void (to[bits] = (to[bits] ?? 0) + n);
  const bitsOf = ({ name, kind }: ModuleCost): number => {
    const { weightBits, activationBits, attentionBits } = quantization(name.replace(/\.(qk|av)$/, ''));
    return kind === 'attention' ? attentionBits : Math.max(weightBits, activationBits);
  };
  let realWeights = 0, quantizers = 0;
  let others = 4 * (parameterCount(settings) - costs.reduce((sum, { weights }) => sum + weights, 0));
  for (const cost of costs) {
    const { name, kind, weights, outputs } = cost;
    add(multiplyAdds, bitsOf(cost), cost.multiplyAdds);
    if (kind === 'attention') {
      if (!isReal(bitsOf(cost))) quantizers += 4 * 4 * settings.heads; // two operands with a scale and an offset for each head
      continue;
    }
    const { weightBits, activationBits } = quantization(name);
    if (isReal(weightBits)) realWeights += 4 * weights;
    else {
      add(quantizedWeights, weightBits, Math.ceil((weights * weightBits) / 8));
      quantizers += 4 * outputs;
    }
    if (!isReal(activationBits)) quantizers += 4 * 2;
    if (name.startsWith(`${BACKBONE}.`)) others += 4 * 2 * outputs; // running mean and variance
  }
  const bytes = Object.values(quantizedWeights).reduce((sum, n) => sum + n, realWeights + others + quantizers);
  return { quantizedWeights, realWeights, others, quantizers, bytes, multiplyAdds, operations: weighted(costs, bitsOf) };
}

/** A way of counting a real-valued model's size. */
export interface SizeCounting {
  counting: string;
  /** In MB of 10^6 bytes where the counting says so, else in MB of 2^20. */
  size: number;
}

/** 2^20 bytes: what the paper must mean by MB, 41.6 million parameters of 4 bytes being 166 million bytes. */
export const MEBIBYTE = 2 ** 20;

/**
 * Countings that could lie behind the paper's real-valued sizes, each adding to the one before it.
 * @param plain the model without RPReLU
 * @param student the same model with the paper's backbone
 */
export function sizeCountings(plain: DetectorSettings, student: DetectorSettings): SizeCounting[] {
  const bytes = 4 * parameterCount(plain), rprelu = 4 * parameterCount(student) - bytes;
  const statistics = storedCost(plain, { weightBits: 32, activationBits: 32, attentionBits: 32 }).bytes - bytes;
  const queries = 4 * plain.queries * plain.modelWidth;
  return [
    { counting: 'trained parameters, in 10^6 bytes', size: bytes / 1e6 },
    { counting: 'trained parameters, in 2^20 bytes', size: bytes / MEBIBYTE },
    { counting: '+ means and variances of batch normalization', size: (bytes + statistics) / MEBIBYTE },
    { counting: '+ RPReLU of the paper\'s backbone', size: (bytes + statistics + rprelu) / MEBIBYTE },
    { counting: '+ query embeddings of double width, as released', size: (bytes + statistics + rprelu + queries) / MEBIBYTE },
  ];
}
