import test from 'ava';
import fc from 'fast-check';
import { batchAt, flipSample, stepsPerEpoch } from '../../src/data/batches.js';
import type { DetectionDataset, Sample } from '../../src/data/dataset.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { VOC_CLASSES } from '../../src/data/voc-classes.js';
import { UserError } from '../../src/errors.js';

/** Images of 4x4 pixels; image i is filled with i, has one object of label i and one difficult one. */
const tiny: DetectionDataset = {
  length: 7, size: 4, classes: VOC_CLASSES, dataHash: '0',
  sample: (index): Sample => ({
    id: String(index), image: new Uint8Array(48).fill(index),
    objects: [
      { label: 0, box: [0, 0, 1, 1], difficult: true, truncated: false, occluded: false, crowd: false },
      { label: index, box: [1, 0, 4, 2], difficult: false, truncated: false, occluded: false, crowd: false },
    ],
  }),
};

test('by hand: a batch without mirroring', (t) => {
  const { images, labels, boxes, counts, indices } = batchAt(tiny, { batchSize: 2, seed: 5, flip: false, step: 0 });
  t.deepEqual([...counts], [1, 1]);
  t.deepEqual([...labels], [indices[0], -1, -1, -1, -1, -1, indices[1], -1, -1, -1, -1, -1]);
  t.deepEqual([...boxes.subarray(0, 8)], [0.625, 0.25, 0.75, 0.5, 0, 0, 0, 0]);
  t.deepEqual([...images], [...new Array<number>(48).fill(indices[0]), ...new Array<number>(48).fill(indices[1])]);
});

test('by hand: mirroring a row of pixels and its box', (t) => {
  const image = Uint8Array.from([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9]);
  const { image: mirrored, objects } = flipSample({ id: 'a', image, objects: [{ label: 1, box: [0, 1, 1, 3], difficult: false, truncated: false, occluded: false, crowd: false }] }, 3);
  t.deepEqual([...mirrored], [3, 3, 3, 2, 2, 2, 1, 1, 1, 6, 6, 6, 5, 5, 5, 4, 4, 4, 9, 9, 9, 8, 8, 8, 7, 7, 7]);
  t.deepEqual(objects[0].box, [2, 1, 3, 3]);
});

test('mirrored twice, a sample is itself', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'val' });
  fc.assert(fc.property(fc.integer({ min: 0, max: 999 }), (index) => {
    const sample = dataset.sample(index);
    t.deepEqual(flipSample(flipSample(sample, 64), 64), sample);
  }), { numRuns: 30, seed: 2 });
});

test('an epoch shows no image twice, the next one has another order, and any step can be asked for at any time', (t) => {
  const settings = { batchSize: 2, seed: 5, flip: false };
  t.is(stepsPerEpoch(7, 2), 3);
  const epochs = [0, 1, 2, 3].map((epoch) => [0, 1, 2].flatMap((k) => [...batchAt(tiny, { ...settings, step: epoch * 3 + k }).indices]));
  for (const epoch of epochs) t.is(new Set(epoch).size, 6);
  t.true(new Set(epochs.map((epoch) => epoch.join())).size > 1);
  t.deepEqual([...batchAt(tiny, { ...settings, step: 4 }).indices], epochs[1].slice(2, 4));
  t.notDeepEqual([...batchAt(tiny, { ...settings, batchSize: 6, step: 0 }).indices], [...batchAt(tiny, { ...settings, batchSize: 6, seed: 6, step: 0 }).indices]);
});

test('a batch is a function of seed and step; about half of its images are mirrored', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'train' });
  const settings = { batchSize: 16, seed: 3, flip: true, step: 1234 };
  const batch = batchAt(dataset, settings);
  batchAt(dataset, { ...settings, step: 7 });
  t.deepEqual(batchAt(dataset, settings), batch);
  let mirrored = 0;
  for (let step = 0; step < 8; step++) {
    const flipped = batchAt(dataset, { ...settings, step }), plain = batchAt(dataset, { ...settings, step, flip: false });
    t.deepEqual(flipped.indices, plain.indices);
    t.deepEqual(flipped.labels, plain.labels);
    for (let i = 0; i < 16; i++) {
      const at = 64 * 64 * 3 * i;
      if (Buffer.compare(flipped.images.subarray(at, at + 12288), plain.images.subarray(at, at + 12288)) === 0) continue;
      mirrored++;
      for (let j = 0; j < flipped.counts[i]; j++) t.true(Math.abs(flipped.boxes[(i * 6 + j) * 4] + plain.boxes[(i * 6 + j) * 4] - 1) < 1e-6);
    }
  }
  t.true(mirrored > 40 && mirrored < 88, `${mirrored} of 128`);
});

test('a batch without its images is the same in everything else', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'train' }), settings = { batchSize: 8, seed: 2, flip: true, step: 3 };
  const { images, ...others } = batchAt(dataset, settings), bare = batchAt(dataset, { ...settings, withImages: false });
  t.is(images.length, 8 * 64 * 64 * 3);
  t.deepEqual(bare, { ...others, images: new Uint8Array(0) });
});

test('boxes of MiniVOC batches lie in the image and are not empty; difficult objects are left out', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'train' });
  const { indices, counts, labels, boxes } = batchAt(dataset, { batchSize: 64, seed: 1, flip: true, step: 0 });
  indices.forEach((index, i) => {
    const counted = dataset.sample(index).objects.filter(({ difficult }) => !difficult);
    t.is(counts[i], counted.length);
    for (let j = 0; j < 6; j++) {
      t.is(labels[i * 6 + j], counted[j]?.label ?? -1);
      const [cx, cy, w, h] = boxes.subarray((i * 6 + j) * 4, (i * 6 + j) * 4 + 4);
      if (j < counts[i]) t.true(w > 0 && h > 0 && cx - w / 2 >= -1e-6 && cy - h / 2 >= -1e-6 && cx + w / 2 <= 1 + 1e-6 && cy + h / 2 <= 1 + 1e-6);
    }
  });
});

test('a batch size that the data set cannot fill is named', (t) => {
  for (const batchSize of [0, 8, 1.5, NaN]) t.throws(() => batchAt(tiny, { batchSize, seed: 1, flip: false, step: 0 }), { instanceOf: UserError, message: /batchSize is .*: choose a whole number from 1 to the 7 images/ });
});
