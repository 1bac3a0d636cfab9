import type { Command } from 'commander';
import { Option } from 'commander';
import { performRun, type FinishedRun } from '../experiments/run.js';
import { shippedName } from '../experiments/shipped-weights.js';
import { startingWeights, type StartingWeights } from '../experiments/starting-weights.js';
import { estimatedNeeds, singleDetectorRun, keptImages } from '../experiments/train-detector.js';
import { detectorCost } from '../models/cost.js';
import { POLICY_PRESETS, type PolicyPreset } from '../models/quantization-policy.js';
import { FAMILIES, familyTitles, modelOf, type Family, type ModelScale } from '../models/settings.js';
import { isReal } from '../quantizer/precision.js';
import { UserError } from '../errors.js';
import { writeParameters } from '../tensor/parameter-file.js';
import { finalEvaluation } from '../training/run-record.js';
import { parseAssignments, resolveSettings, type TrainingSettings } from '../training/settings.js';
import { TrainingInterrupted } from '../training/train.js';
import { parseBitsOption } from './bits-option.js';
import { interruptible } from './interrupt.js';
import { percent, runListener } from './run-listener.js';
import { presetList, trainPreset, type PresetOptions } from './train-preset.js';

/** Options of a training on VOC, COCO or folders in their formats; all but `preset` have no meaning without one. */
type PresetOnly = Partial<Omit<PresetOptions, 'scale'>> & { listPresets?: boolean };

interface TrainCommandOptions extends Omit<PresetOnly, 'runs' | 'from' | 'set' | 'seed' | 'export' | 'fresh' | 'dryRun'> {
  model: Family;
  scale: ModelScale | 'paper';
  bits: string;
  policy: PolicyPreset;
  from?: string;
  set?: string[];
  seed?: string;
  runs: string;
  export?: string;
  fresh?: boolean;
  dryRun?: boolean;
}

/** `qdetr train`: one detector on MiniVOC, real-valued or with the paper's quantizers. */
export function trainCommand(program: Command): void {
  program
    .command('train')
    .description('train one detector: on MiniVOC, or with --preset as the paper does on VOC and COCO; stopped at any moment, the same command goes on')
    .addOption(new Option('--model <family>', 'detection transformer').choices(FAMILIES).default('detr'))
    .addOption(new Option('--scale <scale>', "size of the model and of the training; with --preset: paper, or a small model in the preset's place").choices(['smoke', 'minutes', 'gpu', 'paper']).default('minutes', 'minutes; with --preset paper'))
    .option('--bits <w-a-attention>', 'bits of weights, activations and attention, e.g. 4-4-8', '32-32-32')
    .addOption(new Option('--policy <policy>', 'which modules are quantized: as the paper says, or as its released code has them').choices(POLICY_PRESETS).default('paper'))
    .option('--from <weights>', "start from 'shipped' (the project's own), a run's id, or a .safetensors file; with --preset any file of weights, or 'none'")
    .option('--set <key=value...>', 'change a training setting, e.g. --set steps=500')
    .option('--seed <number>', 'the same as --set seed=<number>')
    .option('--runs <folder>', 'where run folders go', '.runs')
    .option('--export <file>', 'write the trained parameters as safetensors')
    .option('--fresh', 'train again what is there already')
    .option('--dry-run', 'print what would be done and what it needs, and stop')
    .option('--list-presets', 'the trainings of the paper by name')
    .option('--preset <name>', 'one of them, e.g. voc-q-detr-r50-4bit; the options below belong to it')
    .option('--data <folder>', 'where VOC and COCO lie (default: $QDETR_DATA or .data)')
    .option('--train-on <folder:split...>', 'train on other folders in the format of VOC or COCO')
    .option('--evaluate-on <folder:split>', 'evaluate on another folder')
    .option('--evaluate-images <number>', 'evaluate on the first images only')
    .option('--teacher <weights>', "weights of the teacher: a run's id or a file")
    .option('--micro-batch <images>', 'images that are computed at once; a step gathers the gradients of its batch (default: 1)')
    .option('--canvas-sides <number>', 'lengths that a side of a padded batch may have: more of them, less padding, more compiling', '3')
    .addOption(new Option('--on-broken <choice>', 'what a broken image or annotation does').choices(['stop', 'skip']).default('stop'))
    .option('--workers <number>', 'threads that decode images (default: one for each core)')
    .action((options: TrainCommandOptions, command: Command) => {
      if (options.listPresets) {
        console.log(presetList());
        return undefined;
      }
      return options.preset === undefined ? trainOne(withoutPreset(options, command)) : trainPreset(withPreset(options, command));
    });
}

const isGiven = (command: Command, option: string): boolean => command.getOptionValueSource(option) === 'cli';

/** What belongs to a preset alone, by the command's own names, as it is typed. */
const PRESET_ONLY = { data: '--data', trainOn: '--train-on', evaluateOn: '--evaluate-on', evaluateImages: '--evaluate-images', teacher: '--teacher', microBatch: '--micro-batch', canvasSides: '--canvas-sides', onBroken: '--on-broken', workers: '--workers' } as const;

