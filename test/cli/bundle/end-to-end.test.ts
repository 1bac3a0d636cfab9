/** A bundle is made, unpacked elsewhere, and used where there is no Node but its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { bundleReport } from '../../../src/cli/bundle.js';
import { makeBundle, type Bundle } from '../../../src/cli/bundle/make-bundle.js';
import { refuseOtherMachines, thisMachine } from '../../../src/cli/bundle/parts.js';
import { UserError } from '../../../src/errors.js';
import { sha256 } from '../../../src/files.js';
import { gitCommit, readRun, sourceHash } from '../../../src/training/run-folder.js';
import { qdetr } from '../command-line.js';

const reason = ((): string | undefined => {
  const { platform, arch, glibc } = thisMachine();
  if (platform !== 'linux' || arch !== 'x64' || glibc === undefined) return 'bundles are of Linux on x64 with glibc';
  return ['tar', 'xz'].find((program) => spawnSync(program, ['--version']).status !== 0)?.concat(' is not here');
})();

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-bundle-test-'));
test.after.always(() => rmSync(folder, { recursive: true }));

/** The few programs that a machine has anyway. */
const programs = path.join(folder, 'programs');
mkdirSync(programs);
for (const name of ['dirname', 'readlink']) {
  const found = ['/usr/bin', '/bin'].map((at) => path.join(at, name)).find((file) => existsSync(file));
  if (found) symlinkSync(found, path.join(programs, name));
}

/** Runs the command of an unpacked bundle without this process's environment. */
function bundled(root: string, ...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync('./qdetr', args, { cwd: root, env: { PATH: programs, QDETR_ENGINE: 'onnxruntime-node' }, encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

if (reason) test(`a bundle is not made here: ${reason}`, (t) => t.pass());
else {
  test.serial('packed, unpacked in a folder of its own, used without node or npm: doctor, a training, a cell of a grid in a process of its own', async (t) => {
    const output = path.join(folder, 'new', 'bundle.tar.xz'), source = sourceHash();
    const bundle = await makeBundle({ output, withCpuEngine: true, preset: 0 });
    t.is(bundle.bytes, statSync(output).size);
    for (const note of bundle.notes) t.regex(note, /^Changes that are not committed are packed: \S|^(node|dawn\.node) keeps its symbols: /);
    t.is(bundle.sha256, sha256(readFileSync(output)));
    t.is(bundle.parts.reduce((sum, { packed }) => sum + packed, 0), bundle.bytes);
    execFileSync('tar', ['xf', output, '-C', folder]);
    const root = path.join(folder, 'qdetr');
    t.deepEqual(readdirSync(root).sort(), ['LICENSE', 'NOTICE.md', 'README.md', 'THIRD-PARTY.md', 'bin', 'bundle.json', 'data-manifests', 'figures', 'node_modules', 'package-lock.json', 'package.json', 'qdetr', 'src']);
    t.true([source, sourceHash()].includes(sourceHash(path.join(root, 'src'))), 'its runs are those of this source, which may be edited meanwhile');

    const doctor = bundled(root, 'doctor');
    t.is(doctor.code, 0, doctor.stderr + doctor.stdout);
    t.regex(doctor.stdout, /onnxruntime-node +[\d.]+ \(chosen\)[\s\S]*✔ training [\s\S]*✔ sharp [\s\S]*✔ resvg [\s\S]*✔ sprite bank [\s\S]*\nTraining can run: \.\/qdetr start\n$/);
    t.notRegex(doctor.stdout, /✘/);

    const train = bundled(root, 'train', '--scale', 'smoke', '--bits', '4-4-8');
    t.is(train.code, 0, train.stderr);
    t.regex(train.stdout + train.stderr, /AP50 on MiniVOC \(minivoc-64, scale smoke\)/);
    const [id] = readdirSync(path.join(root, '.runs'));
    t.is(readRun(path.join(root, '.runs', id))!.commit, gitCommit());

    const cell = bundled(root, 'experiment', 'figure-2.11', '--scale', 'smoke', '--only', 'Real-valued');
    t.is(cell.code, 0, cell.stderr);
    t.regex(cell.stdout, /\d+ of \d+ cells? done in/);

    t.regex(bundled(root, 'bundle').stderr, /^error: this folder is a bundle itself/);
    t.regex(bundled(root, 'notebooks').stderr, /^error: notebooks\/ holds no notebooks: .*not in a bundle\n$/);
  });

  test.serial('mistakes are answered by a sentence, before anything is packed', async (t) => {
    const { code, stderr } = await qdetr(['bundle', '--output', folder]);
    t.is(code, 1);
    t.regex(stderr, /^error: --output \S+ is a folder: name the archive's file, such as \S+\/qdetr-linux-x64\.tar\.xz\n$/);
    const file = path.join(folder, 'a-file');
    writeFileSync(file, '');
    await t.throwsAsync(makeBundle({ output: path.join(file, 'x.tar.xz'), withCpuEngine: true, preset: 0 }), { instanceOf: UserError, message: /^--output \S+ can't be written \(.*\): choose another folder$/ });
  });
}

test('other machines and bundles are refused', (t) => {
  const linux = { platform: 'linux', arch: 'x64', glibc: '2.28' };
  t.notThrows(() => refuseOtherMachines(linux));
  for (const [machine, words] of [[{ ...linux, platform: 'darwin', arch: 'arm64' }, /this is darwin on arm64: run npx qdetr bundle on such a machine$/], [{ ...linux, arch: 'arm64' }, /this is linux on arm64/], [{ ...linux, glibc: undefined }, /this is a Linux without glibc/]] as const) {
    t.throws(() => refuseOtherMachines(machine), { instanceOf: UserError, message: words });
  }
  const inside = path.join(folder, 'inside');
  mkdirSync(inside);
  writeFileSync(path.join(inside, 'bundle.json'), '{}');
  t.throws(() => refuseOtherMachines(linux, inside), { instanceOf: UserError, message: /is a bundle itself/ });
});

test('the report: parts with their sizes, the archive, how it is used; what is too large is said', (t) => {
  const bundle: Bundle = {
    parts: [{ title: 'Node v20.20.2', files: 2, bytes: 86_500_000, packed: 21_100_000 }, { title: 'data', files: 53, bytes: 4_600_000, packed: 4_300_000 }],
    packages: 66, bytes: 25_400_000, sha256: 'ab', notes: ['node keeps its symbols: there is no strip here'],
  };
  t.is(bundleReport(bundle, 'out/x.tar.xz', true), [
    '                     files MB unpacked   MB packed',
    '  Node v20.20.2          2        86.5        21.1',
    '  data                  53         4.6         4.3',
    '  together              55        91.1        25.4',
    '',
    'node keeps its symbols: there is no strip here.',
    'out/x.tar.xz: 66 packages, 25400000 bytes, SHA-256 ab',
    'On a Linux machine on x64: tar xf x.tar.xz && cd qdetr && ./qdetr doctor',
  ].join('\n'));
  t.regex(bundleReport({ ...bundle, bytes: 60_100_000 }, 'x', true), /\nMore than 60\.0 MB: --without-cpu-engine /);
  t.regex(bundleReport({ ...bundle, bytes: 60_100_000 }, 'x', false), /\nMore than 60\.0 MB\.\n/);
});
