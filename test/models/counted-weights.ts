import { sizeOf, type ArrayValue, type ParameterValues } from '../../src/tensor/parameters.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';

/** FNV-1a, 32 bits. */
function hashName(name: string): number {
  let h = 2166136261;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 16777619);
  return h >>> 0;
}

/** test/fixtures/counted_weights.py: element `index` of the parameter with this hash, in [0, 1). */
function uniform(hash: number, index: number): number {
  let h = (index + hash) >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32;
}

/** Bounds of a parameter's values; `inputs` are the elements that one output of a product reads, 0 for a vector. */
function bounds(name: string, inputs: number): [number, number] {
  if (name.endsWith('running_var')) return [0.5, 1.5];
  if (inputs > 0) return [-Math.sqrt(6 / inputs), Math.sqrt(6 / inputs)];
  return name.endsWith('.weight') && !name.includes('prelu') ? [0.25, 0.75] : [-0.2, 0.2];
}

/** The parameter `name` as test/fixtures/counted_weights.py makes it, kernels in our layout (HWIO). */
export function countedValue(name: string, shape: readonly number[]): ArrayValue {
  const hash = hashName(name), data = new Float32Array(sizeOf(shape));
  const isKernel = shape.length === 4;
  const [height, width, inputs, outputs] = isKernel ? shape : [1, 1, 1, 1];
  const [low, high] = bounds(name, isKernel ? height * width * inputs : shape.length > 1 ? sizeOf(shape.slice(1)) : 0);
  for (let i = 0; i < data.length; i++) {
    let at = i; // index in PyTorch's layout, OIHW for a kernel
    if (isKernel) {
      const o = i % outputs, c = Math.floor(i / outputs) % inputs, spot = Math.floor(i / (outputs * inputs));
      at = (o * inputs + c) * height * width + spot;
    }
    data[i] = low + (high - low) * uniform(hash, at);
  }
  return { shape, data };
}

/** Counted values with the names and shapes of `values`. */
export const countedValues = (values: ParameterValues): ParameterValues => Object.fromEntries(Object.entries(values).map(([name, { shape }]) => [name, countedValue(name, shape)]));

/** Factor of a parameter's counted values in `lively` of test/fixtures/counted_weights.py. */
function livelyFactor(name: string): number {
  if (name.startsWith('query_embed.')) return 12;
  if (!name.startsWith('transformer.') || !name.endsWith('weight')) return 1;
  return /\.(out_proj|linear2)\.weight$/.test(name) ? Math.fround(0.1) : /norm|_proj/.test(name) ? 2 : 1;
}

/** Counted values of these names and shapes with which the queries of a deep transformer stay apart. */
export const livelyValues = (shapes: Readonly<Record<string, readonly number[]>>): ParameterValues => Object.fromEntries(Object.entries(shapes).map(([name, shape]) => {
  const counted = countedValue(name, shape), factor = livelyFactor(name);
  return [name, factor === 1 ? counted : { shape, data: counted.data.map((v) => v * factor) }];
}));

/** Images of test/fixtures/counted_weights.py, [batch, height, width, 3] in -2..2. */
export function countedImages(batch: number, height: number, width: number): Tensor {
  const hash = hashName('images');
  const planes = Float32Array.from({ length: batch * 3 * height * width }, (_, i) => 4 * uniform(hash, i) - 2);
  return tf.transpose(tf.tensor4d(planes, [batch, 3, height, width]), [0, 2, 3, 1]);
}
