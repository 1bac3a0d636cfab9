import type { DetectionTable, GroundTruthTable } from './evaluation-tables.js';
import { cocoIou } from './coco-matching.js';
import { bestFirst, groupAt, groupInOrder } from './grouping.js';

/** Average precision as PASCAL VOC defines it, a fraction from 0 to 1; -1 where there is no object that is not difficult. */
export interface VocAveragePrecision {
  /** VOC2007: mean of the best precisions at the recalls 0, 0.1, ... 1 or higher. */
  ap11: number;
  /** VOC2010 and later: area under the precision-recall curve, precision made falling. */
  apAll: number;
}

/** Means over the categories, and each of them. */
export interface VocSummary extends VocAveragePrecision {
  classes: (VocAveragePrecision & { categoryId: number; name: string })[];
}

/**
 * VOC's average precision at an IoU of 0.5 or more (`VOCevaldet.m` of the development kit): each detection, best score first, belongs to the
 * object that it covers best; the first of an object is right, further ones are wrong; those of difficult objects do not count.
 * VOC's inclusive corners (xmin, ymin, xmax, ymax) are the box (xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1): then IoUs are the kit's.
 * Recalls are compared exactly: the kit reads 0.3 as 3 * 0.1, a bit more, and so misses a recall of just 0.3. Python's voc_eval asks for more than 0.5.
 */
export function vocAveragePrecision(truth: GroundTruthTable, detections: DetectionTable, iouThreshold = 0.5): VocSummary {
  const categoryCount = truth.categories.length, imageCount = truth.imageIds.length;
  const objectsOf = groupInOrder(truth.category, categoryCount);
  const detectionsOf = groupInOrder(detections.category, categoryCount, bestFirst(detections, imageCount));
  const noCrowd = new Uint8Array(truth.crowd.length), found = new Uint8Array(truth.crowd.length);

  const classes = truth.categories.map(({ id, name }, k) => {
    const objects = groupAt(objectsOf, k), objectsOfImage = groupInOrder(truth.image, imageCount, objects);
    const positives = objects.reduce((sum, g) => sum + 1 - truth.difficult[g], 0), precisions: number[] = [];
    let falsePositives = 0;
    for (const d of groupAt(detectionsOf, k)) {
      const candidates = groupAt(objectsOfImage, detections.image[d]);
      const ious = cocoIou(Int32Array.of(d), detections.boxes, candidates, truth.boxes, noCrowd);
      const best = ious.reduce((m, iou, g) => (iou > ious[m] ? g : m), 0), object = candidates[best];
      const covered = candidates.length > 0 && ious[best] >= iouThreshold;
      if (covered && truth.difficult[object]) continue;
      if (covered && !found[object]) {
        found[object] = 1;
        precisions.push((precisions.length + 1) / (precisions.length + 1 + falsePositives));
      } else falsePositives++;
    }
    return { categoryId: id, name, ...averagePrecision(precisions, positives) };
  });
  const mean = (pick: (c: VocAveragePrecision) => number): number => {
    const present = classes.map(pick).filter((ap) => ap >= 0);
    return present.length === 0 ? -1 : present.reduce((sum, ap) => sum + ap, 0) / present.length;
  };
  return { ap11: mean((c) => c.ap11), apAll: mean((c) => c.apAll), classes };
}

/**
 * Both averages of one category.
 * @param precisions at each true positive, in order of falling score: recall there is 1 / positives, 2 / positives, ...
 */
function averagePrecision(precisions: readonly number[], positives: number): VocAveragePrecision {
  if (positives === 0) return { ap11: -1, apAll: -1 };
  const falling = [...precisions];
  for (let i = falling.length - 1; i > 0; i--) falling[i - 1] = Math.max(falling[i - 1], falling[i]);
  let sum = 0;
  for (let tenth = 0; tenth <= 10; tenth++) sum += falling[Math.max(0, Math.ceil((tenth * positives) / 10) - 1)] ?? 0;
  return { ap11: sum / 11, apAll: falling.reduce((area, p) => area + p, 0) / positives };
}
