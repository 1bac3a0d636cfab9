import { UserError } from '../errors.js';
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

/** Writes parameters, sorted by name, as a safetensors file. @throws UserError when it can't be written */
export function writeParameters(file: string, parameters: ParameterValues, notes: Readonly<Record<string, string>> = {}): void {
  const names = Object.keys(parameters).sort();
  writeSafetensors(file, {
    tensors: new Map(names.map((name) => [name, { dtype: 'F32', shape: parameters[name].shape, data: parameters[name].data }])),
    metadata: new Map(Object.entries(notes)),
  });
}
