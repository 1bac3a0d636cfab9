import type { Observer } from '../quantizer/observer.js';
import { layerNorm } from '../tensor/layer-norm.js';
import { sizeOf, type ArrayValue, type ParameterValues } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { AlignmentFit } from './alignment-fit.js';
import type { Forward } from './forward.js';
import type { DetectorSettings } from './settings.js';

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

/** True for the name of an alignment's parameter. They belong to the transformer's parameters, not to the quantizers'. */
export const isAlignmentParameter = (name: string): boolean => /_alignment\.(gamma|beta)$/.test(name);

/** What of a model's sizes decides the parameters of its alignments. */
type Sizes = Pick<DetectorSettings, 'modelWidth' | 'heads' | 'encoderLayers' | 'decoderLayers'>;

/** The operands of a place in every layer: `transformer.decoder.layers.0.multihead_attn.q`, ... */
export function alignedOperands(model: Sizes, place: AlignmentPlace): string[] {
  const [attention, operand] = place.split('.');
  const [part, layers] = attention === 'encoder' ? ['encoder', model.encoderLayers] as const : ['decoder', model.decoderLayers] as const;
  return Array.from({ length: layers }, (_, layer) => `transformer.${part}.layers.${layer}.${attention === 'co-attention' ? 'multihead_attn' : 'self_attn'}.${operand}`);
}

/**
 * Names and initial values of the alignments that settings ask for; their presence turns the alignments on (align). Quantizers of aligned operands
 * are to be calibrated with these parameters in place. The paper says nothing about a start. `ones`: gamma 1 and beta 0. `measured`: by least
 * squares, channel by channel, between an operand and its normalized values, so that a trained model keeps what it computes as well as Eq. 2.32
 * lets it; what a normalization takes away (each token's own mean and deviation) is lost.
 * @param capture for `measured`: forward passes of the trained model without these alignments, on an eager backend, with this observer
 * @throws Error when `measured` has not heard an operand
 */
export async function alignmentParameters({ places, axis, start }: AlignmentSettings, model: Sizes, capture?: (observe: Observer) => void | Promise<void>): Promise<ParameterValues> {
  const width = model.modelWidth / model.heads, shape = axis === 'queries' ? [model.heads, width] : [width];
  const fits = new Map(places.flatMap((place) => alignedOperands(model, place)).map((operand) => [operand, { fit: new AlignmentFit(shape, axis, ALIGNMENT_EPSILON), heard: false }]));
  if (start === 'measured') {
    await capture?.((quantizer, values) => {
      const aligned = fits.get(quantizer.replace(/_quantizer$/, ''));
      if (!aligned) return;
      aligned.fit.add({ shape: values.shape, data: values.dataSync() });
      aligned.heard = true;
    });
  }
  const filled = (value: number): ArrayValue => ({ shape, data: new Float32Array(sizeOf(shape)).fill(value) });
  return Object.fromEntries([...fits].flatMap(([operand, { fit, heard }]) => {
    const name = alignmentName(operand, axis);
    if (start === 'measured' && !heard) throw new Error(`${name} should start as measured, but ${operand} was not observed: capture a forward pass of the model`);
    const { gamma, beta } = heard ? fit.solve() : { gamma: filled(1), beta: filled(0) };
    return [[`${name}.gamma`, gamma], [`${name}.beta`, beta]] as const;
  }));
}
