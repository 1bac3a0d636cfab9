import { batchNorm, BATCH_NORM_EPSILON } from '../tensor/batch-norm.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { Forward } from './forward.js';

/** Weight of the newest batch in the running averages: torchvision's default. */
export const STATISTICS_MOMENTUM = 0.1;

/**
 * Batch normalization `name`, with the names of torchvision: `<name>.weight`, `.bias`, `.running_mean`, `.running_var`, [C] each.
 * With `batchStatistics` it normalizes by the batch and leaves the updated running averages in `forward.statistics` (kept
 * by tf.keep, so that they outlive the scope of a gradient: the caller stores and disposes them). Without, it is the
 * affine of DETR's FrozenBatchNorm2d, by the running averages.
 * @param x [B, H, W, C]
 */
export function batchNormalization(forward: Forward, name: string, x: Tensor): Tensor {
  const [weight, bias, runningMean, runningVariance] = ['weight', 'bias', 'running_mean', 'running_var'].map((key) => forward.parameters[`${name}.${key}`]);
  if (!forward.batchStatistics) {
    const scale = tf.mul(weight, tf.rsqrt(tf.add(runningVariance, BATCH_NORM_EPSILON)));
    return tf.add(tf.mul(x, scale), tf.sub(bias, tf.mul(runningMean, scale)));
  }
  const { y, mean, variance } = batchNorm(x, weight, bias);
  const count = x.size / variance.size;
  const average = (running: Tensor, newest: Tensor, factor: number): Tensor => tf.keep(tf.add(tf.mul(running, 1 - STATISTICS_MOMENTUM), tf.mul(newest, STATISTICS_MOMENTUM * factor)));
  forward.statistics[`${name}.running_mean`] = average(runningMean, mean, 1);
  forward.statistics[`${name}.running_var`] = average(runningVariance, variance, count / (count - 1)); // unbiased, as PyTorch keeps it
  return y;
}

/** True for the name of a batch normalization's buffer in PyTorch's state dicts: state of the model that no optimizer touches. */
export const isBuffer = (name: string): boolean => /(^|\.)(running_mean|running_var|num_batches_tracked)$/.test(name);
