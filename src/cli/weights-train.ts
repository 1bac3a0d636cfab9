import { Option, type Command } from 'commander';
import { openData, splitSizes } from '../experiments/detector-run.js';
import { packWeights } from '../experiments/pack-weights.js';
import { ROLES, trainRealValued, type Role } from '../experiments/real-valued-weights.js';
import { performRun } from '../experiments/run.js';
import { shippedName } from '../experiments/shipped-weights.js';
import { FAMILIES, familyTitles, modelOf, teacherModelOf, type Family, type ModelScale } from '../models/settings.js';
import { parseAssignments, resolveSettings } from '../training/settings.js';
import { TrainingInterrupted } from '../training/train.js';
import { interruptible } from './interrupt.js';
import { percent, runListener } from './run-listener.js';
import { wholeNumberOption } from './whole-number-option.js';

interface TrainOptions { scale: ModelScale; role: Role; model: Family; seed: string; set?: string[]; runs: string }

/** `qdetr weights train`: the real-valued detectors that cells start from and learn from, as cells would train them. */
function addTrain(weights: Command): void {
  weights
    .command('train')
    .description('train a real-valued detector that students start from or learn from: its backbone on single sprites first, then all of it on MiniVOC')
    .addOption(new Option('--role <role>', 'the student, or the teacher with its larger backbone').choices(ROLES).default('student'))
    .addOption(new Option('--scale <scale>', 'size of the model and of the training').choices(['smoke', 'minutes', 'gpu']).default('gpu'))
    .addOption(new Option('--model <family>', 'detection transformer').choices(FAMILIES).default('detr'))
    .option('--seed <number>', 'start of every random stream', '0')
    .option('--set <key=value...>', 'change a training setting, e.g. --set steps=500')
    .option('--runs <folder>', 'where run folders go', '.runs')
    .action(async ({ scale, role, model: family, seed: text, set, runs: root }: TrainOptions) => {
      const seed = wholeNumberOption('--seed', text, 0), changes = parseAssignments(set ?? []);
      resolveSettings(scale, { ...changes, seed }, '--set');
      const model = role === 'teacher' ? teacherModelOf(scale, family) : modelOf(scale, family), command = `npx qdetr weights train --role ${role} --scale ${scale} --model ${family} --seed ${seed}${set ? ` --set ${set.join(' ')}` : ''}`;
      try {
        const { id, summary } = await interruptible(
          (signal) => trainRealValued(role, model, { scale, seed, changes }, openData(model, splitSizes[scale]), (run, name) => performRun(run, { command, root, signal, listener: runListener(name, run.training) })),
          () => process.stderr.write('\nstopping after this step …\n'),
        );
        const scores = summary.evaluations.filter(({ step }) => step === summary.evaluations.at(-1)?.step).map(({ split, ap50 }) => `${split} ${percent(ap50)}`);
        console.log([
          `${familyTitles[family]}, ${role}, run ${id}: AP50 ${scores.join(', ')}; ${summary.seconds.toFixed(0)} s.`,
          `Among the weights that come with the project: npx qdetr weights pack ${id} --as ${shippedName(scale, family, role === 'teacher' ? '-teacher' : '')}${root === '.runs' ? '' : ` --runs ${root}`}`,
        ].join('\n'));
      } catch (error) {
        if (!(error instanceof TrainingInterrupted)) throw error;
        console.log(`Stopped after step ${error.step}; its checkpoint is in ${error.folder}. The same command goes on from there.`);
        process.exitCode = 130;
      }
    });
}

/** `qdetr weights pack`: a run's detector among the weights that come with the project. */
function addPack(weights: Command): void {
  weights
    .command('pack')
    .description('put the detector of a run among the weights that come with the project: large arrays in f16, with a manifest and the AP50 of the file as it is')
    .argument('<run>', "a run's id")
    .requiredOption('--as <name>', 'e.g. gpu, gpu-teacher, gpu-smca: what students start from and learn from at that scale')
    .option('--to <folder>', 'where to', 'data-manifests/weights')
    .option('--runs <folder>', 'where run folders are', '.runs')
    .action(async (run: string, { as: name, to, runs: root }: { as: string; to: string; runs: string }) => {
      const { file, bytes, manifest } = await packWeights({ run, name, root, folder: to, told: (what) => console.log(what) });
      console.log(`${file}: ${(bytes / 1e6).toFixed(1)} MB, AP50 ${percent(manifest.ap50.test)} on test and ${percent(manifest.ap50['test-unseen'])} on test-unseen, SHA-256 ${manifest.sha256.slice(0, 12)}…`);
    });
}

/** Adds `qdetr weights train` and `pack`. */
export function addTraining(weights: Command): void {
  addTrain(weights);
  addPack(weights);
}
