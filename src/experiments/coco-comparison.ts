import type { Experiment } from './grid.js';
import { comparisonRow, vocComparisonExperiment } from './voc-comparison.js';

/** CVPR Table 3: the comparison on COCO. Its cells are those of the VOC comparison, on MiniVOC; runs on COCO itself are made by `qdetr train`. */
export const cocoComparisonExperiment: Experiment = {
  ...vocComparisonExperiment,
  name: 'coco-comparison',
  answers: 'CVPR Table 3 (COCO): the same methods; on MiniVOC, by the cells of voc-comparison',
  artefact: 'coco-comparison',
  protocol: [
    ...vocComparisonExperiment.protocol.slice(0, 1),
    'All on MiniVOC with a small detector, the paper\'s values on COCO beside them: order and gaps can be compared, not levels. The cells are those of voc-comparison, trained once for both.',
    'Runs of the full-size models on COCO itself (scale paper) fill columns of their own of figures/cvpr-table-3.md, which also has size and operations: the paper\'s, by its rule, and as really stored. AP of small, medium and large objects is only the paper\'s.',
  ],
  command: 'npx qdetr experiment coco-comparison --scale minutes --seeds 3 --model detr',
  paper: (values, cell) => {
    const row = comparisonRow(values.cvpr_table_3_coco, cell);
    return row && Object.fromEntries((['ap', 'ap50', 'ap75'] as const).flatMap((metric) => (row[metric] === null ? [] : [[metric, row[metric]]])));
  },
};
