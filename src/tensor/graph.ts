/**
 * The graph that a traced step becomes: kernels of tfjs and named kernels, in the order in which they ran, with static
 * shapes. Engines lower it; passes rewrite it.
 */

/** Types of elements. */
export type DataType = 'float32' | 'int32' | 'bool';
/** Elements at rest: float32, int32, bool (0 or 1). */
export type TypedArray = Float32Array | Int32Array | Uint8Array;

/** What a step takes or gives: a shape and a type. */
export interface TensorSpec {
  shape: readonly number[];
  dtype: DataType;
}

/** A tensor in a graph: an input, a constant, or an output of a node. */
export interface Value extends TensorSpec {
  readonly id: number;
  /** The node that computes it; none for inputs and constants. */
  node?: Node;
  /** Name, if it is an input of the step. */
  input?: string;
  /** Elements, if it is a constant: all of them, or one number where all are the same. */
  constant?: TypedArray | number;
}

/** One kernel call. Inputs are in the order of `inputNames`. */
export interface Node {
  op: string;
  inputNames: readonly string[];
  inputs: Value[];
  attributes: Record<string, unknown>;
  outputs: Value[];
}

/** A traced step: nodes in topological order. */
export interface Graph {
  inputs: Map<string, Value>;
  outputs: Map<string, Value>;
  nodes: Node[];
}

let nextId = 0;

/** A new value. */
export function newValue(spec: TensorSpec, more: Partial<Value> = {}): Value {
  return { id: nextId++, shape: spec.shape, dtype: spec.dtype, ...more };
}

/** A constant; an array whose elements are all the same is kept as one number. */
export function constantValue(elements: TypedArray | number, spec: TensorSpec): Value {
  if (typeof elements === 'number') return newValue(spec, { constant: elements });
  const first = elements[0];
  const uniform = elements.length > 0 && elements.every((e) => Object.is(e, first));
  return newValue(spec, { constant: uniform ? first : elements });
}

/** A new node with its output values, not yet in a graph. */
export function newNode(op: string, inputs: Record<string, Value>, attributes: Record<string, unknown>, outputs: TensorSpec[]): Node {
  const node: Node = { op, inputNames: Object.keys(inputs), inputs: Object.values(inputs), attributes, outputs: [] };
  node.outputs = outputs.map((spec) => newValue(spec, { node }));
  return node;
}

/** The input of a node by its name. @throws when the node has none of that name. */
export function inputOf(node: Node, name: string): Value {
  const at = node.inputNames.indexOf(name);
  if (at < 0) throw new Error(`${node.op} has no input ${name} (it has ${node.inputNames.join(', ')})`);
  return node.inputs[at];
}

/** Whether two shapes are equal. */
export const sameShape = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** The nodes that the outputs need. */
export function neededNodes(graph: Graph): Set<Node> {
  const needed = new Set<Node>();
  const pending = [...graph.outputs.values()].flatMap((v) => (v.node ? [v.node] : []));
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    for (const v of node.inputs) if (v.node && !needed.has(v.node)) pending.push(v.node);
  }
  return needed;
}
