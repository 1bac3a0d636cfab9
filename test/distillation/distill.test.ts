import test from 'ava';
import fc from 'fast-check';
import { detectionMatcher } from '../../src/detection/detection-loss.js';
import type { Targets } from '../../src/detection/matcher.js';
import { distillationLoss } from '../../src/distillation/distill.js';
import { FEATURES, MATCHINGS, PAPER_DISTILLATION, type DistillationSettings } from '../../src/distillation/settings.js';
import { detector } from '../../src/models/detector.js';
import { alignmentParameters, PAPER_ALIGNMENT } from '../../src/models/distribution-alignment.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { FAMILIES, modelOf } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep, type NamedTensors } from '../../src/tensor/compile-step.js';
import { toTensors } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { tensorOf } from '../models/fixture.js';
import { fixtureTargets, outputOf, readDistillationFixture } from './fixture.js';

const number = (x: Tensor): number => x.dataSync()[0];
const at = (cx: number): number[] => [cx, 0.5, 0.2, 0.2];
const paper: DistillationSettings = PAPER_DISTILLATION;

/** The last layer is the fixture's; boxes of the layer before are nowhere. */
const twoLayers = (boxes: Tensor): Tensor => tf.stack([tf.zerosLike(boxes), boxes]);

test.serial('by hand: lambda times the mean distance of what is kept', async (t) => {
  await useBackend('cpu');
  // Two of three queries lie on the object; both go to teacher query 1, at a distance of 5 and of 1.
  const student = outputOf(tf.tensor([[[at(0.5), at(0.9), at(0.52)]]]), tf.tensor([[[[3, 4], [9, 9], [0, 1]]]]));
  const teacher = outputOf(tf.tensor([[[at(0.1), at(0.5)]]]), tf.tensor([[[[7, 7], [0, 0]]]]));
  const targets: Targets = { labels: tf.tensor2d([[2, -1]], undefined, 'int32'), boxes: tf.tensor3d([[at(0.5), at(0.9)]]) };
  const { loss, distance, keptShare, pairs } = distillationLoss(student, teacher, targets, paper, {});
  t.true(Math.abs(number(distance) - 3) < 1e-5);
  t.true(Math.abs(number(loss) - 2.5 * 3) < 1e-5);
  t.true(Math.abs(number(keptShare) - 2 / 3) < 1e-6);
  t.is(number(pairs), 2);
  t.true(Math.abs(number(distillationLoss(student, teacher, targets, { ...paper, lambda: 2 }, {}, { factor: tf.scalar(0.25) }).loss) - 1.5) < 1e-5);
  t.is(number(distillationLoss(student, teacher, targets, { ...paper, tau: 1 }, {}).loss), 0);
});

test.serial('identical student and teacher: each query is its own partner and nothing is to be learned', async (t) => {
  await useBackend('cpu');
  const share = fc.integer({ min: 5, max: 95 }).map((v) => v / 100);
  const query = fc.tuple(share, share, share, share).map((b) => [...b]);
  t.notThrows(() => fc.assert(fc.property(fc.array(query, { minLength: 1, maxLength: 5 }), query, fc.integer({ min: 0, max: 99 }), (boxes, object, seed) => tf.tidy(() => {
    const model = outputOf(tf.tensor([[boxes]]), tf.randomNormal([1, 1, boxes.length, 4], 0, 3, 'float32', seed));
    const targets: Targets = { labels: tf.tensor2d([[1]], undefined, 'int32'), boxes: tf.tensor3d([[object]]) };
    return MATCHINGS.filter((m) => m === 'same-slot' || m === 'hungarian').every((matching) => number(distillationLoss(model, model, targets, { ...paper, matching }, {}).distance) <= 1.001e-6);
  })), { numRuns: 40 }));
});

for (const matching of MATCHINGS) {
  test.serial(`${matching}: gradients go into the student's features and nowhere else`, async (t) => {
    await useBackend('wasm');
    const f = readDistillationFixture(), targets = fixtureTargets();
    const ours = twoLayers(tensorOf(f.studentBoxes)), theirs = matching === 'same-slot' ? tf.mul(ours, 0.9) : twoLayers(tensorOf(f.teacherBoxes));
    const logits = twoLayers(tensorOf(f.studentLogits)), teacherLogits = matching === 'same-slot' ? logits : twoLayers(tensorOf(f.teacherLogits));
    const features = matching === 'same-slot' ? tf.mul(tensorOf(f.student), 2) : tensorOf(f.teacher);
    const loss = (d: Tensor, boxes: Tensor, scores: Tensor, teacherD: Tensor, teacherBoxes: Tensor, teacherScores: Tensor): Tensor => {
      const everything = [boxes, scores, teacherD, teacherBoxes, teacherScores].map((x) => tf.mul(tf.sum(x), 0)); // tfjs refuses to differentiate by what plays no part
      return tf.addN([distillationLoss(outputOf(boxes, d, scores), outputOf(teacherBoxes, teacherD, teacherScores), targets, { ...paper, matching }, {}).loss, ...everything]);
    };
    const [dFeatures, ...others] = tf.grads(loss)([tensorOf(f.student), ours, logits, features, theirs, teacherLogits]);
    t.true(Array.from(dFeatures.dataSync()).some((v) => v !== 0));
    others.forEach((g, i) => t.true(Array.from(g.dataSync()).every((v) => v === 0), String(i)));
  });
}

