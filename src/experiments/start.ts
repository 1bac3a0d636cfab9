import type { Cell } from './cell.js';
import { departureText } from './departures.js';
import { forSeeds, methodParts, paperCell, paperDistillation, Q_DETR, REAL_BITS, table22Paper, type Experiment, type GridOptions } from './grid.js';

/** Each query learns from the teacher's query of its own slot: the matching that the paper does not have. */
export const SAME_SLOT = 'Q-DETR, same slot';

/** Bits of the quantized runs: where effects are largest. */
const BITS = '2-2-8';
/** Points on the information plane along each run: one fewer than decision A26 asks for, each costing an evaluation on `test`; the experiment figure-2.12b has 5. */
const INFORMATION_POINTS = 4;

/** What a scale changes in the settings of its preset. */
const CHANGES: Readonly<Record<GridOptions['scale'], Readonly<Record<string, unknown>>>> = {
  smoke: {},
  // Short, on features that are there. On val, 300 steps of the 2-2-8 baseline gave AP50 9.2 at 2e-3 and 6.8 at 4e-3, and 7.0 at 2e-3 with LSQ's start of the weights.
  minutes: { steps: 600, batchSize: 32, learningRate: 2e-3, warmUpSteps: 50, evaluationInterval: 150, checkpointInterval: 150 },
  gpu: {},
};

/**
 * The cells of `npm start`. The teacher is the student's own real-valued detector, with and without same-slot matching, so that the two
 * Q-DETRs differ in nothing but which queries learn (those that Eq. 2.34 keeps, or all) and from whom (Eq. 2.35, or the same slot).
 */
function startCells(options: GridOptions, seed: number): Cell[] {
  const { scale } = options;
  const ours: GridOptions = { ...options, scope: 'transformer', studentStart: 'own', changes: { ...CHANGES[scale], ...options.changes } };
  const own = { experiment: 'start', teacher: 'own', informationPoints: INFORMATION_POINTS };
  const all = ['table-2.2', 'figure-2.12b'], swept = [...all, 'figure-2.12a'];
  return [
    paperCell(ours, seed, { ...own, artefact: all, method: 'Real-valued', bits: REAL_BITS }),
    paperCell(ours, seed, { ...own, artefact: all, bits: BITS, ...methodParts(ours, 'Baseline') }),
    paperCell(ours, seed, { ...own, artefact: swept, bits: BITS, ...methodParts(ours, '+ DA') }),
    paperCell(ours, seed, { ...own, artefact: swept, bits: BITS, ...methodParts(ours, Q_DETR) }),
    paperCell(ours, seed, { ...own, artefact: swept, bits: BITS, ...methodParts(ours, Q_DETR), method: SAME_SLOT, distillation: paperDistillation({ matching: 'same-slot', selection: 'all' }) }),
  ];
}

/** What `npm start` trains: a first look at the whole method in a few minutes of two cores. */
export const startExperiment: Experiment = {
  name: 'start',
  answers: 'a first look at Table 2.2 and Fig. 2.12 in minutes: the transformer at 2 bits behind a fixed real-valued backbone',
  artefact: 'table-2.2',
  protocol: [
    'From the small real-valued detector that the project ships; its backbone stays real-valued and as it is, its features are computed once, and the transformer is trained at 2-2-8 for as many steps in every run.',
    'Real-valued (the same steps without quantization), Baseline, + DA, Q-DETR by the letter of Eq. 2.33-2.35, and Q-DETR with every query matched to the teacher\'s query of its own slot.',
    'The teacher is the real-valued detector that the student starts from: the two Q-DETRs differ in nothing but which queries learn (those that Eq. 2.34 keeps, or all) and from whom (Eq. 2.35, or the same slot). The paper\'s teacher is larger and trained on its own: experiment table-2.2 has that; experiment controls tells matching and selection apart.',
    `Fig. 2.12(b) has ${INFORMATION_POINTS} points a curve here, where decision A26 asks for at least 5: experiment figure-2.12b has those.`,
    departureText(startCells({ family: 'detr', scale: 'minutes', seeds: [0] }, 0)),
  ],
  command: 'npm start',
  measured: [{ scale: 'minutes', cells: 5, seconds: 347, where: '2 cores of an Intel Xeon, 2 processes, beside other work' }],
  smoke: '5 cells, 8 steps on 64 images from random weights: that everything runs; the numbers mean nothing',
  metrics: ['ap50'],
  grid: (options) => forSeeds(options, (seed) => startCells(options, seed)),
  paper: table22Paper,
};
