import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { linearSumAssignment } from '../../src/detection/hungarian.js';
import { useBackend } from '../../src/tensor/backend.js';
import { linearAssignment } from '../../src/tensor/linear-assignment.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { compiled } from './compiled.js';

/** One problem: cost [Q][G] and which of the G boxes are real -> query of each box, -1 for padding. */
function assign(cost: number[][], valid: boolean[]): number[] {
  return tf.tidy(() => {
    const rows = linearAssignment(tf.tensor3d([cost]), tf.tensor2d([valid.map(Number)])).arraySync() as number[][][];
    return rows[0].map((row) => {
      if (row.some((v) => v !== 0 && v !== 1) || row.filter((v) => v === 1).length > 1) throw new Error(`no one-hot row: ${row.join()}`);
      return row.indexOf(1);
    });
  });
}

/** The lowest total by trying every way. */
function lowestTotal(cost: number[][], valid: boolean[], box = 0, used = new Set<number>()): number {
  if (box === valid.length) return 0;
  if (!valid[box]) return lowestTotal(cost, valid, box + 1, used);
  return Math.min(...cost.map((row, query) => (used.has(query) ? Infinity : row[box] + lowestTotal(cost, valid, box + 1, new Set([...used, query])))));
}

const totalOf = (cost: number[][], queries: number[]): number => queries.reduce((sum, query, box) => (query < 0 ? sum : sum + cost[query][box]), 0);

test.serial('by hand: the second box takes the first one\'s favourite, which moves on', async (t) => {
  await useBackend('cpu');
  t.deepEqual(assign([[1, 1], [2, 9], [8, 9]], [true, true]), [1, 0]); // 2 + 1, not 1 + 9
  t.deepEqual(assign([[1, 1], [2, 9], [8, 9]], [true, false]), [0, -1]);
  t.deepEqual(assign([[1, 1], [2, 9], [8, 9]], [false, false]), [-1, -1]);
});

test.serial('the total is the lowest of all assignments, ties and padding included', async (t) => {
  await useBackend('cpu');
  const problem = fc.integer({ min: 1, max: 4 }).chain((boxes) => fc.record({
    cost: fc.array(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: boxes, maxLength: boxes }), { minLength: boxes, maxLength: 6 }),
    valid: fc.array(fc.boolean(), { minLength: boxes, maxLength: boxes }),
  }));
  fc.assert(fc.property(problem, ({ cost, valid }) => {
    const queries = assign(cost, valid), taken = queries.filter((q) => q >= 0);
    return queries.every((q, i) => q >= 0 === valid[i]) && new Set(taken).size === taken.length && totalOf(cost, queries) === lowestTotal(cost, valid);
  }), { numRuns: 150 });
  t.pass();
});

test.serial('48 problems of 25 queries and 6 boxes at once, 8 boxes, and 30 boxes: the totals of the Hungarian algorithm', async (t) => {
  await useBackend('wasm');
  const random = new RandomStream(4);
  for (const [problems, queries, boxes, numRuns] of [[48, 25, 6, 10], [3, 8, 8, 2], [5, 9, 7, 4], [4, 60, 30, 2]]) {
    for (let run = 0; run < numRuns; run++) {
      const crowded = run % 2 === 0 ? 0.1 : 3; // boxes that want the same queries
      const common = Float32Array.from({ length: queries }, () => random.normal());
      const cost = Float32Array.from({ length: problems * queries * boxes }, (_, i) => common[Math.floor(i / boxes) % queries] + crowded * random.normal());
      const valid = Float32Array.from({ length: problems * boxes }, () => (random.uniform() < 0.7 ? 1 : 0));
      const got = linearAssignment(tf.tensor3d(cost, [problems, queries, boxes]), tf.tensor2d(valid, [problems, boxes])).dataSync();
      for (let p = 0; p < problems; p++) {
        const real = Array.from({ length: boxes }, (_, g) => g).filter((g) => valid[p * boxes + g] === 1);
        const at = (q: number, g: number): number => cost[(p * queries + q) * boxes + g];
        const columns = linearSumAssignment(real.flatMap((g) => Array.from({ length: queries }, (_, q) => at(q, g))), real.length, queries).columns;
        const wanted = real.reduce((sum, g, i) => sum + at(columns[i], g), 0);
        let total = 0;
        const perQuery = new Array<number>(queries).fill(0);
        for (let g = 0; g < boxes; g++) {
          for (let q = 0; q < queries; q++) {
            const hit = got[(p * boxes + g) * queries + q];
            total += hit * at(q, g);
            perQuery[q] += hit;
          }
        }
        t.is(perQuery.reduce((a, b) => a + b), real.length);
        t.true(Math.max(...perQuery) <= 1);
        t.true(Math.abs(total - wanted) < 1e-4, `problem ${p}: ${total} where ${wanted} is possible`);
      }
    }
  }
});

