import test from 'ava';
import { coAttentionLoss, distillationParameters, distributionRectificationLoss, MAP_PARAMETER } from '../../src/distillation/distillation-loss.js';
import type { QueryMatching } from '../../src/distillation/foreground-query-matching.js';
import { matchQueries } from '../../src/distillation/query-matching.js';
import { FEATURES, PAPER_DISTILLATION, type DistillationSettings } from '../../src/distillation/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { tensorOf, worstDifference } from '../models/fixture.js';
import { compiled, difference, eagerly, type Arrays } from '../tensor/compiled.js';
import { attended, fixtureTargets, readDistillationFixture } from './fixture.js';

const number = (x: Tensor): number => x.dataSync()[0];
const near = (got: number, wanted: number): boolean => Math.abs(got - wanted) < 1e-5;

/** Two queries of one image, the first with the second of two teacher queries, the second with the first. */
const crossed = (kept = [1, 1]): QueryMatching => ({ kept: tf.tensor2d([kept]), partner: tf.tensor3d([[[0, 1], [1, 0]]]) });
const student = (): Tensor => tf.tensor3d([[[3, 4], [1, 1]]]), teacher = (): Tensor => tf.tensor3d([[[1, 2], [0, 0]]]);

test.serial('by hand: the mean of the kept pairs\' Euclidean distances, not squared, over layers', async (t) => {
  await useBackend('cpu');
  const loss = (kept: number[], layers = 1): number => number(distributionRectificationLoss(new Array<Tensor>(layers).fill(student()), new Array<Tensor>(layers).fill(teacher()), crossed(kept)));
  t.true(near(loss([1, 1]), (5 + 1) / 2)); // (3, 4) - (0, 0) and (1, 1) - (1, 2)
  t.true(near(loss([1, 0]), 5));
  t.is(loss([0, 0]), 0);
  t.true(near(loss([1, 1], 3), 3));
  const second = tf.mul(student(), 2); // (6, 8) and (2, 2): 10 and sqrt(1 + 0) from (1, 2)
  t.true(near(number(distributionRectificationLoss([student(), second], [teacher(), teacher()], crossed())), (5 + 1 + 10 + 1) / 4));
  t.true(near(number(distributionRectificationLoss([tf.concat([student(), student()])], [tf.concat([teacher(), teacher()])], { kept: tf.tensor2d([[1, 1], [0, 1]]), partner: tf.tile(crossed().partner, [2, 1, 1]) })), (5 + 1 + 1) / 3), 'a mean over the pairs of the batch, not of the images\' means');
});

test.serial('by hand: what is distilled of a co-attention', async (t) => {
  await useBackend('cpu');
  const d = tf.tensor([[[[3, 4], [0, 2]]]]), other = tf.tensor([[[[6, 8], [1, 0]]]]); // [L, B, Q, C] = [1, 1, 2, 2]
  const same: QueryMatching = { kept: tf.ones([1, 2]), partner: tf.tensor3d([[[1, 0], [0, 1]]]) };
  const loss = (feature: DistillationSettings['feature'], ours = attended(d), theirs = attended(other), map = tf.eye(2)): number => number(coAttentionLoss(ours, theirs, same, { feature, layers: 'all' }, { [MAP_PARAMETER]: map }));
  t.true(near(loss('before-projection'), (5 + Math.sqrt(5)) / 2));
  t.true(near(loss('after-projection', attended(d, { output: tf.zerosLike(d) }), attended(other, { output: tf.onesLike(other) })), Math.SQRT2));
  t.true(near(loss('normalized'), (0 + Math.SQRT2) / 2), '(3, 4) and (6, 8) have one direction; (0, 2) and (1, 0) are at right angles');
  t.true(near(loss('linear-map'), loss('before-projection')), 'the identity');
  t.true(near(loss('linear-map', attended(d), attended(other), tf.tensor2d([[2, 0], [0, 2]])), (0 + Math.sqrt(17)) / 2));
  const maps = (rows: number[][][]): Tensor => tf.tensor([[rows]]); // [L, B, N, Q, S]
  t.true(near(loss('attention-maps', attended(d, { weights: maps([[[1, 0], [1, 0]], [[0, 1], [1, 0]]]) }), attended(other, { weights: maps([[[1, 0], [0, 1]], [[1, 0], [0, 1]]]) })), (Math.sqrt(0.5) + Math.SQRT2) / 2), 'the mean over heads: (1/2, 1/2) and (1, 0) against (1, 0) and (0, 1)');
});

const matchingOf = (): QueryMatching => {
  const f = readDistillationFixture();
  const of = (boxes: Tensor): { boxes: Tensor; logits: Tensor } => ({ boxes: tf.expandDims(boxes, 0), logits: tf.zeros([1, 1, 1, 1]) });
  return matchQueries(of(tensorOf(f.studentBoxes)), of(tensorOf(f.teacherBoxes)), fixtureTargets(), PAPER_DISTILLATION);
};

