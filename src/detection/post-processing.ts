import { emptyDetections, type Detections } from './detections.js';

/** Height and width in pixels of an image as it came, before any resizing. */
export interface ImageSize {
  height: number;
  width: number;
}

/** What DETR detects, a detection for each query: B images, Q queries. */
export interface ProcessedOutputs {
  /** [B, Q] probability of the best class. */
  scores: Float32Array;
  /** [B, Q] index of the best class, 0 to K - 1. */
  labels: Int32Array;
  /** [B, Q, 4] `xyxy` in pixels, not clipped to the image. */
  boxes: Float32Array;
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
  const rows = sizes.length * queryCount, width = logits.length / rows;
  if (boxes.length !== 4 * rows || (rows > 0 && (!Number.isInteger(width) || width < 2))) {
    throw new Error(`${sizes.length} images with ${queryCount} queries need boxes [B, Q, 4] and logits [B, Q, K + 1], got ${boxes.length} and ${logits.length} numbers`);
  }
  const result: ProcessedOutputs = { scores: new Float32Array(rows), labels: new Int32Array(rows), boxes: new Float32Array(4 * rows) };
  for (let row = 0; row < rows; row++) {
    const at = row * width;
    let best = 0, highest = logits[at + width - 1];
    for (let k = 1; k < width - 1; k++) if (logits[at + k] > logits[at + best]) best = k;
    highest = Math.max(highest, logits[at + best]);
    let sum = 0;
    for (let k = 0; k < width; k++) sum += Math.exp(logits[at + k] - highest);
    result.scores[row] = Math.exp(logits[at + best] - highest) / sum;
    result.labels[row] = best;

    const size = sizes[Math.floor(row / queryCount)], [cx, cy, w, h] = [boxes[4 * row], boxes[4 * row + 1], boxes[4 * row + 2], boxes[4 * row + 3]];
    result.boxes.set([(cx - w / 2) * size.width, (cy - h / 2) * size.height, (cx + w / 2) * size.width, (cy + h / 2) * size.height], 4 * row);
  }
  return result;
}

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
