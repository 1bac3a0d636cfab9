import type { Box } from './boxes.js';

/** One detection as COCO's results format has it. `bbox` is left, top, width, height in pixels of the original image. */
export interface CocoDetection {
  image_id: number;
  category_id: number;
  bbox: Box;
  score: number;
}

/** The same as columns: row n is (imageIds[n], categoryIds[n], boxes[4n .. 4n+3], scores[n]). Half a million fit in 28 MB and are read fast. */
export interface Detections {
  imageIds: Float64Array;
  categoryIds: Float64Array;
  /** [n, 4] left, top, width, height in pixels. */
  boxes: Float64Array;
  scores: Float64Array;
}

/** Empty columns for `count` detections. */
export const emptyDetections = (count: number): Detections => ({
  imageIds: new Float64Array(count), categoryIds: new Float64Array(count), boxes: new Float64Array(4 * count), scores: new Float64Array(count),
});

/** Several parts (say, the batches of a data set) one after the other. */
export function concatDetections(parts: readonly Detections[]): Detections {
  const all = emptyDetections(parts.reduce((sum, part) => sum + part.scores.length, 0));
  let at = 0;
  for (const part of parts) {
    all.imageIds.set(part.imageIds, at);
    all.categoryIds.set(part.categoryIds, at);
    all.boxes.set(part.boxes, 4 * at);
    all.scores.set(part.scores, at);
    at += part.scores.length;
  }
  return all;
}

/** Columns as COCO's results. */
export const cocoResults = ({ imageIds, categoryIds, boxes, scores }: Detections): CocoDetection[] =>
  Array.from(scores, (score, n) => ({ image_id: imageIds[n], category_id: categoryIds[n], bbox: Array.from(boxes.subarray(4 * n, 4 * n + 4)) as unknown as Box, score }));
