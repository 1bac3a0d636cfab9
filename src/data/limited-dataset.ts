import type { DetectionDataset } from './dataset.js';

/** The first `count` images of a data set; the whole of one that has fewer. */
export function limitedDataset<T extends DetectionDataset>(dataset: T, count: number): T {
  return { ...dataset, length: Math.min(count, dataset.length), dataHash: `${dataset.dataHash} first ${Math.min(count, dataset.length)}` };
}
