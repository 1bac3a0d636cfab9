import test from 'ava';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import { spriteDataset } from '../../src/data/minivoc/sprite-dataset.js';

test('a data set of sprites shows those of the split, one object an image, and is other data than the split and than a longer one', (t) => {
  const miniVoc = openMiniVoc({ size: 64, split: 'train' }), sprites = spriteDataset(miniVoc, 20_000);
  t.deepEqual([sprites.length, sprites.size, sprites.classes], [20_000, 64, miniVoc.classes]);
  for (const index of [0, 19_999]) {
    const { image, objects } = sprites.sample(index), wanted = miniVoc.sprites(index);
    t.deepEqual(image, wanted.image);
    t.deepEqual(objects.map(({ label, box, difficult }) => ({ label, box, difficult })), [{ label: wanted.label, box: [0, 0, 64, 64], difficult: false }]);
  }
  t.is(new Set([miniVoc.dataHash, sprites.dataHash, spriteDataset(miniVoc, 19_999).dataHash]).size, 3);
});
