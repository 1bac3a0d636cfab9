import test from 'ava';
import fc from 'fast-check';
import type { Targets } from '../../src/detection/matcher.js';
import { matchingScore } from '../../src/distillation/foreground-query-matching.js';
import { matchQueries, type Predictions } from '../../src/distillation/query-matching.js';
import { MATCHINGS, PAPER_DISTILLATION, type DistillationSettings, type Matching } from '../../src/distillation/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { tensorOf } from '../models/fixture.js';
import { compiled, difference, eagerly, type Arrays } from '../tensor/compiled.js';
import { fixtureTargets, partnersOf, readDistillationFixture } from './fixture.js';

const predicted = (boxes: number[][], logits?: number[][]): Predictions => ({ boxes: tf.tensor([[boxes]]), logits: logits ? tf.tensor([[logits]]) : tf.zeros([1, 1, boxes.length, 3]) });
const truth = (...boxes: number[][]): Targets => ({ labels: tf.fill([1, boxes.length], 0, 'int32'), boxes: tf.tensor3d([boxes]) });
const at = (cx: number, width = 0.2): number[] => [cx, 0.5, width, 0.2];
const settings = (matching: Matching, changes: Partial<DistillationSettings> = {}): DistillationSettings => ({ ...PAPER_DISTILLATION, matching, ...changes });

/*
 * Two queries on one object at 0.3 (shifted by 0.02 and 0.04), one far away on the second object at 0.8. Three teacher queries: on the first object
 * (shifted by 0.03 the other way and by 0.08), and one on the second.
 */
const ours = [at(0.32), at(0.34), at(0.8)], theirs = [at(0.27), at(0.8), at(0.38)];
const objects = [at(0.3), at(0.8)];

test.serial('by hand: each matching of three queries', async (t) => {
  await useBackend('cpu');
  const partners = (matching: Matching, changes: Partial<DistillationSettings> = {}): number[] => partnersOf(matchQueries(predicted(ours), predicted(theirs), truth(...objects), settings(matching, changes)))[0];
  // Distances along the image: query 0 is 0.05 from teacher 0 and 0.06 from teacher 2, query 1 0.07 and 0.04.
  t.deepEqual(partners('literal'), [0, 2, 1]);
  t.deepEqual(partners('same-slot'), [0, 1, 2]);
  t.deepEqual(partners('one-to-one'), [0, 2, 1]);
  t.deepEqual(partners('mutual'), [0, 2, 1]);
  t.deepEqual(partners('hungarian'), [0, -1, 1], 'object 0 has query 0 and teacher query 0');
  t.deepEqual(partners('literal', { tau: 0.99 }), [0, -1, 1], 'query 1 overlaps the first object less than query 0');
  t.deepEqual(partners('literal', { tau: 1, selection: 'all' }), [0, 2, 1]);
});

test.serial('by hand: two queries want the same teacher query', async (t) => {
  await useBackend('cpu');
  const near = [at(0.31), at(0.3), at(0.8)], teacher = [at(0.3), at(0.45), at(0.8)];
  const partners = (matching: Matching, changes: Partial<DistillationSettings> = {}): number[] => partnersOf(matchQueries(predicted(near), predicted(teacher), truth(...objects), settings(matching, changes)))[0];
  t.deepEqual(partners('literal'), [0, 0, 2]);
  t.deepEqual(partners('one-to-one'), [1, 0, 2], 'query 1 is nearer, query 0 takes what is left');
  t.deepEqual(partners('mutual'), [-1, 0, 2], 'teacher query 0 would choose query 1');
  const fewer = partnersOf(matchQueries(predicted(near), predicted(teacher.slice(0, 2)), truth(...objects), settings('one-to-one')))[0];
  t.deepEqual(fewer, [1, 0, -1], 'two teacher queries, so the furthest of three learns nothing');
});

test.serial('one-to-one: a query that is not kept takes no partner from one that is', async (t) => {
  await useBackend('cpu');
  const far = predicted([at(0.05, 0.1), at(0.62)]), teacher = predicted([at(0.05, 0.1)]); // query 0 is where the teacher's query is, but on no object
  t.deepEqual(partnersOf(matchQueries(far, teacher, truth(at(0.6)), settings('one-to-one'))), [[-1, 0]]);
});

