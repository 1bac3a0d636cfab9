import { byteSize } from '../data/official/byte-size.js';
import { formatDuration, type ProgressStream } from './progress.js';

const TTY_INTERVAL = 100; // ms, as other lines of progress
const PLAIN_INTERVAL = 10_000;
/** Milliseconds that the speed is an average of: long enough to be read, short enough to follow the network. */
const WINDOW = 5000;
const BAR = 12;

/**
 * How far bytes are, in one line: a bar, the share, the speed of the last seconds and the time left at it. On a terminal the line is rewritten in
 * place; elsewhere a plain line is written about every ten seconds.
 */
export class ByteProgress {
  readonly #samples: { time: number; done: number }[] = [];
  #written: number;
  #width = 0;

  /** @param label what is being done, e.g. `fetching` @param now milliseconds from any origin */
  constructor(readonly label: string, readonly stream: ProgressStream = process.stderr, readonly now: () => number = () => performance.now()) {
    this.#written = stream.isTTY ? -Infinity : now(); // what takes less than ten seconds needs no line in a log
  }

  /** Says that `done` bytes are done, of `total` where that is known. */
  update(done: number, total: number | null): void {
    const time = this.now();
    this.#samples.push({ time, done });
    while (this.#samples.length > 2 && time - this.#samples[0].time > WINDOW) this.#samples.shift();
    if (time - this.#written < (this.stream.isTTY ? TTY_INTERVAL : PLAIN_INTERVAL)) return;
    this.#written = time;
    const line = `  ${this.#line(done, total)}`;
    if (!this.stream.isTTY) {
      this.stream.write(`${line}\n`);
      return;
    }
    const fitting = line.slice(0, Math.max(20, (this.stream.columns ?? 80) - 1));
    this.stream.write(`\r${fitting.padEnd(this.#width)}`);
    this.#width = fitting.length;
  }

  /** Makes room for a line of something else. */
  clear(): void {
    if (this.stream.isTTY && this.#width > 0) this.stream.write(`\r${' '.repeat(this.#width)}\r`);
    this.#width = 0;
  }

  #line(done: number, total: number | null): string {
    const speed = this.#speed();
    const rate = speed === undefined ? [] : [`${byteSize(Math.round(speed))}/s`];
    if (total === null || total === 0) return [this.label.padEnd(9), byteSize(done), ...rate].join('  ');
    const share = Math.min(1, done / total), full = Math.floor(share * BAR);
    const left = speed ? [`${formatDuration((total - done) / speed)} left`] : [];
    const bar = this.stream.isTTY ? [`${'█'.repeat(full)}${'░'.repeat(BAR - full)}`] : [];
    return [this.label.padEnd(9), ...bar, `${String(Math.floor(share * 100)).padStart(3)} %`, amounts(done, total), ...rate, ...left].join('  ');
  }

  /** Bytes per second over the last seconds. */
  #speed(): number | undefined {
    const first = this.#samples[0], last = this.#samples[this.#samples.length - 1];
    return last.time - first.time < 200 ? undefined : (1000 * (last.done - first.done)) / (last.time - first.time);
  }
}

/** `171 of 451 MB`, or `812 kB of 451 MB` while the units differ. */
function amounts(done: number, total: number): string {
  const [a, b] = [byteSize(done), byteSize(total)], unit = b.slice(b.indexOf(' '));
  return `${a.endsWith(unit) ? a.slice(0, -unit.length) : a} of ${b}`;
}
