/** Runs in a thread: composes ranges of samples of a split of MiniVOC. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../errors.js';
import type { ComposedSamples, SampleRange } from '../dataset.js';
import type { ComposeAnswer, ComposeTask } from './compose-in-threads.js';
import { composedSplit } from './composed-split.js';
import { bankOf } from './decoded-bank.js';
import { spriteDataset } from './sprite-dataset.js';

function composer({ bank, settings, sprites }: ComposeTask): (range: SampleRange) => ComposedSamples {
  const split = composedSplit(bankOf(bank), settings), { size, sample } = sprites ? spriteDataset(split, Infinity) : split, bytes = size * size * 3;
  return ({ start, end }) => {
    const images = new Uint8Array((end - start) * bytes), samples: ComposedSamples['samples'] = [];
    for (let index = start; index < end; index++) {
      const { image, ...others } = sample(index);
      images.set(image, (index - start) * bytes);
      samples.push(others);
    }
    return { start, images, samples };
  };
}

let compose: ReturnType<typeof composer> | undefined;

parentPort?.on('message', (range: SampleRange) => {
  try {
    compose ??= composer(workerData as ComposeTask);
    const made = compose(range);
    parentPort?.postMessage({ made } satisfies ComposeAnswer, [made.images.buffer as ArrayBuffer]);
  } catch (error) {
    parentPort?.postMessage({ error: messageOf(error) } satisfies ComposeAnswer);
  }
});
