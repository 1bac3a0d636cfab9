import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { detectionColumns, detectionTable, groundTruthTable } from '../../src/detection/evaluation-tables.js';
import type { Box } from '../../src/detection/boxes.js';
import { vocAveragePrecision, type VocSummary } from '../../src/detection/voc-average-precision.js';

interface VocObject { image: number; label: number; box: Box; difficult?: boolean }
interface Guess { image: number; label: number; box: Box; score: number }

/** Corners as COCO's `bbox`: left, top, width, height. */
const cocoBox = ([x0, y0, x1, y1]: Box): Box => [x0, y0, x1 - x0, y1 - y0];

/** Boxes here are `xyxy`. */
function evaluate(imageCount: number, classCount: number, objects: VocObject[], guesses: Guess[]): VocSummary {
  const truth = groundTruthTable({
    images: Array.from({ length: imageCount }, (_, id) => ({ id })),
    categories: Array.from({ length: classCount }, (_, id) => ({ id, name: `class ${id}` })),
    annotations: objects.map(({ image, label, box, difficult }) => ({ image_id: image, category_id: label, bbox: cocoBox(box), area: 1, difficult: Number(difficult ?? false) })),
  });
  const detections = guesses.map(({ image, label, box, score }) => ({ image_id: image, category_id: label, bbox: cocoBox(box), score }));
  return vocAveragePrecision(truth, detectionTable(detectionColumns(detections), truth));
}

const ten: Box = [0, 0, 10, 10], far: Box = [50, 50, 60, 60];
const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-12;

test('two objects; right, wrong, right: precisions 1 and 2/3 at recalls 1/2 and 1', (t) => {
  const { ap11, apAll } = evaluate(2, 1, [{ image: 0, label: 0, box: ten }, { image: 1, label: 0, box: ten }], [
    { image: 0, label: 0, box: ten, score: 0.9 }, { image: 0, label: 0, box: far, score: 0.8 }, { image: 1, label: 0, box: ten, score: 0.7 },
  ]);
  t.true(near(ap11, (6 * 1 + 5 * (2 / 3)) / 11)); // recalls 0 to 0.5, then 0.6 to 1
  t.true(near(apAll, 0.5 * 1 + 0.5 * (2 / 3)));
});

test('three of ten found: recall 0.3 is reached', (t) => {
  const objects = Array.from({ length: 10 }, (_, image) => ({ image, label: 0, box: ten }));
  const { ap11, apAll } = evaluate(10, 1, objects, objects.slice(0, 3).map((o, i) => ({ ...o, score: 1 - i / 10 })));
  t.true(near(ap11, 4 / 11));
  t.true(near(apAll, 0.3));
});

test('an IoU of just one half counts; a second detection of the object does not', (t) => {
  const objects = [{ image: 0, label: 0, box: ten }];
  t.true(near(evaluate(1, 1, objects, [{ image: 0, label: 0, box: [0, 0, 10, 5], score: 0.9 }]).apAll, 1));
  t.true(near(evaluate(1, 1, objects, [{ image: 0, label: 0, box: [0, 0, 10, 4.9], score: 0.9 }]).apAll, 0));
  const twice = [...objects, { image: 0, label: 0, box: far }];
  const { apAll } = evaluate(1, 1, twice, [0.9, 0.8].map((score) => ({ image: 0, label: 0, box: ten, score })).concat({ image: 0, label: 0, box: [...far], score: 0.1 }));
  t.true(near(apAll, 0.5 * 1 + 0.5 * (2 / 3)));
});

test('difficult objects: finding them, even twice, counts neither for nor against', (t) => {
  const objects = [{ image: 0, label: 0, box: ten }, { image: 0, label: 0, box: far, difficult: true }];
  const guesses = [0.9, 0.8].map((score) => ({ image: 0, label: 0, box: far, score }));
  t.true(near(evaluate(1, 1, objects, [...guesses, { image: 0, label: 0, box: ten, score: 0.5 }]).ap11, 1));
  t.is(evaluate(1, 1, objects.slice(1), guesses).apAll, -1);
});

test('of two objects that a detection covers alike, the first counts', (t) => {
  const objects = [{ image: 0, label: 0, box: ten }, { image: 0, label: 0, box: ten, difficult: true }];
  t.is(evaluate(1, 1, objects, [{ image: 0, label: 0, box: ten, score: 0.5 }]).apAll, 1);
});

test('the mean leaves classes without objects out', (t) => {
  const { ap11, apAll, classes } = evaluate(1, 3, [{ image: 0, label: 0, box: ten }, { image: 0, label: 2, box: ten }], [{ image: 0, label: 0, box: ten, score: 0.5 }, { image: 0, label: 1, box: ten, score: 0.5 }]);
  t.true(near(ap11, 0.5) && near(apAll, 0.5));
  t.deepEqual(classes.map((c) => [c.name, c.apAll]), [['class 0', 1], ['class 1', -1], ['class 2', 0]]);
});

test('both averages are in [0, 1] and rise when the worst detection turns out right', (t) => {
  fc.assert(fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }), (right) => {
    const objects = right.map((_, image) => ({ image, label: 0, box: ten }));
    const guesses = (flags: boolean[]) => flags.map((ok, image) => ({ image, label: 0, box: ok ? ten : far, score: 1 - image / 100 }));
    const before = evaluate(right.length, 1, objects, guesses([...right.slice(0, -1), false])), after = evaluate(right.length, 1, objects, guesses([...right.slice(0, -1), true]));
    t.true(after.apAll > before.apAll && after.ap11 >= before.ap11);
    t.true([after.apAll, after.ap11, before.apAll, before.ap11].every((v) => v >= 0 && v <= 1 + 1e-12));
  }));
});

interface Case { images: number; classes: number; objects: number[][]; detections: number[][]; ap: [number, number][] }
const { cases } = JSON.parse(readFileSync('test/fixtures/voc-average-precision.json', 'utf8')) as { cases: Case[] };
cases.forEach(({ images, classes, objects, detections, ap }, n) => {
  test(`the arithmetic of the development kit on inclusive corners, data set ${n + 1}`, (t) => {
    const corners = ([, , x0, y0, x1, y1]: number[]): Box => [x0 - 1, y0 - 1, x1, y1];
    const result = evaluate(images, classes, objects.map((o) => ({ image: o[0], label: o[1], box: corners(o), difficult: o[6] === 1 })),
      detections.map((d) => ({ image: d[0], label: d[1], box: corners(d), score: d[6] })));
    result.classes.forEach(({ ap11, apAll }, k) => t.true(near(ap11, ap[k][0]) && near(apAll, ap[k][1]), `class ${k}: ${ap11}, ${apAll} instead of ${ap[k].join(', ')}`));
  });
});
