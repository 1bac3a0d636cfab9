import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { Option } from 'commander';
import { startExperiment } from '../experiments/start.js';
import { checkWeights } from '../experiments/real-valued-weights.js';
import { stageSettings } from '../experiments/stage-settings.js';
import { FAMILIES, type Family } from '../models/settings.js';
import { parseAssignments } from '../training/settings.js';
import { performGrid } from './perform-grid.js';

interface StartCommandOptions {
  fresh?: boolean;
  scale: 'smoke' | 'minutes';
  model: Family;
  set?: string[];
  runs: string;
  out: string;
}

/** Processes side by side, at most: each keeps the features of its training images. */
const MOST_PROCESSES = 2;

/** `qdetr start` (`npm start`): the runs of a first look, then Table 2.2 and Fig. 2.12 beside the paper's values. */
export function startCommand(program: Command): void {
  program
    .command('start')
    .description('train a detector\'s transformer at 2 bits on this machine, with and without a teacher, and redraw Table 2.2 and Fig. 2.12')
    .option('--fresh', 'train again what is there already')
    .addOption(new Option('--scale <scale>', 'smoke: seconds, learns nothing; minutes: some minutes on two cores').choices(['smoke', 'minutes']).default('minutes'))
    .addOption(new Option('--model <family>', 'which detector').choices(FAMILIES).default('detr'))
    .option('--set <key=value...>', 'change a training setting in all of its runs, e.g. --set seed=1')
    .option('--runs <folder>', 'where run folders go', '.runs')
    .option('--out <folder>', 'where figures go', 'figures')
    .action(start);
}

async function start({ fresh, scale, model, set, runs, out }: StartCommandOptions): Promise<void> {
  const { seed = 0, ...changes } = parseAssignments(set ?? []);
  const cells = startExperiment.grid({ scale, family: model, seeds: [seed as number], changes });
  stageSettings(cells[0]);
  checkWeights(cells, runs);
  const command = ['npx qdetr start', `--scale ${scale}`, ...(model === 'detr' ? [] : [`--model ${model}`]), ...(set ? [`--set ${set.join(' ')}`] : [])].join(' ');
  const files = await performGrid(startExperiment, cells, { processes: Math.min(MOST_PROCESSES, availableParallelism()), command, runs, out, fresh, tellsReuse: true });
  if (!process.exitCode) console.log(whatNext(files, out));
}

/** What to look at and what to do, after all runs are finished. */
const whatNext = (files: readonly string[], out: string): string => [
  '',
  'Look at:',
  `  ${out}/table-2.2.md       the paper, recorded runs and these fresh runs side by side`,
  ...files.filter((file) => /(table-2\.2|figure-2\.12[ab])\.png$/.test(file)).map((file) => `  ${file}`),
  '',
  'Next:',
  '  npx qdetr experiment --list   every table and figure of the paper, and what it needs',
  '  npx qdetr notebooks           run the notebooks here, without Jupyter',
  '  notebooks/README.md           how to open them in JupyterLab',
  '  npm start -- --set seed=1     the same with another seed',
  '  npx qdetr --help              everything else',
].join('\n');
