import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { messageOf } from '../errors.js';
import { BUNDLE_FILE, projectPath } from '../files.js';
import { useBackend } from '../tensor/backend.js';
import { compileStep } from '../tensor/compile-step.js';
import { ENGINES, ON_REQUEST, chooseEngine, findEngine, type EngineFinding } from '../tensor/engine.js';
import { channelBlock } from '../tensor/onnx-engine.js';
import { TENSORFLOW_PACKAGES, loadTensorFlow } from '../tensor/tensorflow.js';
import { tf } from '../tensor/tf.js';
import type { GpuDevice } from '../tensor/webgpu/adapter.js';

/** One thing that was looked at. `needed`: training is impossible where it fails; `optional`: something else is, and `found` says what. */
export interface Finding {
  name: string;
  kind: 'needed' | 'optional' | 'information';
  ok: boolean;
  /** What was found, or why not and what to do. */
  found: string;
}

/** What `qdetr doctor` found, in the order in which it is printed. */
export interface Diagnosis {
  findings: Finding[];
  /** Whether everything that training needs is there. */
  canTrain: boolean;
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
const MEMORY_NEEDED = 2e9, DISK_NEEDED = 0.5e9; // `npm start` is made for 4 GB; its runs and figures take some 100 MB

/** A check that may throw: its message becomes the finding. */
async function check(name: string, kind: Finding['kind'], look: () => Promise<string> | string): Promise<Finding> {
  try {
    return { name, kind, ok: true, found: await look() };
  } catch (error) {
    return { name, kind, ok: false, found: messageOf(error).split('\n')[0] };
  }
}

/** Version of an installed package, without loading it. */
function installedVersion(name: string): string | undefined {
  const folder = createRequire(projectPath('package.json')).resolve.paths(name)?.map((paths) => `${paths}/${name}/package.json`).find((file) => existsSync(file));
  return folder && (JSON.parse(readFileSync(folder, 'utf8')) as { version: string }).version;
}

/** Compiles x w with SGD and trains it for three steps: the loss has to fall as computed by hand. */
async function trainTiny(): Promise<string> {
  const started = performance.now();
  const step = await compileStep(
    ({ w }, { x }) => {
      const { value, grads } = tf.valueAndGrads(((v: tf.Tensor) => tf.sum(tf.square(tf.mul(v, x)))) as never)([w]);
      return { state: { w: tf.sub(w, tf.mul(grads[0], 0.25)) }, outputs: { loss: value } };
    },
    { state: { w: { shape: [1], data: Float32Array.of(8) } }, inputs: { x: { shape: [1], dtype: 'float32' } } },
  );
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) losses.push((await step.run({ x: Float32Array.of(1) })).loss[0]);
  await step.dispose();
  if (losses.join() !== '64,16,4') throw new Error(`a step computes wrong numbers (losses ${losses.join(', ')} instead of 64, 16, 4): run npm ci again`);
  return `a step compiles and trains (${Math.round(performance.now() - started)} ms)`;
}

/** Features of an adapter that kernels can use, and what people call them. */
const FEATURES: Readonly<Record<string, string>> = { 'shader-f16': 'f16', subgroups: 'subgroups', 'chromium-experimental-subgroup-matrix': 'subgroup matrices', 'timestamp-query': 'timestamps' };

/** What the device of WebGPU can do: features, and the limits that bound a step. */
function adapterLines({ adapter, device: { limits } }: GpuDevice): Finding[] {
  const has = Object.keys(FEATURES).filter((feature) => adapter.features.includes(feature)).map((feature) => FEATURES[feature]);
  const lacks = Object.values(FEATURES).filter((feature) => !has.includes(feature));
  const line = (name: string, found: string): Finding => ({ name, kind: 'information', ok: true, found });
  return [
    line('adapter', [adapter.vendor, adapter.architecture, adapter.device].filter((word) => word !== '').join(', ') || 'without a name'),
    line('driver', adapter.description || 'without a name'),
    line('features', `${has.join(', ') || 'none that kernels could use'}${has.length > 0 && lacks.length > 0 ? `; no ${lacks.join(', no ')}` : ''}`),
    line('limits', `buffers ${gigabytes(limits.maxBufferSize)} (${gigabytes(limits.maxStorageBufferBindingSize)} bound); a kernel ${limits.maxStorageBuffersPerShaderStage} buffers, ${limits.maxComputeWorkgroupStorageSize / 1024} kB shared`),
  ];
}

