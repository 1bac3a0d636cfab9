import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { fakeQuantizeActivation, fakeQuantizeWeight, gradientScale } from '../../src/quantizer/fake-quantize.js';
import { useBackend } from '../../src/tensor/backend.js';
import { batchNorm } from '../../src/tensor/batch-norm.js';
import { layerNorm } from '../../src/tensor/layer-norm.js';
import { linearAssignment } from '../../src/tensor/linear-assignment.js';
import { namedKernels } from '../../src/tensor/named-kernel.js';
import { split } from '../../src/tensor/split.js';
import { trace } from '../../src/tensor/trace.js';
import { comparedBackends } from './backends.js';
import { compiled, difference, draw, eagerly, withGradients, type Comparison, type Given } from './compiled.js';
import { kernelCounts } from './kernel-counts.js';

const g = (...shape: number[]): Given => ({ shape });
const positive = (...shape: number[]): Given => ({ shape, draw: (s) => s.uniform(0.1, 0.6) });
const signed = { lowest: -2, highest: 1 };
const levels = (axis: number, count: number) => ({ ...signed, axis, gradientScale: gradientScale(count, signed) });

/** Uses of the named kernels; a case covers those kernels that its forward or backward pass records. */
const cases: Record<string, Comparison> = {
  'layer norm [2, 3, 5]': { inputs: { x: g(2, 3, 5), w: g(5), b: g(5) }, f: (t) => layerNorm(t.x, t.w, t.b) },
  'layer norm [7, 16]': { inputs: { x: g(7, 16), w: g(16), b: g(16) }, f: (t) => layerNorm(t.x, t.w, t.b) },
  'batch norm of images': { inputs: { x: g(2, 4, 3, 5), w: g(5), b: g(5) }, f: (t) => batchNorm(t.x, t.w, t.b).y },
  'batch norm, statistics': { inputs: { x: g(6, 5), w: g(5), b: g(5) }, f: (t) => { const { y, mean, variance } = batchNorm(t.x, t.w, t.b); return [y, mean, variance]; }, by: [] },
  'split in three': { inputs: { x: g(2, 4, 6) }, f: (t) => split(t.x, 3, 2) },
  'activations, one scale': { inputs: { x: g(3, 4, 5), scale: positive(1), offset: g(1) }, f: (t) => fakeQuantizeActivation(t.x, t.scale, t.offset, levels(0, 60)) },
  'activations, a scale per head': { inputs: { x: g(2, 3, 4, 5), scale: positive(3), offset: g(3) }, f: (t) => fakeQuantizeActivation(t.x, t.scale, t.offset, levels(1, 120)) },
  'weights, a scale per output channel': { inputs: { x: g(3, 3, 4, 6), scale: positive(6) }, f: (t) => fakeQuantizeWeight(t.x, t.scale, levels(3, 216)) },
  'weights, a scale per row': { inputs: { x: g(6, 8), scale: positive(6) }, f: (t) => fakeQuantizeWeight(t.x, t.scale, levels(0, 48)) },
  'assignment of 10 boxes to 12 queries': { inputs: { cost: g(3, 12, 10), valid: { shape: [3, 10], draw: (_s, i) => Number(i % 10 <= 3 * Math.floor(i / 10) + 2) } }, f: (t) => linearAssignment(t.cost, t.valid), by: [] },
  'assignment of 4 boxes to 7 queries': { inputs: { cost: g(3, 7, 4), valid: { shape: [3, 4], draw: (_s, i) => Number(i % 4 <= Math.floor(i / 4)) } }, f: (t) => linearAssignment(t.cost, t.valid), by: [] },
};

/** Loads every file of src that defines a named kernel. */
async function loadAllKernels(): Promise<void> {
  for (const entry of readdirSync('src', { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (file.endsWith('.ts') && /= defineKernel</.test(readFileSync(file, 'utf8'))) await import(pathToFileURL(file).href);
  }
}

test('every named kernel of src is used by a case here', async (t) => {
  await loadAllKernels();
  const used = Object.values(cases).flatMap((c) => kernelCounts(trace(withGradients(c), draw(c.inputs), { keeps: () => true })).map(([op]) => op));
  t.deepEqual([...namedKernels.keys()].filter((name) => !used.includes(name)), []);
  t.true(namedKernels.size >= 10);
});

for (const [name, c] of Object.entries(cases)) {
  test.serial(`${name}: the same on the cpu backend, on ${comparedBackends.join(', ')} and compiled, values and gradients`, async (t) => {
    const f = withGradients(c), inputs = draw(c.inputs);
    await useBackend('cpu');
    const wanted = eagerly(f, inputs);
    t.is(difference((await compiled(f, inputs)).results, wanted, 2e-5), undefined, 'compiled');
    for (const backend of comparedBackends) {
      await useBackend(backend);
      t.is(difference(eagerly(f, inputs), wanted, 2e-5), undefined, backend);
    }
  });
}
