import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { concatDetections } from '../../src/detection/detections.js';
import { outputsToDetections, postProcess, postProcessing, postProcessSigmoid } from '../../src/detection/post-processing.js';
import { readSmcaFixture } from '../models/fixture.js';

interface Fixture { postProcess: { logits: number[]; boxes: number[]; heightWidth: [number, number][]; scores: number[]; labels: number[][]; xyxy: number[] } }
const { postProcess: reference } = JSON.parse(readFileSync('test/fixtures/boxes.json', 'utf8')) as Fixture;

test('one query by hand: the best real class, even where "no object" is likelier', (t) => {
  const logits = [Math.log(2), Math.log(3), Math.log(5)]; // softmax 0.2 0.3 0.5, the last is "no object"
  const { scores, labels, boxes } = postProcess(logits, [0.5, 0.5, 0.2, 0.4], 1, [{ height: 100, width: 200 }]);
  t.true(Math.abs(scores[0] - 0.3) < 1e-7);
  t.is(labels[0], 1);
  t.deepEqual([...boxes].map((v) => Math.round(v * 1e4) / 1e4), [80, 30, 120, 70]);
});

test('two images of different sizes: PostProcess of DETR in torch', (t) => {
  const sizes = reference.heightWidth.map(([height, width]) => ({ height, width }));
  const { scores, labels, boxes } = postProcess(reference.logits, reference.boxes, 6, sizes);
  t.deepEqual([...labels], reference.labels.flat());
  t.true(reference.scores.every((s, i) => Math.abs(s - scores[i]) < 1e-6));
  t.true(reference.xyxy.every((v, i) => Math.abs(v - boxes[i]) < 1e-3));
});

test('SMCA-DETR by hand: of four pairs the two best, which are one query\'s two classes', (t) => {
  const logits = [-1, -2, Math.log(3), 0]; // sigmoids 0.27, 0.12; 0.75, 0.5
  const { scores, labels, boxes } = postProcessSigmoid(logits, [0, 0, 1, 1, 0.5, 0.5, 0.2, 0.4], 2, [{ height: 100, width: 200 }]);
  t.deepEqual([...scores], [0.75, 0.5]);
  t.deepEqual([...labels], [0, 1]);
  t.deepEqual([...boxes].map((v) => Math.round(v * 1e4) / 1e4), [80, 30, 120, 70, 80, 30, 120, 70]);
});

test('SMCA-DETR, two images of different sizes: its PostProcess in torch', (t) => {
  const { logits, boxes: given, heightWidth, scores, labels, xyxy } = readSmcaFixture().postProcess;
  const got = postProcessing('smca-detr')(logits.data, given.data, 6, heightWidth.map(([height, width]) => ({ height, width })));
  t.deepEqual([...got.labels], labels.flat());
  t.true(scores.data.every((s, i) => Math.abs(s - got.scores[i]) < 1e-6));
  t.true(xyxy.data.every((v, i) => Math.abs(v - got.boxes[i]) < 1e-3));
});

test('SMCA-DETR: the scores kept are the highest, best first, the first of equal ones before the others', (t) => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 12, maxLength: 12 }), (logits) => {
    const { scores, labels } = postProcessSigmoid(logits, Array.from({ length: 16 }, () => 0.5), 4, [{ height: 1, width: 1 }]); // 4 queries, 3 classes
    const order = logits.map((v, i) => ({ v, i })).sort((a, b) => b.v - a.v || a.i - b.i).slice(0, 4);
    return order.every(({ v, i }, k) => Math.abs(scores[k] - 1 / (1 + Math.exp(-v))) < 1e-6 && labels[k] === i % 3);
  }));
  t.is(postProcessing('detr'), postProcess);
});

test('detections carry the ids of images and categories, boxes as left, top, width, height', (t) => {
  const outputs = { scores: Float32Array.of(0.5, 0.25), labels: Int32Array.of(1, 0), boxes: Float32Array.of(1, 2, 4, 8, 0, 0, 3, 3) };
  const part = outputsToDetections(outputs, [70, 71], [5, 9]);
  const { imageIds, categoryIds, boxes, scores } = concatDetections([part, part]);
  t.deepEqual([...imageIds], [70, 71, 70, 71]);
  t.deepEqual([...categoryIds], [9, 5, 9, 5]);
  t.deepEqual([...boxes], [1, 2, 3, 6, 0, 0, 3, 3, 1, 2, 3, 6, 0, 0, 3, 3]);
  t.deepEqual([...scores], [0.5, 0.25, 0.5, 0.25]);
});

test('a NaN in the logits stays visible, wrong sizes are refused', (t) => {
  t.is(postProcess([NaN, 0, 0], [0, 0, 1, 1], 1, [{ height: 1, width: 1 }]).scores[0], NaN);
  t.is(postProcess([0, NaN, 0], [0, 0, 1, 1], 1, [{ height: 1, width: 1 }]).scores[0], NaN);
  t.throws(() => postProcess([0, 0, 0], [0, 0, 1], 1, [{ height: 1, width: 1 }]), { message: /boxes \[B, Q, 4\]/ });
  const { scores, labels } = postProcessSigmoid([9, 8, 1, NaN], [0, 0, 1, 1, 0, 0, 1, 1], 2, [{ height: 1, width: 1 }]);
  t.deepEqual([scores[0], labels[0]], [NaN, 1]);
  t.throws(() => postProcessSigmoid([0, 0], [0, 0, 1], 1, [{ height: 1, width: 1 }]), { message: /logits \[B, Q, K\], got 3 and 2 numbers/ });
  t.is(postProcessSigmoid([], [], 5, []).scores.length, 0);
});