/** Which engines there are, and why the others are not used. */
async function engines(): Promise<Finding[]> {
  const chosen = await chooseEngine().catch((error: unknown) => messageOf(error));
  const name = typeof chosen === 'string' ? undefined : chosen.name;
  const forced = process.env.QDETR_ENGINE;
  const found: Finding[] = [];
  for (const engine of ENGINES) {
    if (engine in ON_REQUEST && name !== engine && forced !== engine) {
      found.push({ name: engine, kind: 'information', ok: true, found: `only where QDETR_ENGINE asks for it: ${ON_REQUEST[engine]}` });
      continue;
    }
    const finding: EngineFinding = typeof chosen !== 'string' && engine === name ? chosen : await findEngine(engine);
    const why = engine === name ? 'chosen' : forced ? `not chosen: QDETR_ENGINE is ${forced}` : name ? `not chosen: ${name} comes first` : 'not chosen';
    const version = finding.gpu ? finding.gpu.adapter.device || finding.version : finding.version;
    found.push({ name: engine, kind: 'optional', ok: finding.reason === undefined, found: finding.reason === undefined ? `${version} (${why})` : `${engine.startsWith('webgpu') ? 'not used' : 'does not load'}: ${finding.reason}` });
    if (finding.gpu) found.push(...adapterLines(finding.gpu));
  }
  const lines = [...found, { name: 'QDETR_ENGINE', kind: 'information', ok: true, found: forced || 'not set: the first engine that is there is used' } as const];
  if (typeof chosen === 'string') return [...lines, { name: 'training', kind: 'needed', ok: false, found: chosen }];
  const training = await check('training', 'needed', trainTiny);
  if (!chosen.runtime) return [...lines, training];
  const block = await check('convolutions', 'information', async () => {
    const channels = await channelBlock(chosen.runtime!);
    return channels > 1 ? `in blocks of ${channels} channels` : 'without blocks of channels (this processor or engine has none; slower)';
  });
  return [...lines, training, block];
}

/** What notebooks and calibration compute with, step by step. */
async function eagerBackends(): Promise<Finding[]> {
  const wasm = await check('tfjs wasm', 'optional', async () => {
    await useBackend('wasm');
    return `${tf.version_core}${(await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) ? ', SIMD' : ', without SIMD (slower)'}, one thread`;
  });
  const cpu = await check('tfjs cpu', 'optional', async () => {
    await useBackend('cpu');
    return `${tf.version_core}: tests check gradients with it`;
  });
  const eager = await check('eager', 'needed', async () => {
    const forced = process.env.QDETR_BACKEND;
    return `notebooks and calibration compute on ${await useBackend()} (QDETR_BACKEND ${forced ? `is ${forced}` : 'is not set: tensorflow where it loads, else wasm'})`;
  });
  return [wasm, cpu, tensorFlow(), eager];
}

/** Which package of TensorFlow loaded, or why none did. */
function tensorFlow(): Finding {
  const { loaded, reasons } = loadTensorFlow(), name = 'tensorflow';
  const broken = TENSORFLOW_PACKAGES.filter((one) => reasons[one] !== undefined && installedVersion(one)).map((one) => `${one} does not load: ${reasons[one]}`);
  if (!loaded && broken.length === 0) return { name, kind: 'information', ok: true, found: 'not installed and not needed (the README, TensorFlow, says how to install it)' };
  const noGpu = loaded?.package.endsWith('gpu') && loaded.device === 'CPU' ? ', for it found no GPU that it can use: TF_CPP_MIN_LOG_LEVEL=0 makes it say why' : '';
  const used = loaded ? [`libtensorflow ${loaded.version} from ${loaded.package}, on the ${loaded.device}${noGpu}`] : [];
  return { name, kind: 'optional', ok: loaded !== undefined, found: [...used, ...broken].join('; ') };
}

/** Version and a use of each library that pictures need. */
function pictures(): Promise<Finding[]> {
  return Promise.all([
    check('sharp', 'needed', async () => {
      const { default: sharp } = await import('sharp');
      const { info } = await sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } }).webp().toBuffer({ resolveWithObject: true });
      if (info.width !== 2) throw new Error('sharp writes wrong pictures: run npm ci again');
      return `${installedVersion('sharp')}: the data set's sprites are read with it`;
    }),
    check('resvg', 'optional', async () => {
      const { Resvg } = await import('@resvg/resvg-js');
      if (new Resvg('<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"/>').render().width !== 2) throw new Error('resvg draws wrong pictures: run npm ci again');
      return `${installedVersion('@resvg/resvg-js')}: figures are drawn with it`;
    }),
  ]);
}

