// A pool whose one cell never ends: node --import=tsx pool-child.ts <folder of the runs>
import { performCells } from '../../src/cli/cell-pool.js';
import { table22Experiment } from '../../src/experiments/table-2.2.js';

const [cell] = table22Experiment.grid({ family: 'detr', scale: 'smoke', seeds: [0] });
void performCells([{ ...cell, teacher: 'waits' }], { processes: 1, steps: () => 8, command: 'test', root: process.argv[2], child: 'test/cli/cells-child.ts' });
