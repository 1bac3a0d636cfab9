import type { PaperValues } from '../figures/paper-values.js';
import type { ImageSides } from '../models/cost.js';
import { MEBIBYTE, paperCost, sizeCountings, storedCost, type SizeCounting, type StoredCost } from '../models/cost-rules.js';
import { detrSettings, FAMILIES, familyTitles, fullSizeDetectors, modelOf, withRprelu, type DetectorSettings, type ModelScale } from '../models/settings.js';
import { formatPrecision, isReal, parsePrecision, REAL, type Precision } from '../quantizer/precision.js';

/** A model whose costs can be asked for. */
export interface CostModel {
  /** The paper's name of it, where it has one. */
  title: string;
  real: DetectorSettings;
  /** What is quantized: at full size, the paper's backbone with RPReLU. */
  quantized: DetectorSettings;
  image: ImageSides;
}

/**
 * The usual image of the paper's evaluation: short side 800 and long side at most 1333 pixels (PAPER.md 2.6), of a photograph of 640 x 480,
 * COCO's most frequent size.
 */
export const PAPER_IMAGE: ImageSides = { height: 800, width: 1066 };

/** Labels of COCO by its highest, as DETR counts them: the models of CVPR Table 3. */
const COCO_CLASSES = 91;

const fullSize = Object.entries(fullSizeDetectors).map(([name, settings]): [string, CostModel] => {
  const real = { ...settings, classes: COCO_CLASSES };
  return [name, { title: `${familyTitles[settings.family]}-${name.slice(-3) === '101' ? 'R101' : 'R50'}`, real, quantized: withRprelu(real), image: PAPER_IMAGE }];
});
const small = FAMILIES.flatMap((family) => (Object.keys(detrSettings) as ModelScale[]).map((scale): [string, CostModel] => {
  const real = modelOf(scale, family);
  return [`${family}-${scale}`, { title: `${familyTitles[family]}, scale ${scale}`, real, quantized: real, image: { height: real.imageSize, width: real.imageSize } }];
}));

/** The models by name: those of full size on COCO, and the small ones by scale. */
export const costModels: ReadonlyMap<string, CostModel> = new Map([...fullSize, ...small]);

/** Bit-widths of CVPR Table 3. */
export const TABLE_BITS = ['32-32-32', '8-8-8', '4-4-8', '3-3-8', '2-2-8'] as const;

/** A deviation from the paper above this is explained, or said not to be. */
export const EXPLAINED_ABOVE = 0.03;

/** The costs of a model at one precision; sizes in MB of 2^20 bytes, operations in 10^9. */
export interface CostRow {
  bits: string;
  /** The paper's rows that share these costs. */
  methods: string[];
  parameters: number;
  paper: { size: number; operations: number } | undefined;
  /** By the paper's rule, computed from the model. */
  rule: { size: number; operations: number | undefined };
  /** Of `rule` from `paper`, as fractions. */
  deviation: { size: number; operations: number | undefined } | undefined;
  stored: StoredCost;
  /** A sentence for each deviation above `EXPLAINED_ABOVE`. */
  explanations: string[];
}

/** The costs of a model, its rows beside the paper's. */
export interface CostComparison {
  title: string;
  classes: number;
  image: ImageSides;
  rows: CostRow[];
  /** Where the paper has rows of it: the real-valued size that it prints, and what ours comes to by several countings. */
  realSize: { paper: number; countings: SizeCounting[] } | undefined;
}

/**
 * Costs of a model at the given precisions, beside CVPR Table 3.
 * @param image default: the model's own
 */
