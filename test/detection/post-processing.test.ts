import { readFileSync } from 'node:fs';
import test from 'ava';
import { concatDetections } from '../../src/detection/detections.js';
import { outputsToDetections, postProcess } from '../../src/detection/post-processing.js';

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
});
