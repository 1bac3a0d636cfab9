import { UserError } from '../errors.js';

/** Pairs of rows and columns: row `rows[i]` goes with column `columns[i]`. Rows ascend. */
export interface Assignment {
  rows: Int32Array;
  columns: Int32Array;
}

/**
 * The assignment of rows to columns, each used at most once and min(rowCount, columnCount) pairs in all, whose costs have the
 * smallest sum (the matching of DETR, section 3.1). Exact: shortest augmenting paths with dual variables (Jonker and Volgenant 1987,
 * rectangular as in Crouse 2016, the algorithm behind `scipy.optimize.linear_sum_assignment`), O(min^2 * max).
 * Deterministic: among equal costs, scipy's choice. For matrices of any size, outside of a compiled step: tests compare the matching
 * that training uses with it (src/tensor/linear-assignment.ts).
 * @param cost [rowCount, columnCount], row-major
 * @throws UserError that names the first entry that is NaN or infinite
 */
export function linearSumAssignment(cost: ArrayLike<number>, rowCount: number, columnCount: number): Assignment {
  if (cost.length !== rowCount * columnCount) throw new Error(`a cost matrix of ${rowCount} x ${columnCount} needs ${rowCount * columnCount} numbers, got ${cost.length}`);
  for (let at = 0; at < cost.length; at++) {
    if (!Number.isFinite(cost[at])) {
      throw new UserError(`cost matrix: entry [${Math.floor(at / columnCount)}, ${at % columnCount}] of ${rowCount} x ${columnCount} is ${cost[at]}: `
        + 'only finite costs can be assigned, so look at the outputs that it comes from (diverged training: lower the learning rate)');
    }
  }
  if (rowCount <= columnCount) return { rows: Int32Array.from({ length: rowCount }, (_, i) => i), columns: assignRows(cost, rowCount, columnCount) };

  const transposed = Float64Array.from({ length: cost.length }, (_, at) => cost[(at % rowCount) * columnCount + Math.floor(at / rowCount)]);
  const rowOfColumn = assignRows(transposed, columnCount, rowCount);
  const columns = Int32Array.from({ length: columnCount }, (_, j) => j).sort((a, b) => rowOfColumn[a] - rowOfColumn[b]);
  return { rows: columns.map((j) => rowOfColumn[j]), columns };
}

/** The column of each row, for rowCount <= columnCount: rows join one by one, each along the cheapest augmenting path. */
function assignRows(cost: ArrayLike<number>, rowCount: number, columnCount: number): Int32Array {
  const rowDual = new Float64Array(rowCount), columnDual = new Float64Array(columnCount);
  const columnOf = new Int32Array(rowCount).fill(-1), rowOf = new Int32Array(columnCount).fill(-1);
  const pathCost = new Float64Array(columnCount), previousRow = new Int32Array(columnCount);
  const columnDone = new Uint8Array(columnCount), rowDone = new Uint8Array(rowCount), remaining = new Int32Array(columnCount);

  for (let newRow = 0; newRow < rowCount; newRow++) {
    pathCost.fill(Infinity);
    columnDone.fill(0);
    rowDone.fill(0);
    for (let k = 0; k < columnCount; k++) remaining[k] = columnCount - 1 - k; // from the back: constant costs give the identity
    let left = columnCount, row = newRow, length = 0, sink = -1;
    while (sink < 0) { // Dijkstra over reduced costs until a free column is reached
      rowDone[row] = 1;
      let nearest = -1, lowest = Infinity;
      for (let k = 0; k < left; k++) {
        const column = remaining[k];
        const reached = length + cost[row * columnCount + column] - rowDual[row] - columnDual[column];
        if (reached < pathCost[column]) {
          pathCost[column] = reached;
          previousRow[column] = row;
        }
        if (pathCost[column] < lowest || (pathCost[column] === lowest && rowOf[column] < 0)) {
          lowest = pathCost[column];
          nearest = k;
        }
      }
      if (nearest < 0) throw new UserError(`cost matrix of ${rowCount} x ${columnCount}: its costs are too large to be added: scale them down`);
      length = lowest;
      const column = remaining[nearest];
      columnDone[column] = 1;
      remaining[nearest] = remaining[--left];
      if (rowOf[column] < 0) sink = column;
      else row = rowOf[column];
    }

    rowDual[newRow] += length;
    for (let i = 0; i < rowCount; i++) if (rowDone[i] && i !== newRow) rowDual[i] += length - pathCost[columnOf[i]];
    for (let j = 0; j < columnCount; j++) if (columnDone[j]) columnDual[j] -= length - pathCost[j];

    for (let column = sink, i = -1; i !== newRow; ) { // walk the path back and hand every column on to the row before
      i = previousRow[column];
      rowOf[column] = i;
      [columnOf[i], column] = [column, columnOf[i]];
    }
  }
  return columnOf;
}
