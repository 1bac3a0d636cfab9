import type { DetectionDataset, Sample, SampleRange } from './dataset.js';
import { packedImages, wordsOf } from './packed-images.js';

/** Images that are packed without a break, and that a thread composes at a time: what else waits (a signal, say) is heard in between. */
const PACKED_AT_ONCE = 20;

/** From how many missing images on threads compose them: starting these takes as long as a hundred images. */
const FOR_THREADS = 1000;

/**
 * A data set that composes or reads each sample once and keeps it: 12 kB an image at 64 pixels, 48 kB at 128. Its samples share their memory with the
 * packed images once those were asked for. Many that are missing then are composed in threads, where the data set can.
 */
export function cachedDataset<T extends DetectionDataset>(dataset: T): Omit<T, 'packed'> & Required<Pick<DetectionDataset, 'packed'>> {
  const { length, size } = dataset, samples: (Sample | undefined)[] = [];
  const sample = (index: number): Sample => (samples[index] ??= dataset.sample(index));
  const pack = async (told?: (done: number, total: number) => void): Promise<Int32Array> => {
    const words = wordsOf(size), made = new Int32Array(length * words), images = (index: number): Uint8Array => new Uint8Array(made.buffer, index * words * 4, size * size * 3);
    let done = 0;
    const ranges = rangesOf(length), isMissing = ({ start, end }: SampleRange): boolean => range(start, end).some((index) => !samples[index]);
    const missing = dataset.compose ? ranges.filter(isMissing) : [];
    const inThreads = new Set(missing.length * PACKED_AT_ONCE >= FOR_THREADS ? missing : []);
    told?.(done, length);
    if (inThreads.size > 0) {
      await dataset.compose!(missing, (composed) => {
        made.set(packedImages(composed.images, size), composed.start * words);
        composed.samples.forEach((one, i) => (samples[composed.start + i] = { ...one, image: images(composed.start + i) }));
        told?.((done += composed.samples.length), length);
      });
    }
    for (const here of ranges.filter((one) => !inThreads.has(one))) {
      await new Promise((resolve) => setImmediate(resolve));
      for (const index of range(here.start, here.end)) made.set(packedImages(sample(index).image, size), index * words);
      told?.((done += here.end - here.start), length);
    }
    for (const index of range(0, length)) samples[index] = { ...samples[index]!, image: images(index) };
    return made;
  };
  let all: Promise<Int32Array> | undefined;
  const packed = (told?: (done: number, total: number) => void): Promise<Int32Array> => (all ??= pack(told).catch((error: unknown) => {
    all = undefined; // stopped: whoever asks next begins again
    throw error;
  }));
  return { ...dataset, sample, packed };
}

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

const rangesOf = (length: number): SampleRange[] => Array.from({ length: Math.ceil(length / PACKED_AT_ONCE) }, (_, i) => ({ start: i * PACKED_AT_ONCE, end: Math.min(length, (i + 1) * PACKED_AT_ONCE) }));