for (const matching of ['literal', 'mutual', 'one-to-one', 'hungarian'] as const) {
  test.serial(`${matching}: pairs are those of loops over queries with scipy's assignment, eagerly and compiled`, async (t) => {
    await useBackend('wasm');
    const f = readDistillationFixture();
    const layers = (x: Tensor): Tensor => tf.stack([tf.zerosLike(x), x]); // only the last layer is to count
    const of = (boxes: Tensor, logits: Tensor): Predictions => ({ boxes: layers(boxes), logits: layers(logits) });
    const both = (x: Record<string, Tensor>, targets: Targets): Record<string, Tensor> => ({ ...matchQueries(of(x.ours, x.ourLogits), of(x.theirs, x.theirLogits), targets, settings(matching, { tau: f.tau })) });
    const arrays = Object.fromEntries(([['ours', f.studentBoxes], ['theirs', f.teacherBoxes], ['ourLogits', f.studentLogits], ['theirLogits', f.teacherLogits]] as const).map(([name, v]) => [name, { shape: v.shape, dtype: 'float32' as const, data: Float32Array.from(v.data) }]));
    const found = both({ ours: tensorOf(f.studentBoxes), theirs: tensorOf(f.teacherBoxes), ourLogits: tensorOf(f.studentLogits), theirLogits: tensorOf(f.teacherLogits) }, fixtureTargets());
    t.deepEqual(partnersOf({ kept: found.kept, partner: found.partner }), f.partners[matching]);

    const inputs: Arrays = { ...arrays, labels: { shape: [3, 4], dtype: 'int32', data: Int32Array.from(f.labels.flat()) }, truth: { ...f.truth, dtype: 'float32', data: Float32Array.from(f.truth.data) } };
    const step = (x: Record<string, Tensor>): Record<string, Tensor> => both(x, { labels: x.labels, boxes: x.truth });
    t.is(difference((await compiled(step, inputs)).results, eagerly(step, inputs)), undefined);
  });
}

const share = fc.integer({ min: 5, max: 95 }).map((v) => v / 100);
const boxes = (least: number, most: number): fc.Arbitrary<number[][]> => fc.array(fc.tuple(share, share, share, share).map((b) => [...b]), { minLength: least, maxLength: most });

test.serial('one-to-one uses a teacher query once, and always the best pair that is left; mutual is a part of literal and of one-to-one', async (t) => {
  await useBackend('cpu');
  t.notThrows(() => fc.assert(fc.property(boxes(1, 5), boxes(1, 5), (mine, others) => tf.tidy(() => {
    const score = (matchingScore(tf.tensor3d([mine]), tf.tensor3d([others])).arraySync() as number[][][])[0];
    const flat = score.flat().sort((a, b) => a - b);
    fc.pre(flat.every((v, i) => i === 0 || v - flat[i - 1] > 1e-4));
    const partners = (matching: Matching): number[] => partnersOf(matchQueries(predicted(mine), predicted(others), truth(at(0.5)), settings(matching, { selection: 'all' })))[0];
    const greedy = new Array<number>(mine.length).fill(-1), taken = new Set<number>();
    const pairs = score.flatMap((row, j) => row.map((v, k) => ({ v, j, k }))).sort((a, b) => b.v - a.v);
    for (const { j, k } of pairs) if (greedy[j] < 0 && !taken.has(k)) taken.add(greedy[j] = k);
    const mutual = partners('mutual'), literal = partners('literal');
    return partners('one-to-one').join() === greedy.join() && mutual.every((k, j) => k < 0 || (k === literal[j] && k === greedy[j]));
  })), { numRuns: 60 }));
});

test.serial('a model that is its own teacher: mutual and one-to-one give each query itself, where boxes differ', async (t) => {
  await useBackend('cpu');
  const identity = [[0, 1, 2]];
  for (const matching of MATCHINGS.filter((m) => m !== 'hungarian')) t.deepEqual(partnersOf(matchQueries(predicted(ours), predicted(ours), truth(...objects), settings(matching, { selection: 'all' }))), identity, matching);
  t.deepEqual(partnersOf(matchQueries(predicted(ours), predicted(ours), truth(...objects), settings('hungarian'))), [[0, -1, 2]]);
});

test.serial('hungarian: logits decide with the boxes; another family brings its own matching', async (t) => {
  await useBackend('cpu');
  const sure = predicted([at(0.3), at(0.3), at(0.8)], [[0, 0, 5], [5, 0, 0], [5, 0, 0]]), teacher = predicted(theirs);
  t.deepEqual(partnersOf(matchQueries(sure, teacher, truth(...objects), settings('hungarian')))[0], [-1, 0, 1]);
  const asGiven = (logits: Tensor): Tensor => tf.tensor3d([logits === sure.logits ? [[1, 0, 0], [0, 1, 0]] : [[0, 1, 0], [1, 0, 0]]]);
  t.deepEqual(partnersOf(matchQueries(sure, teacher, truth(...objects), settings('hungarian'), asGiven))[0], [1, 0, -1]);
});

test.serial('same-slot with another number of queries is refused', async (t) => {
  await useBackend('cpu');
  t.throws(() => matchQueries(predicted(ours), predicted(theirs.slice(1)), truth(...objects), settings('same-slot')), { message: 'same-slot matching needs as many queries in the teacher (2) as in the student (3)' });
});
