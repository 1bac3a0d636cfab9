/** Costs of a model of the paper at one bit-width, computed from the model itself: sizes in MB of 2^20 bytes, operations in 10^9 multiply-adds. */
export interface TableCost {
  /** The paper's name of the model. */
  model: string;
  bits: string;
  /** By the paper's rule (PAPER.md 2.3). */
  rule: { size: number; operations: number };
  /** By honest accounting: what is really stored, and operations under the same placement. */
  stored: { size: number; operations: number };
}

/** Costs of the rows of CVPR Tables 2 and 3; VOC's models have fewer classes. What computes them: `tableCosts` of experiments. */
export interface TableCosts {
  voc: readonly TableCost[];
  coco: readonly TableCost[];
}

/** The costs of a row. */
export const costOf = (costs: readonly TableCost[], row: { model: string; bits: string }): TableCost | undefined => costs.find(({ model, bits }) => model === row.model && bits === row.bits);
