import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { linearSumAssignment } from '../../src/detection/hungarian.js';

const totalOf = (cost: ArrayLike<number>, rows: number, columns: number): number => {
  const { rows: i, columns: j } = linearSumAssignment(cost, rows, columns);
  return i.reduce((sum, row, k) => sum + cost[row * columns + j[k]], 0);
};

/** The smallest total over all assignments, by trying them. */
function exhaustive(cost: ArrayLike<number>, rows: number, columns: number): number {
  const pairs = Math.min(rows, columns);
  const search = (row: number, used: number, made: number): number => {
    if (made === pairs) return 0;
    if (rows - row < pairs - made) return Infinity;
    let best = rows > columns ? search(row + 1, used, made) : Infinity;
    for (let j = 0; j < columns; j++) if (!(used & (1 << j))) best = Math.min(best, cost[row * columns + j] + search(row + 1, used | (1 << j), made + 1));
    return best;
  };
  return search(0, 0, 0);
}

const problem = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })).chain(([rows, columns]) =>
  fc.record({ rows: fc.constant(rows), columns: fc.constant(columns), cost: fc.array(fc.integer({ min: -20, max: 20 }), { minLength: rows * columns, maxLength: rows * columns }) }));

test('three rows and three columns, by hand', (t) => {
  // 4 1 3      the smallest of row 0 is column 1, but then row 1 pays 2 (not 0), row 2 pays 2: 1 + 2 + 2 = 5
  // 2 0 5
  // 3 2 2
  const { rows, columns } = linearSumAssignment([4, 1, 3, 2, 0, 5, 3, 2, 2], 3, 3);
  t.deepEqual([...rows], [0, 1, 2]);
  t.deepEqual([...columns], [1, 0, 2]);
});

test('more rows than columns: each column has a row, rows ascend; and the other way round', (t) => {
  const tall = linearSumAssignment([9, 1, 9, 9, 1, 9], 3, 2); // row 0 takes column 1, row 2 takes column 0
  t.deepEqual([[...tall.rows], [...tall.columns]], [[0, 2], [1, 0]]);
  const wide = linearSumAssignment([9, 9, 1, 1, 9, 9], 2, 3);
  t.deepEqual([[...wide.rows], [...wide.columns]], [[0, 1], [2, 0]]);
  const none = linearSumAssignment([], 5, 0);
  t.deepEqual([[...none.rows], [...none.columns]], [[], []]);
});

test('constant costs give the identity', (t) => {
  t.deepEqual([...linearSumAssignment(new Float32Array(16).fill(3), 4, 4).columns], [0, 1, 2, 3]);
});

test('NaN and infinite costs are refused by their entry', (t) => {
  const error = t.throws(() => linearSumAssignment([0, 1, 2, 3, 4, NaN], 2, 3), { instanceOf: UserError });
  t.regex(error.message, /\[1, 2\] of 2 x 3 is NaN/);
  t.throws(() => linearSumAssignment([0, -Infinity, 2, 3], 2, 2), { instanceOf: UserError, message: /\[0, 1\] of 2 x 2 is -Infinity/ });
  t.throws(() => linearSumAssignment([0, 1, 2], 2, 2), { message: /needs 4 numbers, got 3/ });
});

test('the total is the smallest of all assignments, each row and column used at most once', (t) => {
  fc.assert(fc.property(problem, ({ rows, columns, cost }) => {
    const { rows: i, columns: j } = linearSumAssignment(cost, rows, columns);
    t.is(i.length, Math.min(rows, columns));
    t.is(new Set(i).size, i.length);
    t.is(new Set(j).size, j.length);
    t.is(totalOf(cost, rows, columns), exhaustive(cost, rows, columns));
  }), { numRuns: 300 });
});

test('rows in another order are the same problem; a constant added to a full row changes no assignment', (t) => {
  fc.assert(fc.property(problem, fc.integer({ min: -50, max: 50 }), ({ rows, columns, cost }, constant) => {
    const reversed = Array.from({ length: rows }, (_, i) => cost.slice((rows - 1 - i) * columns, (rows - i) * columns)).flat();
    t.is(totalOf(reversed, rows, columns), totalOf(cost, rows, columns));
    if (rows > columns) return; // a row that may stay free is not free of its constant
    const raised = cost.map((c, at) => (at < columns ? c + constant : c));
    t.is(totalOf(raised, rows, columns), totalOf(cost, rows, columns) + constant);
    const distinct = cost.map((c, at) => c + 2 ** -(at + 2)); // one optimum only
    const raisedDistinct = distinct.map((c, at) => (at < columns ? c + constant : c));
    t.deepEqual(linearSumAssignment(raisedDistinct, rows, columns), linearSumAssignment(distinct, rows, columns));
  }));
});

test('1,000 rectangular problems, most with ties: totals and assignments of scipy 1.17.1', (t) => {
  const { problems } = JSON.parse(readFileSync('test/fixtures/linear-sum-assignment.json', 'utf8')) as { problems: [number, number, number, number, number, number[]][] };
  t.is(problems.length, 1000);
  for (const [rows, columns, seed, limit, optimum, assigned] of problems) {
    let state = seed;
    const cost = Float64Array.from({ length: rows * columns }, () => {
      state = (Math.imul(1664525, state) + 1013904223) >>> 0;
      return (state >>> 8) % limit;
    });
    const { rows: i, columns: j } = linearSumAssignment(cost, rows, columns);
    const columnOf = new Array<number>(rows).fill(-1);
    i.forEach((row, k) => { columnOf[row] = j[k]; });
    t.is(totalOf(cost, rows, columns), optimum);
    t.deepEqual(columnOf, assigned);
  }
});
