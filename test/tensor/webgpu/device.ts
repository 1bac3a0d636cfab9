import { mayHaveGraphicsProcessor, type GpuDevice } from '../../../src/tensor/webgpu/adapter.js';
import { findEngine, type EngineFinding } from '../../../src/tensor/engine.js';

// Mesa's software adapter compiles each kernel in half a second with all of its optimizations, in less than half of that without.
process.env.GALLIVM_PERF ??= 'nopt';
process.env.LP_NATIVE_VECTOR_WIDTH ??= '128';

/** WebGPU on this machine: a hardware adapter, else a software one; or the reason why there is neither. */
export async function findWebGpu(): Promise<EngineFinding> {
  const hardware = mayHaveGraphicsProcessor() ? await findEngine('webgpu') : undefined;
  return hardware?.gpu ? hardware : findEngine('webgpu-software');
}

/** A device, or the reason for skipping, which is printed. */
export async function testDevice(): Promise<{ gpu?: GpuDevice; engine?: EngineFinding; reason: string }> {
  const engine = await findWebGpu();
  if (engine.gpu) return { gpu: engine.gpu, engine, reason: '' };
  const reason = engine.reason ?? 'no reason given';
  console.error(`tests of kernels on WebGPU are skipped: ${reason}`);
  return { reason };
}
