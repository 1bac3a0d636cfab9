import { defineKernel } from './named-kernel.js';
import { tf, type Tensor } from './tf.js';

/** torchvision's default. */
export const BATCH_NORM_EPSILON = 1e-5;

const gradientKernel = defineKernel<'dy' | 'x' | 'weight' | 'mean' | 'variance', { epsilon: number }>({
  name: 'BatchNormGradient',
  inputs: ['dy', 'x', 'weight', 'mean', 'variance'],
  composite: ({ dy, x, weight, mean, variance }, { epsilon }) => {
    const rows = x.shape.map((_, i) => i).slice(0, -1);
    const count = x.size / variance.size;
    const inverseDeviation = tf.rsqrt(tf.add(variance, epsilon));
    const centred = tf.sub(x, mean);
    const dBias = tf.sum(dy, rows);
    const dCentred = tf.mul(tf.sum(tf.mul(dy, centred), rows), inverseDeviation); // gradient of weight
    const scale = tf.mul(weight, inverseDeviation);
    const slope = tf.div(tf.mul(tf.mul(scale, inverseDeviation), dCentred), count);
    const shift = tf.div(tf.mul(scale, dBias), count);
    return [tf.sub(tf.mul(dy, scale), tf.add(tf.mul(centred, slope), shift)), dCentred, dBias];
  },
});

const kernel = defineKernel<'x' | 'weight' | 'bias', { epsilon: number }>({
  name: 'BatchNorm',
  inputs: ['x', 'weight', 'bias'],
  composite: ({ x, weight, bias }, { epsilon }) => {
    const rows = x.shape.map((_, i) => i).slice(0, -1);
    const mean = tf.mean(x, rows);
    const centred = tf.sub(x, mean);
    const variance = tf.mean(tf.square(centred), rows);
    return [tf.add(tf.mul(centred, tf.mul(weight, tf.rsqrt(tf.add(variance, epsilon)))), bias), mean, variance];
  },
  savedOutputs: [false, true, true],
  gradient: ([dy], { x, weight }, [mean, variance], attributes) => {
    const [dx, dWeight, dBias] = gradientKernel({ dy, x, weight, mean, variance }, attributes);
    return { x: dx, weight: dWeight, bias: dBias };
  },
});

/**
 * Batch normalization with the statistics of the batch, over all axes but the last, as torch.nn.BatchNorm2d computes it in
 * training. Kernels `BatchNorm` (y, mean and biased variance [C]) and `BatchNormGradient` (gradients of x, weight and bias).
 * Mean and variance are for the running averages: no gradient flows through them.
 * @param x [..., C]
 * @param weight [C]
 * @param bias [C]
 */
export function batchNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon = BATCH_NORM_EPSILON): { y: Tensor; mean: Tensor; variance: Tensor } {
  const [y, mean, variance] = kernel({ x, weight, bias }, { epsilon });
  return { y, mean, variance };
}
