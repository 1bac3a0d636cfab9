import test from 'ava';
import fc from 'fast-check';
import { linearSumAssignment } from '../../src/detection/hungarian.js';
import { linearAssignment } from '../../src/tensor/linear-assignment.js';
import { shortestAugmentingPaths } from '../../src/tensor/shortest-augmenting-paths.js';
import { compiled } from './compiled.js';

/** cost [column][row] -> the column of each row; all rows are valid unless told. */
const assign = (cost: number[][], valid?: boolean[]): number[] => [...shortestAugmentingPaths(cost.flat(), (row) => valid?.[row] ?? true, cost.length, cost[0].length)];

test('by hand: two rows want the same column', (t) => {
  t.deepEqual(assign([[1, 2], [3, 9]]), [1, 0]); // 3 + 2, not 1 + 9
  t.deepEqual(assign([[1, 2], [3, 9]], [true, false]), [0, -1]);
  t.deepEqual(assign([[1, 2], [3, 9]], [false, false]), [-1, -1]);
});

test('by hand: the third row comes in through both others', (t) => {
  t.deepEqual(assign([[1, 1, 2], [2, 3, 9], [9, 2, 9]]), [1, 2, 0]); // 2 + 2 + 2; every other way costs 12 or more
});

test('of equally near columns a free one comes first, then the lowest', (t) => {
  t.deepEqual(assign(Array.from({ length: 9 }, () => [5, 5, 5, 5])), [0, 1, 2, 3]);
  t.deepEqual(assign([[3, 1], [1, 9], [1, 9], [2, 1]]), [1, 0]);
});

const problem = fc.tuple(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 0, max: 5 })).chain(([rows, more]) => fc.record({
  columns: fc.constant(rows + more), valid: fc.array(fc.boolean(), { minLength: rows, maxLength: rows }),
  cost: fc.oneof(fc.integer({ min: -2, max: 2 }), fc.constant(0)).chain((offset) => fc.array(fc.integer({ min: offset - 3, max: offset + 3 }), { minLength: rows * (rows + more), maxLength: rows * (rows + more) })),
}));

test('the total of the Hungarian algorithm, whatever the costs and the padding', (t) => {
  fc.assert(fc.property(problem, ({ columns, valid, cost }) => {
    const rows = valid.length, found = [...shortestAugmentingPaths(cost, (row) => valid[row], columns, rows)], real = valid.flatMap((v, row) => (v ? [row] : []));
    const best = linearSumAssignment(real.flatMap((row) => Array.from({ length: columns }, (_, k) => cost[k * rows + row])), real.length, columns).columns;
    const total = (of: (row: number, i: number) => number): number => real.reduce((sum, row, i) => sum + cost[of(row, i) * rows + row], 0);
    return found.every((column, row) => column >= 0 === valid[row]) && new Set(real.map((row) => found[row])).size === real.length && total((row) => found[row]) === total((_row, i) => best[i]);
  }), { numRuns: 500 });
  t.pass();
});

test('compiled, the same columns also among equal ones, and an end where costs are no numbers', async (t) => {
  const [problems, columns, rows] = [60, 14, 10];
  for (const draw of [(k: number) => (k * 7919) % 5, () => 1, (k: number) => ((k * 7919) % 101) - 50, () => NaN]) {
    const cost = Float32Array.from({ length: problems * columns * rows }, (_, k) => draw(k + Math.floor(k / 97))), valid = Float32Array.from({ length: problems * rows }, (_, k) => Number((k * 31) % 11 > 2));
    const inputs = { cost: { shape: [problems, columns, rows], dtype: 'float32' as const, data: cost }, valid: { shape: [problems, rows], dtype: 'float32' as const, data: valid } };
    const { y } = (await compiled((x) => ({ y: linearAssignment(x.cost, x.valid) }), inputs)).results;
    for (let p = 0; p < problems; p++) {
      const wanted = shortestAugmentingPaths(cost.subarray(p * columns * rows, (p + 1) * columns * rows), (row) => valid[p * rows + row] === 1, columns, rows);
      t.deepEqual(Array.from(wanted, (_, row) => y.subarray((p * rows + row) * columns, (p * rows + row + 1) * columns).indexOf(1)), [...wanted]);
    }
  }
});