for (const name of Object.keys(readDistillationFixture().losses)) {
  const [feature, layers] = name.split(' ') as [DistillationSettings['feature'], DistillationSettings['layers']];
  test.serial(`${name}: loss and gradients are PyTorch's, eagerly and compiled`, async (t) => {
    await useBackend('wasm');
    const f = readDistillationFixture(), wanted = f.losses[name];
    const theirs = feature === 'linear-map' ? f.otherTeacher : f.teacher;
    const step = (x: Record<string, Tensor>): Record<string, Tensor> => {
      const loss = (d: Tensor, map: Tensor, weights: Tensor): Tensor => {
        const everything = [d, map, weights].map((v) => tf.mul(tf.sum(v), 0)); // tfjs refuses to differentiate by what plays no part
        return tf.addN([coAttentionLoss(attended(d, { weights }), attended(x.theirs, { weights: x.teacherWeights }), { kept: x.kept, partner: x.partner }, { feature, layers }, { [MAP_PARAMETER]: map }), ...everything]);
      };
      const { value, grads: [dStudent, dMap, dWeights] } = tf.valueAndGrads(loss)([x.ours, x.map, x.weights]);
      return { value, dStudent, dMap, dWeights };
    };
    const { kept, partner } = matchingOf();
    const inputs: Arrays = {
      ...Object.fromEntries(Object.entries({ ours: f.student, theirs, map: f.map, weights: f.studentWeights, teacherWeights: f.teacherWeights }).map(([k, v]) => [k, { shape: v.shape, dtype: 'float32' as const, data: Float32Array.from(v.data) }])),
      kept: { shape: kept.shape, dtype: 'float32', data: kept.dataSync() as Float32Array }, partner: { shape: partner.shape, dtype: 'float32', data: partner.dataSync() as Float32Array },
    };
    const found = eagerly(step, inputs);
    t.true(near(found.value[0], wanted.value), `${found.value[0]}, not ${wanted.value}`);
    for (const [gradient, shape] of [['dStudent', f.student.shape], ['dMap', f.map.shape], ['dWeights', f.studentWeights.shape]] as const) {
      const given = wanted[gradient] ?? { shape, data: new Array<number>(found[gradient].length).fill(0) };
      t.true(worstDifference(tf.tensor(found[gradient], shape), given) < 1e-5, gradient);
    }
    t.is(difference((await compiled(step, inputs)).results, found), undefined);
  });
}

test.serial('no pair is kept: the loss is 0 and so is its gradient; equal features give the root of 1e-12', async (t) => {
  await useBackend('cpu');
  const { value, grad } = tf.valueAndGrad((d: Tensor) => distributionRectificationLoss([d], [teacher()], crossed([0, 0])))(student());
  t.is(number(value), 0);
  t.true(grad.dataSync().every((v) => v === 0));
  const equal = tf.valueAndGrad((d: Tensor) => distributionRectificationLoss([d], [tf.reverse(d, 1)], crossed()))(student());
  t.true(Math.abs(number(equal.value) - 1e-6) < 1e-9);
  t.true(equal.grad.dataSync().every((v) => v === 0));
});

for (const feature of FEATURES) {
  test.serial(`${feature}: the gradient is what finite differences say`, async (t) => {
    await useBackend('cpu');
    const f = readDistillationFixture(), matching = matchingOf();
    const map = tensorOf(f.map), theirs = attended(tensorOf(feature === 'linear-map' ? f.otherTeacher : f.teacher), { weights: tensorOf(f.teacherWeights) });
    const leaf = feature === 'attention-maps' ? f.studentWeights : f.student;
    const loss = (x: Tensor): Tensor => coAttentionLoss(feature === 'attention-maps' ? attended(tensorOf(f.student), { weights: x }) : attended(x), theirs, matching, { feature, layers: 'all' }, { [MAP_PARAMETER]: map });
    const gradient = tf.grad(loss)(tensorOf(leaf)).dataSync();
    const step = 1e-2, stream = new RandomStream(3);
    for (let trial = 0; trial < 12; trial++) {
      const i = stream.integer(leaf.data.length);
      const moved = (by: number): number => number(loss(tensorOf({ shape: leaf.shape, data: leaf.data.map((v, k) => (k === i ? v + by : v)) })));
      t.true(Math.abs((moved(step) - moved(-step)) / (2 * step) - gradient[i]) < 5e-4, `${i}`);
    }
  });
}

test.serial('the linear map starts as the identity where it is square, else at random within Xavier\'s bound; other features have no parameters', async (t) => {
  await useBackend('cpu');
  const of = (rows: number, columns: number): Float32Array => distillationParameters({ feature: 'linear-map' }, { modelWidth: rows }, { modelWidth: columns }, new RandomStream(1))[MAP_PARAMETER].data;
  t.deepEqual(Array.from(of(3, 3)), [1, 0, 0, 0, 1, 0, 0, 0, 1]);
  const wide = of(2, 4);
  t.true(wide.length === 8 && wide.every((v) => Math.abs(v) <= 1) && new Set(wide).size === 8);
  t.deepEqual(distillationParameters(PAPER_DISTILLATION, { modelWidth: 3 }, { modelWidth: 4 }, new RandomStream(1)), {});
});

test.serial('layers or widths that differ are refused', async (t) => {
  await useBackend('cpu');
  t.throws(() => distributionRectificationLoss([student(), student()], [teacher()], crossed()), { message: /has 2 layers to distil and the teacher 1/ });
  t.throws(() => distributionRectificationLoss([student()], [tf.zeros([1, 2, 3])], crossed()), { message: /have 2 channels and the teacher's 3/ });
});
