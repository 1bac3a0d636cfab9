import type { ArrayValue } from '../../tensor/parameters.js';

/** Layout of convolution kernels: PyTorch's, or this project's. */
export type KernelLayout = 'OIHW' | 'HWIO';

/** The shape here of an array that a file has in a layout. */
export const shapeHere = (shape: readonly number[], layout: KernelLayout): readonly number[] => (shape.length === 4 && layout === 'OIHW' ? [shape[2], shape[3], shape[1], shape[0]] : shape);

/** The shape in a file's layout of an array here. */
export const shapeThere = (shape: readonly number[], layout: KernelLayout): readonly number[] => (shape.length === 4 && layout === 'OIHW' ? [shape[3], shape[2], shape[0], shape[1]] : shape);

/**
 * The layout of a model's kernels, from those whose two readings differ: kernels are square, and smaller than the channels beside them.
 * @param shapes of all arrays
 */
export function findLayout(shapes: Iterable<readonly number[]>): KernelLayout {
  let votes = 0;
  for (const shape of shapes) {
    if (shape.length !== 4) continue;
    const [a, b, c, d] = shape;
    votes += Number(a === b && a <= 7 && c * d > a * b) - Number(c === d && c <= 7 && a * b > c * d);
  }
  return votes > 0 ? 'HWIO' : 'OIHW';
}

/** An array as it is here: kernels as HWIO. */
export function arrayHere({ shape, data }: ArrayValue, layout: KernelLayout): ArrayValue {
  const to = shapeHere(shape, layout);
  if (to === shape) return { shape, data };
  const [outputs, inputs, height, width] = shape, spots = height * width;
  const moved = new Float32Array(data.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      const from = (o * inputs + i) * spots;
      for (let s = 0; s < spots; s++) moved[(s * inputs + i) * outputs + o] = data[from + s];
    }
  }
  return { shape: to, data: moved };
}
