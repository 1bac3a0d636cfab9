import { closeSync, existsSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, readSync, fstatSync, writeSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../errors.js';

/** One line of metrics.jsonl. It holds no times, so that the same run always writes the same lines. */
export type Metrics = Readonly<Record<string, number | string | null | readonly number[]>>;

const metricsFile = (folder: string): string => path.join(folder, 'metrics.jsonl');
const TRAIN_AGAIN = 'delete this run\'s folder, or start with --fresh, to train again';

/** The log of a run that is going on: one JSON object a line. */
export class MetricsLog {
  readonly #file: string;
  readonly #handle: number;
  #bytes: number;

  /**
   * Opens the log of a run folder, cut to the length that the checkpoint names: what a killed run wrote after its last checkpoint
   * is written once more by the run that goes on from there.
   * @throws UserError when the log is shorter than that or was cut inside a line, or can't be written
   */
  constructor(folder: string, keepBytes = 0) {
    this.#file = metricsFile(folder);
    this.#bytes = keepBytes;
    this.#handle = this.#try(() => {
      mkdirSync(folder, { recursive: true });
      return openSync(this.#file, 'a+');
    });
    if (keepBytes > 0) {
      const last = Buffer.alloc(1);
      const whole = readSync(this.#handle, last, 0, 1, keepBytes - 1) === 1 && last[0] === 0x0a;
      if (!whole) throw new UserError(`${this.#file} should have a line that ends at byte ${keepBytes} (its checkpoint says so), but has not: ${TRAIN_AGAIN}`);
    }
    if (fstatSync(this.#handle).size > keepBytes) this.#try(() => ftruncateSync(this.#handle, keepBytes));
  }

  /** Length of the log. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a line. @throws UserError when the disk is full (no part of the line stays); Error for a number that is not finite */
  append(metrics: Metrics): void {
    for (const [key, value] of Object.entries(metrics)) {
      if ([value].flat().some((n) => typeof n === 'number' && !Number.isFinite(n))) throw new Error(`metrics: '${key}' is ${String(value)}`);
    }
    const line = Buffer.from(`${JSON.stringify(metrics)}\n`);
    this.#try(() => {
      for (let at = 0; at < line.length; ) at += writeSync(this.#handle, line, at);
    });
    this.#bytes += line.length;
  }

  /** Brings all lines to the disk: before a checkpoint names their length. */
  sync(): void {
    this.#try(() => fsyncSync(this.#handle));
  }

  close(): void {
    closeSync(this.#handle);
  }

  #try<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      try {
        ftruncateSync(this.#handle, this.#bytes);
      } catch {
        // the error that we came with says more
      }
      throw new UserError(`${this.#file} can't be written (${messageOf(error)}): free some space or check its permissions, then start again`);
    }
  }
}

/**
 * The lines of a run folder's metrics.jsonl; a last line without its end, as a killed run may leave one, is no line yet.
 * @throws UserError that names the line that is no JSON object
 */
export function readMetrics(folder: string): Metrics[] {
  const file = metricsFile(folder);
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').slice(0, -1).map((line, i) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      value = undefined;
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UserError(`${file}:${i + 1}: should be a JSON object: ${TRAIN_AGAIN}`);
    return value as Metrics;
  });
}
