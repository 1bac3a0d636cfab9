import { tf, type Tensor } from '../../src/tensor/tf.js';
import type { TensorSpec } from '../../src/tensor/graph.js';
import type { StepFunction } from '../../src/tensor/trace.js';
import { fakeQuantizeActivation, gradientScale } from '../../src/quantizer/fake-quantize.js';

const spec = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });

/** One operation on its own: what it computes from which inputs, and what it costs. */
export interface OperationWorkload {
  inputs: Record<string, TensorSpec>;
  f: StepFunction;
  /** Floating-point operations. */
  operations?: number;
  /** Bytes that have to be read and written at least. */
  bytes?: number;
}

const N = 4096, ELEMENTS = 2 ** 24;
const X = [16, 64, 64, 128], FILTER = [3, 3, 128, 128], CONVOLUTION = 2 * 16 * 64 * 64 * 9 * 128 * 128;

/** Operations whose rates are compared with PyTorch's. */
export const operations: Record<string, OperationWorkload> = {
  'matrix product 4096': { inputs: { a: spec(N, N), b: spec(N, N) }, f: ({ a, b }) => ({ y: tf.matMul(a, b) }), operations: 2 * N ** 3 },
  'convolution 3x3, 16x64x64x128': { inputs: { x: spec(...X), filter: spec(...FILTER) }, f: ({ x, filter }) => ({ y: tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same') }), operations: CONVOLUTION },
  'its input gradient': { inputs: { dy: spec(...X), filter: spec(...FILTER) }, f: ({ dy, filter }) => ({ dx: tf.grad((x: Tensor) => tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same'))(tf.zerosLike(dy), dy) }), operations: CONVOLUTION },
  'its filter gradient': { inputs: { x: spec(...X), dy: spec(...X) }, f: ({ x, dy }) => ({ dFilter: tf.grad((filter: Tensor) => tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same'))(tf.zeros(FILTER), dy) }), operations: CONVOLUTION },
  'fake-quantization of 64 MB, forward and backward': {
    inputs: { x: spec(ELEMENTS), dy: spec(ELEMENTS), scale: spec(1), offset: spec(1) },
    f: ({ x, dy, scale, offset }) => {
      const attributes = { lowest: 0, highest: 15, axis: 0, gradientScale: gradientScale(ELEMENTS, { lowest: 0, highest: 15 }) };
      const [dx, dScale, dOffset] = tf.grads((...t: Tensor[]) => fakeQuantizeActivation(t[0], t[1], t[2], attributes))([x, scale, offset], dy);
      return { y: fakeQuantizeActivation(x, scale, offset, attributes), dx, dScale, dOffset };
    },
    bytes: 4 * ELEMENTS * 4,
  },
  'layer norm of 65536x256, forward and backward': {
    inputs: { x: spec(65536, 256), dy: spec(65536, 256), weight: spec(256), bias: spec(256) },
    f: ({ x, dy, weight, bias }) => {
      const f = (...t: Tensor[]): Tensor => {
        const centred = tf.sub(t[0], tf.mean(t[0], -1, true));
        return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5))), t[1]), t[2]);
      };
      const [dx, dWeight, dBias] = tf.grads(f)([x, weight, bias], dy);
      return { y: f(x, weight, bias), dx, dWeight, dBias };
    },
    bytes: 4 * 65536 * 256 * 4,
  },
  'copy of 256 MB': { inputs: { x: spec(2 ** 26) }, f: ({ x }) => ({ y: tf.neg(x) }), bytes: 2 * 2 ** 28 },
};
