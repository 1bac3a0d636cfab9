import { availableParallelism } from 'node:os';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { Option, type Command } from 'commander';
import type { OnBroken } from '../data/broken-items.js';
import { openImageNetFolder, type ClassificationDataset } from '../data/imagenet-reader.js';
import { IMAGENET_TRANSFORMS } from '../data/classification-transforms.js';
import { dataFolder } from '../data/official/data-folder.js';
import { UserError } from '../errors.js';
import { namedWeights } from '../experiments/detector-weights.js';
import { classificationTransforms, pretrainedBackbone, pretrainingRun } from '../experiments/pretraining-run.js';
import { performRun } from '../experiments/run.js';
import { detrSettings, RESNET_101, RESNET_50, type BackboneSettings, type ModelScale } from '../models/settings.js';
import { formatPrecision, REAL } from '../quantizer/precision.js';
import { writeParameters } from '../tensor/parameter-file.js';
import { readMetrics } from '../training/metrics-log.js';
import { parseAssignments, resolveSettings, type TrainingSettings } from '../training/settings.js';
import { TrainingInterrupted } from '../training/train.js';
import { parseBitsOption } from './bits-option.js';
import { interruptible } from './interrupt.js';
import { percent, runListener } from './run-listener.js';
import { optionalWholeNumber } from './whole-number-option.js';

interface PretrainOptions {
  backbone: 'resnet50' | 'resnet101';
  scale: 'paper' | ModelScale;
  bits: string;
  from?: string;
  data?: string;
  trainOn?: string;
  evaluateOn?: string;
  groundTruth?: string;
  evaluateImages?: string;
  microBatch?: string;
  onBroken: OnBroken;
  workers?: string;
  set?: string[];
  seed?: string;
  runs: string;
  export?: string;
  fresh?: boolean;
}

/**
 * At full size. The paper says only that the quantized backbone was pre-trained on ImageNet: this recipe is the project's own, a fine-tuning from torchvision's weights
 * (decision A21).
 */
const PAPER: Partial<TrainingSettings> = { batchSize: 256, learningRate: 1e-4, backboneFactor: 1, schedule: 'cosine', warmUpSteps: 0 };
const EPOCHS = 30;

/** `qdetr pretrain`: a backbone, quantized or not, as a classifier of ImageNet. */
export function pretrainCommand(program: Command): void {
  program
    .command('pretrain')
    .description('train a backbone, quantized or not, as a classifier on ImageNet or folders in its format; --from its run starts detectors')
    .addOption(new Option('--backbone <name>', 'which one').choices(['resnet50', 'resnet101']).default('resnet50'))
    .addOption(new Option('--scale <scale>', "paper, or a small model's backbone in its place").choices(['paper', 'smoke', 'minutes', 'gpu']).default('paper'))
    .option('--bits <w-a-attention>', 'bits of weights and activations, e.g. 4-4-8', '4-4-8')
    .option('--from <weights>', "torchvision's weights or a run's id; 'none' for random ones")
    .option('--data <folder>', 'where imagenet/ lies (default: $QDETR_DATA or .data)')
    .option('--train-on <folder:split>', 'train on another folder of folders of images')
    .option('--evaluate-on <folder:split>', 'evaluate on another folder')
    .option('--ground-truth <file>', "classes of flat validation images: LOC_val_solution.csv or the development kit's folder (default: the kit beside them)")
    .option('--evaluate-images <number>', 'evaluate on the first images only')
    .option('--micro-batch <images>', 'images that are computed at once, a divisor of the batch size (default: the largest up to 64)')
    .addOption(new Option('--on-broken <choice>', 'what a broken image does').choices(['stop', 'skip']).default('stop'))
    .option('--workers <number>', 'threads that decode images (default: one for each core)')
    .option('--set <key=value...>', 'change a training setting, e.g. --set steps=500')
    .option('--seed <number>', 'the same as --set seed=<number>')
    .option('--runs <folder>', 'where run folders go', '.runs')
    .option('--export <file>', 'write the backbone as safetensors')
    .option('--fresh', 'train again what is there already')
    .action(pretrain);
}

/** The largest divisor up to a limit. */
function largestDivisor(n: number, most: number): number {
  let divisor = Math.min(n, most);
  while (n % divisor !== 0) divisor--;
  return divisor;
}

function openFolder(place: string, option: string, options: Pick<PretrainOptions, 'onBroken' | 'groundTruth'>): ClassificationDataset {
  const [, folder, split] = /^(.+):([^:/\\]+)$/.exec(place) ?? [];
  if (folder === undefined) throw new UserError(`${option} ${place}: should be a folder and a split of it, e.g. ${option} imagenet:train`);
  if (!existsSync(path.join(folder, split))) throw new UserError(`${path.join(folder, split)} is missing: npx qdetr data fetch imagenet --from <your download> unpacks ImageNet, or give folders of your own with --train-on and --evaluate-on`);
  return openImageNetFolder({ folder, split, ...options, told: (reason) => void process.stderr.write(`left out: ${reason}\n`) });
}

