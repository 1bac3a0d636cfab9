import type { GpuDevice } from '../../src/tensor/webgpu/adapter.js';
import type { GpuProgram } from '../../src/tensor/webgpu/program.js';

/**
 * What measures a program: milliseconds of a run when `times` of them are queued.
 * @param warmMilliseconds an idle GPU lowers its clock: it is kept busy for so long before
 */
export async function queuedRuns({ device }: GpuDevice, program: GpuProgram, warmMilliseconds: number): Promise<(times: number) => Promise<number>> {
  const run = async (times: number): Promise<number> => {
    const started = performance.now();
    for (let i = 0; i < times; i++) {
      const encoder = device.createCommandEncoder();
      program.encode(encoder);
      device.queue.submit([encoder.finish()]);
    }
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - started) / times;
  };
  for (const from = performance.now(); performance.now() - from < warmMilliseconds;) await run(3);
  return run;
}
