import type { Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { adamW, type AdamWOptions } from '../tensor/adamw.js';
import { clipGradientNorm } from './gradient-clipping.js';
import { packTensors, type GroupLayout } from './parameter-groups.js';

/** A group's flat vectors, each of the layout's size. */
export type PackedGroup = { parameter: Tensor; first: Tensor; second: Tensor };

/** Scalars of a step, and the limit of its gradient's norm. */
type OptimizerOptions = Pick<AdamWOptions, 'learningRate' | 'correction1' | 'correction2'> & { clipNorm: number };

/**
 * One optimizer step over packed parameter groups: the global norm of all gradients is clipped, then each group takes its AdamW step
 * with its own learning rate and weight decay and is kept at or above its minimum.
 * @param gradients of every trained parameter, by name, in the parameter's shape
 * @param groups in the order of `layouts`
 * @param options scalar tensors `learningRate` (the schedule's, before a group's factor), `correction1`, `correction2`
 * @returns the updated groups, in order, and the gradient's norm before clipping (scalar)
 */
export function optimizerStep(layouts: readonly GroupLayout[], gradients: Parameters, groups: readonly PackedGroup[], options: OptimizerOptions): { groups: PackedGroup[]; norm: Tensor } {
  return packedOptimizerStep(layouts, layouts.map((layout) => packTensors(layout, gradients)), groups, options);
}

/** The same, with each group's gradients in one vector [size]. */
export function packedOptimizerStep(layouts: readonly GroupLayout[], gradients: readonly Tensor[], groups: readonly PackedGroup[], { clipNorm, learningRate, ...corrections }: OptimizerOptions): { groups: PackedGroup[]; norm: Tensor } {
  const clipped = clipGradientNorm([...gradients], clipNorm);
  const updated = layouts.map(({ group: { learningRateFactor, weightDecay, minimum } }, i) => {
    const step = adamW({ ...groups[i], gradient: clipped.gradients[i] }, { ...corrections, learningRate: tf.mul(learningRate, learningRateFactor), weightDecay });
    return minimum === undefined ? step : { ...step, parameter: tf.maximum(step.parameter, minimum) };
  });
  return { groups: updated, norm: clipped.norm };
}
