import type { Cell } from '../experiments/cell.js';
import type { PerformCellOptions } from '../experiments/perform-cell.js';
import type { FinishedRun } from '../experiments/run.js';
import { messageOf, UserError } from '../errors.js';
import { RunHeld } from '../training/run-lock.js';
import type { FromChild, ToChild } from './cell-messages.js';

/** Performs a cell: `performCell`, or a stand-in in tests. */
export type CellPerformer = (cell: Cell, options: PerformCellOptions) => Promise<Pick<FinishedRun, 'reused' | 'folder' | 'summary'>>;

/** Milliseconds between messages about progress. */
const INTERVAL = 250;

/**
 * Performs the cells that the parent process sends, one after another and each on one thread, until it disconnects. `stop`, or the
 * parent's end, stops the cell under way at its next safe point. Ctrl-C, which a terminal sends to all processes, is the parent's business.
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
    void answer(perform, message, controller.signal, send).then((last) => {
      isBusy = false;
      send(last);
      if (!process.connected) process.exit(0);
    });
  });
}

async function answer(perform: CellPerformer, { cell, steps: expected, command, root, fresh }: Extract<ToChild, { kind: 'perform' }>, signal: AbortSignal, send: (message: FromChild) => void): Promise<FromChild> {
  let steps = 0, told = 0;
  try {
    const step = (): void => {
      steps++;
      if (performance.now() - told < INTERVAL) return;
      told = performance.now();
      send({ kind: 'progress', fraction: Math.min(1, steps / expected) });
    };
    const { reused, folder, summary } = await perform(cell, { command, root, fresh, signal, threads: 1, listen: (name) => ({ step, reuse: (reason) => send({ kind: 'reuse', text: `${name}: ${reason}` }) }) });
    return { kind: 'finished', reused, folder, summary };
  } catch (error) {
    if (error instanceof Error && error.name === 'TrainingInterrupted') return { kind: 'stopped' };
    if (error instanceof RunHeld) return { kind: 'held', message: error.message };
    return { kind: 'failed', message: error instanceof UserError || !process.env.QDETR_DEBUG ? messageOf(error) : String((error as Error).stack) };
  }
}
