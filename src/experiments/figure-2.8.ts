import { forSeeds, Q_DETR, REAL_BITS, table22Cell, table22Paper, type Experiment } from './grid.js';

/**
 * Fig. 2.8 (CVPR Fig. 1): histograms of the co-attention's queries, real-valued and quantized. Its cells are Table 2.2's; the figure reads
 * their checkpoints.
 */
export const figure28Experiment: Experiment = {
  name: 'figure-2.8',
  answers: 'Fig. 2.8: how quantization distorts the distribution of the co-attention\'s queries, and whether Q-DETR restores it',
  artefact: 'figure-2.8',
  protocol: [
    'The real-valued detector, the baseline and Q-DETR at 4-4-8, as the paper has them: cells of Table 2.2, trained once for both.',
    'The figure observes the queries that each checkpoint computes on MiniVOC\'s test images; the paper shows decoder layers 0, 2 and 5, the small detectors have 2 or 3 layers.',
  ],
  command: 'npx qdetr experiment figure-2.8 --scale minutes',
  measured: [],
  smoke: 'all cells, 8 steps a stage on 64 images: that everything runs',
  metrics: ['ap50'],
  grid: (options) => forSeeds(options, (seed) => [
    table22Cell(options, 'Real-valued', REAL_BITS, seed),
    ...(options.bits ?? ['4-4-8']).flatMap((bits) => (['Baseline', Q_DETR] as const).map((method) => table22Cell(options, method, bits, seed))),
  ]),
  paper: table22Paper,
};