function memory(): Finding {
  const limit = process.constrainedMemory();
  const total = limit > 0 && limit < totalmem() ? limit : totalmem();
  const ok = total >= MEMORY_NEEDED;
  return { name: 'memory', kind: 'needed', ok, found: `${gigabytes(total)}${total < totalmem() ? ' (limit of this process)' : ''}, ${gigabytes(Math.min(freemem(), total))} free${ok ? '' : `: ${gigabytes(MEMORY_NEEDED)} are needed`}` };
}

function disk(): Finding {
  const folder = existsSync(projectPath('.runs')) ? projectPath('.runs') : projectPath('.');
  const { bavail, bsize } = statfsSync(folder), free = bavail * bsize, ok = free >= DISK_NEEDED;
  return { name: 'disk of .runs', kind: 'needed', ok, found: `${gigabytes(free)} free${ok ? '' : `: make ${gigabytes(DISK_NEEDED)} free`}` };
}

const isBundle = (): boolean => existsSync(BUNDLE_FILE);

async function notebooks(): Promise<Finding[]> {
  if (isBundle()) return [{ name: 'notebooks', kind: 'information', ok: true, found: 'not in a bundle: the repository has them' }];
  return Promise.all([
    check('tslab', 'optional', () => {
      const version = installedVersion('tslab');
      if (!version) throw new Error('not installed: run npm ci');
      return `${version}: notebooks run with it`;
    }),
    check('Jupyter', 'optional', async () => {
      const { stdout } = await promisify(execFile)('jupyter', ['--version'], { timeout: 20_000 }).catch(() => {
        throw new Error('not found: pip install jupyterlab, to open the notebooks; npm run notebooks runs them without');
      });
      return (/jupyterlab\s*: *(\S+)/.exec(stdout)?.[1] ?? stdout.split('\n')[0]).replace('not', 'without JupyterLab: pip install jupyterlab');
    }),
  ]);
}

/** Looks at everything that training, figures and notebooks need. Takes about two seconds. */
export async function diagnose(): Promise<Diagnosis> {
  const node: Finding = { name: 'Node', kind: 'information', ok: true, found: `${process.version} on ${process.platform} ${process.arch} (20.19 or newer is needed)` };
  const cores: Finding = { name: 'cores', kind: 'information', ok: true, found: `${availableParallelism()}, all used as threads (${cpus()[0]?.model.trim() ?? 'unknown processor'})` };
  const bank = await check('sprite bank', 'needed', async () => {
    const { readBankFiles } = await import('../data/minivoc/bank.js');
    const { hash, files } = readBankFiles();
    return `${files.size} files, all hashes right (${hash.slice(0, 12)})`;
  });
  const findings = [node, cores, memory(), disk(), ...(await engines()), ...(await eagerBackends()), ...(await pictures()), bank, ...(await notebooks())];
  return { findings, canTrain: findings.every((f) => f.ok || f.kind !== 'needed') };
}

/** The text of `qdetr doctor`: a line for each finding, the faults marked, and a last line that says what is possible. */
export function doctorReport({ findings, canTrain }: Diagnosis): string {
  const width = Math.max(...findings.map((f) => f.name.length));
  const mark = ({ ok, kind }: Finding): string => (ok ? (kind === 'information' ? ' ' : '✔') : kind === 'needed' ? '✘' : '-');
  const faults = findings.filter((f) => !f.ok && f.kind === 'needed').map((f) => f.name);
  return [...findings.map((f) => `${mark(f)} ${f.name.padEnd(width)}  ${f.found}`), '', canTrain ? `Training can run: ${isBundle() ? './qdetr start' : 'npm start'}` : `Training can't run: see ${faults.join(', ')} above`].join('\n');
}

/** `qdetr doctor`: what was found on this machine; exit code 0 if training can run. */
export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('what this machine has: engines, threads, memory, data, notebooks, and what is missing')
    .option('--json', 'print one JSON object')
    .action(async ({ json }: { json?: boolean }) => {
      const diagnosis = await diagnose();
      console.log(json ? JSON.stringify(diagnosis) : doctorReport(diagnosis));
      if (!diagnosis.canTrain) process.exitCode = 1;
    });
}
