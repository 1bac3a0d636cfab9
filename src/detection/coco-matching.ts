/** COCO's ten IoU thresholds .50:.05:.95, to the last bit as numpy.linspace(.5, .95, 10) makes them. */
export const iouThresholds: readonly number[] = Array.from({ length: 10 }, (_, t) => (t === 9 ? 0.95 : 0.5 + t * ((0.95 - 0.5) / 9)));

/** What becomes of a detection at one threshold. Ignored ones count neither for nor against. */
export const outcome = { ignored: 0, truePositive: 1, falsePositive: 2 } as const;

/** One category on one image. */
export interface ImageMatch {
  /** Rows of the detections' table, best score first. */
  detections: Int32Array;
  /** The place of each of them in the ranking of all detections of the category. */
  places: Int32Array;
  /** Rows of the annotations' table. */
  annotations: Int32Array;
  /** [detections, annotations] from `cocoIou`. */
  ious: Float64Array;
}

/**
 * IoU of detections with annotations; with a crowd, the share of the detection that lies inside of it (`bbIou` of pycocotools, maskApi.c).
 * @param detectionBoxes [n, 4] left, top, width, height
 * @param annotationBoxes [n, 4] left, top, width, height
 * @returns [detections, annotations]
 */
export function cocoIou(detections: Int32Array, detectionBoxes: Float64Array, annotations: Int32Array, annotationBoxes: Float64Array, crowd: Uint8Array): Float64Array {
  const ious = new Float64Array(detections.length * annotations.length);
  let at = 0;
  for (let d = 0; d < detections.length; d++) {
    const i = 4 * detections[d];
    const dx = detectionBoxes[i], dy = detectionBoxes[i + 1], dw = detectionBoxes[i + 2], dh = detectionBoxes[i + 3];
    for (let g = 0; g < annotations.length; g++, at++) {
      const j = 4 * annotations[g];
      const gx = annotationBoxes[j], gy = annotationBoxes[j + 1], gw = annotationBoxes[j + 2], gh = annotationBoxes[j + 3];
      const width = Math.min(dw + dx, gw + gx) - Math.max(dx, gx);
      if (width <= 0) continue;
      const height = Math.min(dh + dy, gh + gy) - Math.max(dy, gy);
      if (height <= 0) continue;
      const intersection = width * height;
      ious[at] = intersection / (crowd[annotations[g]] ? dw * dh : dw * dh + gw * gh - intersection);
    }
  }
  return ious;
}

/**
 * COCO's greedy matching (`evaluateImg` of pycocotools): best score first, each detection takes the free annotation that it covers
 * best, at or over the threshold; one that is ignored only where no other fits; a crowd as often as asked.
 * @param ignored flag of every annotation of the table; `crowd` likewise
 * @param outside flag of every detection of the table: its area is outside of the range, which excuses it if it matches nothing
 * @param outcomes [10 thresholds, places] is written at the places of this image's detections
 */
export function matchDetections({ detections, places, annotations, ious }: ImageMatch, ignored: Uint8Array, crowd: Uint8Array, outside: Uint8Array, outcomes: Uint8Array): void {
  const count = annotations.length, ranked = outcomes.length / iouThresholds.length;
  const { ignored: neither, truePositive, falsePositive } = outcome;
  const order = [...annotations.keys()].sort((a, b) => ignored[annotations[a]] - ignored[annotations[b]]);
  const taken = new Uint8Array(count);
  for (let t = 0; t < iouThresholds.length; t++) {
    taken.fill(0);
    for (let d = 0; d < detections.length; d++) {
      let best = Math.min(iouThresholds[t], 1 - 1e-10), match = -1;
      for (const g of order) {
        if (taken[g] && !crowd[annotations[g]]) continue;
        if (match >= 0 && !ignored[annotations[match]] && ignored[annotations[g]]) break;
        if (ious[d * count + g] < best) continue;
        best = ious[d * count + g];
        match = g;
      }
      if (match >= 0) taken[match] = 1;
      const excused = match >= 0 ? ignored[annotations[match]] : outside[detections[d]];
      outcomes[t * ranked + places[d]] = excused ? neither : match >= 0 ? truePositive : falsePositive;
    }
  }
}