/** @throws UserError for options that have no meaning with a preset */
function withPreset(options: TrainCommandOptions, command: Command): PresetOptions {
  const strange = (['model', 'bits', 'policy'] as const).find((name) => isGiven(command, name));
  if (strange !== undefined) throw new UserError(`--${strange} has no meaning with --preset, which says it: leave it out, or see --list-presets`);
  return { ...options, scale: isGiven(command, 'scale') ? options.scale : 'paper' } as PresetOptions;
}

/** @throws UserError for options that have no meaning without a preset */
function withoutPreset(options: TrainCommandOptions, command: Command): MiniVocTraining {
  const strange = (Object.keys(PRESET_ONLY) as (keyof typeof PRESET_ONLY)[]).find((name) => isGiven(command, name));
  if (strange !== undefined) throw new UserError(`${PRESET_ONLY[strange]} belongs to --preset: give one, see --list-presets`);
  if (options.scale === 'paper') throw new UserError('--scale paper needs --preset <name>: see --list-presets');
  return options as MiniVocTraining;
}

/** Options of a training on MiniVOC. */
type MiniVocTraining = TrainCommandOptions & { scale: ModelScale };

async function trainOne(options: MiniVocTraining): Promise<void> {
  const { model: family, scale, bits, policy, runs: root, fresh, export: exported } = options;
  const settings = resolveSettings(scale, parseAssignments([...(options.set ?? []), ...(options.seed === undefined ? [] : [`seed=${options.seed}`])]), '--set');
  if (!isQuantized(bits) && policy === 'release') throw new UserError(`--policy release: ${bits} quantizes nothing: give low bits, such as --bits 4-4-8, or leave it out`);
  const from = options.from === undefined ? undefined : startingWeights(options.from, modelOf(scale, family), shippedName(scale, family), root);
  if (options.dryRun) {
    console.log(plan(options, settings, from));
    return;
  }
  if (from) console.log(`${from.note}.`);
  try {
    const run = await interruptible(
      (signal) => performRun(singleDetectorRun(scale, family, bits, settings, { from, policy }), { command: commandLine(options), freshSince: fresh ? new Date().toISOString() : undefined, root, signal, listener: runListener(`${familyTitles[family]} ${bits}`, settings) }),
      () => process.stderr.write('\nstopping after this step …\n'),
    );
    console.log(result(run));
    if (exported !== undefined) {
      writeParameters(exported, run.parameters, { model: `${family} ${scale}`, bits, run: run.id });
      console.log(`Parameters: ${exported}`);
    }
  } catch (error) {
    if (!(error instanceof TrainingInterrupted)) throw error;
    console.log(`Stopped after step ${error.step}; its checkpoint is in ${error.folder}. The same command goes on from there.`);
    process.exitCode = 130;
  }
}

const isQuantized = (bits: string): boolean => !Object.values(parseBitsOption(bits)).every(isReal);

function plan({ model: family, scale, bits, policy }: MiniVocTraining, settings: TrainingSettings, from?: StartingWeights): string {
  const model = modelOf(scale, family), multiplyAdds = detectorCost(model).reduce((sum, module) => sum + module.multiplyAdds, 0);
  const { trained, bytes } = estimatedNeeds(model, bits, settings, keptImages(scale));
  return [
    `${familyTitles[family]} ${bits}${isQuantized(bits) && policy === 'release' ? ', quantized as the released code has it,' : ''} on MiniVOC, scale ${scale}, ${from?.note ?? 'starts from random weights'}.`,
    ...Object.entries(settings).map(([key, value]) => `  ${key.padEnd(20)}${value}`),
    `Parameters that are trained, quantizers aside: ${trained.toLocaleString('en')}`,
    `Multiplications, each with an addition, for one image forward: ${multiplyAdds.toLocaleString('en')}`,
    `Memory, about: ${Math.ceil(bytes / 1e8) * 100} MB`,
    'Nothing was trained (--dry-run).',
  ].join('\n');
}

/** The command line as the record holds it: what determines the run, and where it is. */
function commandLine({ model, scale, bits, policy, from, set, seed }: MiniVocTraining): string {
  return ['npx qdetr train', ...(model === 'detr' ? [] : [`--model ${model}`]), `--scale ${scale}`, `--bits ${bits}`, ...(policy === 'paper' ? [] : [`--policy ${policy}`]), ...(from ? [`--from ${from}`] : []), ...(set ? [`--set ${set.join(' ')}`] : []), ...(seed ? [`--seed ${seed}`] : [])].join(' ');
}

function result({ summary, folder, id }: FinishedRun): string {
  const of = (split: 'test' | 'test-unseen'): string => percent(finalEvaluation(summary, split)?.ap50 ?? 0);
  return `AP50 on MiniVOC (${summary.dataset}, scale ${summary.scale}): test ${of('test')}, test-unseen ${of('test-unseen')}\nRun ${id}: ${folder}`;
}
