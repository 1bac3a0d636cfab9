import type { TensorSpec } from './graph.js';
import { defineKernel } from './named-kernel.js';
import { shortestAugmentingPaths } from './shortest-augmenting-paths.js';
import { tf, type Tensor } from './tf.js';

/** Above this number of rows the table of augmenting paths grows too large (13,700 paths at 8, 109,601 at 9). */
const MOST_TABLED_ROWS = 8;

const TAKEN = 1e9;

/** Every sequence of distinct numbers below n, the empty one included. */
function sequences(n: number): number[][] {
  const all: number[][] = [];
  const grow = (sequence: number[]): void => {
    all.push(sequence);
    for (let i = 0; i < n; i++) if (!sequence.includes(i)) grow([...sequence, i]);
  };
  grow([]);
  return all;
}

const pathTables = new Map<number, { rows: number; data: Float32Array }>();

/**
 * The augmenting paths that begin at row `last`, while rows 0 to last - 1 hold columns 0 to last - 1: the new row takes the
 * column of a first row, that one the column of a second, and the final one a free column (numbered `last`). Each is
 * written as the matrix [row, column] of who holds what afterwards, flattened.
 */
function augmentingPaths(last: number): { rows: number; data: Float32Array } {
  let table = pathTables.get(last);
  if (!table) {
    const n = last + 1;
    const all = sequences(last);
    const data = new Float32Array(all.length * n * n);
    all.forEach((through, p) => {
      const holds = Array.from({ length: n }, (_, i) => i);
      let row = last;
      for (const next of through) {
        holds[row] = next;
        row = next;
      }
      holds[row] = last;
      holds.forEach((column, i) => (data[p * n * n + i * n + column] = 1));
    });
    pathTables.set(last, (table = { rows: all.length, data }));
  }
  return table;
}

/**
 * Successive shortest augmenting paths: an optimal assignment of the rows before `last` becomes one that includes it.
 * @param rows costs of rows 0 to last [P, last + 1, Q]
 * @param assigned one-hot columns of rows 0 to last - 1 [P, last, Q], undefined for last = 0
 * @returns one-hot columns of rows 0 to last [P, last + 1, Q]
 */
function augment(rows: Tensor, assigned: Tensor | undefined): Tensor {
  const [problems, n, columns] = rows.shape as [number, number, number];
  if (!assigned) return firstLowest(rows);
  const free = tf.add(rows, tf.mul(tf.sum(assigned, 1, true), TAKEN));
  const held = tf.matMul(rows, assigned, false, true); // [P, n, n - 1]: cost of row i in the column of row j
  const costs = tf.reshape(tf.concat([held, tf.min(free, -1, true)], -1), [problems, n * n]);
  const paths = augmentingPaths(n - 1);
  const table = tf.tensor2d(paths.data, [paths.rows, n * n]);
  const best = tf.argMin(tf.matMul(costs, table, false, true), -1);
  const holds = tf.reshape(tf.gather(table, best), [problems, n, n]);
  const ends = tf.slice(holds, [0, 0, n - 1], [problems, n, 1]); // which row takes the free column
  const taken = firstLowest(tf.matMul(ends, free, true, false));
  return tf.reshape(tf.matMul(holds, tf.concat([assigned, taken], 1)), [problems, n, columns]);
}

/** One-hot of the lowest entry along the last axis, the first of equal ones. (tfjs's one-hot in float32 is wrong on the wasm backend.) */
function firstLowest(x: Tensor): Tensor {
  return tf.gather(tf.eye(x.shape[x.rank - 1]), tf.argMin(x, -1));
}

const assignmentShape = ({ cost }: Record<'cost' | 'valid', { shape: readonly number[] }>): TensorSpec[] => {
  const [problems, columns, count] = cost.shape;
  return [{ shape: [problems, count, columns], dtype: 'float32' }];
};

/** By tables of all augmenting paths: for few boxes. */
const assignFew = defineKernel<'cost' | 'valid', object>({
  name: 'LinearAssignment',
  inputs: ['cost', 'valid'],
  outputs: assignmentShape,
  composite: ({ cost, valid }) => {
    const [problems, columns, count] = cost.shape as [number, number, number];
    const mask = tf.reshape(valid, [problems, count, 1]);
    const rows = tf.mul(tf.transpose(cost, [0, 2, 1]), mask);
    let assigned: Tensor | undefined;
    for (let n = 1; n <= count; n++) assigned = augment(n === count ? rows : tf.slice(rows, [0, 0, 0], [problems, n, columns]), assigned);
    return [tf.mul(assigned!, mask)];
  },
});

/**
 * One problem after the other, for any number of boxes. Only an eager backend computes this: engines that compile have kernels of their own (onnx-assignment.ts,
 * webgpu/assignment-kernel.ts), as the searches for paths are loops whose lengths depend on the costs.
 */
const assignMany = defineKernel<'cost' | 'valid', object>({
  name: 'LinearAssignmentOfMany',
  inputs: ['cost', 'valid'],
  outputs: assignmentShape,
  composite: ({ cost, valid }) => {
    const [problems, columns, count] = cost.shape as [number, number, number];
    const costs = cost.dataSync(), isBox = valid.dataSync(), assigned = new Float32Array(problems * count * columns);
    for (let p = 0; p < problems; p++) {
      const columnOf = shortestAugmentingPaths(costs.subarray(p * columns * count, (p + 1) * columns * count), (row) => isBox[p * count + row] !== 0, columns, count);
      columnOf.forEach((column, row) => {
        if (column >= 0) assigned[(p * count + row) * columns + column] = 1;
      });
    }
    return [tf.tensor3d(assigned, [problems, count, columns])];
  },
});

/**
 * The assignment of ground-truth boxes to distinct queries that has the lowest total cost, exactly, for P problems at once
 * (kernels `LinearAssignment` and, above 8 boxes, `LinearAssignmentOfMany`; no gradient). Boxes are taken in one by one, each along its
 * cheapest augmenting path. All simple paths through G <= 8 rows are few enough to be weighed with one matrix product; there boxes of padding cost
 * nothing anywhere, so that they take what the others leave. Above, and on WebGPU for any G, paths are searched by Dijkstra's algorithm, and boxes of padding
 * are passed over. Where several assignments have the lowest total, the engines may choose differently; a single box always gets the lowest of equal queries.
 * @param cost [P, Q, G] with Q >= G, finite, each |cost| below 1e8
 * @param valid [P, G]: 1 for a box, 0 for padding
 * @returns [P, G, Q]: one-hot rows, zero rows for padding
 * @throws when there are no boxes, or fewer queries than boxes.
 */
export function linearAssignment(cost: Tensor, valid: Tensor): Tensor {
  const [, columns, count] = cost.shape as [number, number, number];
  if (count < 1) throw new Error('linear assignment takes at least 1 box a problem, not 0');
  if (columns < count) throw new Error(`${count} boxes can't be assigned to ${columns} queries: give the model at least ${count}`);
  return (count <= MOST_TABLED_ROWS ? assignFew : assignMany)({ cost, valid }, {})[0];
}
