import { tf, type Tensor } from '../tensor/tf.js';
import { lastAxis } from './boxes.js';

/** Added to areas that are divided by: boxes without an area give 0 instead of NaN; far below float32 rounding otherwise. */
const tiny = 1e-12;

/** Areas of boxes: [..., 4] `xyxy` -> [..., 1]. */
function area(boxes: Tensor): Tensor {
  return product(tf.sub(lastAxis(boxes, 2, 2), lastAxis(boxes, 0, 2)));
}

/** Width times height: [..., 2] -> [..., 1]. */
const product = (size: Tensor): Tensor => tf.mul(lastAxis(size, 0, 1), lastAxis(size, 1, 1));

/** GIoU of boxes of equal shape, [..., 4] and [..., 4] -> [..., 1]. Equal, because tfjs's gradients of maximum and minimum do not sum over broadcast axes. */
function generalizedIoUOfEqualShapes(a: Tensor, b: Tensor): Tensor {
  const lowA = lastAxis(a, 0, 2), highA = lastAxis(a, 2, 2), lowB = lastAxis(b, 0, 2), highB = lastAxis(b, 2, 2);
  const intersection = product(tf.relu(tf.sub(tf.minimum(highA, highB), tf.maximum(lowA, lowB))));
  const enclosing = product(tf.sub(tf.maximum(highA, highB), tf.minimum(lowA, lowB)));
  const union = tf.sub(tf.add(area(a), area(b)), intersection);
  return tf.sub(tf.div(intersection, tf.add(union, tiny)), tf.div(tf.sub(enclosing, union), tf.add(enclosing, tiny)));
}

/**
 * Generalized intersection over union of every box of `a` with every box of `b` (Rezatofighi et al., CVPR 2019, Algorithm 1):
 * IoU - (enclosing box - union) / enclosing box. Differentiable.
 * @param a [..., n, 4] `xyxy`
 * @param b [..., m, 4] `xyxy`, leading axes as in `a`
 * @returns [..., n, m] in [-1, 1]. Two boxes without an area give 0 where torchvision gives NaN.
 */
export function generalizedIoU(a: Tensor, b: Tensor): Tensor {
  const lead = a.shape.slice(0, -2), n = a.shape.at(-2)!, m = b.shape.at(-2)!;
  const zeros = tf.zeros([...lead, n, m, 4]);
  const spreadA = tf.add(tf.reshape(a, [...lead, n, 1, 4]), zeros), spreadB = tf.add(tf.reshape(b, [...lead, 1, m, 4]), zeros);
  return tf.reshape(generalizedIoUOfEqualShapes(spreadA, spreadB), [...lead, n, m]);
}

/** GIoU of each box of `a` with the box at its place in `b`: [..., 4] and [..., 4] `xyxy` -> [...]. Differentiable; as `generalizedIoU` otherwise. */
export function generalizedIoUElementwise(a: Tensor, b: Tensor): Tensor {
  return tf.reshape(generalizedIoUOfEqualShapes(a, b), a.shape.slice(0, -1));
}
