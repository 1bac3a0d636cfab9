import type { Node, Value } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { flatten, unflatten, variableIndex, type Index } from './index-algebra.js';

/** How a reduction goes over its input: `outputs` results, each of `count` elements. */
export interface ReductionGeometry {
  shape: readonly number[];
  axes: readonly number[];
  outputs: number;
  count: number;
}

/** Values that one kernel computes: element by element, around a reduction, behind a matrix product, or as a program of their own. */
export interface Group {
  kind: 'map' | 'reduction' | 'product' | 'whole';
  /** The product that the kernel computes. */
  product?: Node;
  /** The named kernel that the kernel is. */
  whole?: Node;
  geometry?: ReductionGeometry;
  /** Elements of each `element` member; 0 for what is a program of its own. */
  size: number;
  /** What is computed, in topological order. */
  members: Value[];
  /** The members that other kernels (or the caller) read. */
  stores: Value[];
  /** Position in the graph of the first member. */
  order: number;
}

const REDUCTIONS = new Set(['Sum', 'Max', 'Min', 'Prod', 'ArgMax', 'ArgMin']);
/** Whether an operation sums up (or picks the largest of) elements of its input. */
export const isReduction = (op: string): boolean => REDUCTIONS.has(op);

/** Names of a kernel's loop variables: the element of a map or product, a reduction's result and its place in the sum. */
export const ELEMENT = 'i', OUTPUT = 'o', PLACE = 'r', BATCH = 'p', ROW = 'm', COLUMN = 'n';

/** Coordinates of the reduced input for result o and place r. */
export function reductionCoordinates({ shape, axes, outputs, count }: ReductionGeometry): Index[] {
  const kept = shape.map((_, k) => k).filter((k) => !axes.includes(k));
  const outer = unflatten(variableIndex(OUTPUT, outputs), kept.map((k) => shape[k]));
  const inner = unflatten(variableIndex(PLACE, count), axes.map((k) => shape[k]));
  return shape.map((_, k) => (axes.includes(k) ? inner[axes.indexOf(k)] : outer[kept.indexOf(k)]));
}

/** The index of the element that a kernel of this group has at hand, in a value of the group's size. */
export function elementIndex(group: Group): Index {
  if (group.kind === 'reduction') return flatten(reductionCoordinates(group.geometry!), group.geometry!.shape);
  if (group.kind === 'map') return variableIndex(ELEMENT, group.size);
  const [M, N] = group.product!.outputs[0].shape.slice(-2), P = group.size / (M * N);
  return flatten([variableIndex(BATCH, P), variableIndex(ROW, M), variableIndex(COLUMN, N)], [P, M, N]);
}

/** Where the group's kernel computes a member: at its element, or at its result. */
export function homeOf(group: Group, value: Value): readonly Index[] {
  const isResult = group.kind === 'reduction' && (isReduction(value.node!.op) || sizeOf(value.shape) !== group.size);
  return unflatten(isResult ? variableIndex(OUTPUT, group.geometry!.outputs) : elementIndex(group), value.shape).map((c, k) => (value.shape[k] === 1 ? variableIndex('zero', 1) : c));
}

const sameCoordinates = (a: readonly Index[], b: readonly Index[], shape: readonly number[]): boolean => a.every((c, k) => shape[k] === 1 || c.key === b[k].key);

/** Whether coordinates are those at which the group's kernel has a member. */
export const isHome = (group: Group, value: Value, coordinates: readonly Index[]): boolean => sameCoordinates(coordinates, homeOf(group, value), value.shape);
