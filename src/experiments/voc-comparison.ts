import { BITS, type PaperValues } from '../figures/paper-values.js';
import type { Cell } from './cell.js';
import { forSeeds, paperCell, Q_DETR, REAL_BITS, table22Cell, type Experiment, type GridOptions } from './grid.js';

/** Bits of the methods without training. */
const POST_TRAINING_BITS = '8-8-8';
/** Artefacts that the cells of both comparisons answer. */
const artefact = ['voc-comparison', 'coco-comparison'];

/** Rows of CVPR Tables 2 and 3 for one family, one seed: real-valued, two post-training methods, then LSQ, Baseline and Q-DETR at each bit-width. */
export function comparisonCells(options: GridOptions): Cell[] {
  return forSeeds(options, (seed) => [
    table22Cell(options, 'Real-valued', REAL_BITS, seed),
    ...(['Percentile', 'VT-PTQ'] as const).map((method) =>
      paperCell(options, seed, { experiment: 'voc-comparison', artefact, method, bits: POST_TRAINING_BITS, scope: 'post-training', quantizer: method, studentStart: 'own' })),
    ...(options.bits ?? BITS).flatMap((bits) => [
      paperCell(options, seed, { experiment: 'voc-comparison', artefact, method: 'LSQ', bits, quantizer: 'LSQ' }),
      table22Cell(options, 'Baseline', bits, seed),
      table22Cell(options, Q_DETR, bits, seed),
    ]),
  ]);
}

/** A cell's row in one of the two tables, which call Q-DETR by its short name. */
export function comparisonRow<Row extends { model: string; method: string; bits: string }>(rows: readonly Row[], { family, method, bits }: Cell): Row | undefined {
  return rows.find((row) => row.model === (family === 'detr' ? 'DETR-R50' : 'SMCA-DETR-R50') && row.method === (method === Q_DETR ? 'Q-DETR' : method) && row.bits === bits);
}

/** CVPR Table 2: the comparison on VOC. */
export const vocComparisonExperiment: Experiment = {
  name: 'voc-comparison',
  answers: 'CVPR Table 2 (VOC): Percentile, VT-PTQ, LSQ, Baseline and Q-DETR beside the real-valued detector',
  artefact: 'voc-comparison',
  protocol: [
    'LSQ, Baseline (LSQ+) and Q-DETR at 4, 3 and 2 bits with the same two stages and steps; Percentile and VT-PTQ calibrate the real-valued detector at 8-8-8 without training.',
    'All on MiniVOC with a small detector, the paper\'s values on VOC beside them: order and gaps can be compared, not levels. --model chooses DETR or SMCA-DETR.',
    'Real-valued, Baseline and Q-DETR are cells of Table 2.2, trained once for both.',
    'Runs of the full-size models on VOC itself (scale paper) fill columns of their own of figures/cvpr-table-2.md.',
  ],
  command: 'npx qdetr experiment voc-comparison --scale minutes --seeds 3 --model detr',
  measured: [],
  smoke: 'all 12 cells, 8 steps a stage on 64 images: that everything runs; the numbers mean nothing',
  metrics: ['ap', 'ap50', 'ap75'],
  grid: comparisonCells,
  paper: (values: PaperValues, cell: Cell) => {
    const row = comparisonRow(values.cvpr_table_2_voc, cell);
    return row && { ap: row.ap, ap50: row.ap50, ap75: row.ap75 };
  },
};
