/**
 * The same weights and the same batch here and in PyTorch (on the CPU): losses of some steps of the benchmark's detectors.
 * Usage: compare-detectors.ts [scale] [batch] [steps] [engine]; exit code 1 where they differ by more than 1e-4 of their size; scale paper: DETR-R50 on images
 * of 128x160. A network at 4 bits, with random weights, multiplies roundings: a value near the middle of two levels falls to the other one. Where images that are changed by 1e-7 change
 * the loss by more than 1e-4, three times that is the limit.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ModelScale } from '../../src/models/settings.js';
import { adamWCorrections } from '../../src/tensor/adamw-corrections.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { findEngine, type EngineName } from '../../src/tensor/engine.js';
import { writeSafetensors, type SafetensorsArray } from '../../src/tensor/safetensors.js';
import { benchmarkSettings, distilledTraining, fullSizeTraining, realValuedTraining, type BenchmarkStep, type DetectorStep } from './gpu-detectors.js';

/** Losses of the first steps, and how many elements are trained. */
interface Losses { losses: number[]; trained: number }

/** What is compared: the kit's detectors, real-valued or 4-4-8 with a teacher, at their scale, and DETR-R50. */
export type Compared = { model: 'real-valued' | 'distilled'; scale: ModelScale } | { model: 'detr-r50'; scale: 'paper' };

async function lossesHere({ step, state, inputs, resident, trained }: BenchmarkStep, scale: Compared['scale'], steps: number, engine: EngineName): Promise<Losses> {
  const compiled = await compileStep(step, { state, inputs, resident, engine: await findEngine(engine) }), losses: number[] = [];
  for (let done = 1; done <= steps; done++) {
    const { correction1, correction2 } = adamWCorrections(done);
    const { loss } = await compiled.run({ learningRate: Float32Array.of(benchmarkSettings(scale === 'paper' ? scale : 'gpu').learningRate), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
    losses.push(loss[0]);
  }
  await compiled.dispose();
  return { losses, trained };
}

async function lossesInPyTorch({ parameters, resident }: DetectorStep, settings: Compared, steps: number): Promise<Losses> {
  const folder = mkdtempSync(path.join(tmpdir(), 'compare-detectors-'));
  try {
    const { images, labels, boxes } = resident;
    const weights = Object.entries(parameters).map(([name, { shape, data }]): [string, SafetensorsArray] => [name, { dtype: 'F32', shape, data }]);
    const batch = [['images', images], ['labels', labels], ['boxes', boxes]] as const;
    const arrays = batch.map(([name, { shape, data }]): [string, SafetensorsArray] => [`batch.${name}`, data instanceof Int32Array ? { dtype: 'I32', shape, data } : { dtype: 'F32', shape, data: data as Float32Array }]);
    writeSafetensors(path.join(folder, 'check.safetensors'), { tensors: new Map([...weights, ...arrays]), metadata: new Map() });
    writeFileSync(path.join(folder, 'check.json'), JSON.stringify(settings));
    const { stdout } = await promisify(execFile)('python3', ['test/bench/gpu_detectors.py', '--device', 'cpu', '--check', folder, '--steps', String(steps)]);
    return JSON.parse(stdout) as Losses;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same step on images that are larger and smaller by a ten-millionth. */
function slightlyChanged(training: DetectorStep): DetectorStep {
  const { images } = training.resident, data = Float32Array.from(images.data, (v, i) => v * (1 + 1e-7 * ((i % 3) - 1)));
  return { ...training, resident: { ...training.resident, images: { ...images, data } } };
}

const relative = (a: Losses, b: Losses): number => Math.max(...a.losses.map((loss, i) => Math.abs(loss - b.losses[i]) / Math.abs(loss)));

/** A detector's first steps on both sides: losses, how far they are apart, over the loss, and how far a changed image moves those of this engine. */
export async function compareDetector(settings: Compared, batch: number, steps: number, engine: EngineName = 'onnxruntime-node'): Promise<{ here: Losses; pyTorch: Losses; difference: number; sensitivity: () => Promise<number> }> {
  const { model, scale } = settings;
  const training = model === 'detr-r50' ? fullSizeTraining(batch, [128, 160]) : model === 'distilled' ? await distilledTraining(scale, batch) : realValuedTraining(scale, batch);
  const here = await lossesHere(training, scale, steps, engine), pyTorch = await lossesInPyTorch(training, settings, steps);
  return { here, pyTorch, difference: relative(here, pyTorch), sensitivity: async () => relative(here, await lossesHere(slightlyChanged(training), scale, steps, engine)) };
}

if (process.argv[1]?.endsWith('compare-detectors.ts')) {
  const [scale = 'gpu', batch = '16', steps = '3', engine = 'onnxruntime-node'] = process.argv.slice(2);
  const all: Compared[] = scale === 'paper' ? [{ model: 'detr-r50', scale }] : (['real-valued', 'distilled'] as const).map((model) => ({ model, scale: scale as ModelScale }));
  for (const compared of all) {
    const { here, pyTorch, difference, sensitivity: measure } = await compareDetector(compared, Number(batch), Number(steps), engine as EngineName);
    const sensitivity = await measure();
    console.log(`${compared.model}: ${here.trained} parameters here, ${pyTorch.trained} in PyTorch; losses ${here.losses.join(' ')} and ${pyTorch.losses.join(' ')}`);
    console.log(`  ${difference.toExponential(1)} apart, over the loss; images changed by 1e-7 move it by ${sensitivity.toExponential(1)}`);
    if (!(difference <= Math.max(1e-4, 3 * sensitivity)) || here.trained !== pyTorch.trained) process.exitCode = 1;
  }
}
