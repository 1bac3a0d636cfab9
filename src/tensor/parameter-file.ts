import { UserError } from '../errors.js';
import { narrowHalf } from './half.js';
import type { ParameterValues } from './parameters.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';

/**
 * Parameters of a safetensors file, by name, with its notes.
 * @throws UserError when the file is damaged or holds an array that is not F32
 */
export function readParameters(file: string): { parameters: ParameterValues; notes: ReadonlyMap<string, string> } {
  const { tensors, metadata } = readSafetensors(file);
  const parameters: ParameterValues = {};
  for (const [name, tensor] of tensors) {
    if (tensor.dtype !== 'F32') throw new UserError(`${file}: '${name}' should be F32, but is ${tensor.dtype}: convert it first`);
    parameters[name] = { shape: tensor.shape, data: tensor.data };
  }
  return { parameters, notes: metadata };
}

/**
 * Writes parameters, sorted by name, as a safetensors file.
 * @param isHalf which are stored in f16, rounded to 11 bits
 * @throws UserError when it can't be written
 */
export function writeParameters(file: string, parameters: ParameterValues, notes: Readonly<Record<string, string>> = {}, isHalf: (name: string) => boolean = () => false): void {
  const names = Object.keys(parameters).sort();
  writeSafetensors(file, {
    tensors: new Map(names.map((name) => {
      const { shape, data } = parameters[name];
      return [name, isHalf(name) ? { dtype: 'F16', shape, data: narrowHalf(data) } : { dtype: 'F32', shape, data }];
    })),
    metadata: new Map(Object.entries(notes)),
  });
}
