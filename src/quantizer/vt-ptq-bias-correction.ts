import type { ArrayValue, ParameterValues } from '../tensor/parameters.js';

/**
 * The bias parameter of a module with a correction [out] added, which keeps its mean outputs (Eq. 16 of VT-PTQ): `<module>.bias`, or a third of an attention's packed
 * `in_proj_bias`. A convolution that has none, since a normalization follows, gets one.
 * @param parameters those of the model, with corrections made so far
 * @param module `...q_proj`, `k_proj`, `v_proj` of a packed attention, or the name of a layer
 */
export function correctedBias(parameters: ParameterValues, module: string, correction: Float32Array): ParameterValues {
  const [, attention, letter] = /^(.*)\.([qkv])_proj$/.exec(module) ?? [];
  const packed = `${attention}.in_proj_bias`;
  const [name, start] = letter && packed in parameters ? [packed, 'qkv'.indexOf(letter) * correction.length] : [`${module}.bias`, 0];
  const bias: ArrayValue = parameters[name] ?? { shape: [correction.length], data: new Float32Array(correction.length) };
  const data = Float32Array.from(bias.data);
  correction.forEach((value, i) => (data[start + i] += value));
  return { [name]: { shape: bias.shape, data } };
}
