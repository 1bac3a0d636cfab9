/**
 * Matrix products in f16 on this machine's adapter beside those in f32: every case and every size of tiles within what f16 may be off (`ok`, else `bad`), then how
 * fast large ones are. Usage: half-products.ts [--emulated]: on any adapter, by loops in place of subgroup matrices; nothing is timed then.
 */
import { plannedWhole } from '../../src/tensor/compile-step.js';
import { sizeOf } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { trace } from '../../src/tensor/trace.js';
import { openDevice, type GpuDevice } from '../../src/tensor/webgpu/adapter.js';
import type { PlanLimits, Tiles } from '../../src/tensor/webgpu/kernel.js';
import { matrixTilesFor } from '../../src/tensor/webgpu/matrix-product-kernel.js';
import { planGraph } from '../../src/tensor/webgpu/plan.js';
import { GpuProgram } from '../../src/tensor/webgpu/program.js';
import { computed } from '../tensor/webgpu/computed.js';
import { HALF_TOLERANCE, elementsOfCase, productCases, relativeDistance } from '../tensor/webgpu/matrix-product-cases.js';
import { operations } from './gpu-workloads.js';
import { queuedRuns } from './queued-runs.js';

/** Seconds after which no further measurement is begun, and no further size of tiles tried. */
const MOST_SECONDS = 50, MOST_SECONDS_OF_TILES = 25;
const WARM_MILLISECONDS = 300;

const emulated = process.argv.includes('--emulated'), begun = performance.now();
const seconds = (): number => (performance.now() - begun) / 1000;
const gpu = await openDevice({ software: emulated, halfProducts: !emulated });
const f32: GpuDevice = { ...gpu, matrixUnits: undefined };
const f16: GpuDevice = emulated ? { ...f32, matrixUnits: { rows: 16, columns: 16, inner: 8, threads: 64, emulated }, matrixTiles: { rows: 32, columns: 64, inner: 16, height: 32, width: 32 } } : gpu;
console.log(`${gpu.adapter.description || gpu.adapter.device}: ${JSON.stringify(f16.matrixUnits)}`);

const name = ({ rows, columns, inner, height, width }: Tiles): string => `${rows}x${columns}x${inner} by ${height}x${width}`;
const sizes: Tiles[] = emulated ? [] : [[1, 4096, 4096], [1, 65536, 64], [1, 65536, 20], [1, 704, 704 * 2], [1, 256, 256]].map(([P, M, N]) => matrixTilesFor(P, M, N));
const halved = sizes.map((tiles): Tiles => ({ ...tiles, inner: 16 }));

let bad = 0, leftOut = 0;
for (const [title, c] of Object.entries(productCases)) {
  if (c.compilesSlowly && gpu.isSoftware) continue;
  const inputs = elementsOfCase(c), wanted = await computed(f32, c.f, inputs);
  for (const matrixTiles of [f16.matrixTiles, ...(title.includes('exactly') || title.startsWith('a convolution and') || title.includes('grow') ? [...sizes, ...halved] : [])]) {
    if (matrixTiles !== f16.matrixTiles && seconds() > MOST_SECONDS_OF_TILES) {
      leftOut++;
      continue;
    }
    const started = performance.now(), got = await computed(f32, c.f, inputs, { limits: { ...f16, matrixTiles } });
    for (const [output, values] of Object.entries(wanted)) {
      const apart = relativeDistance(got[output], values), ok = c.isExact ? apart === 0 : apart > 0 && apart < HALF_TOLERANCE;
      if (!ok) bad++;
      console.log(`${ok ? 'ok ' : 'bad'} ${title}, ${output}${matrixTiles ? `, ${name(matrixTiles)}` : ''}: ${apart.toExponential(1)} apart (${(performance.now() - started).toFixed(0)} ms)`);
    }
  }
}
console.log(`${bad === 0 ? 'all ok' : `${bad} bad`}${leftOut > 0 ? `, ${leftOut} with other tiles left out for want of time` : ''}, after ${seconds().toFixed(0)} s`);

/** Milliseconds of an operation whose runs are queued, the least of some rounds, and of compiling it. */
async function timed(title: string, limits: PlanLimits): Promise<{ milliseconds: number; compiling: number }> {
  const { inputs, f } = operations[title], started = performance.now();
  const plan = planGraph(trace(f, inputs, { keeps: plannedWhole }), limits), program = await GpuProgram.create(gpu, plan), compiling = performance.now() - started;
  const stream = new RandomStream(1);
  for (const [key, { shape }] of Object.entries(inputs)) {
    const some = Float32Array.from({ length: 4096 }, () => stream.normal());
    program.write(plan.inputs.get(key)!, Float32Array.from({ length: sizeOf(shape) }, (_, i) => some[(i * 31) & 4095]));
  }
  const run = await queuedRuns(gpu, program, WARM_MILLISECONDS);
  const milliseconds = Math.min(await run(20), await run(20), await run(20));
  program.dispose();
  return { milliseconds, compiling };
}

if (!emulated) {
  const timings = Object.entries(operations).filter(([, { operations: count }]) => count !== undefined);
  const tell = async (title: string, how: string, limits: PlanLimits): Promise<void> => {
    if (seconds() > MOST_SECONDS) return;
    const { milliseconds, compiling } = await timed(title, limits);
    console.log(`${title}, ${how}: ${milliseconds.toFixed(3)} ms, ${(operations[title].operations! / milliseconds / 1e9).toFixed(1)} TFLOP/s (compiled in ${compiling.toFixed(0)} ms)`);
  };
  for (const [title] of timings) {
    await tell(title, 'f32', f32);
    await tell(title, 'f16', f16);
  }
  for (const matrixTiles of [...halved.slice(0, 2), ...sizes.slice(1, 2), { rows: 128, columns: 128, inner: 32, height: 64, width: 32 }, { rows: 64, columns: 128, inner: 32, height: 32, width: 64 }]) {
    for (const [title] of timings) await tell(title, `f16 in ${name(matrixTiles)}`, { ...f16, matrixTiles });
  }
}
process.exit(bad > 0 ? 1 : 0);
