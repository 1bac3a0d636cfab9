import type { TensorSpec } from './graph.js';
import { tf, type Tensor } from './tf.js';

/** What a kernel needs to know besides its inputs: static, part of the graph. */
export type Attributes = object;
/** A kernel's inputs by name. */
export type NamedInputs<In extends string> = Record<In, Tensor>;

/** An operation that deserves a name: what it computes, what its gradient is, in tfjs-core operations. */
export interface KernelDefinition<In extends string, A extends Attributes> {
  /** Name in tfjs's kernel registry and in the traced graph, e.g. `LayerNorm`. */
  name: string;
  /** Input names, in order. */
  inputs: readonly In[];
  /** The composite: every engine can fall back on it, so it is the definition. Returns one tensor for each output. */
  composite: (inputs: NamedInputs<In>, attributes: A) => Tensor[];
  /** Shapes and types of the outputs, for tracing; where it is left out, the composite is traced to find them. */
  outputs?: (inputs: Record<In, TensorSpec>, attributes: A) => TensorSpec[];
  /**
   * The analytic gradient: from the gradients of the outputs to those of the inputs. An input that is left out has none.
   * Not given: the operation can't be differentiated through. `outputs` holds those that `savedOutputs` names, in order.
   */
  gradient?: (dy: Tensor[], inputs: NamedInputs<In>, outputs: Tensor[], attributes: A) => Partial<NamedInputs<In>>;
  /** Which outputs the gradient reads, one flag for each output; none where it is left out. */
  savedOutputs?: readonly boolean[];
}

/** Every kernel defined so far, by name: what an engine looks into when it lowers a graph. */
export const namedKernels = new Map<string, KernelDefinition<string, Attributes>>();

/** A backend that records kernels instead of computing them says through this which ones it keeps whole. */
export interface RecordingBackend { recordNamedKernel?: (definition: KernelDefinition<string, Attributes>, inputs: NamedInputs<string>, attributes: Attributes) => Tensor[] }

/**
 * Registers a named kernel and returns the function that calls it on whichever backend is current. Backends without a
 * kernel of their own compute the composite; a tracing backend records one node. Gradients follow `gradient`.
 * @throws when the name is taken.
 */
export function defineKernel<In extends string, A extends Attributes>(definition: KernelDefinition<In, A>): (inputs: NamedInputs<In>, attributes: A) => Tensor[] {
  const { name } = definition;
  if (namedKernels.has(name)) throw new Error(`kernel ${name} is defined twice`);
  namedKernels.set(name, definition as unknown as KernelDefinition<string, Attributes>);
  if (definition.gradient) registerGradient(definition);
  return (inputs, attributes) => {
    registerForCurrentBackend(definition);
    const result = tf.engine().runKernel(name, inputs as never, attributes as never) as unknown as Tensor | Tensor[];
    return Array.isArray(result) ? result : [result];
  };
}

function registerForCurrentBackend<In extends string, A extends Attributes>(definition: KernelDefinition<In, A>): void {
  const backendName = tf.getBackend();
  if (tf.getKernel(definition.name, backendName)) return;
  tf.registerKernel({
    kernelName: definition.name,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const record = (backend as RecordingBackend).recordNamedKernel;
      const named = inputs as unknown as NamedInputs<In>;
      const attributes = attrs as unknown as A;
      if (record) return record.call(backend, definition as never, named, attributes) as never;
      return tf.tidy(() => definition.composite(named, attributes)) as never;
    },
  });
}

function registerGradient<In extends string, A extends Attributes>(definition: KernelDefinition<In, A>): void {
  const { inputs: names, gradient } = definition;
  tf.registerGradient({
    kernelName: definition.name,
    inputsToSave: [...names],
    saveAllInputs: false,
    outputsToSave: [...(definition.savedOutputs ?? [])],
    gradFunc: (dy, saved, attrs) => {
      const dys = (Array.isArray(dy) ? dy : [dy]) as Tensor[];
      const inputs = Object.fromEntries(names.map((n, i) => [n, saved[i]])) as NamedInputs<In>;
      // Now, not in the functions below: tfjs runs each of those in a tidy of its own, which would dispose the others' results.
      const all = tf.tidy(() => gradient!(dys, inputs, saved.slice(names.length) as Tensor[], attrs as unknown as A));
      const of = (n: In) => () => all[n] ?? tf.zerosLike(inputs[n]);
      return Object.fromEntries(names.map((n) => [n, of(n)])) as never;
    },
  });
}

/**
 * Computes `f(...inputs)` outside of the gradient tape: the result is a constant for everything that is differentiated
 * around it (PyTorch's `no_grad`). tfjs has no stop-gradient operation of its own.
 */
export function withoutGradient(f: (...inputs: Tensor[]) => Tensor, inputs: Tensor[]): Tensor {
  const op = tf.customGrad((...args) => {
    const xs = args.slice(0, inputs.length) as Tensor[], save = args[inputs.length] as unknown as (kept: Tensor[]) => void;
    save(xs); // a tensor that is not saved may be gone when the gradient is computed
    return { value: f(...xs), gradFunc: (_dy: Tensor, saved: Tensor[]) => saved.map((x) => tf.zerosLike(x)) };
  });
  return op(...inputs);
}
