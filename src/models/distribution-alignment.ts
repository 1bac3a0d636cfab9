import { layerNorm } from '../tensor/layer-norm.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { Forward } from './forward.js';

/** eps of Eq. 2.32. */
export const ALIGNMENT_EPSILON = 1e-5;

/** Operands that can be aligned, as attention.operand. The paper: `co-attention.q` (decision A10); the released code: `decoder-self-attention.q` (PAPER.md 3.4). */
export const ALIGNMENT_PLACES = [
  'co-attention.q', 'co-attention.k', 'co-attention.v', 'decoder-self-attention.q', 'decoder-self-attention.k', 'decoder-self-attention.v', 'encoder.q', 'encoder.k', 'encoder.v',
] as const;
/** See `ALIGNMENT_PLACES`. */
export type AlignmentPlace = (typeof ALIGNMENT_PLACES)[number];

/** What mean and variance of Eq. 2.32 run over: `head-width`, each token and head on its own (decision A11); `queries`, the tokens of an image for each head and channel. */
export const ALIGNMENT_AXES = ['head-width', 'queries'] as const;
/** See `ALIGNMENT_AXES`. */
export type AlignmentAxis = (typeof ALIGNMENT_AXES)[number];

/** Where gamma and beta start: `ones` 1 and 0 (the released code); `measured` so that a trained model keeps what it computes as well as it can. */
export const ALIGNMENT_STARTS = ['ones', 'measured'] as const;
/** See `ALIGNMENT_STARTS`. */
export type AlignmentStart = (typeof ALIGNMENT_STARTS)[number];

/** Which operands of a model are aligned, and how. */
export interface AlignmentSettings {
  /** In every layer of the encoder or decoder. */
  places: readonly AlignmentPlace[];
  axis: AlignmentAxis;
  start: AlignmentStart;
}

/** The paper's (decisions A10, A11). */
export const PAPER_ALIGNMENT: AlignmentSettings = { places: ['co-attention.q'], axis: 'head-width', start: 'ones' };

/** What the released code does; it divides by the unbiased deviation, sqrt((D - 1) / D) times this, which gamma makes up for. */
export const RELEASE_ALIGNMENT: AlignmentSettings = { places: ['decoder-self-attention.q'], axis: 'head-width', start: 'ones' };

/**
 * Distribution alignment (DA), Eq. 2.32: q* = (q - mu(q)) / sqrt(sigma(q)^2 + eps) gamma + beta, for each token and head over the head's
 * width (decision A11), with gamma and beta shared by the heads: a layer normalization, computed as one.
 * @param q [B, N, T, D]
 * @param gamma [D]
 * @param beta [D]
 */
export function distributionAlignment(q: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  return layerNorm(q, gamma, beta, ALIGNMENT_EPSILON);
}

/**
 * Eq. 2.32 with mean and variance over the queries of an image, for each head and channel: closer to the equation's words ("concepts in
 * batch normalization"), which leave the axis open; no statistics are kept for evaluation.
 * @param q [B, N, T, D]
 * @param gamma [N, D]
 * @param beta [N, D]
 */
export function distributionAlignmentOverQueries(q: Tensor, gamma: Tensor, beta: Tensor): Tensor {
  const centred = tf.sub(q, tf.mean(q, 2, true));
  const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), 2, true), ALIGNMENT_EPSILON));
  return tf.add(tf.mul(tf.div(centred, deviation), tf.expandDims(gamma, 1)), tf.expandDims(beta, 1));
}

/** The name of an alignment, whose parameters are `.gamma` and `.beta`: `<operand>_alignment` [D], `<operand>_query_alignment` [N, D]. */
export const alignmentName = (operand: string, axis: AlignmentAxis): string => `${operand}_${axis === 'queries' ? 'query_' : ''}alignment`;

/**
 * An attention operand as its quantizer will see it: aligned where the model has the parameters of an alignment for it (of both, if
 * it has both, head width first), else as it is. An observer hears each alignment's input under the alignment's name.
 * @param operand `<attention>.q`, `.k` or `.v`
 * @param x [B, N, T, D]
 */
export function align({ parameters, observe }: Forward, operand: string, x: Tensor): Tensor {
  return ALIGNMENT_AXES.reduce((values, axis) => {
    const name = alignmentName(operand, axis);
    const gamma = parameters[`${name}.gamma`], beta = parameters[`${name}.beta`];
    if (!gamma) return values;
    observe?.(name, values);
    return axis === 'queries' ? distributionAlignmentOverQueries(values, gamma, beta) : distributionAlignment(values, gamma, beta);
  }, x);
}
