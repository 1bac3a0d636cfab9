import type { ResidentArray } from './compile-step.js';
import type { TypedArray } from './graph.js';
import { sizeOf } from './parameters.js';

/** What names in the graph of a traced step begin with. */
export const STATE = 'state/', INPUT = 'input/', RESIDENT = 'resident/', NEXT = 'next/', OUTPUT = 'output/';

/** A record with a prefix before each of its names. */
export const prefixed = <T>(prefix: string, record: Readonly<Record<string, T>>): Record<string, T> => Object.fromEntries(Object.entries(record).map(([k, v]) => [prefix + k, v]));

/** Elements of a resident array. @throws when they don't fit its shape. */
export function elementsOfResident(name: string, { shape, data }: ResidentArray): TypedArray {
  if (data.length !== sizeOf(shape)) throw new Error(`resident array ${name} has ${data.length} elements; its shape [${shape.join(', ')}] wants ${sizeOf(shape)}`);
  return data;
}

/** Elements of a run's input. @throws when it is missing or does not fit its shape. */
export function elementsOfInput(name: string, shape: readonly number[], inputs: Record<string, TypedArray>): TypedArray {
  const data = inputs[name] as TypedArray | undefined;
  if (data?.length !== sizeOf(shape)) throw new Error(`input ${name} has ${data ? `${data.length} elements` : 'no value'}; its shape [${shape.join(', ')}] wants ${sizeOf(shape)}`);
  return data;
}

/** @throws when a shape is not the wanted one, or nothing of the name is wanted. */
export function checkShape(what: string, shape: readonly number[], wanted: readonly number[] | undefined): void {
  if (!wanted) throw new Error(`${what} is unknown: the step has no such state`);
  if (shape.length !== wanted.length || shape.some((d, i) => d !== wanted[i])) throw new Error(`${what} has shape [${shape.join(', ')}], expected [${wanted.join(', ')}]`);
}
