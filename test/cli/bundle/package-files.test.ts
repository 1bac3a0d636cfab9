import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { compileProgram } from '../../../src/cli/bundle/compile-program.js';
import { filesBelow, packageFiles, packageOf, partOf } from '../../../src/cli/bundle/package-files.js';
import { thirdParty } from '../../../src/cli/bundle/texts.js';
import { UserError } from '../../../src/errors.js';

/** What is loaded by name, the least of it. */
const NATIVE = {
  'webgpu/dist/linux-x64/dawn.node': '', 'webgpu/package.json': '{"version":"0.6.2","license":"MIT"}',
  'onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1': '', 'onnxruntime-node/package.json': '{"version":"1.30.0"}',
  'sharp/dist/index.cjs': '', 'sharp/package.json': '{}',
  '@img/sharp-linux-x64/lib/sharp-linux-x64.node': '', '@img/sharp-linux-x64/package.json': '{}',
  '@img/sharp-libvips-linux-x64/lib/libvips-cpp.so.8.18.7': '', '@img/sharp-libvips-linux-x64/package.json': '{}',
  '@resvg/resvg-js-linux-x64-gnu/resvgjs.linux-x64-gnu.node': '', '@resvg/resvg-js-linux-x64-gnu/package.json': '{}',
  '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm': '', '@tensorflow/tfjs-backend-wasm/package.json': '{}',
  'dejavu-fonts-ttf/ttf/DejaVuSans.ttf': '', 'dejavu-fonts-ttf/package.json': '{}',
};

/** A project with these files in node_modules. */
function project(t: { teardown(work: () => void): void }, files: Record<string, string>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'qdetr-packages-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [file, content] of Object.entries(files)) {
    const at = path.join(root, 'node_modules', file);
    mkdirSync(path.dirname(at), { recursive: true });
    writeFileSync(at, content);
  }
  return root;
}

test('the package of a file is the innermost one', (t) => {
  t.deepEqual(packageOf('node_modules/a/b.js'), { name: 'a', folder: 'node_modules/a' });
  t.deepEqual(packageOf('node_modules/a/node_modules/@b/c/d/e.js'), { name: '@b/c', folder: 'node_modules/a/node_modules/@b/c' });
  t.is(packageOf('src/errors.ts'), undefined);
  t.is(partOf('webgpu'), 'GPU engine');
  t.is(partOf('onnxruntime-common'), 'CPU engine');
  t.is(partOf('zod'), 'packages');
});

test('of a package: what is imported, the package.json above it, licences; not its other files, sources or packages that are not imported', (t) => {
  const root = project(t, {
    ...NATIVE,
    'a/package.json': '{"version":"1.2.3","license":"MIT","homepage":"https://a.example"}', 'a/LICENSE': '', 'a/README.md': '', 'a/lib/main.js': '', 'a/lib/package.json': '{}', 'a/lib/main.js.map': '', 'a/types.d.ts': '',
    'a/node_modules/b/package.json': '{"version":"2.0.0"}', 'a/node_modules/b/index.js': '', 'a/node_modules/b/README.md': '', 'b/package.json': '{"version":"1.0.0"}', 'b/index.js': '',
    '.bin/a': '',
  });
  const packages = packageFiles(['src/a.ts', 'node_modules/a/lib/main.js', 'node_modules/a/types.d.ts', 'node_modules/a/node_modules/b/index.js'], true, root);
  const [a] = packages.filter(({ name }) => name === 'a'), [b, ...others] = packages.filter(({ name }) => name === 'b');
  t.deepEqual(a, {
    name: 'a', version: '1.2.3', license: 'MIT', homepage: 'https://a.example', part: 'packages',
    files: ['LICENSE', 'lib/main.js', 'lib/package.json', 'package.json'].map((file) => `node_modules/a/${file}`), licenses: ['node_modules/a/LICENSE'],
  });
  t.deepEqual([b.version, b.license, b.licenses, b.files.length, others], ['2.0.0', 'not stated', ['node_modules/a/node_modules/b/README.md'], 3, []]);
  const list = thirdParty(packages, 'v20.19.0', undefined);
  t.true(list.includes('| a 1.2.3 | MIT | node_modules/a/LICENSE https://a.example |'));
  t.regex(list, /nodejs\/node\/blob\/v20\.19\.0\/LICENSE/);
});

