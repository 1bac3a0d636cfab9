import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { useBackend, type EagerBackend } from '../../src/tensor/backend.js';
import { TENSORFLOW_PACKAGES } from '../../src/tensor/tensorflow.js';
import { tf } from '../../src/tensor/tf.js';
import { backends } from './backends.js';

const SCRIPT = 'src/tensor/tensorflow/build-binding.sh';
const require = createRequire(import.meta.url);
const folders: string[] = [];
test.after.always(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

/** A project's folder with packages of TensorFlow in it, made for the test: what each does when it is loaded. */
function projectWith(packages: Record<string, string>): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-tensorflow-'));
  folders.push(folder);
  for (const [name, code] of Object.entries(packages)) {
    const own = path.join(folder, 'node_modules', name);
    mkdirSync(own, { recursive: true });
    writeFileSync(path.join(own, 'package.json'), JSON.stringify({ name, version: '4.22.0', main: 'index.js' }));
    writeFileSync(path.join(own, 'index.js'), code);
  }
  return folder;
}

/** What a Node in that folder finds, the backend that it chooses, and the error of `useBackend`, if any. */
function chosenIn(folder: string, { backend, node = process.version }: { backend?: string; node?: string } = {}): { finding: unknown; name?: string; suffix?: string; error?: string } {
  const code = `
    Object.defineProperty(process, 'version', { value: ${JSON.stringify(node)} });
    Object.defineProperty(process, 'versions', { value: { ...process.versions, node: ${JSON.stringify(node.slice(1))} } });
    const { useBackend, eagerSuffix } = await import(${JSON.stringify(path.resolve('src/tensor/backend.ts'))});
    const { loadTensorFlow } = await import(${JSON.stringify(path.resolve('src/tensor/tensorflow.ts'))});
    const outcome = await useBackend().then((name) => ({ name, suffix: eagerSuffix() }), (e) => ({ error: e.name + ': ' + e.message }));
    console.log(JSON.stringify({ finding: loadTensorFlow(), ...outcome }));`;
  const env = { ...process.env, QDETR_BACKEND: backend ?? '' };
  const { stdout, stderr } = spawnSync(process.execPath, [`--import=${import.meta.resolve('tsx')}`, '--input-type=module', '--eval', code], { cwd: folder, encoding: 'utf8', env });
  return stderr === '' ? (JSON.parse(stdout) as ReturnType<typeof chosenIn>) : { finding: null, error: stderr };
}

/** A package that brings a backend named tensorflow: tfjs's cpu backend with what tfjs-node's says of itself. */
const working = (gpu: boolean): string => `
  const tf = require(${JSON.stringify(require.resolve('@tensorflow/tfjs-core'))});
  require(${JSON.stringify(require.resolve('@tensorflow/tfjs-backend-cpu'))});
  const backend = tf.findBackend('cpu');
  backend.isUsingGpuDevice = ${gpu};
  backend.binding = { TF_Version: '2.9.1' };
  tf.registerBackend('tensorflow', () => backend);
  tf.setBackend('tensorflow');`;
const [GPU, CPU] = TENSORFLOW_PACKAGES;
const broken = "throw new Error('libtensorflow.so.2: cannot open shared object file\\nRequire stack');";

test('without a package of TensorFlow: wasm, and whoever asks for TensorFlow is told what to do', (t) => {
  const empty = projectWith({});
  const reasons = { [GPU]: 'not installed', [CPU]: 'not installed' };
  t.deepEqual(chosenIn(empty), { finding: { reasons }, name: 'wasm', suffix: '' });
  const { error } = chosenIn(empty, { backend: 'tensorflow' });
  t.is(error, `UserError: backend tensorflow can't be used (${GPU}: not installed; ${CPU}: not installed): run npm install --no-save -P @tensorflow/tfjs-node@4.22.0 or, where its download is blocked, bash ${SCRIPT}; or set QDETR_BACKEND to wasm`);
});

test('the GPU package comes first; QDETR_BACKEND overrides', (t) => {
  const both = projectWith({ [GPU]: working(true), [CPU]: broken });
  t.deepEqual(chosenIn(both), { finding: { reasons: {}, loaded: { package: GPU, version: '2.9.1', device: 'GPU' } }, name: 'tensorflow', suffix: ', eager on tensorflow 2.9.1 (GPU)' });
  t.is(chosenIn(both, { backend: 'wasm' }).name, 'wasm');
  t.is(chosenIn(both, { backend: 'cuda' }).error, "UserError: QDETR_BACKEND is 'cuda', which is no backend: choose tensorflow, wasm or cpu, or leave it unset");
});

