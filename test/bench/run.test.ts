import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { gpuRows, gpuTable } from './gpu.js';

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
  t.regex(text, /training step of a small DETR.*5\.00 ms\s+4\.00 ms\s+1\.25 {2}439 dispatches; PyTorch eager 37\.70 ms/);
  t.regex(text, /copy\s+0\.20 ms\s+-\s+-/);
});

test('--gpu without a graphics card says why there is nothing to measure', async (t) => {
  const env = { ...process.env, VK_DRIVER_FILES: '/nonexistent' };
  const failed = await t.throwsAsync(promisify(execFile)(process.execPath, ['--import=tsx', 'test/bench/run.ts', '--gpu'], { env })) as Error & { stdout: string };
  t.regex(failed.stdout, /nothing to measure: /);
});
