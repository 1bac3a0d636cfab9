import test from 'ava';
import { sha256 } from '../../src/files.js';
import { countObjects } from '../../src/data/minivoc/statistics.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { MINIVOC_SIZES, MINIVOC_SPLITS, type MiniVocSettings, type MiniVocSplit } from '../../src/data/minivoc/settings.js';
import { VOC_CLASSES } from '../../src/data/voc-classes.js';
import { UserError } from '../../src/errors.js';

const SPLITS = Object.keys(MINIVOC_SPLITS) as MiniVocSplit[];

/** SHA-256 of raw RGB: split, size, index, hash. They change with the bank and with COMPOSER_VERSION, and with nothing else. */
const PUBLISHED = [
  ['train', 64, 0, '8ac445bc9f92e098d859e3d4eb1cabb93b9623c264b186deb371d36d7971092d'],
  ['train', 128, 7, 'c8b768e7fd4547caafbe0e5e884839b3e8d626a2a84548958a65e180417ce044'],
  ['val', 128, 1, '061e3a622fc84dc0f6d514c3397eafa2d1872921b1b54690d18ae4a360a52101'],
  ['test', 96, 3, '948e7e6a2e16dada30afa41742446d203a792db74be4bb9ae0690195c29f0fa4'],
  ['test-unseen', 256, 5, '1e20bfb3873bf799e677968c0a4875395cc7141f58cbd15c5f5654d16ff8f376'],
] as const;

test('the raw RGB of published images never changes without a new composer version or bank', (t) => {
  for (const [split, size, index, hash] of PUBLISHED) t.is(sha256(openMiniVoc({ split, size }).sample(index).image), hash, `${split} ${size} ${index}`);
});

test('an image depends on seed, split and index, and not on what was drawn before', (t) => {
  const first = openMiniVoc({ size: 64, split: 'train' });
  const fresh = first.sample(11);
  for (let i = 0; i < 5; i++) first.sample(i);
  t.deepEqual(first.sample(11), fresh);
  t.deepEqual(openMiniVoc({ size: 64, split: 'train' }).sample(11), fresh);
  t.notDeepEqual(openMiniVoc({ size: 64, split: 'train', seed: 1 }).sample(11).image, fresh.image);
  t.notDeepEqual(openMiniVoc({ size: 64, split: 'test' }).sample(11).image, fresh.image);
  t.notDeepEqual(first.sample(12).image, fresh.image);
});

test('the same image at two sizes shows the same objects at the same places', (t) => {
  const small = openMiniVoc({ size: 128, split: 'test' }), large = openMiniVoc({ size: 256, split: 'test' });
  let compared = 0;
  for (let index = 0; index < 20; index++) {
    const [a, b] = [small.sample(index).objects, large.sample(index).objects];
    if (a.length !== b.length) continue;
    a.forEach((object, k) => {
      t.is(object.label, b[k].label);
      object.box.forEach((value, i) => t.true(Math.abs(value * 2 - b[k].box[i]) <= 8, `image ${index}: ${object.box.join()} and ${b[k].box.join()}`));
      compared++;
    });
  }
  t.true(compared > 40);
});

test('the data hash tells splits, sizes and seeds apart', (t) => {
  const hashes = [openMiniVoc({ size: 64, split: 'train' }), openMiniVoc({ size: 96, split: 'train' }), openMiniVoc({ size: 64, split: 'val' }), openMiniVoc({ size: 64, split: 'train', seed: 1 })].map(({ dataHash }) => dataHash);
  t.is(new Set(hashes).size, 4);
  t.true(hashes.every((hash) => /^[0-9a-f]{64}$/.test(hash)));
  t.is(openMiniVoc({ size: 64, split: 'train' }).dataHash, hashes[0]);
});

for (const split of SPLITS)
  test(`${split}: every class appears, about three objects an image, and the flags are used`, (t) => {
    const count = countObjects(openMiniVoc({ size: 64, split }), 500);
    t.true(count.perClass.every((n) => n > 10), count.perClass.join());
    const mean = count.objects / count.images;
    t.true(mean > 2.6 && mean < 3.2, `${mean}`);
    t.true(count.truncated > 0.1 * count.objects && count.truncated < 0.5 * count.objects);
    t.true(count.occluded > 0 && count.difficult > 0 && count.difficult < 0.15 * count.objects && count.crowds > 0);
  });

test('single sprites: every class, the sprite is there, the same again', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'train' });
  const labels = new Set<number>();
  for (let index = 0; index < 200; index++) labels.add(dataset.sprites(index).label);
  t.is(labels.size, VOC_CLASSES.length);
  t.deepEqual(dataset.sprites(3), dataset.sprites(3));
  t.is(dataset.sprites(3).image.length, 64 * 64 * 3);
  t.notDeepEqual(dataset.sprites(3).image, dataset.sample(3).image);
});

test('every size and split opens, with the published numbers of images', (t) => {
  for (const split of SPLITS)
    for (const size of MINIVOC_SIZES) {
      const dataset = openMiniVoc({ split, size });
      t.is(dataset.length, MINIVOC_SPLITS[split]);
      t.is(dataset.sample(dataset.length - 1).image.length, size * size * 3);
    }
  t.deepEqual(MINIVOC_SPLITS, { 'train': 32_000, 'val': 1_000, 'test': 2_000, 'test-unseen': 2_000 });
});

test('settings that are not allowed are named with what is', (t) => {
  const open = (settings: object): (() => unknown) => () => openMiniVoc(settings as MiniVocSettings);
  t.throws(open({ size: 100, split: 'train' }), { instanceOf: UserError, message: /size is 100: choose one of 64, 96, 128, 256/ });
  t.throws(open({ size: 64, split: 'trainval' }), { instanceOf: UserError, message: /split is "trainval": choose one of train, val, test, test-unseen/ });
  t.throws(open({ size: 64, split: 'toString' }), { instanceOf: UserError });
  t.throws(open({ size: 64, split: 'train', seed: -1 }), { instanceOf: UserError, message: /seed is -1/ });
  for (const index of [-1, 1000, 0.5]) t.throws(() => openMiniVoc({ size: 64, split: 'val' }).sample(index), { instanceOf: RangeError, message: /images 0 to 999/ });
});
