import type { DistillationSettings } from '../distillation/settings.js';
import { PAPER_ALIGNMENT, RELEASE_ALIGNMENT } from '../models/distribution-alignment.js';
import type { Cell } from './cell.js';
import { forSeeds, methodParts, PAPER_METHODS, paperAlignment, paperCell, paperDistillation, Q_DETR, table22Cell, table22Paper, type Experiment, type GridOptions } from './grid.js';

/** Q-DETR with one thing changed in its distillation: what it is called, and the change. */
const DISTILLATIONS: readonly [string, Partial<DistillationSettings>][] = [
  ['Q-DETR, same-slot matching', { matching: 'same-slot' }],
  ['Q-DETR, one-to-one matching', { matching: 'one-to-one' }],
  ['Q-DETR, mutual matching', { matching: 'mutual' }],
  ['Q-DETR, Hungarian matching', { matching: 'hungarian' }],
  ['Q-DETR, every query, same slot', { matching: 'same-slot', selection: 'all' }],
  ['Q-DETR, lambda 0.25', { lambda: 0.25 }],
  ['Q-DETR, normalized features', { feature: 'normalized' }],
  ['Q-DETR, features after projection', { feature: 'after-projection' }],
  ['Q-DETR, attention maps', { feature: 'attention-maps' }],
];

/** Q-DETR with the student as its own teacher, both matchings with both selections: the student's slots are its teacher's there. */
const OWN_TEACHER: readonly [string, Partial<DistillationSettings>][] = [
  ['Q-DETR, its own teacher', {}],
  ['Q-DETR, its own teacher, every query', { selection: 'all' }],
  ['Q-DETR, its own teacher, same-slot matching', { matching: 'same-slot' }],
  ['Q-DETR, its own teacher, every query, same slot', { matching: 'same-slot', selection: 'all' }],
];

/** The controls of one seed at one bit-width, after the methods that they are compared with. */
function controlCells(options: GridOptions, bits: string, seed: number): Cell[] {
  const own = { experiment: 'controls', artefact: ['controls'], bits };
  const qDetr = { ...own, ...methodParts(options, Q_DETR) };
  return [
    ...PAPER_METHODS.slice(1).map((method) => table22Cell(options, method, bits, seed)),
    ...DISTILLATIONS.map(([method, changes]) => paperCell(options, seed, { ...qDetr, method, distillation: paperDistillation(changes) })),
    ...OWN_TEACHER.map(([method, changes]) => paperCell(options, seed, { ...qDetr, method, teacher: 'own', distillation: paperDistillation(changes) })),
    paperCell(options, seed, { ...own, method: '+ DA on k', alignment: paperAlignment(options, { places: ['co-attention.k'] }) }),
    options.policy === 'release'
      ? paperCell(options, seed, { ...own, method: '+ DA on co-attention', alignment: paperAlignment(options, { places: PAPER_ALIGNMENT.places }) })
      : paperCell(options, seed, { ...own, method: '+ DA on decoder self-attention', alignment: paperAlignment(options, { places: RELEASE_ALIGNMENT.places }) }),
    paperCell(options, seed, { ...own, method: '+ DA over queries', alignment: paperAlignment(options, { axis: 'queries' }) }),
  ];
}

/** Controls that the paper lacks: which part of a gain is due to what the paper says. */
export const controlsExperiment: Experiment = {
  name: 'controls',
  answers: 'controls that the paper lacks: other matchings than FQM, DA elsewhere, other features and weights, the student as its own teacher',
  artefact: 'controls',
  protocol: [
    'At 2-2-8, where effects are largest (--bits changes that): Baseline, + DA, + FQM and Q-DETR of Table 2.2, then one change at a time.',
    'Matching of student and teacher queries by slot, one-to-one, mutual or Hungarian (through the ground truth) instead of Eq. 2.35.',
    'DA on k, on the decoder\'s self-attention (as the released code has it), and over the queries (A11); lambda 0.25; features normalized, after the output projection, or attention maps.',
    'The student as its own teacher, where slots correspond: literal and same-slot matching, each with the queries that Eq. 2.34 keeps and with every query, so that matching and selection are told apart.',
    'The same epochs without a teacher are Baseline and + DA themselves: every cell has the same two stages and steps (A20).',
  ],
  command: 'npx qdetr experiment controls --scale minutes --seeds 3',
  measured: [],
  smoke: 'all 20 cells, 8 steps a stage on 64 images: that everything runs; the numbers mean nothing',
  metrics: ['ap50'],
  grid: (options) => forSeeds(options, (seed) => (options.bits ?? ['2-2-8']).flatMap((bits) => controlCells(options, bits, seed))),
  paper: table22Paper,
};
