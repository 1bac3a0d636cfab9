import { tf, type Tensor } from '../tensor/tf.js';
import { cxcywhToXyxy } from './boxes.js';
import { generalizedIoUElementwise } from './giou.js';
import { DETECTION_WEIGHTS, forLayers, match, oneHotLabels, validity, type Targets } from './matcher.js';

/** Weight of "no object" in the cross-entropy (DETR's eos_coef). */
export const NO_OBJECT_WEIGHT = 0.1;

/** L_GT of Eq. 2.38 and its terms, unweighted, for each decoder layer; the last entry is the final layer's. */
export interface SetLoss {
  /** Weighted sum over terms and decoder layers, scalar. */
  total: Tensor;
  /** DETR: weighted cross-entropy; SMCA-DETR: focal loss; [L]. */
  classification: Tensor;
  /** L1 distance of `cxcywh` boxes, [L]. */
  l1: Tensor;
  /** 1 - GIoU, [L]. */
  giou: Tensor;
  /** Which query each target is matched to: [L * B, G, Q], one-hot rows, zero rows for padding. */
  assignment: Tensor;
}

/** The class that each query is matched to, one-hot, zero rows where there is none: assignment [L * B, G, Q] -> [L * B, Q, classes]. */
export function matchedClasses(targets: Targets, assignment: Tensor, layers: number, classes: number): Tensor {
  return tf.matMul(assignment, forLayers(oneHotLabels(targets, classes), layers), true, false);
}

/**
 * Cross-entropy with the weighted mean of torch's F.cross_entropy: sum(w ce) / sum(w) for each decoder layer, w = 0.1 where
 * a query is matched to no object; for a part of a step's batch, sum(w) is that of the step over the number of parts. logits [L, B, Q, K + 1], assignment [L * B, G, Q] -> [L].
 */
function classificationLoss(logits: Tensor, targets: Targets, assignment: Tensor): Tensor {
  const [layers, batch, queries, classes] = logits.shape as [number, number, number, number];
  const matched = matchedClasses(targets, assignment, layers, classes);
  const free = tf.reshape(tf.sub(1, tf.sum(assignment, 1)), [layers * batch, queries, 1]);
  const noObject = tf.tensor1d(Float32Array.from({ length: classes }, (_, i) => (i === classes - 1 ? NO_OBJECT_WEIGHT : 0)));
  const weights = tf.reshape(tf.add(matched, tf.mul(free, noObject)), [layers, batch * queries * classes]);
  const shares = tf.div(weights, targets.boxCount ? sumOfWeights(targets.boxCount, batch * queries) : tf.sum(weights, 1, true));
  return tf.neg(tf.sum(tf.mul(shares, tf.reshape(tf.logSoftmax(logits), [layers, batch * queries * classes])), 1));
}

/** The sum of the cross-entropy's weights for as many queries and matched boxes: 1 for each matched one, 0.1 for each other. */
const sumOfWeights = (boxes: Tensor, queries: number): Tensor => tf.add(tf.mul(boxes, 1 - NO_OBJECT_WEIGHT), queries * NO_OBJECT_WEIGHT);

/** What sums over boxes are divided by (see `Targets`), a scalar. */
export const boxCount = (targets: Targets): Tensor => targets.boxCount ?? tf.maximum(tf.sum(validity(targets)), 1);

/**
 * A set loss from its matching and its classification term: L1 (weight 5) and GIoU (2) between each target and its query, over the number
 * of boxes in the batch; the same in DETR and SMCA-DETR.
 * @param classification [L], and its weight
 * @param boxes `cxcywh` [L, B, Q, 4]
 * @param assignment [L * B, G, Q]
 */
export function setLoss(classification: Tensor, weight: number, boxes: Tensor, targets: Targets, assignment: Tensor): SetLoss {
  const [layers, batch, queries] = boxes.shape as [number, number, number];
  const mask = forLayers(validity(targets), layers), wanted = forLayers(targets.boxes, layers), count = boxCount(targets);
  const predicted = tf.matMul(assignment, tf.reshape(boxes, [layers * batch, queries, 4])); // [L * B, G, 4]
  const perLayer = (values: Tensor): Tensor => tf.div(tf.sum(tf.reshape(tf.mul(values, mask), [layers, -1]), 1), count);
  const l1 = perLayer(tf.sum(tf.abs(tf.sub(predicted, wanted)), -1));
  const giou = perLayer(tf.sub(1, generalizedIoUElementwise(cxcywhToXyxy(predicted), cxcywhToXyxy(wanted))));
  const boxTerms = tf.add(tf.mul(l1, DETECTION_WEIGHTS.l1), tf.mul(giou, DETECTION_WEIGHTS.giou));
  return { total: tf.sum(tf.add(tf.mul(classification, weight), boxTerms)), classification, l1, giou, assignment };
}

/**
 * DETR's set criterion (`SetCriterion`): every decoder layer is matched on its own and contributes cross-entropy (weight 1),
 * L1 (5) and GIoU (2); box terms are divided by the number of boxes in the batch, at least 1. Images without objects and
 * batches without boxes are fine. Matching and targets are constants to the gradient.
 * @param logits [L, B, Q, K + 1]
 * @param boxes `cxcywh` [L, B, Q, 4]
 */
export function setCriterion(logits: Tensor, boxes: Tensor, targets: Targets): SetLoss {
  const assignment = match(logits, boxes, targets);
  return setLoss(classificationLoss(logits, targets, assignment), DETECTION_WEIGHTS.classification, boxes, targets, assignment);
}
