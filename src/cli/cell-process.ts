// A process that performs cells for `qdetr experiment`; it speaks through messages (cell-messages.ts).
import { performCell } from '../experiments/perform-cell.js';
import { serveCells } from './serve-cells.js';

serveCells(performCell);
