/** The lowest value of a scale after an optimizer's update (decision A5): a scale of 0 would divide by zero, one below 0 mirror the grid. */
export const LOWEST_SCALE = 1e-8;

/** True for the name of a quantizer's scale: `<module>.<kind>_quantizer.scale`. */
export const isScale = (name: string): boolean => /_quantizer\.scale$/.test(name);

/** True for the name of any parameter of a quantizer, scale or offset: the optimizer's group with a tenth of the learning rate and no weight decay (decision A5). */
export const isQuantizerParameter = (name: string): boolean => /_quantizer\.(scale|offset)$/.test(name);

/** The name under which a quantizer on the unsigned grid keeps its scale: `m.input_quantizer` -> `m.unsigned_input_quantizer`. */
export const unsignedQuantizer = (quantizer: string): string => quantizer.replace(/([a-z]+_quantizer)$/, 'unsigned_$1');
