import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ComposedSamples, SampleRange } from '../dataset.js';
import { threadCode } from '../thread-code.js';
import type { DecodedBank } from './decoded-bank.js';
import type { MiniVocSettings } from './settings.js';

/** What a thread composes. */
export interface ComposeTask {
  bank: DecodedBank;
  settings: MiniVocSettings;
  /** Single sprites in place of the split's images. */
  sprites: boolean;
}

/** What a thread answers to a range. */
export type ComposeAnswer = { made: ComposedSamples; error?: undefined } | { error: string };

/** Images that a thread should have at least: 0.8 s of a core go by until its code is fast and its sprites are made small, as long as for 450 images of 128 pixels later. */
const FOR_A_THREAD = 125;

/** How many threads compose some images: as many as the process may use cores, fewer for few. */
const threadsFor = (ranges: readonly SampleRange[]): number => Math.min(availableParallelism(), Math.ceil(ranges.reduce((sum, { start, end }) => sum + end - start, 0) / FOR_A_THREAD));

/**
 * Composes ranges of a split's samples in threads: the same samples as one thread composes. The threads have ended when this
 * does, however it ends.
 * @param made is given each range's samples as they come; what it throws ends the work
 * @throws Error with the message of what went wrong in a thread
 */
export async function composeInThreads(task: ComposeTask, ranges: readonly SampleRange[], made: (samples: ComposedSamples) => void, threads = threadsFor(ranges)): Promise<void> {
  const code = await threadCode('src/data/minivoc/compose-worker.ts'), waiting = ranges.values();
  const workers = Array.from({ length: Math.min(threads, ranges.length) }, () => new Worker(code, { eval: true, execArgv: [], workerData: task }));
  let isEnded = false;
  try {
    await Promise.all(workers.map(async (worker) => {
      const compose = composer(worker);
      for (const range of waiting) { // an iterator that all share
        const samples = await compose(range);
        if (!isEnded) made(samples);
      }
    }));
  } finally {
    isEnded = true;
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** A thread that is asked for one range after another. */
function composer(worker: Worker): (range: SampleRange) => Promise<ComposedSamples> {
  let waits: { resolve(made: ComposedSamples): void; reject(error: Error): void } | undefined, ended: string | undefined;
  const end = (why: string): void => {
    ended ??= why;
    waits?.reject(new Error(ended));
  };
  worker.on('message', (answer: ComposeAnswer) => (answer.error === undefined ? waits?.resolve(answer.made) : waits?.reject(new Error(answer.error))));
  worker.on('error', ({ message }) => end(`a thread that composes images ended: ${message}`));
  worker.on('exit', () => end('a thread that composes images ended'));
  return (range) => new Promise((resolve, reject) => {
    if (ended !== undefined) return reject(new Error(ended));
    waits = { resolve, reject };
    worker.postMessage(range);
  });
}
