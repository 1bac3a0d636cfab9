import { availableParallelism } from 'node:os';
import { bytesText } from '../counted.js';
import { dataFolder } from '../data/official/data-folder.js';
import type { OnBroken } from '../data/broken-items.js';
import { paddedObjects } from '../data/padded-batches.js';
import { UserError } from '../errors.js';
import { fittingWeights, namedWeights } from '../experiments/detector-weights.js';
import { openImageData, type BrokenChoice } from '../experiments/image-data.js';
import { imageTrainingNeeds, measuredRate, type ImageNeeds } from '../experiments/image-needs.js';
import { presets, presetOf, type Preset } from '../experiments/presets.js';
import { commonCanvas, presetRun, presetTraining, stagesOfPreset, type PresetTraining } from '../experiments/preset-run.js';
import { performRun, type FinishedRun } from '../experiments/run.js';
import { parameterCount } from '../models/cost.js';
import { familyTitles, type ModelScale } from '../models/settings.js';
import { formatPrecision, REAL } from '../quantizer/precision.js';
import { chooseEngine } from '../tensor/engine.js';
import { writeParameters } from '../tensor/parameter-file.js';
import { finalEvaluation } from '../training/run-record.js';
import { parseAssignments } from '../training/settings.js';
import { TrainingInterrupted } from '../training/train.js';
import { interruptible } from './interrupt.js';
import { percent, runListener } from './run-listener.js';
import { optionalWholeNumber, wholeNumberOption } from './whole-number-option.js';

/** What `qdetr train --preset` is told. */
export interface PresetOptions {
  preset: string;
  scale: 'paper' | ModelScale;
  data?: string;
  trainOn?: string[];
  evaluateOn?: string;
  evaluateImages?: string;
  from?: string;
  teacher?: string;
  microBatch?: string;
  canvasSides: string;
  onBroken: OnBroken;
  workers?: string;
  set?: string[];
  seed?: string;
  runs: string;
  export?: string;
  fresh?: boolean;
  dryRun?: boolean;
}

/** All presets: what each trains. */
export function presetList(): string {
  const width = Math.max(...[...presets.keys()].map((name) => name.length));
  const line = ({ name, method, bits, epochs, dropAfter, teacher }: Preset): string => `  ${name.padEnd(width)}  ${bits.padEnd(8)}  ${String(epochs).padStart(3)} epochs${bits === formatPrecision(REAL) ? ',    ' : ' x 2,'} x0.1 after ${dropAfter}  ${method}${name.endsWith('-r101') ? ', a teacher' : ''}${teacher ? `, taught by ${teacher}` : ''}`;
  return [...presets.values()].map(line).join('\n');
}

/** Settles what a command asks for, and opens its data and weights. */
function settled(options: PresetOptions, told: (text: string) => void): PresetTraining {
  const preset = presetOf(options.preset), changes = parseAssignments([...(options.set ?? []), ...(options.seed === undefined ? [] : [`seed=${options.seed}`])]);
  const broken: BrokenChoice = { onBroken: options.onBroken, told: (reason) => told(`left out: ${reason}`) };
  const data = openImageData(preset.dataset, dataFolder(options.data), options, broken);
  const from = options.from === undefined || options.from === 'none' ? undefined : namedWeights(options.from, '--from', options.runs);
  if (options.scale === 'paper' && options.from === undefined)
    throw new UserError(`--preset ${preset.name} starts from a pretrained backbone or detector: give weights with --from (npx qdetr weights fetch resnet50-v1 or detr-r50, or a run's id), or --from none for random ones`);
  const teacher = options.teacher === undefined ? undefined : namedWeights(options.teacher, '--teacher', options.runs);
  return presetTraining(preset, {
    scale: options.scale, data, from, teacher, changes, broken, microBatch: optionalWholeNumber('--micro-batch', options.microBatch) ?? 1, canvasSides: wholeNumberOption('--canvas-sides', options.canvasSides),
    workers: optionalWholeNumber('--workers', options.workers, 0), threads: availableParallelism(), evaluated: optionalWholeNumber('--evaluate-images', options.evaluateImages),
  });
}

/** `qdetr train --preset`: one of the paper's trainings, on VOC, COCO or folders in their formats. */
export async function trainPreset(options: PresetOptions): Promise<void> {
  const of = settled(options, (text) => process.stderr.write(`${text}\n`)), { preset } = of;
  console.log(await overview(of));
  if (options.dryRun) {
    console.log('Nothing was trained (--dry-run).');
    return;
  }
  try {
    const runs: FinishedRun[] = [], stages = stagesOfPreset(preset), freshSince = options.fresh ? new Date().toISOString() : undefined;
    await interruptible(async (signal) => {
      for (const [k, groups] of stages.entries()) {
        const before = runs.at(-1), title = stages.length > 1 ? `${preset.name}, stage ${k + 1} of ${stages.length}` : preset.name;
        const run = presetRun(of, { groups, before: before && { ...before, groups: stages[k - 1] } });
        runs.push(await performRun(run, { command: commandLine(options), freshSince, root: options.runs, signal, threads: of.threads, listener: runListener(title, of.training) }));
      }
    }, () => process.stderr.write('\nstopping after this step …\n'));
    const { id, folder, summary, parameters } = runs.at(-1)!, { ap = 0, ap50 = 0, ap75 = 0 } = finalEvaluation(summary, 'test') ?? {};
    console.log(`On ${of.data.test.name}: AP ${percent(ap)}, AP50 ${percent(ap50)}, AP75 ${percent(ap75)}\nRun ${id}: ${folder}`);
    if (options.export !== undefined) {
      writeParameters(options.export, parameters, { settings: JSON.stringify(of.model), classes: JSON.stringify(of.data.train.classes), bits: preset.bits, run: id });
      console.log(`Parameters: ${options.export}`);
    }
  } catch (error) {
    if (!(error instanceof TrainingInterrupted)) throw error;
    console.log(`Stopped after step ${error.step}; its checkpoint is in ${error.folder}. The same command goes on from there.`);
    process.exitCode = 130;
  }
}

