import { detectionColumns, detectionTable, groundTruthTable, type CocoGroundTruth, type DetectionTable, type GroundTruthTable } from './evaluation-tables.js';
import { cocoIou, iouThresholds, matchDetections, outcome, type ImageMatch } from './coco-matching.js';
import type { CocoDetection, Detections } from './detections.js';
import { bestFirst, groupAt, groupInOrder } from './grouping.js';

/** Average precision of one category; -1 where no annotation counts. */
export interface ClassAveragePrecision {
  categoryId: number;
  name: string;
  /** Mean over the ten IoU thresholds. */
  ap: number;
  ap50: number;
  ap75: number;
}

/** COCO's twelve numbers, fractions from 0 to 1; -1 where no annotation counts (say, none is small). */
export interface CocoSummary {
  ap: number;
  ap50: number;
  ap75: number;
  apSmall: number;
  apMedium: number;
  apLarge: number;
  ar1: number;
  ar10: number;
  ar100: number;
  arSmall: number;
  arMedium: number;
  arLarge: number;
  classes: ClassAveragePrecision[];
}

/** Areas in pixels, both ends included: all, small, medium, large. */
const areaRanges = [[0, 1e10], [0, 32 ** 2], [32 ** 2, 96 ** 2], [96 ** 2, 1e10]] as const;
/** How many detections of a category count on an image: recall is given for each, precision for the last. */
const detectionLimits = [1, 10, 100] as const;
const recallSteps = 101;
const T = iouThresholds.length;

/**
 * COCO's average precision and recall of boxes, number for number as pycocotools 2.0 (`COCOeval`, iouType 'bbox') computes them:
 * matching per image and category at ten IoU thresholds, precision at 101 recalls, mean over the categories that have annotations.
 * One difference: an annotation with id 0 counts like any other (COCOeval takes a match with it for a miss); ids are not read here.
 * @throws UserError that names the first wrong entry of either
 */
export function evaluateDetections(groundTruth: CocoGroundTruth, detections: readonly CocoDetection[] | Detections): CocoSummary {
  const truth = groundTruthTable(groundTruth);
  return cocoAveragePrecision(truth, detectionTable('scores' in detections ? detections : detectionColumns(detections), truth));
}

/** `evaluateDetections` for tables that are checked already. */
export function cocoAveragePrecision(truth: GroundTruthTable, detections: DetectionTable): CocoSummary {
  const areas = Float64Array.from(detections.scores, (_, d) => detections.boxes[4 * d + 2] * detections.boxes[4 * d + 3]);
  const outside = areaRanges.map(([low, high]) => Uint8Array.from(areas, (area) => (area < low || area > high ? 1 : 0)));
  const ignored = areaRanges.map(([low, high]) => truth.crowd.map((crowd, g) => (crowd || truth.areas[g] < low || truth.areas[g] > high ? 1 : 0)));
  const annotationsOf = groupInOrder(truth.category, truth.categories.length);
  const detectionsOf = groupInOrder(detections.category, truth.categories.length, bestFirst(detections, truth.imageIds.length));

  /** [category][area range][threshold] */
  const curves = truth.categories.map((_, k) => {
    const annotations = groupAt(annotationsOf, k), ranked = groupAt(detectionsOf, k);
    const ranks = ranksWithinImages(ranked, detections.image, truth.imageIds.length);
    const images = imagesOf(ranked, annotations, truth, detections);
    return areaRanges.map((_range, a) => {
      const outcomes = unmatchedOutcomes(ranked, ranks, outside[a]);
      for (const image of images) matchDetections(image, ignored[a], truth.crowd, outside[a], outcomes);
      const positives = annotations.reduce((sum, g) => sum + 1 - ignored[a][g], 0);
      return iouThresholds.map((_iou, t) => precisionAndRecall(outcomes.subarray(t * ranked.length, (t + 1) * ranked.length), ranks, positives));
    });
  });

  const mean = (area: number, pick: (curve: Curve) => number, thresholds: readonly number[] = [...iouThresholds.keys()]): number =>
    meanOfPresent(curves.flatMap((ranges) => thresholds.map((t) => pick(ranges[area][t]))));
  const precision = (curve: Curve) => curve.precision, recall = (limit: number) => (curve: Curve) => curve.recalls[limit];
  return {
    ap: mean(0, precision), ap50: mean(0, precision, [0]), ap75: mean(0, precision, [5]),
    apSmall: mean(1, precision), apMedium: mean(2, precision), apLarge: mean(3, precision),
    ar1: mean(0, recall(0)), ar10: mean(0, recall(1)), ar100: mean(0, recall(2)),
    arSmall: mean(1, recall(2)), arMedium: mean(2, recall(2)), arLarge: mean(3, recall(2)),
    classes: truth.categories.map(({ id, name }, k) => {
      const precisions = curves[k][0].map(precision);
      return { categoryId: id, name, ap: meanOfPresent(precisions), ap50: precisions[0], ap75: precisions[5] };
    }),
  };
}