/** ImageNet's own validation images lie flat; its development kit, unpacked beside them, says their classes. */
function developmentKit(imageNet: string): string | undefined {
  const kit = path.join(imageNet, 'ILSVRC2012_devkit_t12'), val = path.join(imageNet, 'val');
  const isFlat = existsSync(val) && !readdirSync(val, { withFileTypes: true }).some((entry) => entry.isDirectory());
  return isFlat && existsSync(kit) ? kit : undefined;
}

async function pretrain(options: PretrainOptions): Promise<void> {
  const { backbone: name, scale, bits, onBroken, groundTruth, runs: root } = options;
  const precision = formatPrecision(parseBitsOption(bits)), isQuantized = precision !== formatPrecision(REAL), imageNet = path.join(dataFolder(options.data), 'imagenet');
  const train = openFolder(options.trainOn ?? `${imageNet}:train`, '--train-on', { onBroken }), test = openFolder(options.evaluateOn ?? `${imageNet}:val`, '--evaluate-on', { onBroken, groundTruth: groundTruth ?? (options.evaluateOn === undefined ? developmentKit(imageNet) : undefined) });
  if (train.classes.join() !== test.classes.join()) throw new UserError(`${train.name} and ${test.name} have other classes (${train.classes.length} and ${test.classes.length}): train and evaluate on the same`);
  if (scale === 'paper' && options.from === undefined) throw new UserError(`pretrain starts from torchvision's weights: give them with --from (npx qdetr weights fetch ${name}-v1), or --from none for random ones`);
  const from = options.from === undefined || options.from === 'none' ? undefined : namedWeights(options.from, '--from', root);
  const plain: BackboneSettings = scale === 'paper' ? (name === 'resnet101' ? RESNET_101 : RESNET_50) : detrSettings[scale].backbone, backbone: BackboneSettings = isQuantized ? { ...plain, activation: 'rprelu' } : plain;
  const changes = parseAssignments([...(options.set ?? []), ...(options.seed === undefined ? [] : [`seed=${options.seed}`])]);
  const batchSize = Number(changes.batchSize ?? (scale === 'paper' ? PAPER.batchSize : resolveSettings(scale).batchSize)), perEpoch = Math.max(1, Math.floor(train.length / batchSize));
  const schedule = scale === 'paper' ? { ...PAPER, steps: EPOCHS * perEpoch, evaluationInterval: perEpoch, checkpointInterval: perEpoch } : {};
  const training = resolveSettings(scale, { ...schedule, ...changes }, '--set');
  const run = pretrainingRun({
    name: scale === 'paper' ? name : `backbone-${scale}`, backbone, bits: precision, scale, data: { train, test }, from, training, microBatch: optionalWholeNumber('--micro-batch', options.microBatch) ?? largestDivisor(training.batchSize, 64),
    transforms: scale === 'paper' ? IMAGENET_TRANSFORMS : classificationTransforms(detrSettings[scale].imageSize), broken: { onBroken, told: (reason) => void process.stderr.write(`left out: ${reason}\n`) },
    workers: optionalWholeNumber('--workers', options.workers, 0), threads: availableParallelism(), evaluated: optionalWholeNumber('--evaluate-images', options.evaluateImages),
  });
  console.log(`${run.experiment.replace('pretrain/', '')}: ${train.length.toLocaleString('en')} images of ${train.classes.length} classes, ${training.steps.toLocaleString('en')} steps of ${training.batchSize}; starts from ${from?.origin ?? 'random weights'}`);
  try {
    const { id, folder, parameters } = await interruptible(
      (signal) => performRun(run, { command: commandLine(options), freshSince: options.fresh ? new Date().toISOString() : undefined, root, signal, threads: availableParallelism(), listener: runListener(run.experiment, training) }),
      () => process.stderr.write('\nstopping after this step …\n'),
    );
    const { top1, top5 } = readMetrics(folder).findLast(({ kind }) => kind === 'accuracy') ?? {};
    console.log(`On ${test.name}: top-1 ${percent(Number(top1))}, top-5 ${percent(Number(top5))}\nRun ${id}: ${folder}\nA detector starts from it with: npx qdetr train --preset <name> --from ${id}`);
    if (options.export !== undefined) {
      writeParameters(options.export, pretrainedBackbone(parameters), { bits: precision, run: id });
      console.log(`Parameters: ${options.export}`);
    }
  } catch (error) {
    if (!(error instanceof TrainingInterrupted)) throw error;
    console.log(`Stopped after step ${error.step}; its checkpoint is in ${error.folder}. The same command goes on from there.`);
    process.exitCode = 130;
  }
}

/** The command line as the record holds it. */
function commandLine({ backbone, scale, bits, from, trainOn, evaluateOn, groundTruth, evaluateImages, microBatch, onBroken, data, set, seed }: PretrainOptions): string {
  const given: [string, string | undefined][] = [
    ['--scale', scale === 'paper' ? undefined : scale], ['--from', from], ['--train-on', trainOn], ['--evaluate-on', evaluateOn], ['--ground-truth', groundTruth], ['--evaluate-images', evaluateImages],
    ['--micro-batch', microBatch], ['--on-broken', onBroken === 'stop' ? undefined : onBroken], ['--data', data], ['--set', set?.join(' ')], ['--seed', seed],
  ];
  return [`npx qdetr pretrain --backbone ${backbone} --bits ${bits}`, ...given.flatMap(([option, value]) => (value === undefined ? [] : [`${option} ${value}`]))].join(' ');
}
