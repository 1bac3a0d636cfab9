/**
 * `npm run bench`: one training step of a small DETR on this project's engine beside PyTorch's on the same processor. Machines are
 * noisy, so that every measurement is a process of its own, the two take turns, and they are compared round by round.
 */
import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { ModelScale } from '../../src/models/settings.js';
import { findEngine } from '../../src/tensor/engine.js';
import { reportAgreement } from './agreement-report.js';
import { isExplained } from './agreement-statistics.js';
import { decodingTable, measureDecoding } from './decoding.js';
import { gpuTable, measureGpu } from './gpu.js';
import { measurePredict, predictTable } from './predict.js';

/** One process: milliseconds of each step, and the first five losses. */
interface Measurement { engine: string; threads: number; milliseconds: number[]; losses: number[]; peakMegabytes: number; residentMegabytes?: number[] }
interface Contestant { name: string; threads: number; measure: () => Promise<Measurement> }
interface Options { rounds: number; steps: number; json?: boolean; memory?: boolean; gpu?: boolean; decoding?: boolean; predict?: boolean }
interface AgreementFlags { scale: ModelScale; steps: number; states: number; bits: string[]; output?: string }

/** Losses of the first steps on tfjs's eager wasm backend. */
const EAGER_LOSSES = [4.06798, 4.1178, 3.81204, 3.6914, 3.66846];
const TOLERANCE = 1e-4;

const run = promisify(execFile);
const lastLine = ({ stdout }: { stdout: string }): Measurement => JSON.parse(stdout.trim().split('\n').at(-1)!) as Measurement;
const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};
const largestDifference = (a: readonly number[], b: readonly number[]): number => Math.max(...a.map((v, i) => Math.abs(v - b[i])));

const ours = async (threads: number, steps: number, ...more: string[]): Promise<Measurement> => lastLine(await run(process.execPath, ['--import=tsx', 'test/bench/small-detr-child.ts', String(threads), String(steps), ...more]));
const pyTorch = async (threads: number, steps: number): Promise<Measurement> => lastLine(await run('python3', ['test/bench/small_detr.py', String(threads), String(steps)]));

async function findPyTorch(): Promise<string | undefined> {
  const found = await run('python3', ['-c', 'import torch; print(torch.__version__)']).catch(() => undefined);
  return found?.stdout.trim();
}

/** A, B, A, B, ...: every round measures each contestant once, odd rounds in the other order. */
async function alternate(contestants: Contestant[], rounds: number): Promise<Map<Contestant, Measurement[]>> {
  const results = new Map<Contestant, Measurement[]>(contestants.map((c) => [c, []]));
  for (let round = 0; round < rounds; round++) {
    for (const c of round % 2 ? [...contestants].reverse() : contestants) {
      process.stderr.write(`round ${round + 1} of ${rounds}: ${c.name}, ${c.threads} thread${c.threads > 1 ? 's' : ''}\n`);
      results.get(c)!.push(await c.measure());
    }
  }
  return results;
}

async function compare({ rounds, steps, json }: Options): Promise<boolean> {
  const torch = await findPyTorch();
  const threadCounts = [...new Set([availableParallelism(), 1])];
  const contestants = threadCounts.flatMap((threads): Contestant[] => [
    { name: 'this engine', threads, measure: () => ours(threads, steps) },
    ...(torch ? [{ name: 'PyTorch', threads, measure: () => pyTorch(threads, steps) }] : []),
  ]);
  const results = await alternate(contestants, rounds);
  const rows = contestants.map((c) => {
    const measured = results.get(c)!, all = measured.flatMap((m) => m.milliseconds);
    return { engine: measured[0].engine, threads: c.threads, medianMilliseconds: median(all), minimumMilliseconds: Math.min(...all), roundMedians: measured.map((m) => median(m.milliseconds)), peakMegabytes: Math.max(...measured.map((m) => m.peakMegabytes)), losses: measured[0].losses };
  });
  const pairs = torch ? threadCounts.map((threads) => {
    const [us, them] = rows.filter((r) => r.threads === threads);
    const ratios = us.roundMedians.map((ms, i) => ms / them.roundMedians[i]);
    return { threads, ratios, medianRatio: median(ratios) };
  }) : [];
  const lossDifference = Math.max(...rows.map((r) => largestDifference(r.losses, EAGER_LOSSES)), ...(torch ? [largestDifference(rows[0].losses, rows[1].losses)] : []));
  const agree = lossDifference <= TOLERANCE;
  if (json) {
    console.log(JSON.stringify({ workload: '8 images of 96x96, 0.78 M parameters, forward + backward + SGD', rounds, steps, pyTorch: torch ?? null, rows, pairs, lossDifference, agree }));
    return agree;
  }
  console.log(`One training step of a small DETR: 8 images of 96x96, 0.78 M parameters, forward + backward + SGD; ${rounds} rounds of ${steps} steps.\n`);
  console.log(`${'engine'.padEnd(26)}${'threads'.padStart(8)}${'median'.padStart(12)}${'minimum'.padStart(12)}${'memory'.padStart(11)}`);
  for (const r of rows) console.log(`${r.engine.padEnd(26)}${String(r.threads).padStart(8)}${`${r.medianMilliseconds.toFixed(1)} ms`.padStart(12)}${`${r.minimumMilliseconds.toFixed(1)} ms`.padStart(12)}${`${r.peakMegabytes.toFixed(0)} MB`.padStart(11)}`);
  console.log('');
  for (const { threads, ratios, medianRatio } of pairs) console.log(`time / PyTorch's, ${threads} thread${threads > 1 ? 's' : ''}, round by round: ${ratios.map((r) => r.toFixed(2)).join('  ')}  (median ${medianRatio.toFixed(2)}: ${medianRatio < 1 ? 'faster' : 'slower'})`);
  if (!torch) console.log('PyTorch is not installed (python3 -c "import torch" fails): nothing to compare with.');
  console.log(`losses of the first 5 steps: ${rows[0].losses.map((l) => l.toFixed(5)).join('  ')}; ${agree ? `the same everywhere to ${TOLERANCE}` : `DIFFERENT by ${lossDifference}, more than ${TOLERANCE}`}`);
  return agree;
}