/** What will be done, and what it needs, before it begins. */
async function overview(of: PresetTraining): Promise<string> {
  const { preset, model, training, data, teacher, microBatch, stepsPerEpoch, canvases, scale, isFrozen, from } = of;
  const stages = stagesOfPreset(preset).length, isQuantized = stages > 1, canvas = commonCanvas(of), engine = await chooseEngine();
  const needs = (at: typeof canvas): ImageNeeds => imageTrainingNeeds({ model, isQuantized, teacher: (preset.distillation && teacher?.model) || null, settings: training, microBatch, canvas: at, objects: Math.min(paddedObjects(data.train), model.queries), isFrozen });
  const largest = canvases.training.reduce((a, b) => (b.height * b.width > a.height * a.width ? b : a));
  const { operations } = needs(canvas), { bytes } = needs(largest), rate = await measuredRate(model, canvas, of.threads);
  const images = stages * training.steps * training.batchSize, seconds = (images * operations) / rate;
  const lines: [string, string][] = [
    ['preset', `${preset.name}: ${preset.method}, ${preset.bits}`],
    ['model', `${familyTitles[model.family]}${scale === 'paper' ? (preset.name.endsWith('-r101') ? '-R101' : '-R50') : `, scale ${scale} in the place of full size`}, ${parameterCount(model).toLocaleString('en')} parameters, ${model.classes} classes`],
    ['start', fittingWeights(model, from).note],
    ...(preset.distillation && teacher ? [['teacher', teacher.origin] as [string, string]] : []),
    ['trained on', `${data.train.name}: ${data.train.length.toLocaleString('en')} images${data.train.objectsPerImage > model.queries ? `; of an image's objects (up to ${data.train.objectsPerImage}) the first ${model.queries}, as many as the model has queries` : ''}`],
    ['evaluated on', `${data.test.name}: ${(of.evaluated ?? data.test.length).toLocaleString('en')} images, every ${training.evaluationInterval.toLocaleString('en')} steps`],
    ['schedule', `${stages > 1 ? `${stages} stages of ` : ''}${training.steps.toLocaleString('en')} steps (${(training.steps / stepsPerEpoch).toFixed(1)} epochs) of ${training.batchSize} images, ${training.batchSize / microBatch} x ${microBatch} at a time; learning rate ${training.learningRate}, backbone ${training.learningRate * training.backboneFactor}`],
    ['memory', `about ${bytesText(bytes)} at the largest canvas, ${largest.width} x ${largest.height}; ${canvases.training.length} canvases`],
    ['time', `about ${durationText(seconds)} on ${engine.name}${engine.version ? ` ${engine.version}` : ''}: ${images.toLocaleString('en')} images of ${(operations / 1e9).toPrecision(3)} GFLOP at ${canvas.width} x ${canvas.height}, ${(rate / 1e9).toFixed(0)} GFLOP/s measured here in a second; evaluations aside`],
  ];
  return lines.map(([key, value]) => `${key.padEnd(14)}${value}`).join('\n');
}

/** `3.2 days`, `5.1 hours`, `12 minutes`, `40 seconds`. */
function durationText(seconds: number): string {
  const [unit, length] = ([['days', 86_400], ['hours', 3600], ['minutes', 60]] as const).find(([, least]) => seconds >= 2 * least) ?? ['seconds', 1];
  const count = length > 60 ? (seconds / length).toFixed(1) : String(Math.max(1, Math.round(seconds / length)));
  return `${count} ${count === '1' ? unit.slice(0, -1) : unit}`;
}

/** The command line as the record holds it: what determines the run, and where it is. */
function commandLine({ preset, scale, trainOn, evaluateOn, evaluateImages, from, teacher, microBatch, canvasSides, onBroken, data, set, seed }: PresetOptions): string {
  const given: [string, string | undefined][] = [
    ['--scale', scale === 'paper' ? undefined : scale], ['--train-on', trainOn?.join(' ')], ['--evaluate-on', evaluateOn], ['--evaluate-images', evaluateImages], ['--from', from], ['--teacher', teacher],
    ['--micro-batch', microBatch], ['--canvas-sides', canvasSides === '3' ? undefined : canvasSides], ['--on-broken', onBroken === 'stop' ? undefined : onBroken], ['--data', data], ['--set', set?.join(' ')], ['--seed', seed],
  ];
  return [`npx qdetr train --preset ${preset}`, ...given.flatMap(([option, value]) => (value === undefined ? [] : [`${option} ${value}`]))].join(' ');
}
