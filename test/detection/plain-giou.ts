import type { Box } from '../../src/detection/boxes.js';

const areaOf = ([x0, y0, x1, y1]: Box): number => (x1 - x0) * (y1 - y0);

function intersectionOf(a: Box, b: Box): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  return width > 0 && height > 0 ? width * height : 0;
}

/** Intersection over union of two `xyxy` boxes in plain numbers; 0 for two boxes without an area. */
export function iouOf(a: Box, b: Box): number {
  const intersection = intersectionOf(a, b);
  return intersection > 0 ? intersection / (areaOf(a) + areaOf(b) - intersection) : 0;
}

/** Generalized intersection over union of two `xyxy` boxes in plain numbers; what the tensor version is compared with. */
export function generalizedIoUOf(a: Box, b: Box): number {
  const union = areaOf(a) + areaOf(b) - intersectionOf(a, b);
  const enclosing = (Math.max(a[2], b[2]) - Math.min(a[0], b[0])) * (Math.max(a[3], b[3]) - Math.min(a[1], b[1]));
  return iouOf(a, b) - (enclosing > 0 ? (enclosing - union) / enclosing : 0);
}
