import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { cxcywhToXyxy, xyxyToCxcywh, type Box } from '../../src/detection/boxes.js';
import { generalizedIoU, generalizedIoUElementwise } from '../../src/detection/giou.js';
import { generalizedIoUOf, iouOf } from './plain-giou.js';

type Fixture = Record<'a' | 'b' | 'aXyxy' | 'bXyxy' | 'giou' | 'weights' | 'gradientA' | 'gradientB', number[]>;
const fixture = JSON.parse(readFileSync('test/fixtures/boxes.json', 'utf8')) as Fixture;

const box = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 20 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 })).map(([x, y, w, h]): Box => [x, y, x + w, y + h]);
const near = (actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): boolean =>
  actual.length === expected.length && Array.from(actual).every((v, i) => Math.abs(v - expected[i]) <= tolerance);

test.before(() => useBackend('wasm'));

test('GIoU by hand: half overlap, apart, inside, identical, touching', (t) => {
  t.is(generalizedIoUOf([0, 0, 2, 2], [0, 0, 2, 2]), 1);
  t.is(generalizedIoUOf([0, 0, 2, 2], [1, 0, 3, 2]), 2 / 6);                     // the union fills the enclosing box
  t.is(generalizedIoUOf([0, 0, 1, 1], [2, 0, 3, 1]), 0 - 1 / 3);                 // union 2, enclosing 3
  t.is(generalizedIoUOf([0, 0, 4, 4], [1, 1, 2, 3]), 2 / 16);
  t.is(generalizedIoUOf([0, 0, 2, 2], [1, 1, 3, 3]), 1 / 7 - 2 / 9);             // union 7, enclosing 9
  t.is(generalizedIoUOf([0, 0, 1, 1], [1, 1, 2, 2]), 0 - 2 / 4);
  t.is(iouOf([0, 0, 2, 2], [1, 1, 3, 3]), 1 / 7);
});

test('boxes without an area give 0, not NaN', (t) => {
  t.is(generalizedIoUOf([1, 1, 1, 1], [1, 1, 1, 1]), 0);
  t.is(iouOf([1, 1, 1, 1], [1, 1, 1, 1]), 0);
  const point = tf.tensor2d([[0.5, 0.5, 0.5, 0.5]]);
  t.deepEqual([...generalizedIoU(point, point).dataSync()], [0]);
});

test('GIoU is in [-1, 1], symmetric, at most IoU', (t) => {
  fc.assert(fc.property(box, box, (a, b) => {
    const giou = generalizedIoUOf(a, b);
    t.true(giou >= -1 && giou <= 1);
    t.is(giou, generalizedIoUOf(b, a));
    t.true(giou <= iouOf(a, b));
  }));
});

test.serial('conversions of boxes: by hand, and torchvision.ops.box_convert', (t) => {
  t.deepEqual([...cxcywhToXyxy(tf.tensor1d([5, 5, 4, 2])).dataSync()], [3, 4, 7, 6]);
  t.deepEqual([...xyxyToCxcywh(tf.tensor1d([3, 4, 7, 6])).dataSync()], [5, 5, 4, 2]);
  const a = tf.tensor(fixture.a, [2, 7, 4]);
  const xyxy = cxcywhToXyxy(a);
  t.deepEqual(xyxy.shape, [2, 7, 4]);
  t.true(near(xyxy.dataSync(), fixture.aXyxy, 2e-7));
  t.true(near(xyxyToCxcywh(xyxy).dataSync(), fixture.a, 2e-7));
});

test.serial('pairwise GIoU of batches: torchvision.ops.generalized_box_iou', (t) => {
  const a = tf.tensor(fixture.aXyxy, [2, 7, 4]), b = tf.tensor(fixture.bXyxy, [2, 5, 4]);
  const giou = generalizedIoU(a, b);
  t.deepEqual(giou.shape, [2, 7, 5]);
  t.true(near(giou.dataSync(), fixture.giou, 2e-6));
  const [image, n, m] = [1, 4, 2];
  const row = (values: number[], at: number): Box => [values[at], values[at + 1], values[at + 2], values[at + 3]];
  t.true(Math.abs(generalizedIoUOf(row(fixture.aXyxy, 4 * (7 * image + n)), row(fixture.bXyxy, 4 * (5 * image + m))) - fixture.giou[(7 * image + n) * 5 + m]) < 2e-6);
});

test.serial('elementwise GIoU is the diagonal of the pairwise', (t) => {
  const a = tf.tensor(fixture.aXyxy.slice(0, 20), [5, 4]), b = tf.tensor(fixture.bXyxy.slice(0, 20), [5, 4]);
  const pairwise = generalizedIoU(a, b).arraySync() as number[][];
  t.true(near(generalizedIoUElementwise(a, b).dataSync(), pairwise.map((r, i) => r[i]), 1e-7));
});

test.serial('gradients of pairwise GIoU: torch autograd', (t) => {
  const a = tf.tensor(fixture.aXyxy, [2, 7, 4]), b = tf.tensor(fixture.bXyxy, [2, 5, 4]), weights = tf.tensor(fixture.weights, [2, 7, 5]);
  const loss = (x: Tensor, y: Tensor) => tf.sum(tf.mul(generalizedIoU(x, y), weights)) as tf.Scalar;
  const [ga, gb] = tf.grads((x, y) => loss(x, y))([a, b]);
  t.true(near(ga.dataSync(), fixture.gradientA, 2e-4));
  t.true(near(gb.dataSync(), fixture.gradientB, 2e-4));
});

test.serial('gradients of elementwise GIoU: finite differences of the plain version', (t) => {
  const a: Box = [0.1, 0.2, 0.5, 0.7], b: Box = [0.3, 0.1, 0.8, 0.6];
  const [ga] = tf.grads((x, y) => tf.sum(generalizedIoUElementwise(x, y)))([tf.tensor2d([[...a]]), tf.tensor2d([[...b]])]);
  const step = 1e-6;
  const expected = a.map((_, i) => {
    const moved = (by: number) => a.map((v, j) => (i === j ? v + by : v)) as unknown as Box;
    return (generalizedIoUOf(moved(step), b) - generalizedIoUOf(moved(-step), b)) / (2 * step);
  });
  t.true(near(ga.dataSync(), expected, 1e-4));
});

test.serial('compiled, pairwise GIoU and its gradients are those of torch as well', async (t) => {
  const spec = (m: number) => ({ shape: [2, m, 4], dtype: 'float32' as const });
  const step = await compileStep((_state, { a, b, weights }) => {
    const giou = generalizedIoU(a, b);
    const [gradientA, gradientB] = tf.grads((x, y) => tf.sum(tf.mul(generalizedIoU(x, y), weights)))([a, b]);
    return { outputs: { giou, gradientA, gradientB } };
  }, { state: {}, inputs: { a: spec(7), b: spec(5), weights: { shape: [2, 7, 5], dtype: 'float32' } } });
  const { giou, gradientA, gradientB } = await step.run({ a: Float32Array.from(fixture.aXyxy), b: Float32Array.from(fixture.bXyxy), weights: Float32Array.from(fixture.weights) });
  t.true(near(giou, fixture.giou, 2e-6));
  t.true(near(gradientA, fixture.gradientA, 2e-4) && near(gradientB, fixture.gradientB, 2e-4));
  await step.dispose();
});