test.serial('a model that teaches itself with its own parameters: no gradient comes through the teacher\'s half', async (t) => {
  await useBackend('wasm');
  const d = tf.tensor([[[[1, 2], [3, 5]]]]), boxes = tf.tensor([[[at(0.3), at(0.7)]]]);
  const targets: Targets = { labels: tf.tensor2d([[0, 0]], undefined, 'int32'), boxes: tf.tensor3d([[at(0.3), at(0.7)]]) };
  const loss = (x: Tensor): Tensor => distillationLoss(outputOf(boxes, tf.mul(x, 3)), outputOf(boxes, x), targets, { ...paper, lambda: 1, matching: 'same-slot' }, {}).loss;
  const found = tf.grad(loss)(d).dataSync(); // of |3 x - c| at c = x: 3 x / |x| for each query, and half of that in the mean
  [1 / Math.sqrt(5), 2 / Math.sqrt(5), 3 / Math.sqrt(34), 5 / Math.sqrt(34)].forEach((v, i) => t.true(Math.abs(found[i] - 1.5 * v) < 1e-5));
});

for (const family of FAMILIES) test.serial(`${family} at the smoke scale, its queries aligned, with a teacher: a compiled step gives the eager step's loss and gradients, for each feature and matching`, async (t) => {
  await useBackend('wasm');
  const model = modelOf('smoke', family), weights = { ...initialDetectorParameters(model, new RandomStream(1)), ...(await alignmentParameters(PAPER_ALIGNMENT, model)) }, taught = initialDetectorParameters(model, new RandomStream(2));
  const by = ['transformer.decoder.layers.1.multihead_attn.in_proj_weight', 'transformer.decoder.layers.0.multihead_attn.q_alignment.gamma', 'bbox_embed.layers.2.bias'];
  const stream = new RandomStream(3), data = Float32Array.from({ length: 2 * 64 * 64 * 3 }, () => stream.normal());
  const boxes = Float32Array.from([0.5, 0.5, 0.4, 0.4, 0.2, 0.3, 0.2, 0.2, 0.6, 0.6, 0.3, 0.3, 9, 9, 9, 9]), labels = Int32Array.of(3, 7, 1, -1);
  const cases = MATCHINGS.map((matching, i) => ({ ...paper, matching, feature: FEATURES[i], layers: i % 2 ? 'last' as const : 'all' as const, tau: 0.3 }));
  const step = (state: NamedTensors, x: NamedTensors): { outputs: NamedTensors } => {
    const teacher = detector(toTensors(taught), x.images, model);
    const losses = (...some: Tensor[]): Tensor => {
      const parameters = { ...state, ...Object.fromEntries(by.map((n, i) => [n, some[i]])) }, student = detector(parameters, x.images, model);
      return tf.stack(cases.map((settings) => distillationLoss(student, teacher, { labels: x.labels, boxes: x.boxes }, settings, { ...parameters, 'distillation.map.weight': tf.eye(model.modelWidth) }, { matcher: detectionMatcher(family) }).loss));
    };
    const values = by.map((n) => state[n]);
    const gradients = tf.grads((...some: Tensor[]) => tf.sum(tf.mul(losses(...some), [1, 0.5, 0.4, 2, 30])))(values);
    return { outputs: { losses: losses(...values), ...Object.fromEntries(by.map((n, i) => [n, gradients[i]])) } };
  };
  const wanted = tf.tidy(() => {
    const { outputs } = step(toTensors(weights), { images: tf.tensor4d(data, [2, 64, 64, 3]), boxes: tf.tensor3d(boxes, [2, 2, 4]), labels: tf.tensor2d(labels, [2, 2], 'int32') });
    return Object.fromEntries(Object.entries(outputs).map(([name, v]) => [name, v.dataSync()]));
  });
  const compiled = await compileStep(step, { state: weights, inputs: { images: { shape: [2, 64, 64, 3], dtype: 'float32' }, boxes: { shape: [2, 2, 4], dtype: 'float32' }, labels: { shape: [2, 2], dtype: 'int32' } } });
  const found = await compiled.run({ images: data, boxes, labels });
  for (const [name, values] of Object.entries(wanted)) {
    const bound = 2e-5 * Math.max(1, ...Array.from(values, Math.abs));
    t.true(values.every((v, i) => Math.abs(v - found[name][i]) <= bound), name);
  }
  t.true(wanted.losses.every((v) => v > 0.01), `${wanted.losses.join()}`);
  t.true(wanted[by[0]].some((v) => v !== 0) && wanted[by[1]].some((v) => v !== 0));
  t.true(wanted[by[2]].every((v) => v === 0), 'boxes learn nothing from it');
  await compiled.dispose();
});
