import type { DetectionDataset, Sample } from './dataset.js';
import { packedImages, wordsOf } from './packed-images.js';

/** Images that are packed without a break: what else waits (a signal, say) is heard in between. */
const PACKED_AT_ONCE = 20;

/**
 * A data set that composes or reads each sample once and keeps it: 12 kB an image at 64 pixels, 48 kB at 128. Its samples share their memory with the
 * packed images once those were asked for.
 */
export function cachedDataset<T extends DetectionDataset>(dataset: T): Omit<T, 'packed'> & Required<Pick<DetectionDataset, 'packed'>> {
  const { length, size } = dataset, samples: (Sample | undefined)[] = [];
  const sample = (index: number): Sample => (samples[index] ??= dataset.sample(index));
  const pack = async (told?: (done: number, total: number) => void): Promise<Int32Array> => {
    const words = wordsOf(size), made = new Int32Array(length * words);
    for (let index = 0; index < length; index++) {
      if (index % PACKED_AT_ONCE === 0) {
        told?.(index, length);
        await new Promise((resolve) => setImmediate(resolve));
      }
      made.set(packedImages(sample(index).image, size), index * words);
    }
    told?.(length, length);
    samples.forEach((one, index) => (samples[index] = { ...one!, image: new Uint8Array(made.buffer, index * words * 4, size * size * 3) }));
    return made;
  };
  let all: Promise<Int32Array> | undefined;
  const packed = (told?: (done: number, total: number) => void): Promise<Int32Array> => (all ??= pack(told).catch((error: unknown) => {
    all = undefined; // stopped: whoever asks next begins again
    throw error;
  }));
  return { ...dataset, sample, packed };
}
