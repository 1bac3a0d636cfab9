/**
 * The quantizer of Eq. 2.24 followed by its inverse, in real numbers ("fake" quantization), and its gradients, as named
 * kernels. With v = (x - z) / alpha, Q(x) = alpha round(clip(v, Qn, Qp)) + z and, for an output gradient dy,
 *
 *   |                      | v <= Qn | Qn < v < Qp  | v >= Qp |
 *   | dQ/dx                | 0       | 1            | 0       |
 *   | dQ/dalpha            | Qn      | round(v) - v | Qp      |
 *   | dQ/dz                | 1       | 0            | 1       |
 *
 * (LSQ: book Eq. 2.10; LSQ+ adds z.) The gradients of alpha and z are multiplied by g = 1/sqrt(N Qp).
 * Ties round to even, as torch.round and ONNX's Round do; tf.round does so on the cpu and wasm backends (tested).
 */
import { defineKernel } from '../tensor/named-kernel.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { Levels } from './levels.js';

/** Static settings of a quantizer. */
export interface FakeQuantizeAttributes extends Levels {
  /** Axis of x that a scale of more than one element runs along; a scale of one element is shared by all. */
  axis: number;
  /** g: the factor of the gradients of scale and offset. */
  gradientScale: number;
}

/** g = 1/sqrt(N Qp) of LSQ, N = `count` elements under the quantizer (the whole tensor, as released code counts). */
export const gradientScale = (count: number, { highest }: Levels): number => 1 / Math.sqrt(count * highest);

/** A scale or offset [n] as [1, ..., n, ..., 1] of the given rank, or [1, ..., 1] for one element. */
function along(values: Tensor, rank: number, axis: number): Tensor {
  const shape = new Array<number>(rank).fill(1);
  shape[axis] = values.size;
  return tf.reshape(values, shape);
}

/** Sums `t` over all axes but the one that `values` runs along; the shape of `values`. */
function sumLike(t: Tensor, values: Tensor, axis: number): Tensor {
  const axes = t.shape.map((_, i) => i).filter((i) => values.size === 1 || i !== axis);
  return tf.reshape(tf.sum(t, axes), values.shape);
}

/** round(clip(v, Qn, Qp)) */
const toLevel = (v: Tensor, { lowest, highest }: Levels): Tensor => tf.round(tf.clipByValue(v, lowest, highest));

/** 1 where Qn < v < Qp, else 0. */
const insideOf = (v: Tensor, { lowest, highest }: Levels): Tensor =>
  tf.mul(tf.cast(tf.greater(v, lowest), 'float32'), tf.cast(tf.less(v, highest), 'float32'));

/** dQ/dalpha: round(clip(v)) - v inside, and Qn or Qp, which is round(clip(v)) too, outside. */
const scaleSlope = (v: Tensor, inside: Tensor, range: Levels): Tensor => tf.sub(toLevel(v, range), tf.mul(inside, v));

const activationGradient = defineKernel<'dy' | 'x' | 'scale' | 'offset', FakeQuantizeAttributes>({
  name: 'FakeQuantizeActivationGradient',
  inputs: ['dy', 'x', 'scale', 'offset'],
  composite: ({ dy, x, scale, offset }, attributes) => {
    const { axis, gradientScale: g } = attributes;
    const v = tf.div(tf.sub(x, along(offset, x.rank, axis)), along(scale, x.rank, axis));
    const inside = insideOf(v, attributes);
    const dx = tf.mul(dy, inside);
    const dScale = sumLike(tf.mul(dy, scaleSlope(v, inside, attributes)), scale, axis);
    return [dx, tf.mul(dScale, g), tf.mul(sumLike(tf.sub(dy, dx), offset, axis), g)];
  },
});

const activation = defineKernel<'x' | 'scale' | 'offset', FakeQuantizeAttributes>({
  name: 'FakeQuantizeActivation',
  inputs: ['x', 'scale', 'offset'],
  composite: ({ x, scale, offset }, attributes) => {
    const alpha = along(scale, x.rank, attributes.axis), z = along(offset, x.rank, attributes.axis);
    return [tf.add(tf.mul(toLevel(tf.div(tf.sub(x, z), alpha), attributes), alpha), z)];
  },
  gradient: ([dy], inputs, _outputs, attributes) => {
    const [x, scale, offset] = activationGradient({ dy, ...inputs }, attributes);
    return { x, scale, offset };
  },
});

const weightGradient = defineKernel<'dy' | 'x' | 'scale', FakeQuantizeAttributes>({
  name: 'FakeQuantizeWeightGradient',
  inputs: ['dy', 'x', 'scale'],
  composite: ({ dy, x, scale }, attributes) => {
    const { axis, gradientScale: g } = attributes;
    const v = tf.div(x, along(scale, x.rank, axis));
    const inside = insideOf(v, attributes);
    return [tf.mul(dy, inside), tf.mul(sumLike(tf.mul(dy, scaleSlope(v, inside, attributes)), scale, axis), g)];
  },
});

const weight = defineKernel<'x' | 'scale', FakeQuantizeAttributes>({
  name: 'FakeQuantizeWeight',
  inputs: ['x', 'scale'],
  composite: ({ x, scale }, attributes) => {
    const alpha = along(scale, x.rank, attributes.axis);
    return [tf.mul(toLevel(tf.div(x, alpha), attributes), alpha)];
  },
  gradient: ([dy], inputs, _outputs, attributes) => {
    const [x, scale] = weightGradient({ dy, ...inputs }, attributes);
    return { x, scale };
  },
});

/**
 * Q_a(x) = alpha round(clip((x - z)/alpha, Qn, Qp)) + z: LSQ+, asymmetric. Kernel `FakeQuantizeActivation`.
 * @param x any shape
 * @param scale alpha, [1], or [n] along `axis`; positive
 * @param offset z, real, the shape of `scale`
 */
export const fakeQuantizeActivation = (x: Tensor, scale: Tensor, offset: Tensor, attributes: FakeQuantizeAttributes): Tensor => activation({ x, scale, offset }, attributes)[0];

/**
 * Q_w(w) = alpha round(clip(w/alpha, Qn, Qp)): symmetric, for weights and for LSQ's activations, which have no offset.
 * Kernel `FakeQuantizeWeight`.
 * @param x any shape
 * @param scale alpha, [1], or [n] along `axis` (weights: the output channels); positive
 */
export const fakeQuantizeWeight = (x: Tensor, scale: Tensor, attributes: FakeQuantizeAttributes): Tensor => weight({ x, scale }, attributes)[0];
