import { MODULE_GROUPS, type ModuleGroup } from '../models/quantization-policy.js';
import type { Cell } from './cell.js';
import { forSeeds, paperCell, REAL_BITS, table22Cell, type Experiment, type GridOptions } from './grid.js';

/** What the paper's figure calls a cell. */
const PRINTED: Readonly<Record<number, string>> = { 0: 'real-valued', 1: 'backbone', 2: '+encoder', 3: '+decoder MHA', 4: '+MLP' };

/** The name of the baseline with only some groups quantized, which tables average by. */
export const partialBaseline = (groups: readonly ModuleGroup[]): string => `Baseline: ${groups.join(', ')}`;

function groupCell(options: GridOptions, bits: string, count: number, seed: number): Cell {
  if (count === MODULE_GROUPS.length) return table22Cell(options, 'Baseline', bits, seed);
  const groups = MODULE_GROUPS.slice(0, count);
  return paperCell(options, seed, { experiment: 'figure-2.11', artefact: ['figure-2.11'], method: partialBaseline(groups), bits, groups });
}

/** Fig. 2.11 (CVPR Fig. 4): the groups of modules quantized one after another. Both ends are cells of Table 2.2. */
export const figure211Experiment: Experiment = {
  name: 'figure-2.11',
  answers: 'Fig. 2.11: which group of modules costs most when it is quantized (backbone, encoder, decoder attention, feed-forward)',
  artefact: 'figure-2.11',
  protocol: [
    'The baseline quantizer (LSQ+) at 4-4-8 and 3-3-8; groups are added one after another: backbone, encoder, decoder attention, decoder feed-forward (A9).',
    'The same two stages and steps in each cell; no DA, no distillation. Nothing quantized and everything quantized are cells of Table 2.2, trained once for both.',
    'The paper\'s 4-bit value of everything quantized, 78.8, contradicts its Table 2.2 (78.0, A27); both are shown as printed.',
  ],
  command: 'npx qdetr experiment figure-2.11 --scale minutes --seeds 3',
  measured: [],
  smoke: 'all 9 cells, 8 steps a stage on 64 images: that everything runs; the numbers mean nothing',
  metrics: ['ap50'],
  grid: (options) => forSeeds(options, (seed) => [
    table22Cell(options, 'Real-valued', REAL_BITS, seed),
    ...(options.bits ?? ['4-4-8', '3-3-8']).flatMap((bits) => MODULE_GROUPS.map((_, i) => groupCell(options, bits, i + 1, seed))),
  ]),
  paper: ({ figure_2_11 }, { family, bits, groups }) => {
    if (family !== 'detr') return undefined;
    const isReal = bits === REAL_BITS;
    const printed = figure_2_11.find((row) => (isReal || row.bits === `${bits[0]}-bit`) && row.quantized === PRINTED[isReal ? 0 : groups.length]);
    return printed && { ap50: printed.ap50 };
  },
};
