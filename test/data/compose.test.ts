import test from 'ava';
import fc from 'fast-check';
import { OBJECTS_PER_IMAGE } from '../../src/data/batches.js';
import { compose } from '../../src/data/minivoc/compose.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';
import type { MiniVocSplit } from '../../src/data/minivoc/settings.js';
import { plainItem, plainScene, solidSprite } from './scenes.js';

const CAR = 6, PERSON = 14;

test('by hand: a 16x8 sprite of length 1/4 in a 64-pixel image covers 16x8 pixels around its centre', (t) => {
  const { image, objects, instances } = compose(plainScene([plainItem(solidSprite(16, 8), 0, 0.5, 0.5, 0.25)], [{ label: CAR, crowd: false }]), 64);
  t.deepEqual(objects, [{ label: CAR, box: [24, 28, 40, 36], crowd: false, truncated: false, occluded: false, difficult: false }]);
  const at = (28 * 64 + 24) * 3;
  t.deepEqual([...image.subarray(at, at + 3)], [200, 100, 50]);
  t.deepEqual([...image.subarray(at - 3, at)], [90, 90, 90]);
  t.is(instances.filter((instance) => instance === 0).length, 128);
});

test('by hand: cut by the border at a quarter of its width, an object is truncated but not occluded', (t) => {
  const { objects } = compose(plainScene([plainItem(solidSprite(16, 16), 0, 4 / 64, 0.5, 0.25)], [{ label: CAR, crowd: false }]), 64);
  t.deepEqual(objects, [{ label: CAR, box: [0, 24, 12, 40], crowd: false, truncated: true, occluded: false, difficult: false }]);
});

test('by hand: half hidden by another, an object is truncated, occluded and difficult, and its box is what is left', (t) => {
  const scene = plainScene([plainItem(solidSprite(16, 16), 0, 0.5, 0.5, 0.25), plainItem(solidSprite(16, 16), 1, 0.5 + 8 / 64, 0.5, 0.25)], [{ label: CAR, crowd: false }, { label: PERSON, crowd: false }]);
  t.deepEqual(compose(scene, 64).objects, [
    { label: CAR, box: [24, 24, 32, 40], crowd: false, truncated: true, occluded: true, difficult: true },
    { label: PERSON, box: [32, 24, 48, 40], crowd: false, truncated: false, occluded: false, difficult: false },
  ]);
});

test('by hand: more than 60 % hidden, an object is taken out of the picture as well', (t) => {
  const hidden = plainItem(solidSprite(16, 16, [255, 0, 0]), 0, 0.5, 0.5, 0.25), front = plainItem(solidSprite(16, 16), 1, 0.5 + 4 / 64, 0.5, 0.25);
  const { image, objects, instances } = compose(plainScene([hidden, front], [{ label: CAR, crowd: false }, { label: PERSON, crowd: false }]), 64);
  t.deepEqual(objects.map(({ label, box }) => ({ label, box })), [{ label: PERSON, box: [28, 24, 44, 40] }]);
  t.deepEqual([...image.subarray((30 * 64 + 25) * 3, (30 * 64 + 26) * 3)], [90, 90, 90]);
  t.is(Math.max(...instances), 0);
});

test('by hand: distractors hide objects and have no label', (t) => {
  const scene = plainScene([plainItem(solidSprite(16, 16), 0, 0.5, 0.5, 0.25), plainItem(solidSprite(4, 16), -1, 26 / 64, 0.5, 0.25)], [{ label: CAR, crowd: false }]);
  t.deepEqual(compose(scene, 64).objects, [{ label: CAR, box: [28, 24, 40, 40], crowd: false, truncated: true, occluded: true, difficult: false }]);
});

test('by hand: a cut-out hides what is under it', (t) => {
  const scene = { ...plainScene([plainItem(solidSprite(16, 16), 0, 0.5, 0.5, 0.25)], [{ label: CAR, crowd: false }]), cutOuts: [{ x: 0, y: 0, width: 1, height: 28 / 64, colour: [1, 2, 3] as [number, number, number] }] };
  const { image, objects } = compose(scene, 64);
  t.deepEqual(objects[0].box, [24, 28, 40, 40]);
  t.deepEqual([...image.subarray(0, 3)], [1, 2, 3]);
});

test('by hand: a crowd is one difficult object around all of its members', (t) => {
  const sprite = solidSprite(8, 8);
  const members = [10, 16, 22, 28, 34].map((x) => plainItem(sprite, 0, x / 64, 0.5, 0.125));
  t.deepEqual(compose(plainScene(members, [{ label: PERSON, crowd: true }]), 64).objects.map(({ box, crowd, difficult }) => ({ box, crowd, difficult })), [{ box: [6, 28, 38, 36], crowd: true, difficult: true }]);
});

test('a small object is difficult', (t) => {
  const { objects } = compose(plainScene([plainItem(solidSprite(8, 8), 0, 0.5, 0.5, 8 / 128)], [{ label: CAR, crowd: false }]), 128);
  t.deepEqual(objects.map(({ box, difficult }) => ({ box, difficult })), [{ box: [60, 60, 68, 68], difficult: true }]);
});

for (const split of ['train', 'val', 'test', 'test-unseen'] as MiniVocSplit[])
  test(`${split}: boxes are tight around the visible pixels, objects are at most six, and no instance goes without a label`, (t) => {
    const size = 96;
    const dataset = openMiniVoc({ size, split });
    fc.assert(fc.property(fc.integer({ min: 0, max: dataset.length - 1 }), (index) => {
      const { instances, objects } = dataset.composition(index);
      t.true(objects.length <= OBJECTS_PER_IMAGE);
      t.true(Math.max(...instances) < objects.length);
      objects.forEach(({ box, label }, k) => {
        const xs: number[] = [], ys: number[] = [];
        instances.forEach((instance, at) => {
          if (instance !== k) return;
          xs.push(at % size);
          ys.push(Math.floor(at / size));
        });
        t.deepEqual(box, [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1]);
        t.true(label >= 0 && label < 20);
      });
    }), { numRuns: 60, seed: 1 });
  });
