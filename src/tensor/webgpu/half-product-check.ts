import { tf, type Tensor } from '../tf.js';
import { trace } from '../trace.js';
import type { GpuDevice } from './adapter.js';
import { planGraph } from './plan.js';
import { GpuProgram } from './program.js';

/** Rows, columns and summands of the product that is checked: of all tiles' multiples, and large enough to be of f16. */
const M = 256, N = 256, K = 128;

/** Integers from -4 to 4: f16 holds them, and sums of f32 hold their products', exactly. */
const integers = (count: number, step: number): Float32Array => Float32Array.from({ length: count }, (_, i) => ((i * step) % 9) - 4);

async function productOn(gpu: GpuDevice, a: Float32Array, b: Float32Array): Promise<Float32Array> {
  const matrix = (rows: number, columns: number) => ({ shape: [rows, columns], dtype: 'float32' as const });
  const plan = planGraph(trace((x): Record<string, Tensor> => ({ y: tf.matMul(x.a, x.b) }), { a: matrix(M, K), b: matrix(K, N) }), gpu);
  const program = await GpuProgram.create(gpu, plan);
  try {
    program.write(plan.inputs.get('a')!, a);
    program.write(plan.inputs.get('b')!, b);
    const [y] = await program.read([{ place: plan.outputs.get('y')!, dtype: 'float32' }], (encoder) => program.encode(encoder));
    return y as Float32Array;
  } finally {
    program.dispose();
  }
}

/**
 * Multiplies matrices of small integers on a device whose large products are of f16, where the result is exact whatever the order of the sums.
 * @returns what is wrong with it, as a sentence; undefined where it is right
 */
export async function halfProductsError(gpu: GpuDevice, product: (a: Float32Array, b: Float32Array) => Promise<Float32Array> = (a, b) => productOn(gpu, a, b)): Promise<string | undefined> {
  const a = integers(M * K, 5), b = integers(K * N, 7), y = await product(a, b);
  let wrong = 0;
  for (let row = 0; row < M; row++) {
    const sums = new Float64Array(N);
    for (let k = 0; k < K; k++) {
      const factor = a[row * K + k];
      for (let column = 0; column < N; column++) sums[column] += factor * b[k * N + column];
    }
    for (let column = 0; column < N; column++) if (y[row * N + column] !== sums[column]) wrong++;
  }
  return wrong === 0 ? undefined : `a product of ${M} x ${K} x ${N} integers in f16 comes out wrong in ${wrong} of ${M * N} elements on this adapter`;
}
