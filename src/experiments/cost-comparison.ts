import type { PaperValues } from '../figures/paper-values.js';
import type { ImageSides } from '../models/cost.js';
import { MEBIBYTE, paperCost, sizeCountings, storedCost, type SizeCounting, type StoredCost } from '../models/cost-rules.js';
import { detrSettings, FAMILIES, familyTitles, fullSizeDetectors, modelOf, withRprelu, type DetectorSettings, type ModelScale } from '../models/settings.js';
import { formatPrecision, isReal, parsePrecision, REAL } from '../quantizer/precision.js';
import { EXPLAINED_ABOVE, explainOperations, explainSize, PAPER_IMAGE } from './cost-explanations.js';

/** A model whose costs can be asked for. */
export interface CostModel {
  /** The paper's name of it, where it has one. */
  title: string;
  real: DetectorSettings;
  /** What is quantized: at full size, the paper's backbone with RPReLU. */
  quantized: DetectorSettings;
  image: ImageSides;
}

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
