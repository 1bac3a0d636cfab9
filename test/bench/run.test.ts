import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { compareDetector } from './compare-detectors.js';
import { decodingTable } from './decoding.js';
import { trainings } from './gpu-detectors.js';
import { gpuRows, gpuTable } from './gpu.js';
import { predictTable } from './predict.js';

test('the benchmark runs without PyTorch, says so, and its losses are those of eager tfjs', async (t) => {
  const env = { ...process.env, PATH: path.join('test', 'bench') }; // no python3 there
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', 'test/bench/run.ts', '--rounds', '1', '--steps', '3', '--json'], { env });
  const result = JSON.parse(stdout) as { pyTorch: null; agree: boolean; lossDifference: number; pairs: unknown[]; rows: { medianMilliseconds: number; minimumMilliseconds: number; peakMegabytes: number }[] };
  t.is(result.pyTorch, null);
  t.deepEqual(result.pairs, []);
  t.true(result.agree);
  t.true(result.lossDifference < 1e-4);
  for (const row of result.rows) t.true(row.minimumMilliseconds > 0 && row.medianMilliseconds >= row.minimumMilliseconds && row.peakMegabytes > 10);
});

test('a wrong number of rounds is refused before anything runs', async (t) => {
  const error = await t.throwsAsync(promisify(execFile)(process.execPath, ['--import=tsx', 'test/bench/run.ts', '--rounds', '0']));
  t.regex(error.message, /--rounds <n>' argument '0' is invalid\. give a whole number from 1/);
});

test('--gpu: the least of the rounds, beside the CUDA graph where there is one', (t) => {
  const ours = new Map([['detr', [{ workload: 'detr', queued: 5.2, milliseconds: 9.6, nodes: 439 }, { workload: 'detr', queued: 5.0, nodes: 439 }]], ['copy', [{ workload: 'copy', milliseconds: 0.2 }]]]);
  const rows = gpuRows(ours, new Map([['detr', [{ workload: 'detr', eager: 37.7, graph: 4 }]]]));
  t.deepEqual(rows.map(({ milliseconds, pyTorch, ratio }) => ({ milliseconds, pyTorch, ratio })), [{ milliseconds: 5, pyTorch: 4, ratio: 1.25 }, { milliseconds: 0.2, pyTorch: undefined, ratio: undefined }]);
  const text = gpuTable('a card', rows);
  t.regex(text, /training step of a small DETR.*5\.00 ms\s+4\.00 ms\s+1\.25 {2}439 dispatches; PyTorch eager 37\.70 ms \(ratio 0\.13\)/);
  t.regex(text, /copy\s+0\.20 ms\s+-\s+-/);
});

test('--gpu: rows of detectors say how both sides match; models of different sizes are no comparison', (t) => {
  const ours = new Map(['detector', 'detector 4-4-8, distilled', 'detr-r50'].map((workload) => [workload, [{ workload, queued: 10, nodes: 475, parameters: 2_148_585 }]]));
  const theirs = (parameters: number) => new Map([['detector 4-4-8, distilled', [{ workload: 'detector 4-4-8, distilled', eager: 80, graph: 20, parameters }]]]);
  const rows = gpuRows(ours, theirs(2_148_585));
  t.deepEqual(rows.map(({ ratio }) => ratio), [undefined, 0.5, undefined]);
  t.regex(rows[0].note, /^475 dispatches; 2\.15 M parameters; matching: PyTorch eager by scipy, in its CUDA graph exact/);
  t.regex(rows[1].note, /2\.15 M parameters on both sides; PyTorch eager 80\.00 ms \(ratio 0\.13\), its CUDA graph in the column; matching as above/);
  t.regex(rows[2].workload, /DETR-R50, 4 images of 800x1066/);
  t.throws(() => gpuRows(ours, theirs(2_138_385)), { message: /trains 2148585 parameters here and 2138385 in PyTorch/ });
});

test('every training step of the GPU benchmark has a row and a PyTorch twin', (t) => {
  const python = ['gpu_workloads.py', 'gpu_detectors.py'].map((file) => readFileSync(path.join('test', 'bench', file), 'utf8')).join('');
  for (const workload of Object.keys(trainings)) {
    const [row] = gpuRows(new Map([[workload, [{ workload, milliseconds: 1 }]]]), new Map());
    t.not(row.workload, workload);
    t.true(python.includes(`'${workload}'`), workload);
  }
});

const torch = spawnSync('python3', ['-c', 'import torch, scipy']).status === 0;
(torch ? test.serial : test.serial.skip)('the detectors of the GPU benchmark are the same in PyTorch: parameters, and losses of three steps to 1e-4', async (t) => {
  for (const model of ['real-valued', 'distilled'] as const) {
    const { here, pyTorch, difference } = await compareDetector({ model, scale: 'smoke' }, 2, 3);
    t.is(here.trained, pyTorch.trained);
    t.true(difference < 1e-4 && here.losses[2] < here.losses[0], `${here.losses.join(' ')} and ${pyTorch.losses.join(' ')}`);
  }
});

test('--gpu without a graphics card says why there is nothing to measure', async (t) => {
  const env = { ...process.env, VK_DRIVER_FILES: '/nonexistent' };
  const failed = await t.throwsAsync(promisify(execFile)(process.execPath, ['--import=tsx', 'test/bench/run.ts', '--gpu'], { env })) as Error & { stdout: string };
  t.regex(failed.stdout, /nothing to measure: /);
});

test('--predict: the median pass of each round beside PyTorch\'s, and without it', (t) => {
  const one = (engine: string, seconds: number[]) => ({ engine, seconds, startSeconds: 2, peakMegabytes: 1200 });
  const ours = [one('onnxruntime-node 1', [2, 3, 9]), one('onnxruntime-node 1', [1.5, 1.5])], pyTorch = [one('PyTorch 2', [1.5]), one('PyTorch 2', [3])];
  const text = predictTable({ threads: 2, ours, pyTorch });
  t.regex(text, /onnxruntime-node 1 +1\.50 s +1\.50 s +2\.0 s +1200 MB\n/);
  t.regex(text, /round by round: 2\.00 {2}0\.50 {2}\(median 0\.50\)$/);
  t.regex(predictTable({ threads: 2, ours, pyTorch: [] }), /are not installed: nothing to compare with\.$/);
});

test('--decoding: rounds beside Python\'s, or without where it is not installed', (t) => {
  const measured = { workers: 2, images: 400, batchSize: 4, bytesPerImage: 87_400 };
  const text = decodingTable({ ...measured, rounds: [{ ours: 68, python: 56.5 }, { ours: 60, python: 62 }] });
  t.regex(text, /400 JPEG images of 640x480 \(87 kB\).*2 threads or processes/);
  t.regex(text, /\n1\s+68\.0\s+56\.5\s+1\.20\n2\s+60\.0\s+62\.0\s+0\.97$/);
  t.regex(decodingTable({ ...measured, rounds: [{ ours: 68 }] }), /68\.0\s+-\nPython with torchvision is not installed/);
});
