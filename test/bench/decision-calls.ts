import { tf, type Tensor } from '../../src/tensor/tf.js';
import type { FakeQuantizeAttributes } from '../../src/quantizer/fake-quantize.js';

/** One call of a kernel that decides about each element, while a step is traced: a quantizer, which level it is on; ReLU, which side of 0. */
export interface DecisionCall {
  /** What it reads. */
  x: Tensor;
  /** What it gives. */
  y: Tensor;
  /** Of quantizers. */
  quantizer?: { scale: Tensor; offset?: Tensor; attributes: FakeQuantizeAttributes };
}

type RunKernel = (name: string, inputs: Record<string, Tensor>, attributes: object) => Tensor | Tensor[];

const QUANTIZERS = ['FakeQuantizeActivation', 'FakeQuantizeWeight'], RELU = 'Relu', MATCHING = 'LinearAssignment';

/**
 * The value of `given` in the place of x, with x's gradient: what follows is computed from `given`, and what is before is differentiated
 * as if that were what it gave.
 */
export const inPlaceOf = (x: Tensor, given: Tensor): Tensor => tf.customGrad((_) => ({ value: tf.add(given, 0), gradFunc: (dy: Tensor) => dy }))(x);

/**
 * What `f` gives, and the calls that it makes, in order, up to the first matching: what follows that, a teacher, is not differentiated.
 * @param given what the call of a number reads in the place of x; itself where left out
 */
export function decisionCalls<T>(f: () => T, given: (x: Tensor, call: number) => Tensor = (x) => x): { result: T; calls: DecisionCall[] } {
  const engine = tf.engine() as unknown as { runKernel: RunKernel }, before = engine.runKernel, calls: DecisionCall[] = [];
  let isMatched = false, isInside = false;
  engine.runKernel = (name, inputs, attributes) => {
    isMatched ||= name === MATCHING;
    const isQuantizer = QUANTIZERS.includes(name);
    if (isMatched || isInside || !(isQuantizer || name === RELU)) return before.call(engine, name, inputs, attributes);
    const { x, ...others } = inputs;
    isInside = true; // a composite may hold more
    const result = before.call(engine, name, { x: given(x, calls.length), ...others }, attributes);
    isInside = false;
    calls.push({ x, y: Array.isArray(result) ? result[0] : result, ...(isQuantizer ? { quantizer: { scale: others.scale, offset: others.offset as Tensor | undefined, attributes: attributes as FakeQuantizeAttributes } } : {}) });
    return result;
  };
  try {
    return { result: f(), calls };
  } finally {
    engine.runKernel = before;
  }
}
