import type { ModelScale } from '../models/settings.js';
import type { TauZero } from '../distillation/settings.js';
import type { Cell } from './cell.js';
import { forSeeds, methodParts, paperCell, paperDistillation, Q_DETR, type Experiment, type GridOptions } from './grid.js';

/** The grids of tau and lambda below tau = 1. The paper prints neither; lambda = 2.5 and tau 0.5 and 0.6 are in its text. */
export const TAU_LAMBDA_GRIDS: Readonly<Record<ModelScale, { taus: readonly number[]; lambdas: readonly number[] }>> = {
  smoke: { taus: [0, 0.6], lambdas: [2.5] },
  minutes: { taus: [0, 0.4, 0.6, 0.8], lambdas: [1, 2.5] },
  gpu: { taus: [0, 0.2, 0.4, 0.5, 0.6, 0.8], lambdas: [1, 2, 2.5, 3, 5] },
};

/** tau = 0 by the paper's words for it, "full imitation": every query is distilled (decision A14). */
export const FULL_IMITATION = '+ DA + full imitation';

function distilledCell(options: GridOptions, bits: string, tau: number, tauZero: TauZero, lambda: number, seed: number): Cell {
  const method = tau === 0 && tauZero === 'full-imitation' ? FULL_IMITATION : Q_DETR;
  return paperCell(options, seed, {
    experiment: 'figure-2.12a', artefact: ['figure-2.12a'], bits, ...methodParts(options, Q_DETR), method, distillation: paperDistillation({ tau, tauZero, lambda }),
  });
}

/** Cells of one seed: the baseline with DA, which is tau = 1, then a cell for each tau below it and each lambda. */
function cellsOf(options: GridOptions, bits: string, seed: number): Cell[] {
  const { taus, lambdas } = TAU_LAMBDA_GRIDS[options.scale];
  const readings = (tau: number): TauZero[] => (tau === 0 ? ['literal', 'full-imitation'] : ['literal']);
  return [
    paperCell(options, seed, { experiment: 'figure-2.12a', artefact: ['figure-2.12a'], bits, ...methodParts(options, '+ DA') }),
    ...lambdas.flatMap((lambda) => taus.flatMap((tau) => readings(tau).map((reading) => distilledCell(options, bits, tau, reading, lambda, seed)))),
  ];
}

/** Fig. 2.12(a) (CVPR Fig. 5(a)): AP50 over tau and lambda. */
export const figure212aExperiment: Experiment = {
  name: 'figure-2.12a',
  answers: 'Fig. 2.12(a): AP50 over tau and lambda: whether selecting queries is necessary, and which pair is best',
  artefact: 'figure-2.12a',
  protocol: [
    'The baseline with DA, distilled with each tau and lambda of the grid at 4-4-8, as the paper ran it (--bits changes that); tau = 1 keeps no query, is the same for every lambda and is trained once, without distillation.',
    'tau = 0 in both readings (A14): Eq. 2.34 to the letter, which keeps queries with GIoU above 0, and the paper\'s words "full imitation", every query.',
    'The paper\'s grid is unknown. gpu: tau 0, 0.2, 0.4, 0.5, 0.6, 0.8, 1 and lambda 1, 2, 2.5, 3, 5 (36 cells); minutes: tau 0, 0.4, 0.6, 0.8, 1 and lambda 1, 2.5 (11); smoke: tau 0, 0.6, 1 and lambda 2.5 (4).',
  ],
  command: 'npx qdetr experiment figure-2.12a --scale minutes --seeds 3',
  measured: [],
  smoke: '4 cells, 8 steps a stage on 64 images: that everything runs; the numbers mean nothing',
  metrics: ['ap50'],
  grid: (options) => forSeeds(options, (seed) => (options.bits ?? ['4-4-8']).flatMap((bits) => cellsOf(options, bits, seed))),
  paper: ({ figure_2_12a: { points, bits: printedAt } }, { family, bits, distillation }) => {
    if (family !== 'detr' || bits !== printedAt) return undefined;
    const printed = points.find(({ tau, lambda }) => (distillation === null ? tau === 1 : distillation.tau === tau && distillation.lambda === lambda));
    return printed && { ap50: printed.ap50 };
  },
};
