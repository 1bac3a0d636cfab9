/**
 * The assignment of the valid rows to distinct columns that has the lowest total cost, exactly: rows join in their order, each along the cheapest augmenting path
 * (Jonker and Volgenant 1987, rectangular as in Crouse 2016). Columns have prices; what a row that has a column would save by
 * giving it up is its cost less its price, so that rows need no dual variables. Of equally near columns a free one comes first, then the lowest:
 * where all costs are the same, row k gets column k. The compiled engines' kernels do the same steps (onnx-assignment.ts, webgpu/assignment-kernel.ts).
 * @param cost [columns, rows], finite
 * @param isValid of a row; one that is not takes part in nothing
 * @returns the column of each row, -1 for a row that is not valid
 */
export function shortestAugmentingPaths(cost: ArrayLike<number>, isValid: (row: number) => boolean, columns: number, rows: number): Int32Array {
  const price = new Float64Array(columns), ownerOf = new Int32Array(columns).fill(-1), columnOf = new Int32Array(rows).fill(-1);
  const length = new Float64Array(columns), cameFrom = new Int32Array(columns), isDone = new Uint8Array(columns);
  for (let newRow = 0; newRow < rows; newRow++) {
    if (!isValid(newRow)) continue;
    length.fill(Infinity);
    isDone.fill(0);
    cameFrom.fill(newRow);
    let row = newRow, low = 0, column: number;
    for (;;) { // Dijkstra over reduced costs until a free column is reached
      const held = columnOf[row], base = held < 0 ? low : low - (cost[held * rows + row] - price[held]);
      column = -1;
      for (let k = 0; k < columns; k++) {
        if (isDone[k]) continue;
        const reached = base + (cost[k * rows + row] - price[k]);
        if (reached < length[k]) {
          length[k] = reached;
          cameFrom[k] = row;
        }
        if (column < 0 || length[k] < length[column] || (length[k] === length[column] && ownerOf[column] >= 0 && ownerOf[k] < 0)) column = k;
      }
      isDone[column] = 1;
      low = length[column];
      if (ownerOf[column] < 0) break;
      row = ownerOf[column];
    }
    for (let k = 0; k < columns; k++) if (isDone[k]) price[k] -= low - length[k];
    for (row = -1; row !== newRow; ) { // every row on the path hands its column on to the one before
      row = cameFrom[column];
      ownerOf[column] = row;
      [columnOf[row], column] = [column, columnOf[row]];
    }
  }
  return columnOf;
}
