import { sha256 } from '../files.js';
import type { ParameterValues } from '../tensor/parameters.js';

/** SHA-256 of parameters: their names, shapes and values, in whatever order they come. */
export function parameterHash(parameters: ParameterValues): string {
  return sha256(Object.keys(parameters).sort().map((name) => {
    const { shape, data } = parameters[name];
    return `${name} ${shape.join()} ${sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))}\n`;
  }).join(''));
}
