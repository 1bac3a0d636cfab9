import test from 'ava';
import fc from 'fast-check';
import { detectionLoss, detectionMatcher } from '../../src/detection/detection-loss.js';
import { focalCriterion, focalMatch, focalMatchingCost } from '../../src/detection/focal-criterion.js';
import { sigmoidFocalLoss } from '../../src/detection/focal-loss.js';
import { linearSumAssignment } from '../../src/detection/hungarian.js';
import { match } from '../../src/detection/matcher.js';
import { setCriterion } from '../../src/detection/set-criterion.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { magnitude, readSmcaFixture, tensorOf, worstDifference } from '../models/fixture.js';
import { backends } from '../tensor/backends.js';
import { compiled, difference, draw, eagerly, withGradients, type Given } from '../tensor/compiled.js';

const value = (x: Tensor): number => x.dataSync()[0];
const labelsOf = (labels: number[][]): Tensor => tf.tensor2d(labels, undefined, 'int32');

test.serial('focal loss by hand: alpha (1 - p)^2 of the cross-entropy where it is there, (1 - alpha) p^2 where it is not', async (t) => {
  await useBackend('cpu');
  const logits = tf.tensor1d([Math.log(3), Math.log(3), 0, 0]), wanted = tf.tensor1d([1, 0, 1, 0]); // p = 3/4, 3/4, 1/2, 1/2
  const hand = [(0.25 / 16) * Math.log(4 / 3), 0.75 * (9 / 16) * Math.log(4), (0.25 / 4) * Math.log(2), (0.75 / 4) * Math.log(2)];
  sigmoidFocalLoss(logits, wanted).dataSync().forEach((v, i) => t.true(Math.abs(v - hand[i]) < 1e-6, `${i}: ${v}`));
});

for (const backend of backends) {
  test.serial(`focal loss and its gradient are those of torchvision, at 0 and for logits of 80 too (${backend})`, async (t) => {
    await useBackend(backend);
    const { logits, wanted, loss, dLogits } = readSmcaFixture().focal, w = tensorOf(wanted);
    t.true(worstDifference(sigmoidFocalLoss(tensorOf(logits), w), loss) < 1e-6);
    t.true(worstDifference(tf.grad((x: Tensor) => sigmoidFocalLoss(x, w))(tensorOf(logits)), dLogits) < 1e-6);
  });
}

test.serial('criterion by hand: one layer, one image, two queries, one box', async (t) => {
  await useBackend('cpu');
  const logits = tf.zeros([1, 1, 2, 2]); // two classes; every probability 1/2
  const boxes = tf.tensor4d([0.5, 0.5, 0.2, 0.2, 0.5, 0.5, 0.4, 0.2], [1, 1, 2, 4]);
  const { total, classification, l1, giou, assignment } = focalCriterion(logits, boxes, { labels: labelsOf([[1]]), boxes: tf.tensor3d([[[0.5, 0.5, 0.4, 0.2]]]) });
  t.deepEqual(await assignment.array(), [[[0, 1]]]); // the second box is the target
  const there = (0.25 / 4) * Math.log(2), notThere = (0.75 / 4) * Math.log(2);
  const near = (x: Tensor, wanted: number): boolean => t.true(Math.abs(value(x) - wanted) < 1e-5, `${value(x)}, not ${wanted}`);
  near(classification, there + 3 * notThere);
  near(l1, 0);
  near(giou, 0);
  near(total, 2 * (there + 3 * notThere));
});

for (const backend of backends) {
  test.serial(`cost, matching, loss and gradients are those of PyTorch with scipy's matching (${backend})`, async (t) => {
    await useBackend(backend);
    const { labels, targets, cost, total, terms, found, ...wanted } = readSmcaFixture().smca;
    const truth = { labels: labelsOf(labels), boxes: tensorOf(targets) };
    const logits = tensorOf(wanted.logits), boxes = tensorOf(wanted.boxes), count = logits.shape[0];
    const lastCost = tf.slice(tf.reshape(focalMatchingCost(logits, boxes, truth), [count, 3, 5, 3]), [count - 1], [1]).dataSync();
    labels.flat().forEach((label, at) => { // of padding the cost means nothing
      for (let query = 0; label >= 0 && query < 5; query++) {
        const i = (Math.floor(at / 3) * 5 + query) * 3 + (at % 3);
        t.true(Math.abs(lastCost[i] - cost.data[i]) < 1e-5, `${i}`);
      }
    });
    const loss = focalCriterion(logits, boxes, truth);
    t.deepEqual((loss.assignment.arraySync() as number[][][]).map((image) => image.map((row) => row.indexOf(1))), found.flat());
    t.true(Math.abs(value(loss.total) - total) < 1e-5 * total);
    for (const term of ['classification', 'l1', 'giou'] as const) t.true(worstDifference(loss[term], terms[term]) < 1e-5, term);
    const [dLogits, dBoxes] = tf.grads((l: Tensor, b: Tensor) => focalCriterion(l, b, truth).total)([logits, boxes]);
    t.true(worstDifference(dLogits, wanted.dLogits) < 1e-5 * magnitude(wanted.dLogits));
    t.true(worstDifference(dBoxes, wanted.dBoxes) < 1e-5 * magnitude(wanted.dBoxes));
  });
}

const batch: Record<string, Given> = { logits: { shape: [2, 3, 5, 4] }, boxes: { shape: [2, 3, 5, 4], draw: (stream) => 0.2 + 0.4 * stream.uniform(0, 1) } };

