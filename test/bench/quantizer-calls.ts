import { tf, type Tensor } from '../../src/tensor/tf.js';
import type { FakeQuantizeAttributes } from '../../src/quantizer/fake-quantize.js';

/** One call of a quantizer while a step is traced. */
export interface QuantizerCall {
  /** What is quantized. */
  x: Tensor;
  scale: Tensor;
  /** Of activations with an offset. */
  offset?: Tensor;
  attributes: FakeQuantizeAttributes;
  /** Q(x). */
  quantized: Tensor;
}

type RunKernel = (name: string, inputs: Record<string, Tensor>, attributes: object) => Tensor;

const QUANTIZERS = ['FakeQuantizeActivation', 'FakeQuantizeWeight'];

/**
 * The value of `given` in the place of x, with x's gradient: what follows is computed from `given`, and what is before is differentiated
 * as if that were what it gave.
 */
export const inPlaceOf = (x: Tensor, given: Tensor): Tensor => tf.customGrad((_) => ({ value: tf.add(given, 0), gradFunc: (dy: Tensor) => dy }))(x);

/**
 * What `f` gives, and the calls of quantizers that it makes, in order.
 * @param given what the call of a number reads in the place of x; itself where left out
 */
export function quantizerCalls<T>(f: () => T, given: (x: Tensor, call: number) => Tensor = (x) => x): { result: T; calls: QuantizerCall[] } {
  const engine = tf.engine() as unknown as { runKernel: RunKernel }, before = engine.runKernel, calls: QuantizerCall[] = [];
  engine.runKernel = (name, inputs, attributes) => {
    if (!QUANTIZERS.includes(name)) return before.call(engine, name, inputs, attributes);
    const { x, ...others } = inputs;
    const quantized = before.call(engine, name, { x: given(x, calls.length), ...others }, attributes);
    calls.push({ x, scale: others.scale, offset: others.offset as Tensor | undefined, attributes: attributes as FakeQuantizeAttributes, quantized: Array.isArray(quantized) ? (quantized as Tensor[])[0] : quantized });
    return quantized;
  };
  try {
    return { result: f(), calls };
  } finally {
    engine.runKernel = before;
  }
}
