import { tf, type Tensor } from '../tensor/tf.js';

/** Runs a function that returns no tensors and disposes those that it made. */
export function tidily<T>(f: () => T): T {
  let result: T | undefined;
  tf.tidy(() => {
    result = f();
  });
  return result as T;
}

/** A function of factors that keeps its last tensor: while one operand is searched, the other is quantized once. */
export interface Remembering {
  at: (factors: readonly number[]) => Tensor;
  dispose: () => void;
}

/** See `Remembering`. The tensors that it gives live until its next other one, or `dispose`. */
export function remembering(make: (factors: readonly number[]) => Tensor): Remembering {
  let last: { key: string; tensor: Tensor } | undefined;
  const dispose = (): void => {
    last?.tensor.dispose();
    last = undefined;
  };
  return {
    at: (factors) => {
      const key = factors.join();
      if (last?.key === key) return last.tensor;
      dispose();
      last = { key, tensor: tf.keep(tf.tidy(() => tf.clone(make(factors)))) };
      return last.tensor;
    },
    dispose,
  };
}