/** The place of each detection among those of its image, 0 for the best. */
function ranksWithinImages(ranked: Int32Array, image: Int32Array, imageCount: number): Int32Array {
  const seen = new Int32Array(imageCount);
  return ranked.map((d) => seen[image[d]]++);
}

/** What becomes of detections on images without annotations, [10 thresholds, places]: false positives, where they are in the area range and the limit. */
function unmatchedOutcomes(ranked: Int32Array, ranks: Int32Array, outside: Uint8Array): Uint8Array {
  const outcomes = new Uint8Array(T * ranked.length), limit = detectionLimits[2], { ignored, falsePositive } = outcome;
  ranked.forEach((d, place) => { outcomes[place] = ranks[place] >= limit || outside[d] ? ignored : falsePositive; });
  for (let t = 1; t < T; t++) outcomes.copyWithin(t * ranked.length, 0, ranked.length);
  return outcomes;
}

/** One category on the images that have both detections, the best 100, and annotations of it. */
function imagesOf(ranked: Int32Array, annotations: Int32Array, truth: GroundTruthTable, detections: DetectionTable): ImageMatch[] {
  const imageCount = truth.imageIds.length;
  const placesOf = groupInOrder(ranked.map((d) => detections.image[d]), imageCount);
  const annotationsOf = groupInOrder(truth.image, imageCount, annotations);
  const images: ImageMatch[] = [];
  for (let image = 0; image < imageCount; image++) {
    const places = groupAt(placesOf, image).subarray(0, detectionLimits[2]), objects = groupAt(annotationsOf, image);
    if (places.length === 0 || objects.length === 0) continue;
    const best = places.map((place) => ranked[place]);
    images.push({ detections: best, places, annotations: objects, ious: cocoIou(best, detections.boxes, objects, truth.boxes, truth.crowd) });
  }
  return images;
}

/** One category, area range and threshold; -1 where it has no positives. */
interface Curve {
  /** Mean of the precisions at recalls 0, 0.01, ... 1. */
  precision: number;
  /** With the best 1, 10 and 100 detections of each image. */
  recalls: readonly number[];
}

/**
 * Precision, as the best at this recall or a higher one, at 101 recalls (`accumulate` of COCOeval). Only true positives are visited:
 * recall rises, and precision peaks, at them.
 * @param outcomes of the category's detections, best score first
 * @param ranks of each among the detections of its image
 * @param positives annotations that count
 */
function precisionAndRecall(outcomes: Uint8Array, ranks: Int32Array, positives: number): Curve {
  if (positives === 0) return { precision: -1, recalls: detectionLimits.map(() => -1) };
  const { truePositive, falsePositive } = outcome;
  const precisions: number[] = [], found = detectionLimits.map(() => 0);
  let falsePositives = 0;
  for (let place = 0; place < outcomes.length; place++) {
    if (outcomes[place] === falsePositive) falsePositives++;
    if (outcomes[place] !== truePositive) continue;
    const truePositives = precisions.length + 1;
    precisions.push(truePositives / (falsePositives + truePositives + Number.EPSILON));
    for (let m = 0; m < found.length; m++) if (ranks[place] < detectionLimits[m]) found[m]++;
  }
  for (let i = precisions.length - 1; i > 0; i--) precisions[i - 1] = Math.max(precisions[i - 1], precisions[i]);
  let sum = 0;
  for (let step = 0, i = 0; step < recallSteps; step++) {
    while (i < precisions.length && (i + 1) / positives < step * 0.01) i++;
    sum += i < precisions.length ? precisions[i] : 0;
  }
  return { precision: sum / recallSteps, recalls: found.map((n) => n / positives) };
}

const meanOfPresent = (values: readonly number[]): number => {
  const present = values.filter((v) => v > -1);
  return present.length === 0 ? -1 : present.reduce((sum, v) => sum + v, 0) / present.length;
};
