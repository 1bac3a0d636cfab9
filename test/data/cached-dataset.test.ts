import test from 'ava';
import { cachedDataset } from '../../src/data/cached-dataset.js';
import type { DetectionDataset } from '../../src/data/dataset.js';
import { limitedDataset } from '../../src/data/limited-dataset.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';

/** Three images that count how often they are composed. */
function counting(): { dataset: DetectionDataset & { split: string }; composed: number[] } {
  const composed: number[] = [];
  const sample = (index: number) => {
    composed.push(index);
    return { id: String(index), image: Uint8Array.of(index), objects: [] };
  };
  return { dataset: { length: 3, size: 1, classes: ['a'], dataHash: 'hash', split: 'train', sample }, composed };
}

test('a cached data set composes each image once, when it is first asked for', (t) => {
  const { dataset, composed } = counting();
  const cached = cachedDataset(dataset);
  t.deepEqual(composed, []);
  const first = cached.sample(2);
  t.is(cached.sample(2), first);
  cached.sample(0);
  t.deepEqual(composed, [2, 0]);
  t.deepEqual({ ...cached, sample: dataset.sample }, dataset);
});

test('a cached MiniVOC gives the same samples', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'val' });
  const cached = cachedDataset(dataset);
  for (const index of [5, 5, 0]) t.deepEqual(cached.sample(index), dataset.sample(index));
});

test('a limited data set is its beginning, and is other data by its hash', (t) => {
  const { dataset } = counting();
  const two = limitedDataset(dataset, 2);
  t.deepEqual([two.length, two.split, two.sample(1).id], [2, 'train', '1']);
  t.not(two.dataHash, dataset.dataHash);
  t.not(two.dataHash, limitedDataset(dataset, 1).dataHash);
});

test('a limit above the length leaves the whole data set', (t) => {
  const { dataset } = counting();
  t.is(limitedDataset(dataset, 9).length, 3);
  t.is(limitedDataset(dataset, 9).dataHash, limitedDataset(dataset, 3).dataHash);
});
