import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

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
