import { tf, type Tensor } from './tf.js';

/** An array at rest: outside of any engine, as checkpoints hold it. Row-major. */
export interface ArrayValue {
  shape: readonly number[];
  data: Float32Array;
}

/** Parameters at rest, by their state-dict name. */
export type ParameterValues = Record<string, ArrayValue>;

/** Parameters inside a step, by their state-dict name. */
export type Parameters = Record<string, Tensor>;

/** Number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, d) => product * d, 1);

/** Those of some parameters whose names are wanted. */
export const selectParameters = (values: ParameterValues, isWanted: (name: string) => boolean): ParameterValues => Object.fromEntries(Object.entries(values).filter(([name]) => isWanted(name)));

/** Parameters at rest as tensors of the current backend; the caller disposes them. */
export function toTensors(values: ParameterValues): Parameters {
  return Object.fromEntries(Object.entries(values).map(([name, v]) => [name, tf.tensor(v.data, [...v.shape], 'float32')]));
}

/** Tensors as parameters at rest. */
export async function toValues(parameters: Parameters): Promise<ParameterValues> {
  const entries = await Promise.all(Object.entries(parameters).map(async ([name, t]) => [name, { shape: [...t.shape], data: Float32Array.from(await t.data()) }] as const));
  return Object.fromEntries(entries);
}
