import type { Cell } from '../experiments/cell.js';
import type { RunSummary } from '../training/run-record.js';

/** What the process of a grid tells the processes that perform its cells. */
export type ToChild =
  /** `steps`: how many the cell takes, about; progress is told as a part of these. */
  | { kind: 'perform'; cell: Cell; steps: number; command: string; root: string; fresh: boolean }
  | { kind: 'stop' };

/** What a process that performs cells answers. After each `perform` comes one of the last four, and nothing after it. */
export type FromChild =
  /** Whether a run of the cell is used again, and why or why not. */
  | { kind: 'reuse'; text: string }
  /** Part of the cell that this process has performed; what was there before takes no part. */
  | { kind: 'progress'; fraction: number }
  | { kind: 'finished'; reused: boolean; folder: string; summary: RunSummary }
  | { kind: 'failed'; message: string }
  /** Another process trains a run that the cell needs. */
  | { kind: 'held'; message: string }
  /** After `stop`: at a safe point, with a checkpoint. */
  | { kind: 'stopped' };
