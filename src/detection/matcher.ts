import { linearAssignment } from '../tensor/linear-assignment.js';
import { withoutGradient } from '../tensor/named-kernel.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { cxcywhToXyxy } from './boxes.js';
import { generalizedIoU } from './giou.js';

/** Weights of the three terms of DETR, in the matching cost and in the loss alike (facebookresearch/detr); those of the boxes are SMCA-DETR's too. */
export const DETECTION_WEIGHTS = { classification: 1, l1: 5, giou: 2 } as const;

/** Ground truth of a batch. */
export interface Targets {
  /** Class 0..K-1, or -1 for padding, [B, G], int32 or float32. */
  labels: Tensor;
  /** `cxcywh` in 0..1, anything for padding, [B, G, 4]. */
  boxes: Tensor;
  /**
   * What sums over boxes are divided by, a scalar above 0; the number of boxes of the batch, at least 1, where it is left out. Where a batch is one of A parts of a
   * step's: the number of the step's boxes, at least 1, over A, so that the mean of the parts' losses is the loss of the whole.
   */
  boxCount?: Tensor;
}

/** 1 for a box, 0 for padding, [B, G] float32. */
export const validity = ({ labels }: Targets): Tensor => tf.cast(tf.greaterEqual(labels, tf.zerosLike(labels)), 'float32');

/** One-hot labels, zero rows for padding: [B, G] -> [B, G, size] float32. A comparison: engines disagree about the one-hot of -1. */
export function oneHotLabels({ labels }: Targets, size: number): Tensor {
  const classes = tf.tensor1d(Float32Array.from({ length: size }, (_, i) => i));
  return tf.cast(tf.equal(tf.expandDims(tf.cast(labels, 'float32'), -1), classes), 'float32');
}

/** x [B, ...] as [L * B, ...]: the same for every decoder layer. */
export function forLayers(x: Tensor, layers: number): Tensor {
  const [batch, ...rest] = x.shape;
  return layers === 1 ? x : tf.reshape(tf.add(tf.expandDims(x, 0), tf.zeros([layers, ...x.shape.map(() => 1)])), [layers * batch, ...rest]);
}

/**
 * The boxes' part of a matching cost, 5 |box - target|_1 - 2 GIoU(box, target), the same in DETR and SMCA-DETR.
 * @param boxes `cxcywh` [L, B, Q, 4]
 * @returns [L * B, Q, G]
 */
export function boxCost(boxes: Tensor, targets: Targets): Tensor {
  const [layers, batch, queries] = boxes.shape as [number, number, number];
  const count = targets.boxes.shape[1]!, problems = layers * batch;
  const predicted = tf.reshape(boxes, [problems, queries, 4]), wanted = forLayers(targets.boxes, layers);
  const distance = tf.sum(tf.abs(tf.sub(tf.reshape(predicted, [problems, queries, 1, 4]), tf.reshape(wanted, [problems, 1, count, 4]))), -1);
  const overlap = generalizedIoU(cxcywhToXyxy(predicted), cxcywhToXyxy(wanted));
  return tf.sub(tf.mul(distance, DETECTION_WEIGHTS.l1), tf.mul(overlap, DETECTION_WEIGHTS.giou));
}

/**
 * What each query has for the class of each target: [L, B, Q, classes] -> [L * B, Q, G]; 0 for padding.
 * @param values a number for each class
 */
export function ofTargetClasses(values: Tensor, targets: Targets): Tensor {
  const [layers, batch, queries, classes] = values.shape as [number, number, number, number];
  return tf.matMul(tf.reshape(values, [layers * batch, queries, classes]), forLayers(oneHotLabels(targets, classes), layers), false, true);
}

/** A matching cost: [L, B, Q, K or K + 1] logits and [L, B, Q, 4] boxes -> [L * B, Q, G]. */
export type MatchingCost = (logits: Tensor, boxes: Tensor, targets: Targets) => Tensor;

/**
 * Matching cost of DETR: -p(class) + 5 |box - target|_1 - 2 GIoU(box, target), p after the softmax.
 * @param logits [L, B, Q, K + 1]
 * @param boxes `cxcywh` [L, B, Q, 4]
 * @returns [L * B, Q, G]
 */
export function matchingCost(logits: Tensor, boxes: Tensor, targets: Targets): Tensor {
  return tf.sub(boxCost(boxes, targets), tf.mul(ofTargetClasses(tf.softmax(logits), targets), DETECTION_WEIGHTS.classification));
}

/**
 * Bipartite matching of DETR (section 3.1), for every decoder layer on its own; outside of the gradient.
 * @param logits [L, B, Q, K + 1]; [L, B, Q, K] with the cost of SMCA-DETR
 * @param boxes `cxcywh` [L, B, Q, 4]
 * @param cost of a query for a target; DETR's where it is left out
 * @returns [L * B, G, Q]: one-hot rows, zero rows for padding
 */
export function match(logits: Tensor, boxes: Tensor, targets: Targets, cost: MatchingCost = matchingCost): Tensor {
  return withoutGradient((p, b) => linearAssignment(cost(p, b, targets), forLayers(validity(targets), logits.shape[0])), [logits, boxes]);
}
