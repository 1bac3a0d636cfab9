import type { Family } from '../models/settings.js';
import type { Box } from './boxes.js';
import { emptyDetections, type Detections } from './detections.js';

/** Height and width in pixels of an image as it came, before any resizing. */
export interface ImageSize {
  height: number;
  width: number;
}

/** What a detector detects, Q detections for each of B images: DETR one for each of its Q queries, SMCA-DETR the best Q of all queries and classes. */
export interface ProcessedOutputs {
  /** [B, Q] probability of the class. */
  scores: Float32Array;
  /** [B, Q] index of the class, 0 to K - 1. */
  labels: Int32Array;
  /** [B, Q, 4] `xyxy` in pixels, not clipped to the image. */
  boxes: Float32Array;
}

/** Empty outputs for B images with Q queries, and how many class scores each query has. @throws when the sizes don't fit */
function checkedOutputs(logits: ArrayLike<number>, boxes: ArrayLike<number>, queryCount: number, images: number, leastClasses: number, form: string): { outputs: ProcessedOutputs; width: number } {
  const rows = images * queryCount, width = logits.length / rows;
  if (boxes.length !== 4 * rows || (rows > 0 && (!Number.isInteger(width) || width < leastClasses))) {
    throw new Error(`${images} images with ${queryCount} queries need boxes [B, Q, 4] and logits ${form}, got ${boxes.length} and ${logits.length} numbers`);
  }
  return { outputs: { scores: new Float32Array(rows), labels: new Int32Array(rows), boxes: new Float32Array(4 * rows) }, width };
}

/** The box of a row of [rows, 4] `cxcywh` as `xyxy` in pixels. */
function boxInPixels(boxes: ArrayLike<number>, row: number, { width, height }: ImageSize): Box {
  const [cx, cy, w, h] = [boxes[4 * row], boxes[4 * row + 1], boxes[4 * row + 2], boxes[4 * row + 3]];
  return [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height];
}

/**
 * DETR's post-processing (`PostProcess` of facebookresearch/detr, models/detr.py): softmax over all K + 1 classes, drop the
 * last ("no object"), take the best of the others; boxes to corners, scaled to the image.
 * @param logits [B, Q, K + 1] of the last decoder layer
 * @param boxes [B, Q, 4] `cxcywh` normalized
 * @param queryCount Q
 * @param sizes sizes of the B images
 */
export function postProcess(logits: ArrayLike<number>, boxes: ArrayLike<number>, queryCount: number, sizes: readonly ImageSize[]): ProcessedOutputs {
  const { outputs, width } = checkedOutputs(logits, boxes, queryCount, sizes.length, 2, '[B, Q, K + 1]');
  for (let row = 0; row < outputs.scores.length; row++) {
    const at = row * width;
    let best = 0, highest = logits[at + width - 1];
    for (let k = 1; k < width - 1; k++) if (logits[at + k] > logits[at + best]) best = k;
    highest = Math.max(highest, logits[at + best]);
    let sum = 0;
    for (let k = 0; k < width; k++) sum += Math.exp(logits[at + k] - highest);
    outputs.scores[row] = Math.exp(logits[at + best] - highest) / sum;
    outputs.labels[row] = best;
    outputs.boxes.set(boxInPixels(boxes, row, sizes[Math.floor(row / queryCount)]), 4 * row);
  }
  return outputs;
}

/**
 * SMCA-DETR's post-processing (`PostProcess` of gaopengcuhk/SMCA-DETR, models/detr.py; PAPER.md 3.5): sigmoids, and of all pairs of a query
 * and a class in an image the Q best, best first (the first of equal ones; NaN before all, so that it stays visible): a query may
 * give its box to several classes, or to none.
 * @param logits [B, Q, K] of the last decoder layer
 * @param boxes [B, Q, 4] `cxcywh` normalized
 * @param queryCount Q
 * @param sizes sizes of the B images
 */
export function postProcessSigmoid(logits: ArrayLike<number>, boxes: ArrayLike<number>, queryCount: number, sizes: readonly ImageSize[]): ProcessedOutputs {
  const { outputs, width } = checkedOutputs(logits, boxes, queryCount, sizes.length, 1, '[B, Q, K]');
  const pairs = queryCount * width;
  sizes.forEach((size, image) => {
    const rank = (pair: number): number => (Number.isNaN(logits[image * pairs + pair]) ? Infinity : logits[image * pairs + pair]);
    const order = Int32Array.from({ length: pairs }, (_, i) => i).sort((a, b) => (rank(a) === rank(b) ? a - b : rank(b) - rank(a)));
    order.subarray(0, queryCount).forEach((pair, place) => {
      const row = image * queryCount + place;
      outputs.scores[row] = 1 / (1 + Math.exp(-logits[image * pairs + pair]));
      outputs.labels[row] = pair % width;
      outputs.boxes.set(boxInPixels(boxes, image * queryCount + Math.floor(pair / width), size), 4 * row);
    });
  });
  return outputs;
}

/** The post-processing of a family. */
export const postProcessing = (family: Family): typeof postProcess => (family === 'smca-detr' ? postProcessSigmoid : postProcess);

/**
 * Post-processed outputs as detections that `evaluateDetections` reads.
 * @param imageIds ids of the B images
 * @param categoryIds category id of each class index, K of them
 */
export function outputsToDetections(outputs: ProcessedOutputs, imageIds: readonly number[], categoryIds: readonly number[]): Detections {
  const count = outputs.scores.length, queryCount = count / imageIds.length;
  const detections = emptyDetections(count);
  for (let row = 0; row < count; row++) {
    const [x0, y0, x1, y1] = outputs.boxes.subarray(4 * row, 4 * row + 4);
    detections.imageIds[row] = imageIds[Math.floor(row / queryCount)];
    detections.categoryIds[row] = categoryIds[outputs.labels[row]];
    detections.scores[row] = outputs.scores[row];
    detections.boxes.set([x0, y0, x1 - x0, y1 - y0], 4 * row);
  }
  return detections;
}
