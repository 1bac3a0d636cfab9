import test from 'ava';
import fc from 'fast-check';
import { cxcywhToXyxy } from '../../src/detection/boxes.js';
import { generalizedIoU } from '../../src/detection/giou.js';
import type { Targets } from '../../src/detection/matcher.js';
import { foregroundQueryMatching, highestOverlap, matchingScore, selectForeground, teacherPartner } from '../../src/distillation/foreground-query-matching.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { tensorOf } from '../models/fixture.js';
import { compiled, difference, eagerly, type Arrays } from '../tensor/compiled.js';
import { fixtureTargets, partnersOf, readDistillationFixture } from './fixture.js';

const literal = (tau: number): { tau: number; tauZero: 'literal' } => ({ tau, tauZero: 'literal' });
const box = (cx: number, width: number): number[] => [cx, 0.5, width, 0.2];
const numbers = (x: Tensor): number[] => Array.from(x.dataSync());
const truth = (...boxes: number[][]): Targets => ({ labels: tf.fill([1, boxes.length], 0, 'int32'), boxes: tf.tensor3d([boxes]) });

/*
 * One object, [0.4, 0.6] x [0.4, 0.6], and three queries of its height: the object itself stretched to twice its width (GIoU = IoU = 1/2, the
 * enclosing box being the query), shifted by half its width (IoU = 1/3, nothing enclosed besides), and beside it by its own width (IoU 0, the enclosing
 * box 0.6 wide, 1/3 of it empty: GIoU -1/3).
 */
const queries = [box(0.5, 0.4), box(0.6, 0.2), box(0.9, 0.2)];
const student = (): Tensor => tf.tensor3d([queries]);

test.serial('by hand: G_i is the largest GIoU, and a query is kept above tau times that', async (t) => {
  await useBackend('cpu');
  const targets = truth(box(0.5, 0.2));
  const giou = generalizedIoU(cxcywhToXyxy(targets.boxes), cxcywhToXyxy(student()));
  numbers(giou).forEach((v, j) => t.true(Math.abs(v - [1 / 2, 1 / 3, -1 / 3][j]) < 1e-6));
  t.true(Math.abs(numbers(highestOverlap(giou))[0] - 1 / 2) < 1e-6);
  const kept = (tau: number): number[] => numbers(selectForeground(student(), targets, literal(tau)));
  t.deepEqual(kept(0.6), [1, 1, 0]); // 0.6 / 2 < 1/3
  t.deepEqual(kept(0.7), [1, 0, 0]); // 0.7 / 2 > 1/3
  t.deepEqual(kept(1), [0, 0, 0], 'tau = 1: the inequality is strict');
  t.deepEqual(kept(0), [1, 1, 0], 'tau = 0 by the letter: GIoU above 0');
  t.deepEqual(numbers(selectForeground(student(), targets, { tau: 0, tauZero: 'full-imitation' })), [1, 1, 1]);
  t.deepEqual(numbers(selectForeground(student(), targets, { tau: 0.7, tauZero: 'full-imitation' })), [1, 0, 0], 'tauZero matters at 0 alone');
});

test.serial('by hand: one object is enough; an object that no query overlaps keeps none', async (t) => {
  await useBackend('cpu');
  const second = truth(box(0.5, 0.2), box(0.9, 0.2));
  t.deepEqual(numbers(selectForeground(student(), second, literal(0.7))), [1, 0, 1], 'each object keeps its own');
  for (const tau of [0, 0.6, 1]) t.deepEqual(numbers(selectForeground(student(), truth(box(0.1, 0.1)), literal(tau))), [0, 0, 0], 'beside all of them: G < 0');
});

test.serial('by hand: the partner has the highest 2 GIoU - 5 L1; several queries may have the same', async (t) => {
  await useBackend('cpu');
  const teacher = tf.tensor3d([[box(0.5, 0.2), box(0.9, 0.2)]]);
  // Query 0, 0.2 wider than partner 0: 2 / 2 - 5 * 0.2; query 1, 0.1 beside it: 2 / 3 - 5 * 0.1; query 2 is partner 1.
  const score = numbers(matchingScore(student(), teacher));
  [[0, 0], [2, 2 / 3 - 0.5], [4, -2 / 3 - 2], [5, 2]].forEach(([at, wanted]) => t.true(Math.abs(score[at] - wanted) < 1e-5, `${score[at]}`));
  t.deepEqual(numbers(teacherPartner(student(), teacher)), [1, 0, 1, 0, 0, 1]);
});

