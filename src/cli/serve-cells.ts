import type { Cell } from '../experiments/cell.js';
import type { PerformCellOptions } from '../experiments/perform-cell.js';
import type { FinishedRun } from '../experiments/run.js';
import { messageOf, UserError } from '../errors.js';
import { together } from '../tensor/together.js';
import { RunHeld } from '../training/run-lock.js';
import type { CellAnswer, CellNote, FromChild, ToChild } from './cell-messages.js';

/** Performs a cell: `performCell`, or a stand-in in tests. */
export type CellPerformer = (cell: Cell, options: PerformCellOptions) => Promise<Pick<FinishedRun, 'reused' | 'folder' | 'summary'>>;

/** Milliseconds between messages about progress. */
const INTERVAL = 250;

/**
 * Performs the cells that the parent process sends, those of one message together, each on one thread, until it disconnects. `stop`, or the
 * parent's end, stops the cells under way at their next safe point. Ctrl-C, which a terminal sends to all processes, is the parent's business.
 */
export function serveCells(perform: CellPerformer): void {
  const controller = new AbortController();
  const send = (message: FromChild): void => void (process.connected && process.send?.(message, () => {})); // the parent may be gone
  let isBusy = false;
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => controller.abort());
  process.on('disconnect', () => {
    controller.abort();
    if (!isBusy) process.exit(0);
  });
  process.on('message', (message: ToChild) => {
    if (message.kind === 'stop') {
      controller.abort();
      return;
    }
    isBusy = true;
    void together(message.cells.map((_, cell) => async () => send({ cell, ...(await answer(perform, message, cell, controller.signal, (note) => send({ cell, ...note }))) }))).then(() => {
      isBusy = false;
      if (!process.connected) process.exit(0);
    });
  });
}

async function answer(perform: CellPerformer, { cells, steps: expected, command, root, freshSince }: Extract<ToChild, { kind: 'perform' }>, cell: number, signal: AbortSignal, tell: (note: CellNote) => void): Promise<CellAnswer> {
  let steps = 0, told = 0;
  try {
    const step = (): void => {
      steps++;
      if (performance.now() - told < INTERVAL) return;
      told = performance.now();
      tell({ kind: 'progress', fraction: Math.min(1, steps / expected[cell]) });
    };
    const { reused, folder, summary } = await perform(cells[cell], { command, root, freshSince, signal, threads: 1, listen: (name) => ({ step, reuse: (reason) => tell({ kind: 'reuse', text: `${name}: ${reason}` }) }) });
    return { kind: 'finished', reused, folder, summary };
  } catch (error) {
    if (error instanceof Error && error.name === 'TrainingInterrupted') return { kind: 'stopped' };
    if (error instanceof RunHeld) return { kind: 'held', message: error.message };
    return { kind: 'failed', message: error instanceof UserError || !process.env.QDETR_DEBUG ? messageOf(error) : String((error as Error).stack) };
  }
}
