import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { detectionColumns, type CocoAnnotation, type CocoGroundTruth } from '../../src/detection/evaluation-tables.js';
import { evaluateDetections, type CocoSummary } from '../../src/detection/coco-average-precision.js';
import type { CocoDetection } from '../../src/detection/detections.js';

const annotation = (image_id: number, category_id: number, bbox: [number, number, number, number], more: Partial<CocoAnnotation> = {}): CocoAnnotation =>
  ({ image_id, category_id, bbox, area: bbox[2] * bbox[3], iscrowd: 0, ...more });
const detection = (image_id: number, category_id: number, bbox: [number, number, number, number], score: number): CocoDetection => ({ image_id, category_id, bbox, score });
const truth = (annotations: CocoAnnotation[], images = 4, categories = 3): CocoGroundTruth =>
  ({ images: Array.from({ length: images }, (_, i) => ({ id: i + 1 })), categories: Array.from({ length: categories }, (_, i) => ({ id: i + 1, name: `c${i + 1}` })), annotations });
const twelve = ({ ap, ap50, ap75, apSmall, apMedium, apLarge, ar1, ar10, ar100, arSmall, arMedium, arLarge }: CocoSummary): number[] =>
  [ap, ap50, ap75, apSmall, apMedium, apLarge, ar1, ar10, ar100, arSmall, arMedium, arLarge];
const near = (a: readonly number[], b: readonly number[], tolerance: number): boolean => a.length === b.length && a.every((v, i) => Math.abs(v - b[i]) <= tolerance);

test('one object found exactly: everything is 1, areas without objects are -1', (t) => {
  const result = evaluateDetections(truth([annotation(1, 1, [0, 0, 50, 50])]), [detection(1, 1, [0, 0, 50, 50], 0.9)]);
  t.true(near(twelve(result), [1, 1, 1, -1, 1, -1, 1, 1, 1, -1, 1, -1], 1e-12)); // 50 * 50 is medium
  t.deepEqual(result.classes.map(({ name, ap50 }) => [name, Math.round(ap50 * 1e9) / 1e9]), [['c1', 1], ['c2', -1], ['c3', -1]]);
});

test('two objects, three detections: true, false, true', (t) => {
  // precision 1 at recall 1/2, 2/3 at recall 1. Recalls 0 ... 0.50 (51 of them) read 1, the other 50 read 2/3.
  const result = evaluateDetections(truth([annotation(1, 1, [0, 0, 10, 10]), annotation(2, 1, [0, 0, 10, 10])]), [
    detection(1, 1, [0, 0, 10, 10], 0.9), detection(1, 1, [50, 50, 10, 10], 0.8), detection(2, 1, [0, 0, 10, 10], 0.7),
  ]);
  t.true(Math.abs(result.ap - (51 + 50 * (2 / 3)) / 101) < 1e-12);
  t.is(result.ar1, 1);
});

test('a box that covers 60 of 100 pixels counts at the thresholds .50, .55 and .60', (t) => {
  const result = evaluateDetections(truth([annotation(1, 1, [0, 0, 10, 10])]), [detection(1, 1, [0, 0, 10, 6], 0.5)]);
  t.true(Math.abs(result.ap - 0.3) < 1e-12);
  t.true(near([result.ap50, result.ap75], [1, 0], 1e-12));
  t.true(Math.abs(result.ar100 - 0.3) < 1e-12);
});

test('the second detection of one object is a false positive; detections of other categories and images are no help', (t) => {
  const objects = truth([annotation(1, 1, [0, 0, 10, 10]), annotation(2, 1, [0, 0, 10, 10])]);
  const result = evaluateDetections(objects, [
    detection(1, 1, [0, 0, 10, 10], 0.9), detection(1, 1, [0, 0, 10, 10], 0.8), detection(2, 2, [0, 0, 10, 10], 0.7), detection(3, 1, [0, 0, 10, 10], 0.6),
  ]);
  t.true(Math.abs(result.ap50 - 51 / 101) < 1e-12); // recall stops at 1/2
  t.is(result.ar100, 0.5);
});

test('detections inside of a crowd count neither for nor against, as many as there are', (t) => {
  const objects = truth([annotation(1, 1, [0, 0, 10, 10]), annotation(1, 1, [100, 100, 100, 100], { iscrowd: 1 })]);
  const inside = [0.99, 0.98, 0.97].map((score, i) => detection(1, 1, [110 + 20 * i, 110, 15, 15], score));
  t.true(Math.abs(evaluateDetections(objects, [...inside, detection(1, 1, [0, 0, 10, 10], 0.5)]).ap - 1) < 1e-12);
  const outside = detection(1, 1, [300, 300, 15, 15], 0.9);
  t.true(Math.abs(evaluateDetections(objects, [...inside, outside, detection(1, 1, [0, 0, 10, 10], 0.5)]).ap - 0.5) < 1e-12);
});

test('an object that counts goes before a crowd that covers the detection better', (t) => {
  const objects = truth([annotation(1, 1, [0, 0, 100, 100], { iscrowd: 1 }), annotation(1, 1, [0, 0, 10, 10])]);
  t.true(Math.abs(evaluateDetections(objects, [detection(1, 1, [0, 0, 10, 8], 0.9)]).ap50 - 1) < 1e-12); // IoU 0.8, and all of it in the crowd
});