test.serial('rectangular problems of scipy, most with ties: its totals, eagerly and, above 8 boxes, compiled', async (t) => {
  await useBackend('wasm');
  const { problems } = JSON.parse(readFileSync('test/fixtures/linear-sum-assignment.json', 'utf8')) as { problems: [number, number, number, number, number, number[]][] };
  const sizes = new Map<string, { cost: number[]; optimum: number }[]>();
  for (const [rows, columns, seed, limit, optimum] of problems) {
    let state = seed;
    const matrix = Array.from({ length: rows }, () => Array.from({ length: columns }, () => {
      state = (Math.imul(1664525, state) + 1013904223) >>> 0;
      return (state >>> 8) % limit;
    }));
    const queries = Math.max(rows, columns), boxes = Math.min(rows, columns), key = `${queries} ${boxes}`;
    const cost = Array.from({ length: queries * boxes }, (_, i) => (rows >= columns ? matrix[Math.floor(i / boxes)][i % boxes] : matrix[i % boxes][Math.floor(i / boxes)]));
    sizes.set(key, [...(sizes.get(key) ?? []), { cost, optimum }]);
  }
  t.is([...sizes.values()].flat().length, 1000);
  for (const [key, all] of sizes) {
    const [queries, boxes] = key.split(' ').map(Number);
    const costs = Float32Array.from(all.flatMap(({ cost }) => cost)), problems = all.length;
    const results = [tf.tidy(() => linearAssignment(tf.tensor3d(costs, [problems, queries, boxes]), tf.ones([problems, boxes])).dataSync())];
    if (boxes > 8) {
      const inputs = { cost: { shape: [problems, queries, boxes], dtype: 'float32' as const, data: costs }, valid: { shape: [problems, boxes], dtype: 'float32' as const, data: new Float32Array(problems * boxes).fill(1) } };
      results.push((await compiled(({ cost, valid }) => ({ y: linearAssignment(cost, valid) }), inputs)).results.y as Float32Array);
    }
    for (const rows of results) {
      all.forEach(({ cost, optimum }, p) => {
        const found = Array.from({ length: boxes }, (_, box) => rows.subarray((p * boxes + box) * queries, (p * boxes + box + 1) * queries));
        t.true(found.every((row) => row.filter((v) => v === 1).length === 1 && row.filter((v) => v === 0).length === queries - 1) && new Set(found.map((row) => row.indexOf(1))).size === boxes);
        t.is(found.reduce((sum, row, box) => sum + cost[row.indexOf(1) * boxes + box], 0), optimum, key);
      });
    }
  }
});

test.serial('no boxes, or more than queries, are refused', (t) => {
  t.throws(() => linearAssignment(tf.zeros([1, 20, 0]), tf.zeros([1, 0])), { message: /at least 1 box/ });
  t.throws(() => linearAssignment(tf.zeros([1, 3, 4]), tf.zeros([1, 4])), { message: /at least 4/ });
});
