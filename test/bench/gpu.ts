import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { trainings } from './gpu-detectors.js';
import { operations } from './gpu-workloads.js';

/** One line of gpu-child.ts, gpu_workloads.py or gpu_detectors.py. */
interface Measured { workload: string; device?: string; adapter?: string; milliseconds?: number; queued?: number; eager?: number; graph?: number; nodes?: number; encoding?: number; parameters?: number }
/** A row of the table: milliseconds here and in PyTorch (the best way in which it runs there). */
export interface GpuRow { workload: string; milliseconds: number; pyTorch: number | undefined; ratio: number | undefined; note: string }

/** What the rows of whole training steps are called, and what is to be known about them. */
const steps: Readonly<Record<string, { title: string; note?: string }>> = {
  detr: { title: 'training step of a small DETR, 16 images of 128x128', note: 'fixed targets in place of the matching' },
  detector: { title: 'training step of the detector of scale gpu, real-valued', note: 'matching: PyTorch eager by scipy, in its CUDA graph exact in torch operations' },
  'detector 4-4-8, distilled': { title: 'the same, 4-4-8 with teacher, DA, FQM and DRD', note: 'matching as above' },
  'detr-r50': { title: 'training step of DETR-R50, 4 images of 800x1066', note: 'no dropout, no padding; matching as above' },
};

/** What names of rows with products in f16 end with. */
const HALF = ', products in f16';
/** Operations of which none is a product. */
const WITHOUT_PRODUCTS = Object.keys(operations).filter((name) => operations[name].operations === undefined);

/** What runs in PyTorch; what a script has printed counts though it failed later. */
const SCRIPTS = ['test/bench/gpu_workloads.py', 'test/bench/gpu_detectors.py'];

const run = promisify(execFile);
const lines = (stdout: string): Measured[] => stdout.trim().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Measured);

/** Measures this engine, and PyTorch where it is installed and sees the GPU; each round is a new process of each, in turns. */
export async function measureGpu(rounds: number, tell: (text: string) => void): Promise<{ device: string; rows: GpuRow[] }> {
  const ours = new Map<string, Measured[]>(), theirs = new Map<string, Measured[]>();
  const keep = (into: Map<string, Measured[]>, found: readonly Measured[]): void => { for (const m of found) into.set(m.workload, [...(into.get(m.workload) ?? []), m]); };
  let device = '', hasHalf = true;
  for (let round = 0; round < rounds; round++) {
    for (const workload of [...Object.keys(trainings), ...Object.keys(operations)]) {
      tell(`round ${round + 1} of ${rounds}: this engine, ${workload}`);
      const found = lines((await run(process.execPath, ['--import=tsx', 'test/bench/gpu-child.ts', workload])).stdout);
      device ||= found[0]?.adapter ?? '';
      keep(ours, found);
      if (!hasHalf || WITHOUT_PRODUCTS.includes(workload)) continue;
      const half = await run(process.execPath, ['--import=tsx', 'test/bench/gpu-child.ts', workload], { env: { ...process.env, QDETR_ENGINE: 'webgpu-f16' } }).catch((error: { stderr?: string }) => {
        tell(`no rows in f16: ${(error.stderr ?? '').split('\n').find((line) => line.includes('Error:')) ?? 'no reason given'}`);
        hasHalf = false;
        return { stdout: '' };
      });
      keep(ours, lines(half.stdout).map((m) => ({ ...m, workload: `${m.workload}${HALF}` })));
    }
    for (const script of SCRIPTS) {
      tell(`round ${round + 1} of ${rounds}: PyTorch, ${script}`);
      const python = await run('python3', [script]).catch((error: { stdout?: string; stderr?: string }) => {
        tell(`${script}: ${(error.stderr ?? '').trim().split('\n').at(-1)}`);
        return error;
      });
      keep(theirs, lines(python.stdout ?? ''));
    }
  }
  return { device, rows: gpuRows(ours, theirs) };
}

const least = (values: readonly (number | undefined)[]): number | undefined => {
  const found = values.filter((v): v is number => v !== undefined);
  return found.length > 0 ? Math.min(...found) : undefined;
};

/**
 * The table of two sets of measurements, each the least of its rounds.
 * @throws when the two sides train different numbers of parameters: then they are not the same model
 */
export function gpuRows(ours: ReadonlyMap<string, readonly Measured[]>, theirs: ReadonlyMap<string, readonly Measured[]>): GpuRow[] {
  return [...ours].map(([workload, found]) => {
    const others = theirs.get(workload) ?? [], milliseconds = least(found.map((m) => m.queued ?? m.milliseconds))!;
    const eager = least(others.map((m) => m.eager)), pyTorch = least(others.map((m) => m.graph ?? m.milliseconds));
    const [{ nodes, parameters }] = found, inHalf = workload.endsWith(HALF), plain = inHalf ? workload.slice(0, -HALF.length) : workload;
    const { title, note } = inHalf ? { title: `${(steps[plain] ?? { title: plain }).title}${HALF}`, note: undefined } : (steps[workload] ?? { title: workload });
    if (parameters !== undefined && others.some((m) => m.parameters !== parameters)) throw new Error(`${workload} trains ${parameters} parameters here and ${others.map((m) => m.parameters).join(', ')} in PyTorch: make the two models the same`);
    const notes = [
      nodes === undefined ? '' : `${nodes} dispatches`,
      parameters === undefined ? '' : `${(parameters / 1e6).toFixed(2)} M parameters${others.length > 0 ? ' on both sides' : ''}`,
      eager === undefined ? '' : `PyTorch eager ${eager.toFixed(2)} ms (ratio ${(milliseconds / eager).toFixed(2)}), its CUDA graph in the column`,
      note ?? '',
    ];
    return { workload: title, milliseconds, pyTorch, ratio: pyTorch === undefined ? undefined : milliseconds / pyTorch, note: notes.filter(Boolean).join('; ') };
  });
}

/** The table as text. */
export function gpuTable(device: string, rows: readonly GpuRow[]): string {
  const width = Math.max(...rows.map((r) => r.workload.length));
  const line = (r: GpuRow): string => `${r.workload.padEnd(width)}${`${r.milliseconds.toFixed(2)} ms`.padStart(12)}${(r.pyTorch === undefined ? '-' : `${r.pyTorch.toFixed(2)} ms`).padStart(12)}${(r.ratio === undefined ? '-' : r.ratio.toFixed(2)).padStart(8)}${r.note ? `  ${r.note}` : ''}`;
  return [`One GPU (${device}), float32 without TF32 where a row says nothing else.`, '', `${'workload'.padEnd(width)}${'WebGPU'.padStart(12)}${'PyTorch'.padStart(12)}${'ratio'.padStart(8)}`, ...rows.map(line)].join('\n');
}
