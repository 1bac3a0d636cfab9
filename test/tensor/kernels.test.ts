import test from 'ava';
import { useBackend } from '../../src/tensor/backend.js';
import { loweredToOnnx, onnxKernelNames } from '../../src/tensor/onnx-lowering.js';
import { shapeRules } from '../../src/tensor/shape-rules.js';
import { trace } from '../../src/tensor/trace.js';
import { compiled, difference, draw, eagerly, withGradients } from './compiled.js';
import { kernelCases } from './kernel-cases.js';
import { kernelCounts } from './kernel-counts.js';

const covered = Object.keys(kernelCases).sort();

test('every kernel that can be traced or lowered has cases here, and the other way round', (t) => {
  t.deepEqual(covered, [...new Set([...onnxKernelNames(), ...Object.keys(shapeRules)])].sort());
});

const tested = new Set<object>();
for (const [kernel, cases] of Object.entries(kernelCases)) {
  test.serial(`${kernel}: compiled as on tfjs's cpu backend, values and gradients`, async (t) => {
    let reached = false;
    for (const [name, c] of Object.entries(cases)) {
      const f = withGradients(c), inputs = draw(c.inputs);
      const traced = trace(f, inputs, { keeps: loweredToOnnx });
      reached ||= kernelCounts(traced).some(([op]) => op === kernel);
      if (tested.has(cases) && reached) break; // the same cases serve several kernels: they are computed once
      await useBackend('cpu');
      const wanted = eagerly(f, inputs);
      for (const block of kernel.includes('Conv') ? [1, undefined] : [undefined]) {
        const { results, graph } = await compiled(f, inputs, block);
        reached ||= kernelCounts(graph).some(([op]) => op === kernel);
        t.is(difference(results, wanted, 2e-5), undefined, `${name}${block === 1 ? ', plain layout' : ''}`);
      }
    }
    tested.add(cases);
    t.true(reached, `no case of ${kernel} has the kernel in its graph`);
  });
}
