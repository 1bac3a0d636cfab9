/** Products that are large enough for matrix units, of every kind that steps have: for tests on an emulation, and for test/bench/half-products.ts on a GPU. */
import { fakeQuantizeActivation } from '../../../src/quantizer/fake-quantize.js';
import { tf, type Tensor } from '../../../src/tensor/tf.js';
import type { StepFunction } from '../../../src/tensor/trace.js';
import { RandomStream } from '../../../src/tensor/random.js';
import { sizeOf } from '../../../src/tensor/parameters.js';
import type { Arrays } from '../compiled.js';

/** A function, and its inputs' shapes; their elements are drawn from a normal distribution unless the case says how. */
export interface ProductCase {
  inputs: Record<string, readonly number[]>;
  f: StepFunction;
  /** An element of an input by its position. */
  element?: (input: string, at: number, normal: number) => number;
  /** Results are those of f32 to the last bit: operands that f16 holds exactly, whose sums f32 does. */
  isExact?: boolean;
  /** A software adapter's compiler takes minutes over it. */
  compilesSlowly?: boolean;
}

const integer = (_: string, at: number): number => ((at * 7919) % 17) - 8;
/** [rows, 165]: elements grow along the sum by 2^60 in all, from 2^-40. */
const growing = (input: string, at: number, normal: number): number => (input === 'a' ? normal * 2 ** ((at % 165) * (60 / 165) - 40) : normal);
const pixels = (x: Tensor): tf.Tensor4D => x as tf.Tensor4D;
const convolve = (stride: number) => (x: Tensor, w: Tensor): Tensor => tf.conv2d(pixels(x), pixels(w), stride, 'same');
/** A convolution and its gradients for a given dL/dy. */
const withGradients = (stride: number): StepFunction => ({ x, w, dy }) => {
  const [dx, dw] = tf.grads(convolve(stride))([x, w], dy);
  return { y: convolve(stride)(x, w), dx, dw };
};
const sizes = { a: [201, 165], b: [165, 130] } as const;

export const productCases: Readonly<Record<string, ProductCase>> = {
  'sizes that no tile divides': { inputs: sizes, f: ({ a, b }) => ({ y: tf.matMul(a, b) }) },
  'integers, exactly': { inputs: sizes, f: ({ a, b }) => ({ y: tf.matMul(a, b) }), element: integer, isExact: true },
  'left transposed, batched': { inputs: { a: [3, 96, 150], b: [3, 96, 110] }, f: ({ a, b }) => ({ y: tf.matMul(a, b, true) }), element: integer, isExact: true },
  'right transposed, with bias, activation and residual': { inputs: { a: [256, 128], b: [128, 128], bias: [128], r: [256, 128] }, f: ({ a, b, bias, r }) => ({ y: tf.add(tf.relu(tf.add(tf.matMul(a, b, false, true), bias)), r) }) },
  'both transposed': { inputs: { a: [150, 210], b: [140, 150] }, f: ({ a, b }) => ({ y: tf.matMul(a, b, true, true) }), element: integer, isExact: true },
  'few columns': { inputs: { a: [1900, 128], b: [128, 20] }, f: ({ a, b }) => ({ y: tf.matMul(a, b) }), element: integer, isExact: true },
  'a convolution and its gradients': { inputs: { x: [2, 21, 20, 24], w: [3, 3, 24, 32], dy: [2, 21, 20, 32] }, f: withGradients(1) },
  'a convolution of stride 2 and its gradients': { inputs: { x: [4, 31, 31, 24], w: [3, 3, 24, 32], dy: [4, 16, 16, 32] }, f: withGradients(2), compilesSlowly: true },
  'quantized operands': {
    inputs: { a: [400, 96], b: [96, 128] },
    f: ({ a, b }) => ({ y: tf.matMul(fakeQuantizeActivation(a, tf.tensor1d([0.25]), tf.tensor1d([0]), { lowest: -8, highest: 7, axis: 0, gradientScale: 1 }), b) }),
  },
  'elements of 1e-30 and 1e25': { inputs: sizes, f: ({ a, b }) => ({ y: tf.matMul(a, b) }), element: (input, _, normal) => normal * (input === 'a' ? 1e-30 : 1e25) },
  'elements that grow along the sum': { inputs: sizes, f: ({ a, b }) => ({ y: tf.matMul(a, b) }), element: growing },
  'an operand of zeros': { inputs: sizes, f: ({ a, b }) => ({ y: tf.matMul(a, b) }), element: (input, at) => (input === 'a' ? 0 : integer(input, at)), isExact: true },
  'two products that need not wait for one another': { inputs: { a: [256, 160], b: [160, 128], c: [256, 160], d: [160, 128] }, f: ({ a, b, c, d }) => ({ y: tf.matMul(a, b), z: tf.relu(tf.matMul(c, d)) }), element: integer, isExact: true },
};

/** A case's inputs, always the same. */
export function elementsOfCase({ inputs, element }: ProductCase): Arrays {
  const stream = new RandomStream(7);
  return Object.fromEntries(Object.entries(inputs).map(([name, shape]) => {
    const data = Float32Array.from({ length: sizeOf(shape) }, (_, at) => {
      const normal = stream.normal();
      return element ? element(name, at, normal) : normal;
    });
    return [name, { shape: [...shape], dtype: 'float32' as const, data }];
  }));
}

/** |got - wanted| / |wanted| over all elements; of scaled numbers, so that squares stay in range. */
export function relativeDistance(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) largest = Math.max(largest, Math.abs(wanted[i]));
  if (largest === 0) return Array.from(got).every((v) => v === 0) ? 0 : Infinity;
  let apart = 0, norm = 0;
  for (let i = 0; i < wanted.length; i++) {
    apart += ((got[i] - wanted[i]) / largest) ** 2;
    norm += (wanted[i] / largest) ** 2;
  }
  return Math.sqrt(apart / norm);
}

/** What f16 may be off: each operand by 2^-12 of its elements, on average. */
export const HALF_TOLERANCE = 1e-3;
