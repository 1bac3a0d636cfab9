import test from 'ava';
import { cocoAnnotations } from '../../src/data/coco-annotations.js';
import { openMiniVoc } from '../../src/data/minivoc/minivoc.js';

test('by hand: boxes become left, top, width and height; difficult ones crowds; ids start at 0 for images and 1 for annotations', (t) => {
  const truth = cocoAnnotations({
    length: 2, size: 64, classes: ['cat', 'dog'], dataHash: '0',
    sample: (index) => ({
      id: `x-${index}`, image: new Uint8Array(0),
      objects: index === 0 ? [] : [
        { label: 1, box: [2, 3, 12, 23], difficult: false, truncated: false, occluded: false, crowd: false },
        { label: 0, box: [0, 0, 5, 4], difficult: true, truncated: true, occluded: false, crowd: true },
      ],
    }),
  });
  t.deepEqual(truth, {
    images: [{ id: 0, file_name: 'x-0.jpg', width: 64, height: 64 }, { id: 1, file_name: 'x-1.jpg', width: 64, height: 64 }],
    annotations: [
      { id: 1, image_id: 1, category_id: 1, bbox: [2, 3, 10, 20], area: 200, iscrowd: 0 },
      { id: 2, image_id: 1, category_id: 0, bbox: [0, 0, 5, 4], area: 20, iscrowd: 1 },
    ],
    categories: [{ id: 0, name: 'cat' }, { id: 1, name: 'dog' }],
  });
});

test('MiniVOC: as many annotations as objects, as many crowds as difficult ones', (t) => {
  const dataset = openMiniVoc({ size: 64, split: 'val' });
  const truth = cocoAnnotations(dataset, 100);
  const objects = Array.from({ length: 100 }, (_, i) => dataset.sample(i).objects).flat();
  t.is(truth.images.length, 100);
  t.is(truth.annotations.length, objects.length);
  t.is(truth.annotations.filter(({ iscrowd }) => iscrowd).length, objects.filter(({ difficult }) => difficult).length);
  t.is(truth.categories.length, 20);
});