/** Resident memory over 1,000 steps: what is left after the first tenth has to stay. */
async function memoryOverSteps({ json }: Options): Promise<boolean> {
  const { residentMegabytes = [] } = await ours(availableParallelism(), 1000, 'memory');
  const growth = residentMegabytes.at(-1)! - residentMegabytes[0], flat = growth < 20;
  if (json) console.log(JSON.stringify({ steps: 1000, residentMegabytes, growthMegabytes: growth, flat }));
  else console.log(`Resident memory after every 100 of 1,000 steps, in MB: ${residentMegabytes.map((m) => m.toFixed(0)).join('  ')}\n${flat ? 'flat' : 'GROWS'}: ${growth.toFixed(1)} MB between step 100 and step 1,000`);
  return flat;
}

/** WebGPU against the engine of the processor, in numbers, not in time. */
async function compareEngines({ scale, steps, states, bits, output }: AgreementFlags): Promise<boolean> {
  const tell = (text: string): void => void process.stderr.write(`${text}\n`);
  const found = await reportAgreement({ scale, bits, steps, states, output, tell });
  return Object.values(found).every((all) => all.every((state) => isExplained(state)));
}

/** WebGPU beside PyTorch on a graphics card. */
async function compareOnGpu({ rounds, json }: Options): Promise<boolean> {
  const { gpu, reason } = await findEngine('webgpu');
  if (!gpu) {
    console.log(`nothing to measure: ${reason}`);
    return false;
  }
  const { device, rows } = await measureGpu(rounds, (text) => process.stderr.write(`${text}\n`));
  console.log(json ? JSON.stringify({ device, rounds, rows }) : gpuTable(device, rows));
  return true;
}

/** Images decoded and batched beside Python's. */
async function compareDecoding({ rounds, json }: Options): Promise<boolean> {
  const measured = await measureDecoding({ rounds, images: 400, workers: availableParallelism(), tell: (text) => process.stderr.write(`${text}\n`) });
  console.log(json ? JSON.stringify(measured) : decodingTable(measured));
  return true;
}

/** A full-size detector's start and forward pass, beside PyTorch's. */
async function comparePrediction({ rounds, json }: Options): Promise<boolean> {
  const comparison = await measurePredict(rounds, 3, (text) => process.stderr.write(`${text}\n`));
  console.log(json ? JSON.stringify(comparison) : predictTable(comparison));
  return true;
}

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('give a whole number from 1');
  return value;
};

await new Command('npm run bench --')
  .description("one training step of a small DETR on this project's engine beside PyTorch's; exit code 1 where their losses differ")
  .option('--rounds <n>', 'how often each is measured, in turns, each time in a new process', count, 5)
  .option('--steps <n>', 'steps of each measurement, after two that do not count', count, 30)
  .option('--memory', 'resident memory over 1,000 steps instead; exit code 1 where it grows')
  .option('--gpu', 'WebGPU on the graphics card instead, beside PyTorch on the same card')
  .option('--decoding', 'JPEG images decoded, resized to 1066x800 and batched instead, beside Pillow, torchvision and a DataLoader')
  .option('--predict', 'DETR-R50 on an image of 800x1066 instead: start-up, forward pass and memory, beside PyTorch')
  .option('--json', 'print one JSON object')
  .option('--agreement', 'loss and gradients on WebGPU against those of the CPU, at states of a training; exit code 1 where more is apart than roundings explain')
  .addOption(new Option('--scale <scale>', 'with --agreement: size of the detector').choices(['smoke', 'minutes', 'gpu']).default('minutes'))
  .option('--states <n>', 'with --agreement: states, spread over its steps (--steps, default 600)', count, 200)
  .option('--bits <bits...>', 'with --agreement: precisions; without rounding, 32-32-32, what is left is the kernels\' own', ['4-4-8', '32-32-32'])
  .option('--output <file>', 'with --agreement: the numbers of every state, as JSON')
  .action(async (options: Options & AgreementFlags & { agreement?: boolean }, command: Command) => {
    if (options.agreement) {
      const steps = command.getOptionValueSource('steps') === 'default' ? 600 : options.steps;
      process.exitCode = await compareEngines({ ...options, steps }) ? 0 : 1;
      return;
    }
    if (!(await (options.predict ? comparePrediction(options) : options.decoding ? compareDecoding(options) : options.gpu ? compareOnGpu(options) : options.memory ? memoryOverSteps(options) : compare(options)))) process.exitCode = 1;
  })
  .parseAsync();
