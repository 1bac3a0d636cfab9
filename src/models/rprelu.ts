import { tf, type Tensor } from '../tensor/tf.js';
import type { Forward } from './forward.js';
import type { BackboneSettings } from './settings.js';

/**
 * PReLU (He et al., ICCV 2015): max(x, 0) + slope min(x, 0), a slope for each channel. At slope 0 it is ReLU, bit for bit.
 * @param x [..., C]
 * @param slope [C]
 */
export function prelu(x: Tensor, slope: Tensor): Tensor {
  const positive = tf.relu(x);
  return tf.add(positive, tf.mul(tf.sub(x, positive), slope));
}

/**
 * RPReLU (Liu et al., ReActNet, ECCV 2020): prelu(x + before, slope) + after, each [C].
 * @param x [..., C]
 */
export const rprelu = (x: Tensor, before: Tensor, slope: Tensor, after: Tensor): Tensor => tf.add(prelu(tf.add(x, before), slope), after);

/** Parameters of activation number `number` of the block `name`, [C] each, in the order of use; names as in the released code. */
export const rpreluParameters = (name: string, number: number): [before: string, slope: string, after: string] =>
  [`${name}.bias${number}1.bias`, `${name}.prelu${number}.weight`, `${name}.bias${number}2.bias`];

/** Activation number `number` of the residual block `name`: [B, H, W, C] -> [B, H, W, C]. */
export function blockActivation({ parameters }: Forward, name: string, number: number, x: Tensor, { activation }: BackboneSettings): Tensor {
  if (activation !== 'rprelu') return tf.relu(x);
  const [before, slope, after] = rpreluParameters(name, number).map((parameter) => parameters[parameter]);
  return rprelu(x, before, slope, after);
}

/** Activation of the stem of the backbone `name`; its slope is `<name>.prelu.weight`. */
export const stemActivation = ({ parameters }: Forward, name: string, x: Tensor, { activation }: BackboneSettings): Tensor =>
  activation === 'rprelu' ? prelu(x, parameters[`${name}.prelu.weight`]) : tf.relu(x);
