import { forSeeds, methodParts, PAPER_METHODS, paperCell, REAL_BITS, type Experiment } from './grid.js';

/** Points on the information plane along a cell's training (decision A26: at least 5). */
export const INFORMATION_POINTS = 5;

/** Fig. 2.12(b) (CVPR Fig. 5(b)): the information plane. */
export const figure212bExperiment: Experiment = {
  name: 'figure-2.12b',
  answers: 'Fig. 2.12(b): information about the image and about the objects along training, real-valued and in the four students',
  artefact: 'figure-2.12b',
  protocol: [
    'The four students of Table 2.2 at 4-4-8, as the figure\'s caption says, and the real-valued detector: 5 points each along the last stage (A26).',
    'x: minus the L1 error of a small decoder that reconstructs the image from the encoder\'s frozen output, with the same budget for all; y: AP50 on test.',
    'The paper\'s real-valued curve is its teacher\'s, DETR-R101; here it is the student\'s own size, trained as long as the students.',
  ],
  command: 'npx qdetr experiment figure-2.12b --scale minutes --seeds 3',
  measured: [],
  smoke: 'all 5 cells, 8 steps a stage on 64 images: that everything runs; the numbers mean nothing',
  metrics: ['ap50'],
  grid: (options) => forSeeds(options, (seed) => {
    const own = { experiment: 'figure-2.12b', artefact: ['figure-2.12b'], informationPoints: INFORMATION_POINTS };
    return [
      paperCell(options, seed, { ...own, bits: REAL_BITS, ...methodParts(options, 'Real-valued') }),
      ...(options.bits ?? ['4-4-8']).flatMap((bits) => PAPER_METHODS.slice(1).map((method) => paperCell(options, seed, { ...own, bits, ...methodParts(options, method) }))),
    ];
  }),
  paper: () => undefined,
};
