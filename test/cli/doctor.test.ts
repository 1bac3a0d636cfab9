import { spawnSync } from 'node:child_process';
import test from 'ava';
import { diagnose, doctorReport, type Diagnosis } from '../../src/cli/doctor.js';

test('the report marks faults and says what they prevent', (t) => {
  const findings: Diagnosis['findings'] = [
    { name: 'Node', kind: 'information', ok: true, found: 'v20.19.0' },
    { name: 'disk', kind: 'needed', ok: false, found: '0.1 GB free: make 0.5 GB free' },
    { name: 'Jupyter', kind: 'optional', ok: false, found: 'not found' },
    { name: 'sharp', kind: 'needed', ok: true, found: '0.35.5' },
  ];
  t.is(doctorReport({ findings, canTrain: false }), "  Node     v20.19.0\n✘ disk     0.1 GB free: make 0.5 GB free\n- Jupyter  not found\n✔ sharp    0.35.5\n\nTraining can't run: see disk above");
  t.regex(doctorReport({ findings: findings.filter((f) => f.name !== 'disk'), canTrain: true }), /\n\nTraining can run: npm start$/);
});

test('on the machine of the tests training can run, and every engine that is not used has its reason', async (t) => {
  const { findings, canTrain } = await diagnose();
  t.true(canTrain, doctorReport({ findings, canTrain }));
  const engines = findings.filter((f) => f.name.startsWith('onnxruntime'));
  t.is(engines.length, 2);
  t.is(findings.filter((f) => f.found.endsWith('(chosen)')).length, 1);
  for (const f of engines) t.regex(f.found, /\(chosen\)|\(not chosen: .+\)|does not load: .+/);
  for (const f of findings) t.notRegex(f.found, /undefined|NaN|\n/, f.name);
});

test('exit code 0 and JSON where training can run; 1, and the reason, where it cannot', (t) => {
  const doctor = (engine: string, ...args: string[]) => spawnSync(process.execPath, ['src/cli/qdetr.mjs', 'doctor', ...args], { encoding: 'utf8', env: { ...process.env, QDETR_ENGINE: engine } });
  const good = doctor('onnxruntime-node', '--json');
  t.is(good.status, 0, good.stderr);
  t.true((JSON.parse(good.stdout) as Diagnosis).canTrain);
  t.is(good.stderr.replace(/^Warning: maxDynamic.*\n/gm, ''), ''); // what Dawn says of itself on a machine with a GPU
  const bad = doctor('cuda');
  t.is(bad.status, 1);
  t.regex(bad.stdout, /✘ training +QDETR_ENGINE is 'cuda', which is no engine: choose webgpu, onnxruntime-node, onnxruntime-web, webgpu-f16, webgpu-software, or leave it unset\n/);
});

test('WebGPU: the reason why it is not used; where its software adapter is asked for, driver, features and limits', (t) => {
  const doctor = (environment: Record<string, string>): { findings: Diagnosis['findings']; stdout: string } => {
    const { stdout, stderr } = spawnSync(process.execPath, ['src/cli/qdetr.mjs', 'doctor', '--json'], { encoding: 'utf8', env: { ...process.env, ...environment } });
    t.not(stdout, '', stderr);
    return { findings: (JSON.parse(stdout) as Diagnosis).findings, stdout };
  };
  const found = ({ findings }: ReturnType<typeof doctor>, name: string): string => findings.find((f) => f.name === name)?.found ?? '';
  const without = doctor({ QDETR_ENGINE: '', VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' });
  t.regex(found(without, 'webgpu'), /^not used: (no graphics processor in|WebGPU finds no adapter|npm package webgpu can't be loaded)/);
  t.regex(found(without, 'onnxruntime-node'), /\(chosen\)$/);
  const software = doctor({ QDETR_ENGINE: 'webgpu-software' });
  if (!found(software, 'webgpu-software').endsWith('(chosen)')) {
    t.log(`skipped: ${found(software, 'webgpu-software')}`);
    t.regex(found(software, 'training'), /QDETR_ENGINE is 'webgpu-software', which can't be used here/);
    return;
  }
  t.regex(found(software, 'adapter'), /\w/);
  t.regex(found(software, 'driver'), /\w/);
  t.regex(found(software, 'features'), /timestamps/);
  t.regex(found(software, 'limits'), /^buffers \d+\.\d GB \(\d+\.\d GB bound\); a kernel \d+ buffers, \d+ kB shared$/);
  t.regex(found(software, 'training'), /^a step compiles and trains/);
});
