import test from 'ava';
import { setCriterion } from '../../src/detection/set-criterion.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { readDetrFixture, tensorOf, worstDifference } from '../models/fixture.js';

test.serial('by hand: one layer, one image, two queries, one box', async (t) => {
  await useBackend('cpu');
  const logits = tf.zeros([1, 1, 2, 3]); // two classes; every probability 1/3
  const boxes = tf.tensor4d([0.5, 0.5, 0.2, 0.2, 0.5, 0.5, 0.4, 0.4], [1, 1, 2, 4]);
  const { total, classification, l1, giou, assignment } = setCriterion(logits, boxes, { labels: tf.tensor2d([[1]], undefined, 'int32'), boxes: tf.tensor3d([[[0.5, 0.5, 0.4, 0.2]]]) });
  // Both queries are 0.2 away and overlap by half (the enclosing box is the larger one): a tie, so the first is matched.
  t.deepEqual(await assignment.array(), [[[1, 0]]]);
  const near = (x: Tensor, wanted: number): boolean => t.true(Math.abs(x.dataSync()[0] - wanted) < 1e-5, `${x.dataSync()[0]}, not ${wanted}`);
  near(classification, Math.log(3));
  near(l1, 0.2);
  near(giou, 0.5);
  near(total, Math.log(3) + 5 * 0.2 + 2 * 0.5);
});

test.serial('no object weighs a tenth', async (t) => {
  await useBackend('cpu');
  const logits = tf.tensor4d([Math.log(3), 0, 0, Math.log(3)], [1, 1, 2, 2]); // query 0: p = 3/4, 1/4; query 1: 1/4, 3/4
  const boxes = tf.tensor4d([0.5, 0.5, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1], [1, 1, 2, 4]);
  const { classification } = setCriterion(logits, boxes, { labels: tf.tensor2d([[0]], undefined, 'int32'), boxes: tf.tensor3d([[[0.5, 0.5, 0.2, 0.2]]]) });
  t.true(Math.abs(classification.dataSync()[0] - -Math.log(3 / 4)) < 1e-5); // (1 x + 0.1 x) / 1.1
  const flipped = setCriterion(tf.tensor4d([Math.log(3), 0, 0, 0], [1, 1, 2, 2]), boxes, { labels: tf.tensor2d([[0]], undefined, 'int32'), boxes: tf.tensor3d([[[0.5, 0.5, 0.2, 0.2]]]) });
  t.true(Math.abs(flipped.classification.dataSync()[0] - (-Math.log(3 / 4) + 0.1 * Math.log(2)) / 1.1) < 1e-5);
});

for (const mode of ['frozen', 'live'] as const) {
  test.serial(`loss, matching and gradients are those of PyTorch with scipy's matching (outputs of the ${mode} model)`, async (t) => {
    await useBackend('wasm');
    const { labels, targets, [mode]: wanted } = readDetrFixture().detr;
    const truth = { labels: tf.tensor2d(labels, undefined, 'int32'), boxes: tensorOf(targets) };
    const logits = tensorOf(wanted.logits), boxes = tensorOf(wanted.boxes);
    const loss = setCriterion(logits, boxes, truth);
    t.true(Math.abs(loss.total.dataSync()[0] - wanted.total) < 1e-5 * wanted.total);
    t.true(worstDifference(loss.classification, wanted.terms.classification) < 1e-5);
    t.true(worstDifference(loss.l1, wanted.terms.l1) < 1e-5);
    t.true(worstDifference(loss.giou, wanted.terms.giou) < 1e-5);
    const found = (loss.assignment.arraySync() as number[][][]).map((image) => image.map((row) => row.indexOf(1)));
    t.deepEqual(found, wanted.found.flat());
    const [dLogits, dBoxes] = tf.grads((l: Tensor, b: Tensor) => setCriterion(l, b, truth).total)([logits, boxes]);
    t.true(worstDifference(dLogits, wanted.dLogits) < 1e-5);
    t.true(worstDifference(dBoxes, wanted.dBoxes) < 1e-5);
  });
}

test.serial('a batch without any object: boxes get no gradient, every query learns "no object"', async (t) => {
  await useBackend('wasm');
  const truth = { labels: tf.fill([2, 3], -1, 'int32'), boxes: tf.zeros([2, 3, 4]) };
  const logits = tf.randomNormal([2, 2, 5, 4], 0, 1, 'float32', 1), boxes = tf.sigmoid(tf.randomNormal([2, 2, 5, 4], 0, 1, 'float32', 2)) as Tensor;
  const loss = setCriterion(logits, boxes, truth);
  t.deepEqual([...loss.l1.dataSync(), ...loss.giou.dataSync()], [0, 0, 0, 0]);
  t.true(Number.isFinite(loss.total.dataSync()[0]));
  const [dLogits, dBoxes] = tf.grads((l: Tensor, b: Tensor) => setCriterion(l, b, truth).total)([logits, boxes]);
  t.true(dBoxes.dataSync().every((v) => v === 0));
  const towardsNone = tf.slice(dLogits, [0, 0, 0, 3], [-1, -1, -1, 1]).dataSync();
  t.true(towardsNone.every((v) => v < 0));
});

test.serial('padding changes nothing', async (t) => {
  await useBackend('wasm');
  const logits = tf.randomNormal([2, 1, 6, 4], 0, 1, 'float32', 3), boxes = tf.sigmoid(tf.randomNormal([2, 1, 6, 4], 0, 1, 'float32', 4)) as Tensor;
  const short = setCriterion(logits, boxes, { labels: tf.tensor2d([[2, 0]], undefined, 'int32'), boxes: tf.tensor3d([[[0.4, 0.4, 0.3, 0.2], [0.6, 0.5, 0.2, 0.2]]]) });
  const padded = setCriterion(logits, boxes, { labels: tf.tensor2d([[-1, 2, -1, 0]], undefined, 'int32'), boxes: tf.tensor3d([[[9, 9, 9, 9], [0.4, 0.4, 0.3, 0.2], [0, 0, 0, 0], [0.6, 0.5, 0.2, 0.2]]]) });
  t.true(Math.abs(short.total.dataSync()[0] - padded.total.dataSync()[0]) < 1e-5);
});