test('a GPU package that does not load gives way to the CPU package, and its reason is kept; so is that of both', (t) => {
  const reason = 'libtensorflow.so.2: cannot open shared object file';
  t.deepEqual(chosenIn(projectWith({ [GPU]: broken, [CPU]: working(false) })), {
    finding: { reasons: { [GPU]: reason }, loaded: { package: CPU, version: '2.9.1', device: 'CPU' } }, name: 'tensorflow', suffix: ', eager on tensorflow 2.9.1 (CPU)',
  });
  t.deepEqual(chosenIn(projectWith({ [GPU]: broken })), { finding: { reasons: { [GPU]: reason, [CPU]: 'not installed' } }, name: 'wasm', suffix: '' });
});

test('Node 23 and newer do without: tfjs-node calls functions that it has removed', (t) => {
  const found = chosenIn(projectWith({ [CPU]: working(false) }), { node: 'v23.1.0' });
  t.deepEqual(found, { finding: { reasons: { [GPU]: 'not installed', [CPU]: 'it needs Node 22 or older, this is v23.1.0' } }, name: 'wasm', suffix: '' });
});

test('a name that is no backend is an error', async (t) => {
  await t.throwsAsync(useBackend('webgl' as EagerBackend), { name: 'UserError', message: "backend 'webgl' is unknown: choose tensorflow, wasm or cpu" });
});

test("both packages are optional peers of tfjs's version, and the lock file has neither", (t) => {
  interface Manifest { dependencies: Record<string, string>; peerDependencies: Record<string, string>; peerDependenciesMeta: Record<string, { optional: boolean }> }
  const [manifest, lock] = ['package.json', 'package-lock.json'].map((file) => JSON.parse(readFileSync(file, 'utf8')) as unknown) as [Manifest, { packages: Record<string, Manifest> }];
  const version = manifest.dependencies['@tensorflow/tfjs-core'];
  t.deepEqual(manifest.peerDependencies, { [CPU]: version, [GPU]: version });
  t.deepEqual(manifest.peerDependenciesMeta, { [CPU]: { optional: true }, [GPU]: { optional: true } });
  t.deepEqual([lock.packages[''].peerDependencies, lock.packages[''].peerDependenciesMeta], [manifest.peerDependencies, manifest.peerDependenciesMeta]);
  t.deepEqual(Object.keys(lock.packages).filter((name) => name.includes('tfjs-node')), []);
  t.true(readFileSync(SCRIPT, 'utf8').includes(`\nTFJS=${version}\n`));
});

(process.platform === 'linux' ? test : test.skip)('the script that builds the binding is read by bash, and says what is missing', (t) => {
  t.is(spawnSync('bash', ['-n', SCRIPT], { encoding: 'utf8' }).stderr, '');
  const bare = projectWith({}), copy = path.join(bare, SCRIPT);
  mkdirSync(path.dirname(copy), { recursive: true });
  writeFileSync(copy, readFileSync(SCRIPT));
  const { status, stderr } = spawnSync('bash', [copy], { encoding: 'utf8' });
  t.is(status, 1);
  t.regex(stderr, /^error: .*(is missing|run npm ci first|Node 22 or older|for Linux on x64)/);
});

if (backends.includes('tensorflow')) {
  test.serial('explicit padding and axes counted from the end leak no tensors', async (t) => {
    await useBackend('tensorflow');
    const x = tf.randomNormal<tf.Rank.R4>([2, 6, 6, 3]), filter = tf.randomNormal<tf.Rank.R4>([3, 3, 3, 4]);
    const before = tf.memory();
    tf.tidy(() => {
      const f = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.gather(tf.maxPool(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, 1), [1, 0], -1));
      for (const gradient of tf.grads(f)([x, filter])) t.true(gradient.dataSync().some((v) => v !== 0));
      tf.avgPool(x, 3, 2, 1).dataSync();
    });
    const { numTensors, numDataBuffers, numBytes } = tf.memory();
    t.deepEqual({ numTensors, numDataBuffers, numBytes }, { numTensors: before.numTensors, numDataBuffers: before.numDataBuffers, numBytes: before.numBytes });
    tf.dispose([x, filter]);
  });
}