test('a false positive of just 1024 pixels is one among the small and among the medium', (t) => {
  const objects = truth([annotation(1, 1, [0, 0, 32, 32])]);
  const { apSmall, apMedium } = evaluateDetections(objects, [detection(1, 1, [100, 100, 32, 32], 0.9), detection(1, 1, [0, 0, 32, 32], 0.5)]);
  t.true(near([apSmall, apMedium], [0.5, 0.5], 1e-12));
});

test('a false positive larger than the range of areas is no false positive in it; 1024 pixels are small and medium', (t) => {
  const objects = truth([annotation(1, 1, [0, 0, 32, 32])]);
  const result = evaluateDetections(objects, [detection(1, 1, [100, 100, 200, 200], 0.9), detection(1, 1, [0, 0, 32, 32], 0.5)]);
  t.true(near([result.ap, result.apSmall, result.apMedium, result.apLarge], [0.5, 1, 1, -1], 1e-12));
});

test('only the best 100 detections of a category count on an image', (t) => {
  const objects = truth([annotation(1, 1, [0, 0, 10, 10])]);
  const wrong = Array.from({ length: 100 }, (_, i) => detection(1, 1, [50 + i, 50, 10, 10], 0.9));
  t.is(evaluateDetections(objects, [...wrong, detection(1, 1, [0, 0, 10, 10], 0.1)]).ar100, 0);
  t.is(evaluateDetections(objects, [...wrong.slice(1), detection(1, 1, [0, 0, 10, 10], 0.1)]).ar100, 1);
});

test('an annotation with id 0 counts like any other', (t) => {
  t.is(evaluateDetections(truth([annotation(1, 1, [0, 0, 10, 10], { id: 0 })]), [detection(1, 1, [0, 0, 10, 10], 0.5)]).ar100, 1);
});

test('no detection gives 0, no annotation -1', (t) => {
  t.deepEqual(twelve(evaluateDetections(truth([annotation(1, 1, [0, 0, 10, 10])]), [])), [0, 0, 0, 0, -1, -1, 0, 0, 0, 0, -1, -1]);
  t.deepEqual(twelve(evaluateDetections(truth([]), [detection(1, 1, [0, 0, 10, 10], 0.5)])), new Array(12).fill(-1));
});

const coordinate = fc.integer({ min: 0, max: 120 }), size = fc.integer({ min: 1, max: 120 });
const bbox = fc.tuple(coordinate, coordinate, size, size);
const scene = fc.record({
  annotations: fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), bbox), { minLength: 1, maxLength: 12 }),
  guesses: fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }), bbox), { maxLength: 12 }),
  kept: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  ranks: fc.uniqueArray(fc.integer({ min: 1, max: 1000 }), { minLength: 24, maxLength: 24 }),
}).map(({ annotations, guesses, kept, ranks }) => {
  const right = annotations.filter((_, i) => kept[i]);
  return {
    objects: truth(annotations.map(([image, category, box]) => annotation(image, category, box))),
    perfect: annotations.map(([image, category, box], i) => detection(image, category, box, ranks[i] / 1000)),
    detections: [...right, ...guesses].map(([image, category, box], i) => detection(image, category, box, ranks[i] / 1000)),
  };
});

test('neither the order of images, annotations and detections matters (scores differ) nor a monotone change of scores', (t) => {
  fc.assert(fc.property(scene, ({ objects, detections }) => {
    const expected = twelve(evaluateDetections(objects, detections));
    const mirrored = { images: [...objects.images].reverse(), categories: [...objects.categories].reverse(), annotations: objects.annotations };
    t.deepEqual(twelve(evaluateDetections(mirrored, [...detections].reverse())), expected);
    t.deepEqual(twelve(evaluateDetections(objects, detections.map((d) => ({ ...d, score: Math.exp(5 * d.score) })))), expected);
    t.deepEqual(twelve(evaluateDetections(objects, detectionColumns(detections))), expected);
  }));
});

test('perfect detections give 1; a false positive never helps; numbers are in [0, 1]', (t) => {
  fc.assert(fc.property(scene, ({ objects, perfect, detections }) => {
    const { ap, ap50, ar100 } = evaluateDetections(objects, perfect);
    t.true(near([ap, ap50, ar100], [1, 1, 1], 1e-12));
    const before = evaluateDetections(objects, detections), after = evaluateDetections(objects, [...detections, detection(1, 1, [500, 500, 10, 10], 0.9995)]);
    t.true(after.ap <= before.ap && after.ar100 === before.ar100);
    t.true(twelve(before).every((v) => v === -1 || (v >= 0 && v <= 1)));
  }));
});

interface Case { name: string; images: number[]; categories: number[]; annotations: number[][]; detections: number[][]; stats: number[]; classes: number[][] }
const { cases } = JSON.parse(readFileSync('test/fixtures/coco-average-precision.json', 'utf8')) as { cases: Case[] };
for (const { name, images, categories, annotations, detections, stats, classes } of cases) {
  test(`the numbers of pycocotools 2.0.11: ${name}`, (t) => {
    const result = evaluateDetections({
      images: images.map((id) => ({ id })), categories: categories.map((id) => ({ id, name: String(id) })),
      annotations: annotations.map(([image, category, x, y, w, h, area, iscrowd]) => annotation(image, category, [x, y, w, h], { area, iscrowd })),
    }, detections.map(([image, category, x, y, w, h, score]) => detection(image, category, [x, y, w, h], score)));
    t.true(near(twelve(result), stats, 1e-9), `${twelve(result).join(' ')} instead of ${stats.join(' ')}`);
    t.true(near(result.classes.flatMap((c) => [c.categoryId, c.ap, c.ap50, c.ap75]), classes.flat(), 1e-9));
  });
}
