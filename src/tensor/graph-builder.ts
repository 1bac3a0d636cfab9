import '@tensorflow/tfjs-backend-cpu';
import { tf } from './tf.js';
import { constantValue, neededNodes, newNode, sameShape, type DataType, type Graph, type Node, type TensorSpec, type TypedArray, type Value } from './graph.js';
import { sizeOf } from './parameters.js';
import { shapeRules } from './shape-rules.js';

/** Attributes and named inputs of a node that is about to be built. */
export interface NodeDraft {
  op: string;
  inputs: Record<string, Value>;
  attributes: Record<string, unknown>;
  outputs: TensorSpec[];
}

/** A rewriting: the values that stand for the draft's outputs, or nothing where the rule does not apply. */
export type RewriteRule = (draft: NodeDraft, builder: GraphBuilder) => Value[] | undefined;

const FOLDING_LIMIT = 1 << 20;

/**
 * Builds a graph node by node: every draft goes through the rewriting rules, then through constant folding, then through
 * a table of what has been computed before, and only then becomes a node.
 */
export class GraphBuilder {
  readonly nodes: Node[] = [];
  readonly #known = new Map<string, Value[]>();
  readonly #constants = new Map<string, Value>();

  constructor(private readonly rules: readonly RewriteRule[]) {}

  /** The outputs of an operation; their shapes come from the kernel's shape rule unless they are given. */
  emit(op: string, inputs: Record<string, Value>, attributes: Record<string, unknown> = {}, outputs?: TensorSpec[]): Value[] {
    const draft: NodeDraft = { op, inputs, attributes, outputs: outputs ?? shapeRules[op](inputs, attributes) };
    for (const rule of this.rules) {
      const rewritten = rule(draft, this);
      if (rewritten) return rewritten;
    }
    return this.#fold(draft) ?? this.#reuse(draft);
  }

  /** Like {@link emit}, for an operation with one output. */
  one(op: string, inputs: Record<string, Value>, attributes: Record<string, unknown> = {}, outputs?: TensorSpec[]): Value {
    return this.emit(op, inputs, attributes, outputs)[0];
  }

  reshape(x: Value, shape: readonly number[]): Value {
    return this.one('Reshape', { x }, { shape: [...shape] });
  }

  /** A constant whose elements are all the same. */
  uniform(value: number, shape: readonly number[], dtype: DataType = 'float32'): Value {
    const key = `${value} ${shape.join(',')} ${dtype}`;
    let known = this.#constants.get(key);
    if (!known) this.#constants.set(key, (known = constantValue(value, { shape, dtype })));
    return known;
  }

  #reuse(draft: NodeDraft): Value[] {
    const key = `${draft.op}(${Object.entries(draft.inputs).map(([k, v]) => `${k}:${v.id}`).join()})${JSON.stringify(draft.attributes)}`;
    let values = this.#known.get(key);
    if (!values) {
      const node = newNode(draft.op, draft.inputs, draft.attributes, draft.outputs);
      this.nodes.push(node);
      this.#known.set(key, (values = node.outputs));
    }
    return values;
  }

  #fold(draft: NodeDraft): Value[] | undefined {
    const values = Object.values(draft.inputs);
    if (!shapeRules[draft.op] || values.length === 0 || values.some((v) => v.constant === undefined)) return undefined;
    if ([...values, ...draft.outputs].some((v) => sizeOf(v.shape) > FOLDING_LIMIT)) return undefined;
    return evaluateConstants(draft);
  }
}

/** Elements of a constant, written out. */
export function elementsOf(value: Value): TypedArray {
  const { constant, shape, dtype } = value;
  if (constant === undefined) throw new Error('the value is no constant');
  if (typeof constant !== 'number') return constant;
  const n = sizeOf(shape);
  return dtype === 'float32' ? new Float32Array(n).fill(constant) : dtype === 'int32' ? new Int32Array(n).fill(constant) : new Uint8Array(n).fill(constant);
}

function evaluateConstants(draft: NodeDraft): Value[] {
  const previous = tf.getBackend();
  void tf.setBackend('cpu'); // starts synchronously
  try {
    const scope = tf.engine();
    scope.startScope();
    try {
      const inputs = Object.fromEntries(Object.entries(draft.inputs).map(([name, v]) => [name, tf.tensor(elementsOf(v), [...v.shape], v.dtype)]));
      const tensors = [runKernel(draft, inputs)].flat();
      return tensors.map((t) => constantValue(t.dataSync() as TypedArray, { shape: [...t.shape], dtype: t.dtype as DataType }));
    } finally {
      scope.endScope();
    }
  } finally {
    void tf.setBackend(previous);
  }
}

function runKernel({ op, attributes }: NodeDraft, inputs: Record<string, tf.Tensor>): tf.Tensor | tf.Tensor[] {
  if (op === 'BroadcastTo') return tf.broadcastTo(inputs.x, attributes.shape as number[]); // the cpu backend has no kernel of that name
  const list = ['Concat', 'Pack', 'AddN'].includes(op); // kernels that take a list
  return tf.engine().runKernel(op, (list ? Object.values(inputs) : inputs) as never, attributes as never);
}

/** Rebuilds a graph through the rules; work that no output needs is dropped. */
export function rebuild(graph: Graph, rules: readonly RewriteRule[]): Graph {
  const builder = new GraphBuilder(rules);
  const replaced = new Map<Value, Value>();
  const current = (v: Value): Value => replaced.get(v) ?? v;
  const needed = neededNodes(graph);
  for (const node of graph.nodes) {
    if (!needed.has(node)) continue;
    const inputs = Object.fromEntries(node.inputNames.map((name, i) => [name, current(node.inputs[i])]));
    const values = builder.emit(node.op, inputs, node.attributes, node.outputs.map(({ shape, dtype }) => ({ shape, dtype })));
    node.outputs.forEach((old, i) => {
      if (!sameShape(old.shape, values[i].shape)) throw new Error(`a rewriting of ${node.op} changed its shape from [${old.shape.join(', ')}] to [${values[i].shape.join(', ')}]`);
      replaced.set(old, values[i]);
    });
  }
  const outputs = new Map([...graph.outputs].map(([name, v]) => [name, current(v)]));
  const rebuilt: Graph = { inputs: graph.inputs, outputs, nodes: builder.nodes };
  const live = neededNodes(rebuilt);
  return { ...rebuilt, nodes: builder.nodes.filter((n) => live.has(n)) };
}
