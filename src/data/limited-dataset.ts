import { sha256 } from '../files.js';
import type { DetectionDataset } from './dataset.js';

/** The first `count` images of a data set; the whole of one that has fewer. */
export function limitedDataset<T extends DetectionDataset>(dataset: T, count: number): Omit<T, 'packed'> & { packed?: undefined } {
  const length = Math.min(count, dataset.length);
  return { ...dataset, packed: undefined, length, dataHash: sha256(`${dataset.dataHash} first ${length}`) };
}
