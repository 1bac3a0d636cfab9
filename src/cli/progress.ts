/** Where progress is written: process.stderr, or a stand-in in tests. */
export interface ProgressStream { isTTY?: boolean; columns?: number; write(text: string): unknown }

/** What a line of progress says, and where. */
export interface ProgressOptions {
  /** What is being done, e.g. `training`. */
  label: string;
  /** How many units there are in all. */
  total: number;
  /** What a unit is called, e.g. `steps`. */
  unit: string;
  /** Units that were done before (a resumed run): they take no part in the estimate. */
  start?: number;
  stream?: ProgressStream;
  /** Milliseconds from any origin. */
  now?: () => number;
}

const TTY_INTERVAL = 100; // ms: quick enough to look alive, slow enough to cost nothing
const PLAIN_INTERVAL = 10_000; // ms: a log stays readable

/**
 * One line of progress with an estimate of the time left. On a terminal the line is rewritten in place; elsewhere a
 * plain line is written about every ten seconds, and a last one at the end.
 */
export class Progress {
  readonly #options: Required<ProgressOptions>;
  readonly #begun: number;
  #written = -Infinity;
  #width = 0;

  constructor(options: ProgressOptions) {
    this.#options = { start: 0, stream: process.stderr, now: () => performance.now(), ...options };
    this.#begun = this.#options.now();
  }

  /** Says that `done` units are done. @param note what else the line shows, e.g. `loss 3.21` */
  update(done: number, note = ''): void {
    const { now, stream } = this.#options;
    const time = now();
    if (time - this.#written < (stream.isTTY ? TTY_INTERVAL : PLAIN_INTERVAL)) return;
    this.#written = time;
    this.#write(this.#line(done, note, time));
  }

  /** Writes the last line, with the time that it took. */
  finish(note = ''): void {
    const { label, total, unit, start, stream, now } = this.#options;
    const took = formatDuration((now() - this.#begun) / 1000);
    this.#write(`${label}  ${total}/${total} ${unit}${start > 0 ? ` (from ${start})` : ''}  in ${took}${note && `  ${note}`}`);
    if (stream.isTTY) stream.write('\n');
  }

  #line(done: number, note: string, time: number): string {
    const { label, total, unit, start } = this.#options;
    const left = done > start ? (((time - this.#begun) / 1000) * (total - done)) / (done - start) : undefined;
    return `${label}  ${done}/${total} ${unit}  ${Math.floor((100 * done) / total)} %${left === undefined ? '' : `  ${formatDuration(left)} left`}${note && `  ${note}`}`;
  }

  #write(line: string): void {
    const { stream } = this.#options;
    if (!stream.isTTY) {
      stream.write(`${line}\n`);
      return;
    }
    const fitting = line.slice(0, Math.max(20, (stream.columns ?? 80) - 1));
    stream.write(`\r${fitting.padEnd(this.#width)}`);
    this.#width = fitting.length;
  }
}

/** A duration as a person says it: `8 s`, `1 min 20 s`, `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`;
  const minutes = Math.round(s / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}
