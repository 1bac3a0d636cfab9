import { BITS } from '../figures/paper-values.js';
import { departureText } from './departures.js';
import { forSeeds, PAPER_METHODS, Q_DETR, REAL_BITS, table22Cell, table22Paper, type Experiment } from './grid.js';

/** Table 2.2 (CVPR Table 1): a real-valued detector, and the baseline without and with DA and FQM at three bit-widths: 13 cells a seed. */
export const table22Experiment: Experiment = {
  name: 'table-2.2',
  answers: 'Table 2.2 (CVPR Table 1): what DA and FQM bring, alone and together, at 4, 3 and 2 bits',
  artefact: 'table-2.2',
  protocol: [
    'Every quantized cell has the same two stages and the same steps (A19, A20): first with encoder and decoder real-valued, then fully quantized from the first stage\'s checkpoint.',
    'Distillation acts in both stages (A19), with tau 0.6 and lambda 2.5. Without it a cell trains as long: these are the controls "same epochs without a teacher".',
    ...(['minutes', 'gpu'] as const).map((scale) => departureText([table22Cell({ family: 'detr', scale, seeds: [0] }, Q_DETR, '2-2-8', 0)])),
    'The paper: DETR-R50 with a DETR-R101 teacher on VOC. Here: small detectors on MiniVOC, so that order and gaps can be compared, not levels.',
  ],
  command: 'npx qdetr experiment table-2.2 --scale minutes --seeds 3',
  measured: [{ scale: 'minutes', cells: 13, seconds: 1561, where: '2 cores of an Intel Xeon, 2 processes, beside other work' }],
  smoke: 'all 13 cells, 8 steps a stage on 64 images: that everything runs; the numbers mean nothing',
  metrics: ['ap50'],
  grid: (options) => forSeeds(options, (seed) => [
    table22Cell(options, 'Real-valued', REAL_BITS, seed),
    ...(options.bits ?? BITS).flatMap((bits) => PAPER_METHODS.slice(1).map((method) => table22Cell(options, method, bits, seed))),
  ]),
  paper: table22Paper,
};