test("native files: Linux's of x64 alone, without onnxruntime's providers", (t) => {
  const root = project(t, {
    ...NATIVE,
    'webgpu/dist/darwin-universal/dawn.node': '', 'webgpu/dist/linux-arm64/dawn.node': '', 'webgpu/dist/win32-x64/dxcompiler.dll': '',
    'onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so': '', 'onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_tensorrt.so': '',
    'onnxruntime-node/bin/napi-v6/linux/x64/onnxruntime_binding.node': '', 'onnxruntime-node/bin/napi-v6/linux/arm64/libonnxruntime.so.1': '', 'onnxruntime-node/bin/napi-v6/win32/x64/onnxruntime.dll': '',
    'dejavu-fonts-ttf/ttf/DejaVuSerif.ttf': '',
  });
  const traced = ['node_modules/webgpu/dist/darwin-universal/dawn.node', 'node_modules/onnxruntime-node/bin/napi-v6/win32/x64/onnxruntime.dll'];
  const files = packageFiles(traced, true, root).flatMap((one) => one.files);
  const given = Object.keys(NATIVE).concat('onnxruntime-node/bin/napi-v6/linux/x64/onnxruntime_binding.node').map((file) => `node_modules/${file}`);
  t.deepEqual(files.sort(), given.sort());
  const withoutCpu = packageFiles(traced, false, root).flatMap((one) => one.files);
  t.deepEqual(withoutCpu.sort(), given.filter((file) => !file.includes('onnxruntime')));
});

test('a package that is not installed is named', (t) => {
  const root = project(t, Object.fromEntries(Object.entries(NATIVE).filter(([file]) => file !== 'webgpu/dist/linux-x64/dawn.node')));
  t.throws(() => packageFiles([], true, root), { instanceOf: UserError, message: 'node_modules/webgpu holds no files for Linux on x64: run npm ci there, then bundle again' });
});

test('files below a folder: with /, sorted, without hidden files and packages', (t) => {
  const root = project(t, { 'x/b.js': '', 'x/a/c.js': '', 'x/.hidden': '', 'x/node_modules/y/index.js': '' });
  t.deepEqual(filesBelow(path.join(root, 'node_modules/x')), ['a/c.js', 'b.js']);
  t.deepEqual(filesBelow(path.join(root, 'missing')), []);
});

test("the program's imports are followed through packages that say they have no side effects, and its TypeScript is compiled", async (t) => {
  const { scripts, imported } = await compileProgram();
  for (const file of ['src/cli/main.ts', 'node_modules/@tensorflow/tfjs-backend-cpu/dist/tf-backend-cpu.node.js', 'node_modules/@tensorflow/tfjs-layers/dist/tf-layers.node.js', 'node_modules/vega-lite/build/vega-lite.js']) t.true(imported.includes(file), file);
  t.deepEqual(imported.filter((file) => /node_modules\/(esbuild|onnxruntime-web|typescript|ava)\//.test(file)), []);
  t.deepEqual([...scripts.keys()].sort(), filesBelow('src').filter((file) => file.endsWith('.ts')).map((file) => `src/${file.slice(0, -2)}js`).sort());
  t.notRegex(Buffer.from(scripts.get('src/cli/bundle.js')!).toString(), /: Command|interface /);
});

test('source that is no TypeScript is an error that says where', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-source-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(path.join(folder, 'wrong.ts'), 'const = 1;');
  await t.throwsAsync(compileProgram(folder), { instanceOf: UserError, message: /can't be compiled \(.*wrong\.ts:1:6: .*\): run npm ci, then npm run typecheck/ });
});
