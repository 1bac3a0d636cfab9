import { defineKernel } from './named-kernel.js';
import { tf, type Tensor } from './tf.js';

/** PyTorch's default. */
export const LAYER_NORM_EPSILON = 1e-5;

const gradientKernel = defineKernel<'dy' | 'x' | 'weight' | 'mean' | 'inverseDeviation', object>({
  name: 'LayerNormGradient',
  inputs: ['dy', 'x', 'weight', 'mean', 'inverseDeviation'],
  composite: ({ dy, x, weight, mean, inverseDeviation }) => {
    const rows = x.shape.map((_, i) => i).slice(0, -1);
    const normalized = tf.mul(tf.sub(x, mean), inverseDeviation);
    const g = tf.mul(dy, weight);
    const along = tf.mean(tf.mul(g, normalized), -1, true);
    const dx = tf.mul(tf.sub(tf.sub(g, tf.mean(g, -1, true)), tf.mul(normalized, along)), inverseDeviation);
    return [dx, tf.sum(tf.mul(dy, normalized), rows), tf.sum(dy, rows)];
  },
});

const kernel = defineKernel<'x' | 'weight' | 'bias', { epsilon: number }>({
  name: 'LayerNorm',
  inputs: ['x', 'weight', 'bias'],
  composite: ({ x, weight, bias }, { epsilon }) => {
    const mean = tf.mean(x, -1, true);
    const centred = tf.sub(x, mean);
    const inverseDeviation = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
    return [tf.add(tf.mul(tf.mul(centred, inverseDeviation), weight), bias), mean, inverseDeviation];
  },
  savedOutputs: [false, true, true],
  gradient: ([dy], { x, weight }, [mean, inverseDeviation]) => {
    const [dx, dWeight, dBias] = gradientKernel({ dy, x, weight, mean, inverseDeviation }, {});
    return { x: dx, weight: dWeight, bias: dBias };
  },
});

/**
 * Layer normalization over the last axis, as torch.nn.LayerNorm computes it. Kernels `LayerNorm` (y, mean and
 * 1/standard deviation [..., 1]) and `LayerNormGradient` (gradients of x, weight and bias).
 * @param x [..., C]
 * @param weight [C]
 * @param bias [C]
 * @returns [..., C]
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = LAYER_NORM_EPSILON): Tensor {
  return kernel({ x, weight, bias }, { epsilon })[0];
}
