import type { TableCost, TableCosts } from '../figures/table-costs.js';
import { MEBIBYTE, paperCost, storedCost } from '../models/cost-rules.js';
import { isReal, parsePrecision } from '../quantizer/precision.js';
import { costModels, TABLE_BITS, type CostModel } from './cost-comparison.js';

/** Labels of VOC. */
const VOC_CLASSES = 20;

/** Costs of every model and bit-width of CVPR Tables 2 (VOC, 20 classes) and 3 (COCO, 91), for an image of 800 x 1066. */
export function tableCosts(): TableCosts {
  const models = ['detr-r50', 'smca-detr-r50'].map((name) => costModels.get(name)!);
  return {
    voc: models.flatMap((model) => costsOf({ ...model, real: { ...model.real, classes: VOC_CLASSES }, quantized: { ...model.quantized, classes: VOC_CLASSES } })),
    coco: models.flatMap(costsOf),
  };
}

const costsOf = ({ title, real, quantized, image }: CostModel): TableCost[] => TABLE_BITS.map((bits) => {
  const precision = parsePrecision(bits), settings = Object.values(precision).every(isReal) ? real : quantized;
  const rule = paperCost(settings, precision, image), stored = storedCost(settings, precision, image);
  return { model: title, bits, rule: { size: rule.bytes / MEBIBYTE, operations: rule.operations! / 1e9 }, stored: { size: stored.bytes / MEBIBYTE, operations: stored.operations! / 1e9 } };
});
