import { tf, type Tensor } from '../tensor/tf.js';
import { FOCAL_ALPHA, sigmoidFocalLoss } from './focal-loss.js';
import { boxCost, match, ofTargetClasses, type Targets } from './matcher.js';
import { boxCount, matchedClasses, setLoss, type SetLoss } from './set-criterion.js';

/** Weight of SMCA-DETR's classification terms, in the matching cost and in the loss alike (PAPER.md 3.5); those of the boxes are DETR's. */
export const FOCAL_WEIGHT = 2;

/** Keeps logarithms finite, as in SMCA's release. */
const TINY = 1e-8;

/**
 * Matching cost of SMCA-DETR (PAPER.md 3.5): 2 (focal loss of the target's class as there - as not there) + 5 |box - target|_1
 * - 2 GIoU(box, target), with p after the sigmoid.
 * @param logits [L, B, Q, K]
 * @param boxes `cxcywh` [L, B, Q, 4]
 * @returns [L * B, Q, G]
 */
export function focalMatchingCost(logits: Tensor, boxes: Tensor, targets: Targets): Tensor {
  const p = tf.sigmoid(logits), q = tf.sub(1, p);
  const there = tf.mul(tf.mul(tf.square(q), -FOCAL_ALPHA), tf.log(tf.add(p, TINY)));
  const notThere = tf.mul(tf.mul(tf.square(p), FOCAL_ALPHA - 1), tf.log(tf.add(q, TINY)));
  return tf.add(boxCost(boxes, targets), tf.mul(ofTargetClasses(tf.sub(there, notThere), targets), FOCAL_WEIGHT));
}

/**
 * SMCA-DETR's bipartite matching, for every decoder layer on its own; outside of the gradient.
 * @param logits [L, B, Q, K]
 * @param boxes `cxcywh` [L, B, Q, 4]
 * @returns [L * B, G, Q]: one-hot rows, zero rows for padding
 */
export const focalMatch = (logits: Tensor, boxes: Tensor, targets: Targets): Tensor => match(logits, boxes, targets, focalMatchingCost);

/**
 * SMCA-DETR's set criterion (PAPER.md 3.5): as DETR's, with the focal loss of every query and class in place of the cross-entropy, its sum
 * divided by the number of boxes in the batch, at least 1 (weight 2). A query without an object is to give 0 for every class.
 * @param logits [L, B, Q, K]
 * @param boxes `cxcywh` [L, B, Q, 4]
 */
export function focalCriterion(logits: Tensor, boxes: Tensor, targets: Targets): SetLoss {
  const [layers, , , classes] = logits.shape as [number, number, number, number];
  const assignment = focalMatch(logits, boxes, targets);
  const wanted = tf.reshape(matchedClasses(targets, assignment, layers, classes), logits.shape);
  const classification = tf.div(tf.sum(tf.reshape(sigmoidFocalLoss(logits, wanted), [layers, -1]), 1), boxCount(targets));
  return setLoss(classification, FOCAL_WEIGHT, boxes, targets, assignment);
}
