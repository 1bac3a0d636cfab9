import { isBuffer } from '../models/batch-normalization.js';
import { isQuantizerParameter, isScale, LOWEST_SCALE } from '../quantizer/scales.js';
import { sizeOf, type ParameterValues, type Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { TrainingSettings } from './settings.js';

/** Parameters that the optimizer treats alike. */
export interface ParameterGroup {
  name: 'backbone' | 'transformer' | 'quantizer scales' | 'quantizer offsets';
  /** The group's learning rate over the schedule's. */
  learningRateFactor: number;
  weightDecay: number;
  /** Values are kept at or above this after a step; undefined where there is no limit. */
  minimum?: number;
}

/** Where each parameter of a group lies in the group's flat vector. */
export interface GroupLayout {
  group: ParameterGroup;
  entries: readonly { name: string; shape: readonly number[]; offset: number; size: number }[];
  /** Length of the flat vector. */
  size: number;
}

export { isBuffer };

/**
 * Whether DETR leaves a parameter as ImageNet training made it (facebookresearch/detr, models/backbone.py): the backbone's batch
 * normalization, its stem and its first stage. For pretrained backbones; one that starts from nothing trains all but buffers.
 */
export const isFrozenInDetr = (name: string): boolean =>
  isBuffer(name) || (/^backbone\./.test(name) && (/\.(bn\d|downsample\.1)\./.test(name) || !/\.layer[234]\./.test(name)) && !isQuantizerParameter(name));

/**
 * The group of a parameter. As in DETR, weight decay acts on every weight, biases, norms and embeddings included (so that numbers can be
 * compared with the reference's); quantizer scales and offsets have a group of their own without it (decision A5).
 */
export function groupOf(name: string, settings: Pick<TrainingSettings, 'backboneFactor' | 'quantizerFactor' | 'weightDecay'>): ParameterGroup {
  const { backboneFactor, quantizerFactor, weightDecay } = settings;
  if (isQuantizerParameter(name)) {
    return isScale(name)
      ? { name: 'quantizer scales', learningRateFactor: quantizerFactor, weightDecay: 0, minimum: LOWEST_SCALE }
      : { name: 'quantizer offsets', learningRateFactor: quantizerFactor, weightDecay: 0 };
  }
  return /^backbone\./.test(name) ? { name: 'backbone', learningRateFactor: backboneFactor, weightDecay } : { name: 'transformer', learningRateFactor: 1, weightDecay };
}

/**
 * A flat vector for each group of trained parameters, in the order in which `parameters` names them: an optimizer step over a few long
 * vectors costs a few operations instead of some for each parameter.
 * @param isFrozen which ones are not trained, and so in no vector
 */
export function packLayout(
  parameters: Readonly<Record<string, { readonly shape: readonly number[] }>>,
  settings: Pick<TrainingSettings, 'backboneFactor' | 'quantizerFactor' | 'weightDecay'>,
  isFrozen: (name: string) => boolean = isBuffer,
): GroupLayout[] {
  const layouts = new Map<string, { group: ParameterGroup; entries: { name: string; shape: readonly number[]; offset: number; size: number }[]; size: number }>();
  for (const [name, { shape }] of Object.entries(parameters)) {
    if (isFrozen(name)) continue;
    const group = groupOf(name, settings);
    const layout = layouts.get(group.name) ?? { group, entries: [], size: 0 };
    layouts.set(group.name, layout);
    layout.entries.push({ name, shape: [...shape], offset: layout.size, size: sizeOf(shape) });
    layout.size += sizeOf(shape);
  }
  return [...layouts.values()];
}

/** A group's parameters, one behind the other. @throws Error when one is missing or has another shape */
export function pack({ entries, size }: GroupLayout, values: ParameterValues): Float32Array {
  const flat = new Float32Array(size);
  for (const { name, shape, offset } of entries) {
    const value = values[name];
    if (!value || value.shape.join() !== shape.join()) throw new Error(`${name} should have the shape [${shape.join(', ')}], but ${value ? `has [${value.shape.join(', ')}]` : 'is missing'}`);
    flat.set(value.data, offset);
  }
  return flat;
}

/** A group's parameters by name, each a copy of its part of the vector. */
export function unpack({ entries }: GroupLayout, flat: Float32Array): ParameterValues {
  return Object.fromEntries(entries.map(({ name, shape, offset, size }) => [name, { shape, data: flat.slice(offset, offset + size) }]));
}

/** `pack` for tensors: [size]. Meant for gradients, which come parameter by parameter. */
export function packTensors({ entries }: GroupLayout, parameters: Parameters): Tensor {
  return tf.concat(entries.map(({ name, size }) => tf.reshape(parameters[name], [size])));
}

/**
 * `unpack` for tensors. Differentiate with respect to the parameters that come out of here and pack their gradients: going back
 * through the slices would build a padded vector for each parameter.
 */
export function unpackTensors({ entries }: GroupLayout, flat: Tensor): Parameters {
  return Object.fromEntries(entries.map(({ name, shape, offset, size }) => [name, tf.reshape(tf.slice(flat, [offset], [size]), [...shape])]));
}
