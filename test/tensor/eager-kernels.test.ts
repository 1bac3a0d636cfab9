import test from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { comparedBackends } from './backends.js';
import { difference, draw, eagerly, withGradients } from './compiled.js';
import { kernelCases } from './kernel-cases.js';

for (const backend of comparedBackends) {
  const tested = new Set<object>();
  for (const [kernel, cases] of Object.entries(kernelCases)) {
    if (tested.has(cases)) continue; // the same cases serve several kernels
    tested.add(cases);
    test.serial(`${kernel}: on ${backend} as on the cpu backend, values and gradients`, async (t) => {
      for (const [name, c] of Object.entries(cases)) {
        const f = withGradients(c), inputs = draw(c.inputs);
        await useBackend('cpu');
        const wanted = eagerly(f, inputs);
        await useBackend(backend);
        t.notThrows(() => t.is(difference(eagerly(f, inputs), wanted, 2e-5), undefined, name), name);
      }
    });
  }
}
