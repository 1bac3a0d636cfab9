import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';

const run = promisify(execFile);

/** Losses of the benchmark's first five steps, from eager tfjs on the wasm backend. */
const EAGER = [4.06798, 4.1178, 3.81204, 3.6914, 3.66846];

const child = (engine: string): ReturnType<typeof childOf> => childOf({ QDETR_ENGINE: engine });
async function childOf(environment: Record<string, string>): Promise<{ name: string; version: string; losses: number[] }> {
  const env = { ...process.env };
  delete env.QDETR_ENGINE;
  const { stdout } = await run(process.execPath, ['--import=tsx', 'test/tensor/engine-child.ts'], { env: { ...env, ...environment } });
  return JSON.parse(stdout) as { name: string; version: string; losses: number[] }; // stdout holds one line of JSON and no banner of any library
}

for (const engine of ['onnxruntime-node', 'onnxruntime-web']) {
  test(`QDETR_ENGINE=${engine}: the benchmark's five losses are those of eager tfjs, state carried from step to step`, async (t) => {
    const { name, version, losses } = await child(engine);
    t.is(name, engine);
    t.regex(version, /^1\.\d+/);
    losses.forEach((loss, i) => t.true(Math.abs(loss - EAGER[i]) < 1e-4, `step ${i}: ${loss} instead of ${EAGER[i]}`));
  });
}

test('an engine that there is none of: the message names the variable, its value and the choices', async (t) => {
  const error = await t.throwsAsync(child('cuda'));
  t.regex(error.message, /QDETR_ENGINE is 'cuda', which is no engine: choose webgpu, onnxruntime-node, onnxruntime-web, webgpu-f16, webgpu-software, or leave it unset/);
});

test('an engine that is asked for and not there: the message gives the reason, and no other engine takes its place', async (t) => {
  const error = await t.throwsAsync(childOf({ QDETR_ENGINE: 'webgpu-software', VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' }));
  t.regex(error.message, /QDETR_ENGINE is 'webgpu-software', which can't be used here \(.*(WebGPU finds no adapter|package webgpu can't be loaded).*\): leave it unset/);
});

test('products in f16 are used where they are asked for alone; where they can not be, that is said, and no other engine takes their place', async (t) => {
  const none = { VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' };
  const error = await t.throwsAsync(childOf({ QDETR_ENGINE: 'webgpu-f16', ...none }));
  t.regex(error.message, /QDETR_ENGINE is 'webgpu-f16', which can't be used here \(.+\): leave it unset/);
});

test('a machine without Vulkan computes with onnxruntime', async (t) => {
  const { name, losses } = await childOf({ VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' });
  t.is(name, 'onnxruntime-node');
  t.is(losses.length, 5);
});

test("onnxruntime's telemetry is off: no identifier of the machine, no store of events is left in the home folder", async (t) => {
  const home = mkdtempSync(path.join(tmpdir(), 'qdetr-home-'));
  t.teardown(() => rmSync(home, { recursive: true }));
  const environment = { QDETR_ENGINE: 'onnxruntime-node', HOME: home, XDG_CACHE_HOME: path.join(home, '.cache'), CI: '' };
  await childOf(environment);
  t.false(existsSync(path.join(home, '.cache', 'Microsoft')));
});
