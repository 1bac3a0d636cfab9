import { tf, type Tensor } from '../tensor/tf.js';

/** The lowest value of a scale (decision A5). */
export const LOWEST_SCALE = 1e-8;

/** True for the name of a quantizer's scale: `<module>.<kind>_quantizer.scale`. */
export const isScale = (name: string): boolean => /_quantizer\.scale$/.test(name);

/** True for the name of any parameter of a quantizer, scale or offset: the optimizer's group with a tenth of the learning rate and no weight decay (decision A5). */
export const isQuantizerParameter = (name: string): boolean => /_quantizer\.(scale|offset)$/.test(name);

/**
 * Scales after an optimizer's update, kept positive by a clamp to 1e-8 and more: a scale that became 0 would divide by
 * zero and one below 0 would mirror the grid (decision A5).
 * @param values updated scales, any shape
 */
export const positiveScales = (values: Tensor): Tensor => tf.maximum(values, LOWEST_SCALE);

/** The name under which a quantizer on the unsigned grid keeps its scale: `m.input_quantizer` -> `m.unsigned_input_quantizer`. */
export const unsignedQuantizer = (quantizer: string): string => quantizer.replace(/([a-z]+_quantizer)$/, 'unsigned_$1');
