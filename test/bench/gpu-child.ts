/**
 * One GPU workload on this project's engine; prints one JSON line. Usage: gpu-child.ts <name of a training step> [steps] | gpu-child.ts <name of an operation>
 * [rows,columns,inner,height,width].
 * Products are of f16 with QDETR_ENGINE=webgpu-f16 (tiles: a subgroup's part as height,width); a software adapter is taken only with QDETR_ENGINE=webgpu-software.
 */
import { compileStep } from '../../src/tensor/compile-step.js';
import { findEngine } from '../../src/tensor/engine.js';
import { sizeOf } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { trace } from '../../src/tensor/trace.js';
import type { GpuDevice } from '../../src/tensor/webgpu/adapter.js';
import { planGraph } from '../../src/tensor/webgpu/plan.js';
import { GpuProgram } from '../../src/tensor/webgpu/program.js';
import { adamWCorrections } from '../../src/tensor/adamw-corrections.js';
import { trainings } from './gpu-detectors.js';
import { operations } from './gpu-workloads.js';
import { queuedRuns } from './queued-runs.js';

/** An idle GPU lowers its clock: it is kept busy for so long before anything is measured. */
const WARM_MILLISECONDS = 500;

const [workload, argument] = process.argv.slice(2);
const wanted = (['webgpu-f16', 'webgpu-software'] as const).find((name) => name === process.env.QDETR_ENGINE) ?? 'webgpu';
const engine = await findEngine(wanted);
if (!engine.gpu) throw new Error(engine.reason);
console.log(JSON.stringify(workload in trainings ? await train(engine.gpu, workload, argument === undefined ? undefined : Number(argument)) : await operate(engine.gpu, workload, argument)));
process.exit(0);

/** A whole training step: milliseconds with a read-back after every step, and with steps queued behind one another. */
async function train(gpu: GpuDevice, name: string, count?: number): Promise<object> {
  const { step, state, inputs, resident, trained } = await trainings[name]();
  const compiled = await compileStep(step, { state, inputs, resident, engine: { name: wanted, gpu } });
  let done = 0;
  const next = async (): Promise<number> => {
    const { correction1, correction2 } = adamWCorrections(++done);
    const { loss } = await compiled.run({ learningRate: Float32Array.of(1e-4), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
    return loss[0];
  };
  const losses: number[] = [], milliseconds: number[] = [];
  for (let i = 0; i < 10; i++) losses.push(await next());
  let last = 0;
  for (const from = performance.now(); performance.now() - from < WARM_MILLISECONDS;) {
    const started = performance.now();
    await next();
    last = performance.now() - started;
  }
  const steps = count ?? Math.max(10, Math.min(100, Math.round(1000 / last)));
  for (let i = 0; i < steps; i++) {
    const started = performance.now();
    await next();
    milliseconds.push(performance.now() - started);
  }
  const rounds: number[] = [], encoding: number[] = [];
  for (let round = 0; round < 5; round++) {
    const started = performance.now();
    const pending = Array.from({ length: steps }, () => next());
    encoding.push((performance.now() - started) / steps);
    await Promise.all(pending);
    rounds.push((performance.now() - started) / steps);
  }
  return { workload: name, engine: wanted, adapter: gpu.adapter.description, ...compiled.statistics, parameters: trained, losses, milliseconds: median(milliseconds), queued: median(rounds), encoding: median(encoding) };
}

/** One operation: milliseconds of a run when many are queued. */
async function operate(gpu: GpuDevice, name: string, tiles?: string): Promise<object> {
  const { inputs, f, operations: count, bytes } = operations[name];
  const [rows, columns, inner, height, width] = (tiles ?? '').split(',').map(Number);
  const plan = planGraph(trace(f, inputs), { ...gpu, ...(tiles ? { [gpu.matrixUnits ? 'matrixTiles' : 'tiles']: { rows, columns, inner, height, width } } : {}) });
  const program = await GpuProgram.create(gpu, plan);
  const stream = new RandomStream(1);
  for (const [key, { shape }] of Object.entries(inputs)) program.write(plan.inputs.get(key)!, Float32Array.from({ length: sizeOf(shape) }, () => stream.uniform(0.1, 1)));
  const run = await queuedRuns(gpu, program, WARM_MILLISECONDS);
  const once = await run(3), times = Math.max(1, Math.min(50, Math.round(200 / once)));
  const milliseconds = median([await run(times), await run(times), await run(times), await run(times), await run(times)]);
  const kernels = gpu.device.features.has('timestamp-query') ? (await program.profile()).map((ms, k) => `${plan.kernels[k].label}: ${ms.toFixed(4)}`) : [];
  return { workload: name, engine: wanted, tiles, milliseconds, teraflops: count && count / milliseconds / 1e9, gigabytesPerSecond: bytes && bytes / milliseconds / 1e6, kernels };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
