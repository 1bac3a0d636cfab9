import { tf, type Tensor } from './tf.js';
import { newValue, type Graph, type TensorSpec, type Value } from './graph.js';
import { tracingBackend } from './tracing-backend.js';

/** A pure function of named tensors: what `trace` records and `compileStep` compiles. */
export type StepFunction = (inputs: Record<string, Tensor>) => Record<string, Tensor>;

/** Options of {@link trace}. */
export interface TraceOptions {
  /** Named kernels to keep whole, because the engine lowers them itself; the others are recorded through their composite. */
  keeps?: (kernelName: string) => boolean;
}

/**
 * Records one call of `f`: forward, gradients and update come out as one graph of kernels. Nothing is computed.
 * The current tfjs backend is the same afterwards.
 * @throws when `f` reads the elements of a tensor, uses a kernel without a shape rule, or a tensor made outside.
 */
export function trace(f: StepFunction, inputs: Record<string, TensorSpec>, options: TraceOptions = {}): Graph {
  const { name, backend } = tracingBackend();
  const previous = tf.getBackend() as string | undefined;
  if (!setBackendSync(name)) throw new Error('the tracing backend could not be started');
  backend.recording = { nodes: [], keeps: options.keeps ?? (() => false) };
  try {
    const graphInputs = new Map<string, Value>();
    const outputs = new Map<string, Value>();
    tf.tidy(() => {
      const tensors: Record<string, Tensor> = {};
      for (const [key, spec] of Object.entries(inputs)) {
        const value = newValue(spec, { input: key });
        graphInputs.set(key, value);
        tensors[key] = tf.engine().makeTensorFromTensorInfo(backend.infoOf(value));
      }
      for (const [key, t] of Object.entries(f(tensors))) outputs.set(key, backend.valueBehind(t));
    });
    return { inputs: graphInputs, outputs, nodes: backend.recording.nodes };
  } finally {
    backend.recording = { nodes: [], keeps: () => false };
    if (previous) setBackendSync(previous);
  }
}

/** Switches to a backend that has been initialized before (or starts synchronously). */
function setBackendSync(name: string): boolean {
  void tf.setBackend(name);
  return tf.getBackend() === name;
}
