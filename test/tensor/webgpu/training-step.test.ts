/** A detector's whole training step on the machine's adapter: the numbers of onnxruntime. */
import test from 'ava';
import { detectorRun, openData, splitSizes } from '../../../src/experiments/detector-run.js';
import { resolveDistillation } from '../../../src/distillation/settings.js';
import { PAPER_ALIGNMENT } from '../../../src/models/distribution-alignment.js';
import { initialDetectorParameters } from '../../../src/models/initial-parameters.js';
import { modelOf, teacherModelOf, type DetectorSettings, type Family } from '../../../src/models/settings.js';
import { adamWCorrections } from '../../../src/tensor/adamw-corrections.js';
import { compileStep } from '../../../src/tensor/compile-step.js';
import { findEngine, type EngineFinding } from '../../../src/tensor/engine.js';
import type { ParameterValues } from '../../../src/tensor/parameters.js';
import { RandomStream } from '../../../src/tensor/random.js';
import { startingState } from '../../../src/training/compiled-training.js';
import { packLayout } from '../../../src/training/parameter-groups.js';
import { learningRateFactor } from '../../../src/training/schedule.js';
import { resolveSettings } from '../../../src/training/settings.js';
import type { TrainingTask } from '../../../src/training/train.js';
import { HYPERPARAMETERS, packState, trainingStep, type TrainingState } from '../../../src/training/training-step.js';
import { testDevice } from './device.js';

const { engine: webGpu } = await testDevice();
const onDevice = webGpu ? test.serial : test.serial.skip;

const STEPS = 3;
const training = resolveSettings('smoke', { batchSize: 4, seed: 1 });

/** Scale smoke with a shorter backbone and one decoder layer: a software adapter compiles half of the kernels, of the same kinds. */
const shortened = (model: DetectorSettings): DetectorSettings => ({ ...model, decoderLayers: 1, backbone: { ...model.backbone, widths: model.backbone.widths.slice(0, 2), blocks: [1, 1], strides: [2, 2] } });

/** A quantized student with a (random) teacher, distribution alignment, query matching and distillation loss. */
async function studentTask(family: Family): Promise<TrainingTask> {
  const model = shortened(modelOf('smoke', family)), teacherModel = shortened(teacherModelOf('smoke', family));
  const teacher = { id: 'random', model: teacherModel, parameters: initialDetectorParameters(teacherModel, new RandomStream(9)) };
  return await detectorRun({
    experiment: 'test', method: 'test', bits: '4-4-8', scale: 'smoke', artefact: [], model, training, data: openData(model, splitSizes.smoke), batchStatistics: true,
    alignment: PAPER_ALIGNMENT, distillation: { settings: resolveDistillation({}), teacher },
  }).task();
}

/** What each step logs, and the state after it. @param from states that the steps are taken from; left out: each from where the last one ended */
async function trained(task: TrainingTask, state: TrainingState, engine: EngineFinding, from?: readonly ParameterValues[]): Promise<{ logs: Record<string, number>[]; states: ParameterValues[] }> {
  const layouts = packLayout(state.parameters, training);
  const compiled = await compileStep(trainingStep(layouts, training, task.objective), {
    engine, threads: 1, resident: await task.resident?.(), state: packState(layouts, state), inputs: { ...task.inputs, ...Object.fromEntries(HYPERPARAMETERS.map((name) => [name, { shape: [], dtype: 'float32' as const }])) },
  });
  try {
    const logs: Record<string, number>[] = [], states: ParameterValues[] = [];
    for (let step = 0; step < STEPS; step++) {
      if (from && step > 0) compiled.writeState(from[step - 1]);
      const { correction1, correction2 } = adamWCorrections(step + 1);
      const outputs = await compiled.run({ ...task.batch(step), learningRate: Float32Array.of(training.learningRate * learningRateFactor(step, training)), correction1: Float32Array.of(correction1), correction2: Float32Array.of(correction2) });
      logs.push(Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values[0]])));
      states.push(await compiled.readState());
    }
    return { logs, states };
  } finally {
    await compiled.dispose();
  }
}

// A rounding that differs turns a quantizer's level over now and then, and AdamW's first steps are as long for a gradient of 1e-9 as for one of 1: trained on
// their own, two engines part after a few steps. Each step is therefore taken from the state that onnxruntime's training was in.
onDevice('DETR 4-4-8 with teacher, DA, FQM and DRD: from three states of a training, a step logs what onnxruntime logs, to 1e-4, and its gradients are the same, to 1e-3', async (t) => {
  const task = await studentTask('detr'), state = await startingState(task);
  const wanted = await trained(task, state, await findEngine('onnxruntime-node'));
  const started = performance.now();
  const got = await trained(task, state, webGpu!, wanted.states), seconds = (performance.now() - started) / 1000;
  t.true(['loss', 'gradientNorm', 'distillation', 'keptShare', 'giou'].every((name) => name in got.logs[0]));
  got.logs.forEach((log, step) => {
    for (const [name, value] of Object.entries(wanted.logs[step])) {
      t.true(Math.abs(log[name] - value) <= 1e-4 * Math.max(1e-3, Math.abs(value)), `step ${step + 1}: ${name} is ${log[name]} instead of ${value}`);
    }
  });
  t.log(`${webGpu!.name}: compiled and run in ${Math.round(seconds)} s`);
  t.true(got.logs.every(({ distillation, keptShare }) => distillation > 0 && keptShare > 0));
  wanted.states.forEach((after, step) => {
    for (const [name, { data }] of Object.entries(after)) {
      if (!name.startsWith('first/')) continue; // running average of the gradients; after the first step 0.1 of them
      const found = got.states[step][name].data;
      const norm = Math.sqrt(data.reduce((sum, v) => sum + v * v, 0)), apart = Math.sqrt(data.reduce((sum, v, i) => sum + (v - found[i]) ** 2, 0));
      t.true(norm > 0 && apart <= 1e-3 * norm, `step ${step + 1}: ${name} is ${apart} apart, of ${norm}`);
    }
  });
  await task.dispose?.();
});
