import { tf, type Tensor } from './tf.js';
import { BETA1, BETA2, EPSILON } from './adamw-corrections.js';

/** One parameter (or many, packed) with its gradient and the optimizer's memory of it; all of one shape. */
export interface AdamWState {
  parameter: Tensor;
  gradient: Tensor;
  /** Running mean of the gradient; 0 before the first step. */
  first: Tensor;
  /** Running mean of the squared gradient; 0 before the first step. */
  second: Tensor;
}

/** What a step is taken with. Scalar tensors change from step to step, numbers belong to the compiled graph. */
export interface AdamWOptions {
  /** Scalar. */
  learningRate: Tensor;
  /** Scalar, 1 - beta1^t with t = 1 in the first step; see `adamWCorrections`. */
  correction1: Tensor;
  /** Scalar, 1 - beta2^t. */
  correction2: Tensor;
  weightDecay: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
}

/**
 * One step of AdamW (Loshchilov and Hutter, 2019), in the order of torch.optim.AdamW: decay, moments, update.
 * @returns the updated parameter and moments, of the parameter's shape
 */
export function adamW({ parameter, gradient, first, second }: AdamWState, options: AdamWOptions): { parameter: Tensor; first: Tensor; second: Tensor } {
  const { learningRate, correction1, correction2, weightDecay, beta1 = BETA1, beta2 = BETA2, epsilon = EPSILON } = options;
  const decayed = weightDecay === 0 ? parameter : tf.mul(parameter, tf.sub(1, tf.mul(learningRate, weightDecay)));
  const newFirst = tf.add(first, tf.mul(tf.sub(gradient, first), 1 - beta1));
  const newSecond = tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2));
  const denominator = tf.add(tf.div(tf.sqrt(newSecond), tf.sqrt(correction2)), epsilon);
  const updated = tf.sub(decayed, tf.mul(tf.div(learningRate, correction1), tf.div(newFirst, denominator)));
  return { parameter: updated, first: newFirst, second: newSecond };
}
