import { defineKernel } from './named-kernel.js';
import { tf, type Tensor } from './tf.js';

const kernel = defineKernel<'x', { parts: number; axis: number }>({
  name: 'Split',
  inputs: ['x'],
  composite: ({ x }, { parts, axis }) => {
    const size = x.shape.map((n, i) => (i === axis ? n / parts : n));
    return Array.from({ length: parts }, (_, part) => tf.slice(x, x.shape.map((_n, i) => (i === axis ? part * size[axis] : 0)), size));
  },
  gradient: (dy, _inputs, _outputs, { axis }) => ({ x: tf.concat(dy, axis) }),
});

/**
 * Splits a tensor into equal parts. Its gradient is one concatenation, where that of a row of slices is a sum of padded tensors. Kernel `Split`.
 * @param x any shape whose length along `axis` is a multiple of `parts`
 * @throws when it isn't.
 */
export function split(x: Tensor, parts: number, axis: number): Tensor[] {
  if (x.shape[axis] % parts !== 0) throw new Error(`axis ${axis} of shape [${x.shape.join(', ')}] can't be split into ${parts} equal parts`);
  return kernel({ x }, { parts, axis });
}
