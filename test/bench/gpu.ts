import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { operations } from './gpu-workloads.js';

/** One line of gpu-child.ts or gpu_workloads.py. */
interface Measured { workload: string; device?: string; adapter?: string; milliseconds?: number; queued?: number; eager?: number; graph?: number; nodes?: number; encoding?: number }
/** A row of the table: milliseconds here and in PyTorch (the best way in which it runs there). */
export interface GpuRow { workload: string; milliseconds: number; pyTorch: number | undefined; ratio: number | undefined; note: string }

const run = promisify(execFile);
const lines = (stdout: string): Measured[] => stdout.trim().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Measured);

/** Measures this engine, and PyTorch where it is installed and sees the GPU; each round is a new process of each, in turns. */
export async function measureGpu(rounds: number, tell: (text: string) => void): Promise<{ device: string; rows: GpuRow[] }> {
  const ours = new Map<string, Measured[]>(), theirs = new Map<string, Measured[]>();
  const keep = (into: Map<string, Measured[]>, found: readonly Measured[]): void => { for (const m of found) into.set(m.workload, [...(into.get(m.workload) ?? []), m]); };
  let device = '';
  for (let round = 0; round < rounds; round++) {
    for (const workload of ['detr', ...Object.keys(operations)]) {
      tell(`round ${round + 1} of ${rounds}: this engine, ${workload}`);
      const found = lines((await run(process.execPath, ['--import=tsx', 'test/bench/gpu-child.ts', workload])).stdout);
      device ||= found[0]?.adapter ?? '';
      keep(ours, found);
    }
    tell(`round ${round + 1} of ${rounds}: PyTorch`);
    const python = await run('python3', ['test/bench/gpu_workloads.py']).catch(() => undefined);
    if (python) keep(theirs, lines(python.stdout));
  }
  return { device, rows: gpuRows(ours, theirs) };
}

const least = (values: readonly (number | undefined)[]): number | undefined => {
  const found = values.filter((v): v is number => v !== undefined);
  return found.length > 0 ? Math.min(...found) : undefined;
};

/** The table of two sets of measurements, each the least of its rounds. */
export function gpuRows(ours: ReadonlyMap<string, readonly Measured[]>, theirs: ReadonlyMap<string, readonly Measured[]>): GpuRow[] {
  return [...ours].map(([workload, found]) => {
    const others = theirs.get(workload) ?? [], milliseconds = least(found.map((m) => m.queued ?? m.milliseconds))!;
    const eager = least(others.map((m) => m.eager)), pyTorch = least(others.map((m) => m.graph ?? m.milliseconds));
    const notes = [found[0].nodes === undefined ? '' : `${found[0].nodes} dispatches`, eager === undefined ? '' : `PyTorch eager ${eager.toFixed(2)} ms, its CUDA graph in the column`];
    return { workload: workload === 'detr' ? 'training step of a small DETR, 16 images of 128x128' : workload, milliseconds, pyTorch, ratio: pyTorch === undefined ? undefined : milliseconds / pyTorch, note: notes.filter(Boolean).join('; ') };
  });
}

/** The table as text. */
export function gpuTable(device: string, rows: readonly GpuRow[]): string {
  const width = Math.max(...rows.map((r) => r.workload.length));
  const line = (r: GpuRow): string => `${r.workload.padEnd(width)}${`${r.milliseconds.toFixed(2)} ms`.padStart(12)}${(r.pyTorch === undefined ? '-' : `${r.pyTorch.toFixed(2)} ms`).padStart(12)}${(r.ratio === undefined ? '-' : r.ratio.toFixed(2)).padStart(8)}${r.note ? `  ${r.note}` : ''}`;
  return [`One GPU (${device}), float32 without TF32.`, '', `${'workload'.padEnd(width)}${'WebGPU'.padStart(12)}${'PyTorch'.padStart(12)}${'ratio'.padStart(8)}`, ...rows.map(line)].join('\n');
}
