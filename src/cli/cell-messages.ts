import type { Cell } from '../experiments/cell.js';
import type { RunSummary } from '../training/run-record.js';

/** What the process of a grid tells the processes that perform its cells. */
export type ToChild =
  /** Cells to perform together; `steps`: how many each takes, about; progress is told as a part of these. */
  | { kind: 'perform'; cells: Cell[]; steps: number[]; command: string; root: string; freshSince?: string }
  | { kind: 'stop' };

/** What a process tells about a cell while it performs it. */
export type CellNote =
  /** Whether a run of the cell is used again, and why or why not. */
  | { kind: 'reuse'; text: string }
  /** Part of the cell that this process has performed; what was there before takes no part. */
  | { kind: 'progress'; fraction: number };

/** How a cell ended in a process. */
export type CellAnswer =
  | { kind: 'finished'; reused: boolean; folder: string; summary: RunSummary }
  | { kind: 'failed'; message: string }
  /** Another process trains a run that the cell needs. */
  | { kind: 'held'; message: string }
  /** After `stop`: at a safe point, with a checkpoint. */
  | { kind: 'stopped' };

/** What a process that performs cells says: `cell` is the number of the cell in the last `perform`. After each of these comes one answer for each cell. */
export type FromChild = { cell: number } & (CellNote | CellAnswer);
