import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors.js';
import { projectPath } from '../files.js';
import { decodeAndTransform, type DecodedImage, type ImageTask } from './decode-image.js';

/** What a thread is told, and what it answers. */
export interface DecodeOrder { number: number; task: ImageTask }
export type DecodeAnswer = { number: number } & ({ image: DecodedImage; error?: undefined } | { error: string });

/** The threads are gone, which says nothing of the images that they had. */
export class DecodingEnded extends UserError {}

/** Threads that decode and transform images. */
export interface DecodePool {
  /** The image of a task. @throws UserError as `decodeAndTransform` does, and {@link DecodingEnded} */
  decode(task: ImageTask): Promise<DecodedImage>;
  /** Ends the threads; what they had not done yet is rejected. */
  close(): Promise<void>;
}

interface Job extends DecodeOrder { resolve(image: DecodedImage): void; reject(error: Error): void }

/** Images that a thread has at a time: one is read and decompressed (by a native thread) while another is resized. */
const AT_A_TIME = 2;

/** TypeScript is run as it is, by tsx; a bundle has the compiled file. */
function startThread(): Worker {
  const file = projectPath('src/data/decode-worker.ts'), compiled = file.replace(/\.ts$/, '.js');
  const load = existsSync(compiled) ? `import(${JSON.stringify(pathToFileURL(compiled).href)})`
    : `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(pathToFileURL(file).href)}); })`;
  return new Worker(load, { eval: true, execArgv: [] });
}

/**
 * Starts threads that decode images. They don't keep a process alive that waits for none of their images.
 * @param threads how many; 0: images are decoded in this thread
 * @throws UserError when `threads` is no whole number
 */
export function decodePool(threads: number): DecodePool {
  if (!Number.isInteger(threads) || threads < 0) throw new UserError(`'workers' is ${threads}: give a whole number of threads, 0 for none beside this one`);
  if (threads === 0) return { decode: decodeAndTransform, close: () => Promise.resolve() };
  const waiting: Job[] = [], workers: { worker: Worker; jobs: Map<number, Job> }[] = [];
  let number = 0, ended: DecodingEnded | undefined, isClosing = false;
  const give = (): void => {
    while (waiting.length > 0) {
      const idlest = workers.reduce((best, one) => (one.jobs.size < best.jobs.size ? one : best));
      if (idlest.jobs.size >= AT_A_TIME) return;
      const job = waiting.shift()!;
      if (idlest.jobs.size === 0) idlest.worker.ref();
      idlest.jobs.set(job.number, job);
      idlest.worker.postMessage({ number: job.number, task: job.task } satisfies DecodeOrder);
    }
  };
  const stop = (error: DecodingEnded): void => {
    ended ??= error;
    for (const job of [...waiting.splice(0), ...workers.flatMap(({ jobs }) => [...jobs.values()])]) job.reject(error);
  };
  for (let i = 0; i < threads; i++) {
    const worker = startThread(), jobs = new Map<number, Job>();
    worker.unref();
    worker.on('message', (answer: DecodeAnswer) => {
      const job = jobs.get(answer.number)!;
      jobs.delete(answer.number);
      if (jobs.size === 0 && !isClosing) worker.unref();
      if (answer.error === undefined) job.resolve(answer.image);
      else job.reject(new UserError(answer.error));
      give();
    });
    worker.on('error', (error) => stop(new DecodingEnded(`a thread that decodes images ended (${error.message}): give 'workers' 0 to decode without threads`)));
    workers.push({ worker, jobs });
  }
  return {
    decode: (task) => new Promise((resolve, reject) => {
      if (ended) return reject(ended);
      waiting.push({ number: number++, task, resolve, reject });
      give();
    }),
    close: async () => {
      isClosing = true; // an answer that still comes lets go of no thread whose end is waited for
      stop(new DecodingEnded('the threads that decode images have ended: open the data set again'));
      await Promise.all(workers.map(({ worker }) => {
        worker.ref(); // or the process might end before the thread has
        return worker.terminate();
      }));
    },
  };
}