export function compareCosts({ title, real, quantized, image: usual }: CostModel, bits: readonly string[], values: PaperValues, image = usual): CostComparison {
  const paperRows = values.cvpr_table_3_coco.filter((row) => row.model === title), printed = paperRows.find((row) => row.bits === formatPrecision(REAL));
  const rows = bits.map((text): CostRow => {
    const precision = parsePrecision(text), settings = Object.values(precision).every(isReal) ? real : quantized;
    const { bytes, operations } = paperCost(settings, precision, image), same = paperRows.filter((row) => row.bits === text);
    const rule = { size: bytes / MEBIBYTE, operations: operations === undefined ? undefined : operations / 1e9 };
    const paper = same.length > 0 ? { size: same[0].sizeMB, operations: same[0].opsG } : undefined;
    const deviation = paper && { size: rule.size / paper.size - 1, operations: rule.operations === undefined ? undefined : rule.operations / paper.operations - 1 };
    const parameters = 8 * bytes / precision.weightBits;
    const explanations: string[] = [];
    if (paper && printed && deviation) {
      if (Math.abs(deviation.size) > EXPLAINED_ABOVE) explanations.push(explainSize(real, quantized, precision, paper.size, printed.sizeMB));
      if (deviation.operations !== undefined && Math.abs(deviation.operations) > EXPLAINED_ABOVE) explanations.push(explainOperations(real, settings, precision, paper.operations, printed.opsG));
    }
    return { bits: text, methods: same.map((row) => row.method), parameters, paper, rule, deviation, stored: storedCost(settings, precision, image), explanations };
  });
  return { title, classes: real.classes, image, rows, realSize: printed && { paper: printed.sizeMB, countings: sizeCountings(real, quantized) } };
}

/** A fraction in per cent, with its sign. */
export function signedPercent(fraction: number): string {
  const digits = Math.abs(100 * fraction).toFixed(1);
  return `${Number(digits) === 0 ? '' : fraction < 0 ? '-' : '+'}${digits} %`;
}

function explainSize(real: DetectorSettings, quantized: DetectorSettings, precision: Precision, paper: number, printedReal: number): string {
  const { weightBits } = precision;
  const [nearest] = sizeCountings(real, quantized).sort((a, b) => Math.abs(a.size - printedReal) - Math.abs(b.size - printedReal));
  const off = nearest.size / printedReal - 1;
  const countings = `no counting gives the paper's real-valued ${printedReal} (the nearest is ${signedPercent(off)} from it)`;
  if (isReal(weightBits)) return `size: not explained: ${countings}`;
  const share = (printedReal * weightBits) / 32, left = share / paper - 1;
  const own = `${weightBits}/32 of the paper's own ${printedReal} is ${share.toFixed(2)}`;
  return Math.abs(left) > EXPLAINED_ABOVE
    ? `size: not explained: ${own}, ${signedPercent(left)} from what it prints here`
    : `size: that of the real-valued row, which is not explained: ${own}`;
}

/** The width of an image of the paper's height at which the model's real-valued operations come nearest to `operations`, in 10^9. */
export function matchingImage(real: DetectorSettings, operations: number): ImageSides {
  const { height } = PAPER_IMAGE, off = (width: number): number => Math.abs((paperCost(real, REAL, { height, width }).operations ?? NaN) / 1e9 - operations);
  let best = height;
  for (let width = height; width <= 1333; width++) if (off(width) < off(best)) best = width;
  return { height, width: best };
}

function explainOperations(real: DetectorSettings, settings: DetectorSettings, precision: Precision, paper: number, printedReal: number): string {
  const image = matchingImage(real, printedReal), at = `${image.height}x${image.width}`;
  const count = (bits: Precision): { text: string; off: number } => {
    const value = (paperCost(settings, bits, image).operations ?? NaN) / 1e9;
    return { text: `${value.toFixed(2)} G, ${signedPercent(value / paper - 1)}`, off: Math.abs(value / paper - 1) };
  };
  const here = count(precision);
  if (isReal(precision.weightBits)) {
    const largest = (paperCost(real, REAL, { height: 800, width: 1333 }).operations ?? NaN) / 1e9;
    return `operations: the size of the image, in part: ours come to ${here.text}, at ${at}, and to ${largest.toFixed(2)} G at 800x1333, the paper's limit; DETR's own 86 G are the mean over the first 100 images of COCO val2017 (facebookresearch/detr, issue 110), which are not here`;
  }
  if (here.off <= EXPLAINED_ABOVE) return `operations: those of the real-valued row: at ${at}, where that agrees, ${here.text}`;
  const uniform = count({ ...precision, attentionBits: precision.weightBits }), { weightBits, attentionBits } = precision;
  const reading = weightBits === attentionBits ? '' : ` and with attention's products at ${weightBits} bits ${uniform.text}`;
  const explained = weightBits !== attentionBits && uniform.off <= EXPLAINED_ABOVE;
  return `operations: ${explained ? 'the reading of the rule' : 'not explained'}: at ${at}, where the real-valued row agrees, ${here.text},${reading}`.replace(/,$/, '');
}
