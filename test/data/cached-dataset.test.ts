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
  const { packed, ...others } = cached;
  t.is(typeof packed, 'function');
  t.deepEqual({ ...others, sample: dataset.sample }, dataset);
});

test('a cached MiniVOC gives the same samples', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'val' });
  const cached = cachedDataset(dataset);
  for (const index of [5, 5, 0]) t.deepEqual(cached.sample(index), dataset.sample(index));
});

test('packed images are those of the samples, which share their memory from then on; each is composed once, and progress is told', async (t) => {
  const { dataset, composed } = counting();
  const plain = { ...dataset, sample: (index: number) => ({ ...dataset.sample(index), image: Uint8Array.of(index, 200, 7) }) };
  const cached = cachedDataset(plain), told: [number, number][] = [];
  const before = cached.sample(1);
  const packed = await cached.packed((done, total) => told.push([done, total]));
  t.deepEqual(Array.from(new Uint8Array(packed.buffer as ArrayBuffer)), [0, 200, 7, 0, 1, 200, 7, 0, 2, 200, 7, 0]);
  t.deepEqual(told, [[0, 3], [3, 3]]);
  t.is(await cached.packed(), packed);
  t.deepEqual([1, 2].map((index) => [...cached.sample(index).image]), [[1, 200, 7], [2, 200, 7]]);
  t.true(cached.sample(2).image.buffer === packed.buffer);
  t.deepEqual([cached.sample(1).id, cached.sample(1).objects], [before.id, before.objects]);
  t.deepEqual(composed, [1, 0, 2]);
});

test('packing has many missing images made at once, and only those ranges in which one is missing', async (t) => {
  const { dataset, composed } = counting(), asked: number[] = [];
  const cached = cachedDataset<DetectionDataset>({
    ...dataset, length: 1045,
    compose: (ranges, made) => {
      for (const { start, end } of ranges) {
        asked.push(start);
        const indices = Array.from({ length: end - start }, (_, i) => start + i);
        made({ start, images: Uint8Array.from(indices.flatMap((index) => [index % 251, 1, 2])), samples: indices.map((index) => ({ id: `many ${index}`, objects: [] })) });
      }
      return Promise.resolve();
    },
    sample: (index) => ({ ...dataset.sample(index), image: Uint8Array.of(index % 251, 1, 2) }),
  });
  for (let index = 20; index < 41; index++) cached.sample(index);
  const packed = new Uint8Array((await cached.packed()).buffer);
  t.deepEqual([asked.length, asked.includes(20), asked.slice(0, 3)], [52, false, [0, 40, 60]]);
  t.true(Array.from({ length: 1045 }, (_, index) => index).every((index) => packed[4 * index] === index % 251 && cached.sample(index).image[0] === index % 251));
  t.deepEqual([cached.sample(25).id, cached.sample(60).id, composed.length], ['25', 'many 60', 21]);
});

test('packing that its listener stops begins again the next time', async (t) => {
  const { dataset } = counting();
  const cached = cachedDataset({ ...dataset, sample: (index) => ({ ...dataset.sample(index), image: Uint8Array.of(index, 0, 0) }) });
  await t.throwsAsync(cached.packed(() => { throw new Error('stop'); }), { message: 'stop' });
  t.deepEqual([...(await cached.packed())], [0, 1, 2]);
});

test('a limited data set of a packed one is not packed: it is shorter', (t) => {
  t.is(limitedDataset<DetectionDataset>(cachedDataset(counting().dataset), 2).packed, undefined);
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

test('two that ask for packed images at once get the same ones, each composed once', async (t) => {
  const { dataset, composed } = counting();
  const cached = cachedDataset({ ...dataset, sample: (index: number) => ({ ...dataset.sample(index), image: Uint8Array.of(index, 2, 3) }) });
  const [one, other] = await Promise.all([cached.packed(), cached.packed()]);
  t.is(one, other);
  t.deepEqual(composed, [0, 1, 2]);
});
