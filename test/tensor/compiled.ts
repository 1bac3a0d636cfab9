import { loadOnnxRuntime } from '../../src/tensor/engine.js';
import type { DataType, Graph, TypedArray } from '../../src/tensor/graph.js';
import { channelBlock } from '../../src/tensor/onnx-engine.js';
import { loweredToOnnx, lowerToOnnx } from '../../src/tensor/onnx-lowering.js';
import { sizeOf } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { trace, type StepFunction } from '../../src/tensor/trace.js';

/** An input of a test: shape, type and how its elements are drawn (normal numbers, unless told). */
export interface Given {
  shape: readonly number[];
  dtype?: DataType;
  draw?: (stream: RandomStream, position: number) => number;
}

/** A function of tensors whose values, and gradients by the named inputs, are to be the same everywhere. */
export interface Comparison {
  inputs: Record<string, Given>;
  f: (x: Record<string, Tensor>) => Tensor | Tensor[];
  /** Inputs to differentiate by; left out: all that are float32. */
  by?: readonly string[];
}

export type Arrays = Record<string, { shape: readonly number[]; dtype: DataType; data: TypedArray }>;

/** Elements of the inputs, the same for the same seed. */
export function draw(inputs: Record<string, Given>, seed = 1): Arrays {
  return Object.fromEntries(Object.entries(inputs).map(([name, { shape, dtype = 'float32', draw: one = (s: RandomStream) => s.normal() }], at) => {
    const stream = new RandomStream(seed, at), elements = Array.from({ length: sizeOf(shape) }, (_, i) => one(stream, i));
    const data = dtype === 'float32' ? Float32Array.from(elements) : dtype === 'int32' ? Int32Array.from(elements) : Uint8Array.from(elements);
    return [name, { shape, dtype, data }];
  }));
}

/** Outputs `0`, `1`, ... of f and, where there is something to differentiate by, the gradients `d<input>` of a weighted sum of them. */
export function withGradients({ inputs, f, by }: Comparison): StepFunction {
  const names = by ?? Object.keys(inputs).filter((n) => (inputs[n].dtype ?? 'float32') === 'float32');
  const outputs = (x: Record<string, Tensor>): Tensor[] => [f(x)].flat();
  return (x) => {
    const values = outputs(x);
    const results: Record<string, Tensor> = Object.fromEntries(values.map((v, i) => [String(i), v]));
    if (names.length === 0) return results;
    const weights = values.map((v, i) => tf.tensor(draw({ w: { shape: v.shape } }, 100 + i).w.data, v.shape));
    const loss = (...xs: Tensor[]): Tensor => outputs({ ...x, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }).map((v, i) => tf.sum(tf.mul(v, weights[i]))).reduce((a, b) => tf.add(a, b));
    tf.grads(loss)(names.map((n) => x[n])).forEach((g, i) => (results[`d${names[i]}`] = g));
    return results;
  };
}

/** Computes on the current eager backend. */
export function eagerly(f: StepFunction, inputs: Arrays): Record<string, TypedArray> {
  return tf.tidy(() => {
    const results = f(Object.fromEntries(Object.entries(inputs).map(([name, v]) => [name, tf.tensor(v.data, [...v.shape], v.dtype)])));
    return Object.fromEntries(Object.entries(results).map(([name, t]) => [name, t.dataSync() as TypedArray]));
  });
}

/** Traces, lowers and runs once with onnxruntime. @param block channel block; left out: the one of this machine. */
export async function compiled(f: StepFunction, inputs: Arrays, block?: number): Promise<{ results: Record<string, TypedArray>; graph: Graph }> {
  const runtime = await loadOnnxRuntime();
  const { model, graph } = lowerToOnnx(trace(f, inputs, { keeps: loweredToOnnx }), block ?? (await channelBlock(runtime)));
  const session = await runtime.InferenceSession.create(model, { executionProviders: ['cpu'], intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const outputs = await session.run(Object.fromEntries(Object.entries(inputs).map(([name, v]) => [name, new runtime.Tensor(v.dtype, v.data, v.shape)])));
    for (const [name, v] of graph.outputs) if (outputs[name].type !== v.dtype) throw new Error(`output ${name} is ${outputs[name].type}, not ${v.dtype}`);
    return { results: Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, t.data as TypedArray])), graph };
  } finally {
    await session.release();
  }
}

/** Where `got` is not `wanted` (relative to the largest element), in words; undefined where it is everywhere. */
export function difference(got: Record<string, TypedArray>, wanted: Record<string, TypedArray>, tolerance = 1e-5): string | undefined {
  for (const [name, w] of Object.entries(wanted)) {
    const g = got[name] as TypedArray | undefined;
    if (g?.length !== w.length) return `${name} has ${g?.length} elements instead of ${w.length}`;
    const finite = Array.from(w as ArrayLike<number>, Math.abs).filter(Number.isFinite);
    const bound = tolerance * Math.max(1, ...finite);
    for (let i = 0; i < w.length; i++) if (!(Object.is(g[i], w[i]) || Math.abs(g[i] - w[i]) <= bound)) return `${name}[${i}] is ${g[i]} instead of ${w[i]}`;
  }
  return undefined;
}