test.serial('kept queries and partners are those of the equations transcribed in PyTorch, eagerly and compiled', async (t) => {
  await useBackend('wasm');
  const f = readDistillationFixture();
  const ours = tensorOf(f.studentBoxes), theirs = tensorOf(f.teacherBoxes);
  const { kept, partner } = foregroundQueryMatching(ours, theirs, fixtureTargets(), literal(f.tau));
  t.deepEqual(await kept.array(), f.kept);
  t.deepEqual(partnersOf({ kept, partner }), f.partners.literal);

  const inputs: Arrays = {
    ours: { ...f.studentBoxes, dtype: 'float32', data: Float32Array.from(f.studentBoxes.data) }, theirs: { ...f.teacherBoxes, dtype: 'float32', data: Float32Array.from(f.teacherBoxes.data) },
    labels: { shape: [3, 4], dtype: 'int32', data: Int32Array.from(f.labels.flat()) }, boxes: { ...f.truth, dtype: 'float32', data: Float32Array.from(f.truth.data) },
  };
  const step = (x: Record<string, Tensor>): Record<string, Tensor> => ({ ...foregroundQueryMatching(x.ours, x.theirs, { labels: x.labels, boxes: x.boxes }, literal(f.tau)) });
  t.is(difference((await compiled(step, inputs)).results, eagerly(step, inputs)), undefined);
});

const share = fc.integer({ min: 5, max: 95 }).map((v) => v / 100);
const someBox = fc.tuple(share, share, share, share).map((b) => [...b]);
const boxes = (least: number, most: number): fc.Arbitrary<number[][]> => fc.array(someBox, { minLength: least, maxLength: most });

test.serial('a higher tau keeps fewer queries, tau = 1 none; an object more never drops a query', async (t) => {
  await useBackend('cpu');
  t.notThrows(() => fc.assert(fc.property(boxes(1, 6), boxes(2, 4), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (ours, objects, a, b) => tf.tidy(() => {
    const kept = (tau: number, of = objects): number[] => numbers(selectForeground(tf.tensor3d([ours]), truth(...of), literal(tau)));
    const some = kept(Math.min(a, b)), fewer = kept(Math.max(a, b)), without = kept(a, objects.slice(1)), all = kept(a);
    return fewer.every((k, j) => k <= some[j]) && without.every((k, j) => k <= all[j]) && kept(1).every((k) => k === 0);
  })), { numRuns: 60 }));
});

test.serial('a partner stays the same teacher query when the teacher\'s queries change places, and so does what is kept when objects do', async (t) => {
  await useBackend('cpu');
  const shuffled = fc.tuple(boxes(2, 6), fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true }))).map(([all, keys]) => ({ all, order: all.map((_, i) => ({ i, key: keys.next().value as number })).sort((a, b) => a.key - b.key).map(({ i }) => i) }));
  t.notThrows(() => fc.assert(fc.property(boxes(1, 5), shuffled, (ours, { all, order }) => tf.tidy(() => {
    const distinct = new Set(all.map(String)).size === all.length;
    fc.pre(distinct);
    const moved = order.map((i) => all[i]), mine = tf.tensor3d([ours]);
    const best = (teacher: number[][]): string[] => (teacherPartner(mine, tf.tensor3d([teacher])).arraySync() as number[][][])[0].map((row) => teacher[row.indexOf(1)].join());
    const scores = (matchingScore(mine, tf.tensor3d([all])).arraySync() as number[][][])[0].map((row) => [...row].sort((a, b) => b - a));
    fc.pre(scores.every((row) => row[0] - row[1] > 1e-5));
    const kept = (objects: number[][]): string => numbers(selectForeground(mine, truth(...objects), literal(0.6))).join();
    return best(all).join() === best(moved).join() && kept(all) === kept(moved);
  })), { numRuns: 60 }));
});

test.serial('padding has no effect, wherever it lies; an image without objects keeps no query', async (t) => {
  await useBackend('cpu');
  const padded = (labels: number[], of: number[][]): Targets => ({ labels: tf.tensor2d([labels], undefined, 'int32'), boxes: tf.tensor3d([of]) });
  t.notThrows(() => fc.assert(fc.property(boxes(1, 6), boxes(1, 3), someBox, (ours, objects, junk) => tf.tidy(() => {
    const kept = (targets: Targets): string => numbers(selectForeground(tf.tensor3d([ours]), targets, literal(0.5))).join();
    return kept(truth(...objects)) === kept(padded([-1, ...objects.map(() => 7), -1], [ours[0], ...objects, junk]));
  })), { numRuns: 40 }));
  t.deepEqual(numbers(selectForeground(student(), padded([-1, -1], [queries[0], queries[1]]), literal(0))), [0, 0, 0]);
});

test.serial('nothing of the matching has a gradient', async (t) => {
  await useBackend('wasm');
  const f = readDistillationFixture();
  const total = (s: Tensor, u: Tensor): Tensor => {
    const { kept, partner } = foregroundQueryMatching(s, u, fixtureTargets(), literal(f.tau));
    return tf.add(tf.sum(tf.mul(kept, tf.sum(s, -1))), tf.sum(tf.mul(tf.sum(partner, -1), tf.sum(s, -1))));
  };
  const [dStudent, dTeacher] = tf.grads(total)([tensorOf(f.studentBoxes), tensorOf(f.teacherBoxes)]);
  const wanted = f.kept.flat().flatMap((k) => [k + 1, k + 1, k + 1, k + 1]); // of the boxes that were multiplied with it, no more
  t.deepEqual(numbers(dStudent), wanted);
  t.true(numbers(dTeacher).every((v) => v === 0));
});
