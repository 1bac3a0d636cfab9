import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Cell } from '../experiments/cell.js';
import type { RunSummary } from '../training/run-record.js';
import type { CellAnswer, CellNote, FromChild, ToChild } from './cell-messages.js';

/** How a cell ended. `stopped`: by Ctrl-C, with a checkpoint, or before it began. */
export type CellOutcome = { cell: Cell } & (
  | { state: 'finished'; reused: boolean; folder: string; summary: RunSummary; seconds: number }
  | { state: 'failed'; message: string }
  | { state: 'stopped' }
);

/** Where a grid is. */
export interface PoolState {
  outcomes: readonly CellOutcome[];
  /** For each cell that is being performed, the part of it that is done. */
  running: readonly number[];
  /** Cells that wait for a run that another process trains. */
  held: number;
  /** Cells that have not begun, those that wait included. */
  left: number;
}

/** Options of {@link performCells}. */
export interface PoolOptions {
  /** Processes side by side. */
  processes: number;
  /** Cells that a process performs together, where they differ in nothing but their seed; left out: 1. On a GPU they share their steps. */
  together?: number;
  /** Steps that a cell takes, about: for its progress. */
  steps(cell: Cell): number;
  /** Command line, for the record. */
  command: string;
  /** Folder of the runs. */
  root: string;
  /** See `PerformOptions`. */
  freshSince?: string;
  /** Aborting it stops every process at its next safe point. */
  signal?: AbortSignal;
  /** Whether a run is used again, and why or why not. */
  reuse?(text: string): void;
  /** After each change. */
  changed?(state: PoolState, ended?: CellOutcome): void;
  /** File that a process runs. */
  child?: string;
  /** Milliseconds until a cell that found a run held is tried again. */
  retryAfter?: number;
}

/**
 * Performs cells in several processes, each one cell (or several that go together) after another. A cell that fails stops no other; one that needs a run which another
 * process trains waits and is tried again. An end of this process, however it comes, lets the others stop at a safe point.
 * @returns the cells' outcomes, in the order of the cells
 */
export async function performCells(cells: readonly Cell[], { processes, together = 1, steps, command, root, freshSince, signal, reuse, changed, child = 'src/cli/cell-process.ts', retryAfter = 2000 }: PoolOptions): Promise<CellOutcome[]> {
  const waiting = [...cells], outcomes: CellOutcome[] = [];
  const running = new Map<Cell, number>(), heldUntil = new Map<Cell, number>();
  const isHeld = (cell: Cell): boolean => (heldUntil.get(cell) ?? 0) > performance.now();
  const tell = (ended?: CellOutcome): void => changed?.({ outcomes, running: [...running.values()], held: waiting.filter(isHeld).length, left: waiting.length }, ended);

  /** The next cells to try; a number is the milliseconds to wait for one. */
  const next = (): Cell[] | number | undefined => {
    if (signal?.aborted || waiting.length === 0) return undefined;
    const free = waiting.filter((cell) => !isHeld(cell));
    if (free.length === 0) return Math.max(1, Math.min(...waiting.map((cell) => heldUntil.get(cell) ?? 0)) - performance.now());
    const chosen = free.filter((cell) => likeness(cell) === likeness(free[0])).slice(0, together);
    for (const cell of chosen) waiting.splice(waiting.indexOf(cell), 1);
    return chosen;
  };
  /** What becomes of a cell after a process's answer. */
  const conclude = (cell: Cell, answer: CellAnswer, seconds: number): void => {
    running.delete(cell);
    if (answer.kind === 'held') {
      heldUntil.set(cell, performance.now() + retryAfter);
      const after = waiting.findIndex((other) => cells.indexOf(other) > cells.indexOf(cell));
      waiting.splice(after < 0 ? waiting.length : after, 0, cell);
      tell();
      return;
    }
    const outcome: CellOutcome = answer.kind === 'finished' ? { cell, state: 'finished', reused: answer.reused, folder: answer.folder, summary: answer.summary, seconds }
      : answer.kind === 'failed' ? { cell, state: 'failed', message: answer.message } : { cell, state: 'stopped' };
    outcomes.push(outcome);
    tell(outcome);
  };
  const work = async (): Promise<void> => {
    let worker: CellWorker | undefined;
    try {
      for (let chosen = next(); chosen !== undefined; chosen = next()) {
        if (typeof chosen === 'number') {
          await pause(chosen, signal);
          continue;
        }
        const here = chosen, begun = performance.now();
        worker = worker?.isAlive() ? worker : startWorker(child);
        for (const cell of here) running.set(cell, 0);
        tell();
        await worker.perform({ kind: 'perform', cells: here, steps: here.map(steps), command, root, freshSince }, signal, (k, note) => {
          if (note.kind === 'reuse') {
            reuse?.(note.text);
            return;
          }
          running.set(here[k], note.fraction);
          tell();
        }, (k, answer) => conclude(here[k], answer, (performance.now() - begun) / 1000));
      }
    } finally {
      await worker?.end();
    }
  };
  await Promise.all(Array.from({ length: Math.min(processes, cells.length) }, work));
  outcomes.push(...waiting.map((cell): CellOutcome => ({ cell, state: 'stopped' })));
  return [...outcomes].sort((a, b) => cells.indexOf(a.cell) - cells.indexOf(b.cell));
}

