import { tf, type Tensor } from './tf.js';

/** A kernel's inputs by name. */
export type Tensors = Record<string, Tensor>;
/** A kernel's attributes by name. */
export type Attrs = Record<string, unknown>;
/** A kernel of tfjs's registry, undefined where the backend has none. */
export type Kernel = NonNullable<ReturnType<typeof tf.getKernel>>['kernelFunc'] | undefined;

/** Calls the kernel that was there before, on the current backend. */
export function callKernel(kernel: Kernel, inputs: Tensors, attributes: Attrs): Tensor {
  const result = kernel!({ inputs: inputs as never, backend: tf.backend(), attrs: attributes as never }) as tf.TensorInfo;
  return result instanceof tf.Tensor ? result : tf.engine().makeTensorFromTensorInfo(result); // tfjs-node's kernels return tensors
}

/** Puts a composite in the place of a kernel of a backend (or where it has none). It may ask for the one that was there. */
export function replaceKernel(backendName: string, kernelName: string, make: (original: Kernel) => (inputs: Tensors, attributes: Attrs) => Tensor): void {
  const original = tf.getKernel(kernelName, backendName);
  const compute = make(original?.kernelFunc);
  if (original) tf.unregisterKernel(kernelName, backendName);
  tf.registerKernel({ ...original, kernelName, backendName, kernelFunc: ({ inputs, attrs }) => tf.tidy(() => compute(inputs as unknown as Tensors, attrs as unknown as Attrs)) as tf.TensorInfo });
}

/** Rows `top` to `top + height` and columns `left` to `left + width` of x [B, H, W, C]; what lies outside of x is `fill`. */
export function region(x: Tensor, [top, left]: number[], [height, width]: number[], fill = 0): Tensor {
  const [B, H, W, C] = x.shape as [number, number, number, number];
  const [y0, x0, y1, x1] = [Math.max(0, top), Math.max(0, left), Math.min(H, top + height), Math.min(W, left + width)];
  const inner = y0 === 0 && x0 === 0 && y1 === H && x1 === W ? x : tf.slice(x, [0, y0, x0, 0], [B, y1 - y0, x1 - x0, C]);
  const margins: [number, number][] = [[0, 0], [y0 - top, top + height - y1], [x0 - left, left + width - x1], [0, 0]];
  return margins.flat().every((m) => m === 0) ? inner : tf.pad(inner, margins, fill);
}

/** Below every pixel, and finite: 0 * LOWEST is no NaN. */
export const LOWEST = -3.4e38;
