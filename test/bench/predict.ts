/**
 * `npm run bench -- --predict`: DETR-R50 from a file of weights to its first result, and a forward pass of one image of 800 x 1066 pixels beside
 * PyTorch's on the same processor; each measurement is a process of its own, and the two take turns.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { fullSizeDetectors } from '../../src/models/settings.js';
import { QuickStream } from '../quick-stream.js';
import { writeParameters } from '../../src/tensor/parameter-file.js';

/** One process of either side. */
export interface PredictMeasurement {
  engine: string;
  /** From the start of the process to the compiled pass, seconds. */
  startSeconds: number;
  /** Seconds of each pass after the first. */
  seconds: number[];
  /** Highest resident memory of the process. */
  peakMegabytes: number;
}

/** What the comparison found. */
export interface PredictComparison {
  threads: number;
  ours: PredictMeasurement[];
  /** None where PyTorch is not installed. */
  pyTorch: PredictMeasurement[];
}

const run = promisify(execFile);
const lastLine = ({ stdout }: { stdout: string }): PredictMeasurement => JSON.parse(stdout.trim().split('\n').at(-1)!) as PredictMeasurement;

/** Measures both sides in turns. @param passes passes of each process that count */
export async function measurePredict(rounds: number, passes: number, tell: (text: string) => void): Promise<PredictComparison> {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-bench-')), file = path.join(folder, 'detr-r50.safetensors'), threads = availableParallelism();
  const comparison: PredictComparison = { threads, ours: [], pyTorch: [] };
  try {
    writeParameters(file, initialDetectorParameters({ ...fullSizeDetectors['detr-r50'], classes: 91 }, new QuickStream(0)));
    const hasTorch = await run('python3', ['-c', 'import torch, torchvision']).then(() => true, () => false);
    for (let round = 0; round < rounds; round++) {
      tell(`round ${round + 1} of ${rounds}`);
      const ours = async (): Promise<void> => void comparison.ours.push(lastLine(await run(process.execPath, ['--import=tsx', 'test/bench/predict-child.ts', file, String(passes)])));
      const theirs = async (): Promise<void> => void (hasTorch && comparison.pyTorch.push(lastLine(await run('python3', ['test/bench/predict.py', String(threads), String(passes)]))));
      for (const measure of round % 2 ? [theirs, ours] : [ours, theirs]) await measure();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return comparison;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

/** Median seconds of a pass, of each round. */
const passes = (measured: readonly PredictMeasurement[]): number[] => measured.map(({ seconds }) => median(seconds));

/** The comparison as a table. */
export function predictTable({ threads, ours, pyTorch }: PredictComparison): string {
  const line = (measured: readonly PredictMeasurement[]): string =>
    `${measured[0].engine.padEnd(28)}${`${median(passes(measured)).toFixed(2)} s`.padStart(10)}${`${Math.min(...measured.flatMap(({ seconds }) => seconds)).toFixed(2)} s`.padStart(10)}${`${median(measured.map(({ startSeconds }) => startSeconds)).toFixed(1)} s`.padStart(12)}${`${Math.max(...measured.map(({ peakMegabytes }) => peakMegabytes)).toFixed(0)} MB`.padStart(14)}`;
  const lines = [
    `DETR-R50, one image of 800 x 1066 pixels, ${threads} thread${threads > 1 ? 's' : ''}:`,
    `${'engine'.padEnd(28)}${'pass'.padStart(10)}${'least'.padStart(10)}${'start-up'.padStart(12)}${'peak memory'.padStart(14)}`,
    line(ours),
  ];
  if (pyTorch.length === 0) return [...lines, 'PyTorch and torchvision are not installed: nothing to compare with.'].join('\n');
  const theirs = passes(pyTorch), ratios = passes(ours).map((s, i) => s / theirs[i]);
  return [...lines, line(pyTorch), `time / PyTorch's, round by round: ${ratios.map((r) => r.toFixed(2)).join('  ')}  (median ${median(ratios).toFixed(2)})`].join('\n');
}