/** Equal for cells that differ in their seed alone. */
const likeness = (cell: Cell): string => JSON.stringify({ ...cell, seed: 0 });

interface CellWorker {
  isAlive(): boolean;
  /** Hears of each cell, by its number, what is said while it is performed, and how it ended; ends when all have. */
  perform(order: Extract<ToChild, { kind: 'perform' }>, signal: AbortSignal | undefined, heard: (cell: number, note: CellNote) => void, ended: (cell: number, answer: CellAnswer) => void): Promise<void>;
  /** Waits for its end. */
  end(): Promise<void>;
}

/** Characters of a process's errors that are kept. */
const KEPT = 2000;

function startWorker(file: string): CellWorker {
  const compiled = file.replace(/\.ts$/, '.js'); // in a bundle
  const child: ChildProcess = spawn(process.execPath, existsSync(compiled) ? [compiled] : ['--import=tsx', file], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  let errors = '', ended: string | undefined;
  child.stderr?.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-KEPT)));
  const kill = (): void => void child.kill('SIGKILL'); // this process ends at once: a second Ctrl-C
  process.once('exit', kill);
  const written = new Promise((resolve) => child.stderr?.once('close', resolve));
  const closed = new Promise<void>((resolve) => { // 'close' does not come after a disconnect
    const close = (how: string): void => {
      ended = how;
      process.off('exit', kill);
      resolve();
    };
    child.once('error', (error) => close(error.message));
    child.once('exit', (code, signal) => void written.then(() => close(signal === null ? `exit code ${code}` : `signal ${signal}${signal === 'SIGKILL' ? ': out of memory?' : ''}`)));
  });
  const send = (message: ToChild): void => void (child.connected && child.send(message, () => {}));
  return {
    isAlive: () => ended === undefined && child.connected,
    perform: (order, signal, heard, concluded) => new Promise((resolve) => {
      const open = new Set(order.cells.keys());
      const stop = (): void => send({ kind: 'stop' });
      const conclude = (cell: number, answer: CellAnswer): void => {
        if (!open.delete(cell)) return;
        if (open.size === 0) {
          child.off('message', hear);
          signal?.removeEventListener('abort', stop);
        }
        concluded(cell, answer);
        if (open.size === 0) resolve();
      };
      const hear = ({ cell, ...message }: FromChild): void => (message.kind === 'progress' || message.kind === 'reuse' ? heard(cell, message) : conclude(cell, message));
      child.on('message', hear);
      void closed.then(() => [...open].forEach((cell) => conclude(cell, signal?.aborted ? { kind: 'stopped' } : { kind: 'failed', message: `its process ended (${ended})${lastLine(errors)}` })));
      signal?.addEventListener('abort', stop);
      send(order);
      if (signal?.aborted) stop();
    }),
    end: () => {
      if (child.connected) child.disconnect();
      return closed;
    },
  };
}

/** What a process wrote last before it ended: its error, where it said one. */
function lastLine(errors: string): string {
  const lines = errors.split('\n').map((line) => line.trim()).filter((line) => line !== '');
  const line = lines.findLast((text) => /error/i.test(text)) ?? lines.at(-1);
  return line === undefined ? '' : `: ${line}`;
}

/** Waits; not longer than until the signal is aborted. */
function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
    if (signal?.aborted) done();
  });
}
