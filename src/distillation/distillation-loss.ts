import type { Attended } from '../models/attention.js';
import type { DetectorSettings } from '../models/settings.js';
import { withoutGradient } from '../tensor/named-kernel.js';
import type { ParameterValues, Parameters } from '../tensor/parameters.js';
import type { RandomStream } from '../tensor/random.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { QueryMatching } from './foreground-query-matching.js';
import type { DistillationSettings, DistilledFeature } from './settings.js';

/** Inside of square roots, so that they have a gradient at 0 (decision A18): two equal features have the distance 1e-6. */
const TINY = 1e-12;

/** The student's learned matrix of `feature: 'linear-map'`, [C, Ct], one for all decoder layers; it is no part of the detector. */
export const MAP_PARAMETER = 'distillation.map.weight';

/** Euclidean length along the last axis: [..., C] -> [..., 1]. */
const length = (x: Tensor): Tensor => tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), TINY));

/**
 * What is distilled of each decoder layer's co-attention, [B, Q, C] each.
 * `before-projection`: D~ of Eq. 2.36, the concatenated heads before the output projection, as they come, without a normalization (decisions A16, A18).
 * `after-projection`: after the output projection. `normalized`: D divided by its Euclidean length, so that a distance is at most 2
 * whatever the scale of the two networks. `linear-map`: D times `map`. `attention-maps`: A averaged over the heads, [B, Q, S].
 * @param map [C, Ct], for `linear-map`; the teacher has none, and so gives its D
 */
export function distilledFeatures(coAttention: readonly Attended[], feature: DistilledFeature, map?: Tensor): Tensor[] {
  return coAttention.map(({ features, output, weights }) => {
    switch (feature) {
      case 'before-projection': return features;
      case 'after-projection': return output;
      case 'normalized': return tf.div(features, length(features));
      case 'linear-map': return map ? mapped(features, map) : features;
      case 'attention-maps': return tf.mean(weights, 1);
    }
  });
}

/** x [B, Q, C] times map [C, Ct]. */
function mapped(x: Tensor, map: Tensor): Tensor {
  const [batch, queries, channels] = x.shape as [number, number, number];
  return tf.reshape(tf.matMul(tf.reshape(x, [batch * queries, channels]), map), [batch, queries, map.shape[1]!]);
}

/**
 * Distribution rectification distillation, Eq. 2.36 and 2.37: L_DRD = E |D~^S - D~^T|_2, the Euclidean distance (not squared, not divided by the
 * number of channels) of each kept query's feature and its partner's, averaged over the kept pairs of the batch and the decoder layers; 0 where
 * none is kept (decisions A17, A18). The teacher's features are constants to the gradient.
 * @param student one [B, Q, C] for each decoder layer
 * @param teacher as many, [B, Qt, C]
 * @returns scalar
 * @throws when layers or channels differ
 */
export function distributionRectificationLoss(student: readonly Tensor[], teacher: readonly Tensor[], { kept, partner }: QueryMatching): Tensor {
  const layers = student.length, [batch, queries, channels] = student[0].shape as [number, number, number];
  if (teacher.length !== layers) throw new Error(`the student has ${layers} layers to distil and the teacher ${teacher.length}: give as many of both`);
  if (teacher[0].shape[2] !== channels) throw new Error(`the student's features have ${channels} channels and the teacher's ${teacher[0].shape[2]}: distil features of one width, or through a linear map`);
  const gathered = withoutGradient((...of) => tf.matMul(partner, tf.concat(of, -1)), [...teacher]); // [B, Q, L * C]
  const difference = tf.reshape(tf.sub(tf.concat([...student], -1), gathered), [batch, queries, layers, channels]);
  const distance = tf.reshape(length(difference), [batch, queries, layers]);
  return tf.div(tf.sum(tf.mul(distance, tf.expandDims(kept, -1))), tf.mul(tf.maximum(tf.sum(kept), 1), layers));
}

/** The feature of the settings, of those decoder layers that they distil. @param parameters the student's, among which `linear-map` has its matrix; left out for a teacher */
export function featuresToDistil(coAttention: readonly Attended[], { feature, layers }: Pick<DistillationSettings, 'feature' | 'layers'>, parameters: Parameters = {}): Tensor[] {
  return distilledFeatures(layers === 'last' ? coAttention.slice(-1) : coAttention, feature, parameters[MAP_PARAMETER]);
}

/** L_DRD of two detectors' co-attentions, with the feature and the layers of the settings. `parameters` are the student's: `linear-map` has its matrix there. */
export function coAttentionLoss(student: readonly Attended[], teacher: readonly Attended[], matching: QueryMatching, settings: Pick<DistillationSettings, 'feature' | 'layers'>, parameters: Parameters): Tensor {
  return distributionRectificationLoss(featuresToDistil(student, settings, parameters), featuresToDistil(teacher, settings), matching);
}

/**
 * Parameters that the distillation adds to the student's: for `linear-map` the matrix `distillation.map.weight` [C, Ct], which starts as the
 * identity where it is square, else by Xavier's rule; none otherwise.
 */
export function distillationParameters({ feature }: Pick<DistillationSettings, 'feature'>, student: Pick<DetectorSettings, 'modelWidth'>, teacher: Pick<DetectorSettings, 'modelWidth'>, random: RandomStream): ParameterValues {
  if (feature !== 'linear-map') return {};
  const rows = student.modelWidth, columns = teacher.modelWidth, bound = Math.sqrt(6 / (rows + columns));
  const value = (i: number): number => (rows !== columns ? random.uniform(-bound, bound) : i % (columns + 1) === 0 ? 1 : 0);
  return { [MAP_PARAMETER]: { shape: [rows, columns], data: Float32Array.from({ length: rows * columns }, (_, i) => value(i)) } };
}