test.serial('compiled, loss, matching and gradients are those of the eager backend', async (t) => {
  await useBackend('wasm');
  const truth = () => ({ labels: labelsOf([[1, 3, 0], [-1, -1, -1], [2, -1, -1]]), boxes: tf.tensor3d(Array.from({ length: 27 + 9 }, (_, i) => 0.2 + ((i * 7) % 10) / 25), [3, 3, 4]) });
  const step = withGradients({ inputs: batch, f: ({ logits, boxes }) => {
    const { total, classification, l1, giou } = focalCriterion(logits, boxes, truth());
    return [total, classification, l1, giou];
  } });
  const arrays = draw(batch);
  t.is(difference((await compiled(step, arrays)).results, eagerly(step, arrays)), undefined);
  const assign = ({ logits, boxes }: Record<string, Tensor>) => ({ assignment: focalMatch(logits, boxes, truth()) });
  t.is(difference((await compiled(assign, arrays)).results, eagerly(assign, arrays)), undefined);
});

test.serial('the matching is the cheapest one', async (t) => {
  await useBackend('wasm');
  fc.assert(fc.property(fc.integer({ min: 1, max: 1000 }), (seed) => tf.tidy(() => {
    const logits = tf.randomNormal([1, 1, 7, 4], 0, 2, 'float32', seed), boxes = tf.sigmoid(tf.randomNormal([1, 1, 7, 4], 0, 1, 'float32', seed + 1)) as Tensor;
    const truth = { labels: labelsOf([[0, 1, 2, 1]]), boxes: tf.sigmoid(tf.randomNormal([1, 4, 4], 0, 1, 'float32', seed + 2)) as Tensor };
    const cost = focalMatchingCost(logits, boxes, truth), matched = focalMatch(logits, boxes, truth);
    const { rows, columns } = linearSumAssignment(cost.dataSync() as Float32Array, 7, 4);
    const lowest = rows.reduce((sum, row, i) => sum + cost.dataSync()[row * 4 + columns[i]], 0);
    return Math.abs(value(tf.sum(tf.mul(tf.transpose(matched, [0, 2, 1]), cost))) - lowest) < 1e-4;
  })), { numRuns: 30 });
  t.pass();
});

test.serial('a batch without any object: boxes get no gradient, every score learns to fall', async (t) => {
  await useBackend('wasm');
  const truth = { labels: tf.fill([2, 3], -1, 'int32'), boxes: tf.zeros([2, 3, 4]) };
  const logits = tf.randomNormal([2, 2, 5, 4], 0, 1, 'float32', 1), boxes = tf.sigmoid(tf.randomNormal([2, 2, 5, 4], 0, 1, 'float32', 2)) as Tensor;
  const loss = focalCriterion(logits, boxes, truth);
  t.deepEqual([...loss.l1.dataSync(), ...loss.giou.dataSync()], [0, 0, 0, 0]);
  t.true(Math.abs(value(loss.total) - 2 * value(tf.sum(sigmoidFocalLoss(logits, tf.zerosLike(logits))))) < 1e-3); // divided by 1, not by 0
  const [dLogits, dBoxes] = tf.grads((l: Tensor, b: Tensor) => focalCriterion(l, b, truth).total)([logits, boxes]);
  t.true(dBoxes.dataSync().every((v) => v === 0));
  t.true(dLogits.dataSync().every((v) => v > 0));
});

test.serial('padding changes nothing; neither does what its boxes hold', async (t) => {
  await useBackend('wasm');
  const logits = tf.randomNormal([2, 1, 6, 3], 0, 1, 'float32', 3), boxes = tf.sigmoid(tf.randomNormal([2, 1, 6, 4], 0, 1, 'float32', 4)) as Tensor;
  const short = focalCriterion(logits, boxes, { labels: labelsOf([[2, 0]]), boxes: tf.tensor3d([[[0.4, 0.4, 0.3, 0.2], [0.6, 0.5, 0.2, 0.2]]]) });
  const padded = focalCriterion(logits, boxes, { labels: labelsOf([[-1, 2, -1, 0]]), boxes: tf.tensor3d([[[9, 9, 9, 9], [0.4, 0.4, 0.3, 0.2], [0, 0, 0, 0], [0.6, 0.5, 0.2, 0.2]]]) });
  t.true(Math.abs(value(short.total) - value(padded.total)) < 1e-5);
});

test.serial('an image without objects adds only its scores; a family has its own loss and matching', async (t) => {
  await useBackend('wasm');
  const logits = tf.randomNormal([1, 2, 6, 3], 0, 1, 'float32', 3), boxes = tf.sigmoid(tf.randomNormal([1, 2, 6, 4], 0, 1, 'float32', 4)) as Tensor;
  const truth = { labels: labelsOf([[2, 0], [-1, -1]]), boxes: tf.tensor3d([[[0.4, 0.4, 0.3, 0.2], [0.6, 0.5, 0.2, 0.2]], [[0, 0, 0, 0], [0, 0, 0, 0]]]) };
  const both = detectionLoss('smca-detr', logits, boxes, truth);
  const first = (x: Tensor): Tensor => tf.slice(x, [0, 0], [1, 1]);
  const one = focalCriterion(first(logits), first(boxes), { labels: labelsOf([[2, 0]]), boxes: tf.slice(truth.boxes, [0], [1]) });
  t.true(Math.abs(value(both.l1) - value(one.l1)) < 1e-6 && Math.abs(value(both.giou) - value(one.giou)) < 1e-6);
  t.true(value(both.classification) > value(one.classification));
  t.is(value(detectionLoss('detr', logits, boxes, truth).total), value(setCriterion(logits, boxes, truth).total));
  t.deepEqual([detectionMatcher('detr'), detectionMatcher('smca-detr')], [match, focalMatch]);
});
