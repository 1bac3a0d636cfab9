import { split } from '../tensor/split.js';
import { tf, type Tensor } from '../tensor/tf.js';

/** What distances are divided by (`--smooth` of SMCA's release). */
export const SMOOTH = 8;

/** The cells of a feature map, whatever lies there. */
export interface Grid {
  height: number;
  width: number;
}

/** Squared distance along one axis of the grid, times the scale: places [B, N, Q, 1], scales [B, N, Q, 1] -> [B, N, Q, cells]. */
function alongAxis(places: Tensor, scales: Tensor, cells: number): Tensor {
  return tf.mul(tf.square(tf.sub(places, tf.tensor1d(Float32Array.from({ length: cells }, (_, cell) => cell)))), scales);
}

/**
 * SMCA's Gaussian prior of the co-attention (Gao et al., ICCV 2021; PAPER.md 4.3, code form): log G = -((c - g)^2 * s).sum / 8 over x and y,
 * for each query, head and cell g = (column, row), counted from 0. It multiplies by the scale s where the paper divides by a squared
 * width: s = 1 is a standard deviation of 2 cells. The release takes the absolute value of the sum, which is never negative as s is not.
 * x and y add up, so each is computed along its own axis.
 * @param centres c, [B, N, Q, 2]: x, y in cells
 * @param scales s, [B, N, Q, 2]: along x, y; at least 0
 * @returns log G [B, N, Q, S], S = height * width, rows first
 */
export function gaussianLogPrior(centres: Tensor, scales: Tensor, { height, width }: Grid): Tensor {
  const [batch, heads, queries] = centres.shape as [number, number, number, number];
  const [x, y] = split(centres, 2, 3), [scaleX, scaleY] = split(scales, 2, 3);
  const columns = tf.reshape(alongAxis(x, scaleX, width), [batch, heads, queries, 1, width]);
  const rows = tf.reshape(alongAxis(y, scaleY, height), [batch, heads, queries, height, 1]);
  return tf.reshape(tf.mul(tf.add(columns, rows), -1 / SMOOTH), [batch, heads, queries, height * width]);
}
