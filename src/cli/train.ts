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

interface TrainCommandOptions {
  model: Family;
  scale: ModelScale;
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
    .description('train one detector on MiniVOC; stopped at any moment, the same command goes on')
    .addOption(new Option('--model <family>', 'detection transformer').choices(FAMILIES).default('detr'))
    .addOption(new Option('--scale <scale>', 'size of the model and of the training').choices(['smoke', 'minutes', 'gpu']).default('minutes'))
    .option('--bits <w-a-attention>', 'bits of weights, activations and attention, e.g. 4-4-8', '32-32-32')
    .addOption(new Option('--policy <policy>', 'which modules are quantized: as the paper says, or as its released code has them').choices(POLICY_PRESETS).default('paper'))
    .option('--from <weights>', "start from 'shipped' (the project's own), a run's id, or a .safetensors file")
    .option('--set <key=value...>', 'change a training setting, e.g. --set steps=500')
    .option('--seed <number>', 'the same as --set seed=<number>')
    .option('--runs <folder>', 'where run folders go', '.runs')
    .option('--export <file>', 'write the trained parameters as safetensors')
    .option('--fresh', 'train again what is there already')
    .option('--dry-run', 'print what would be done and what it needs, and stop')
    .action(trainOne);
}

async function trainOne(options: TrainCommandOptions): Promise<void> {
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

function plan({ model: family, scale, bits, policy }: TrainCommandOptions, settings: TrainingSettings, from?: StartingWeights): string {
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
function commandLine({ model, scale, bits, policy, from, set, seed }: TrainCommandOptions): string {
  return ['npx qdetr train', ...(model === 'detr' ? [] : [`--model ${model}`]), `--scale ${scale}`, `--bits ${bits}`, ...(policy === 'paper' ? [] : [`--policy ${policy}`]), ...(from ? [`--from ${from}`] : []), ...(set ? [`--set ${set.join(' ')}`] : []), ...(seed ? [`--seed ${seed}`] : [])].join(' ');
}

function result({ summary, folder, id }: FinishedRun): string {
  const of = (split: 'test' | 'test-unseen'): string => percent(finalEvaluation(summary, split)?.ap50 ?? 0);
  return `AP50 on MiniVOC (${summary.dataset}, scale ${summary.scale}): test ${of('test')}, test-unseen ${of('test-unseen')}\nRun ${id}: ${folder}`;
}
