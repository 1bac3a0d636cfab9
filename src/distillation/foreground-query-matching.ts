import { cxcywhToXyxy } from '../detection/boxes.js';
import { generalizedIoU } from '../detection/giou.js';
import { DETECTION_WEIGHTS, validity, type Targets } from '../detection/matcher.js';
import { withoutGradient } from '../tensor/named-kernel.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { DistillationSettings } from './settings.js';

/** Which queries of the student learn, and from which of the teacher's. Constants to the gradient. */
export interface QueryMatching {
  /** 1 for a student query that learns, else 0, [B, Q] float32. */
  kept: Tensor;
  /** One-hot over the teacher's queries, [B, Q, Qt] float32, so that a product with the teacher's features gathers them. It says nothing where `kept` is 0. */
  partner: Tensor;
}

/** One-hot of the highest number along the last axis, the first of equal ones: [..., n] -> [..., n]. */
export function oneHotOfHighest(x: Tensor): Tensor {
  return tf.gather(tf.eye(x.shape[x.rank - 1]), tf.argMax(x, -1));
}

/**
 * Eq. 2.33: G_i = max over j of GIoU(b_i^GT, b_j^S).
 * @param giou GIoU(b_i^GT, b_j^S), [B, G, Q]
 * @returns [B, G, 1]
 */
export function highestOverlap(giou: Tensor): Tensor {
  return tf.max(giou, -1, true);
}

/**
 * Eq. 2.34: b_j^S is kept if and only if GIoU(b_i^GT, b_j^S) > tau G_i for an i. "For all i" is printed, "around at least one ground truth" is
 * what the text says (decision A12). An object with G_i <= 0, which no query overlaps, keeps none: tau G_i >= G_i (decision A13 needs nothing
 * more). The inequality is strict, so that tau = 1 keeps none; tau = 0 keeps GIoU > 0, or every query with `tauZero: 'full-imitation'` (decision A14).
 * @param student `cxcywh` [B, Q, 4]
 * @returns [B, Q], 1 for kept
 */
export function selectForeground(student: Tensor, targets: Targets, { tau, tauZero }: Pick<DistillationSettings, 'tau' | 'tauZero'>): Tensor {
  if (tau === 0 && tauZero === 'full-imitation') return tf.ones(student.shape.slice(0, 2));
  return withoutGradient((boxes) => {
    const giou = generalizedIoU(cxcywhToXyxy(targets.boxes), cxcywhToXyxy(boxes)); // [B, G, Q]
    const above = tf.cast(tf.greater(giou, tf.mul(highestOverlap(giou), tau)), 'float32');
    return tf.max(tf.mul(above, tf.expandDims(validity(targets), -1)), 1);
  }, [student]);
}

/**
 * What Eq. 2.35 maximizes: mu_1 GIoU(b_j^S, b_k^T) - mu_2 |b_j^S - b_k^T|_1 with mu_1 = 2, mu_2 = 5, the weights of DETR's own matching.
 * @param student `cxcywh` [B, Q, 4]
 * @param teacher `cxcywh` [B, Qt, 4]
 * @returns [B, Q, Qt], in [-22, 2] for boxes within the image
 */
export function matchingScore(student: Tensor, teacher: Tensor): Tensor {
  const { giou: mu1, l1: mu2 } = DETECTION_WEIGHTS;
  const giou = generalizedIoU(cxcywhToXyxy(student), cxcywhToXyxy(teacher));
  const distance = tf.sum(tf.abs(tf.sub(tf.expandDims(student, 2), tf.expandDims(teacher, 1))), -1);
  return tf.sub(tf.mul(giou, mu1), tf.mul(distance, mu2));
}

/**
 * Eq. 2.35: the teacher's partner of query j is argmax over k of `matchingScore`. A sum over k is printed before the maximum, a slip;
 * several queries may have the same partner (decision A15).
 * @param student `cxcywh` [B, Q, 4]
 * @param teacher `cxcywh` [B, Qt, 4]
 * @returns one-hot [B, Q, Qt]
 */
export function teacherPartner(student: Tensor, teacher: Tensor): Tensor {
  return withoutGradient((s, t) => oneHotOfHighest(matchingScore(s, t)), [student, teacher]);
}

/**
 * Foreground-aware query matching (FQM), Eq. 2.33-2.35, by the boxes of the last decoder layers (decision A17), classes playing no part.
 * Outside of the gradient; an image without objects keeps no query.
 * @param student the student's boxes, `cxcywh` [B, Q, 4]
 * @param teacher the teacher's boxes, `cxcywh` [B, Qt, 4]
 */
export function foregroundQueryMatching(student: Tensor, teacher: Tensor, targets: Targets, settings: Pick<DistillationSettings, 'tau' | 'tauZero'>): QueryMatching {
  return { kept: selectForeground(student, targets, settings), partner: teacherPartner(student, teacher) };
}
