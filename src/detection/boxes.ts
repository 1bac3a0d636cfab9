import { tf, type Tensor } from '../tensor/tf.js';

/** Four numbers of one box; the name of the variable says which: `cxcywh`, `xyxy` or COCO's `xywh` (corner, size). */
export type Box = readonly [number, number, number, number];

/** Numbers `from` to `from + size - 1` of the last axis: [..., k] -> [..., size]. */
export function lastAxis(x: Tensor, from: number, size: number): Tensor {
  const begin = x.shape.map(() => 0), sizes = [...x.shape];
  begin[begin.length - 1] = from;
  sizes[sizes.length - 1] = size;
  return tf.slice(x, begin, sizes);
}

/** Centre and size to corners: [..., 4] -> [..., 4], differentiable (`box_cxcywh_to_xyxy` of facebookresearch/detr, util/box_ops.py). */
export function cxcywhToXyxy(boxes: Tensor): Tensor {
  const centre = lastAxis(boxes, 0, 2), half = tf.mul(lastAxis(boxes, 2, 2), 0.5);
  return tf.concat([tf.sub(centre, half), tf.add(centre, half)], -1);
}

/** Corners to centre and size: [..., 4] -> [..., 4], differentiable (`box_xyxy_to_cxcywh` of facebookresearch/detr, util/box_ops.py). */
export function xyxyToCxcywh(boxes: Tensor): Tensor {
  const low = lastAxis(boxes, 0, 2), high = lastAxis(boxes, 2, 2);
  return tf.concat([tf.mul(tf.add(low, high), 0.5), tf.sub(high, low)], -1);
}
