import type { PoolState } from './cell-pool.js';
import { formatDuration, type ProgressStream } from './progress.js';

const TTY_INTERVAL = 100; // ms, as a single run's line
const PLAIN_INTERVAL = 30_000; // ms: a log of hours stays readable

/** Parts of cells that must have been performed before their pace says something. */
const ENOUGH = 0.05;

/**
 * Where a grid is, in one line: cells done, running and left, and the time left at the pace so far. Cells that were finished before
 * take no part in the pace.
 * @param seconds since the grid was begun
 */
export function gridLine(name: string, { outcomes, running, held, left }: PoolState, seconds: number): string {
  const count = (state: string): number => outcomes.filter((outcome) => outcome.state === state).length;
  const [done, failed, stopped] = [count('finished'), count('failed'), count('stopped')];
  const started = running.reduce((sum, fraction) => sum + fraction, 0);
  const performed = started + outcomes.filter((outcome) => outcome.state === 'finished' && !outcome.reused).length;
  const remaining = left + running.length - started;
  const parts = [
    `${done} of ${outcomes.length + running.length + left} cells done`,
    ...(running.length > 0 ? [`${running.length} running`] : []),
    ...(left > 0 ? [`${left} left`] : []),
    ...(held > 0 ? [`${held} waiting for a run that another process trains`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(stopped > 0 ? [`${stopped} stopped`] : []),
    ...(performed > ENOUGH && remaining > 0 ? [`${formatDuration((seconds * remaining) / performed)} left`] : []),
  ];
  return `${name}: ${parts.join(', ')}`;
}

/** The line of a grid under way: rewritten in place on a terminal, written now and then elsewhere. */
export class GridProgress {
  readonly #begun = performance.now();
  #written = -Infinity;
  #width = 0;

  constructor(readonly name: string, readonly stream: ProgressStream = process.stderr) {}

  update(state: PoolState): void {
    const now = performance.now();
    if (now - this.#written < (this.stream.isTTY ? TTY_INTERVAL : PLAIN_INTERVAL)) return;
    this.#written = now;
    const line = gridLine(this.name, state, (now - this.#begun) / 1000);
    if (!this.stream.isTTY) {
      this.stream.write(`${line}\n`);
      return;
    }
    const fitting = line.slice(0, Math.max(20, (this.stream.columns ?? 80) - 1));
    this.stream.write(`\r${fitting.padEnd(this.#width)}`);
    this.#width = fitting.length;
  }

  /** Makes room for a line of something else; the next update writes again. */
  clear(): void {
    if (this.stream.isTTY && this.#width > 0) this.stream.write(`\r${' '.repeat(this.#width)}\r`);
    this.#width = 0;
    if (this.stream.isTTY) this.#written = -Infinity;
  }
}
