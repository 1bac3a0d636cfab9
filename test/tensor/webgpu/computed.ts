import { plannedWhole } from '../../../src/tensor/compile-step.js';
import type { TypedArray } from '../../../src/tensor/graph.js';
import { trace, type StepFunction } from '../../../src/tensor/trace.js';
import type { GpuDevice } from '../../../src/tensor/webgpu/adapter.js';
import { placeOf, type PlanLimits } from '../../../src/tensor/webgpu/kernel.js';
import { planGraph } from '../../../src/tensor/webgpu/plan.js';
import { GpuProgram } from '../../../src/tensor/webgpu/program.js';
import type { Arrays } from '../compiled.js';

/** Plans, compiles and runs a function once, or several times on the same buffers; of several replicas the last has the inputs, the others zeros. */
export async function computed(device: GpuDevice, f: StepFunction, inputs: Arrays, { limits = device, runs = 1 }: { limits?: PlanLimits; runs?: number } = {}): Promise<Record<string, TypedArray>> {
  const graph = trace(f, inputs, { keeps: plannedWhole }), plan = planGraph(graph, limits);
  const program = await GpuProgram.create(device, plan);
  try {
    let results: TypedArray[] = [];
    const names = [...plan.outputs.keys()];
    const last = (limits.replicas ?? 1) - 1;
    for (let run = 0; run < runs; run++) {
      for (const [name, place] of plan.inputs) program.write(placeOf(place, last), inputs[name].data);
      results = await program.read(names.map((name) => ({ place: placeOf(plan.outputs.get(name)!, last), dtype: graph.outputs.get(name)!.dtype })), (encoder) => program.encode(encoder));
    }
    return Object.fromEntries(names.map((name, n) => [name, results[n]]));
  } finally {
    program.dispose();
  }
}
