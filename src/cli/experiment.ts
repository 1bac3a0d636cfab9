import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Cell, StudentStart } from '../experiments/cell.js';
import { STUDENT_STARTS } from '../experiments/cell.js';
import { cellPlan } from '../experiments/cell-plan.js';
import { departureText, saysDepartures } from '../experiments/departures.js';
import { EXPERIMENTS, experimentNamed } from '../experiments/experiments.js';
import { cellName, type Experiment } from '../experiments/grid.js';
import { checkWeights, isTaught } from '../experiments/real-valued-weights.js';
import { stageSettings } from '../experiments/stage-settings.js';
import { parseAlignment } from '../experiments/varied-alignment.js';
import { cellsNamed, variedCells } from '../experiments/varied-cells.js';
import { UserError } from '../errors.js';
import { POLICY_PRESETS, type PolicyPreset } from '../models/quantization-policy.js';
import { FAMILIES, type Family, type ModelScale } from '../models/settings.js';
import { chooseEngine } from '../tensor/engine.js';
import { parseAssignments } from '../training/settings.js';
import { parseDistillation } from '../distillation/settings.js';
import { parseBitsOption } from './bits-option.js';
import { counted, performGrid, sharingText, type GridSharing } from './perform-grid.js';
import { formatDuration } from './progress.js';
import { wholeNumberOption } from './whole-number-option.js';

interface ExperimentCommandOptions {
  scale: ModelScale;
  seeds: string;
  model: Family;
  bits?: string[];
  scope: 'detector' | 'transformer';
  start?: StudentStart;
  warmUp?: string;
  set?: string[];
  distillation?: string[];
  alignment?: string[];
  policy: PolicyPreset;
  teacher?: string;
  only?: string[];
  processes?: string;
  together?: string;
  runs: string;
  out: string;
  fresh?: boolean;
  list?: boolean;
  dryRun?: boolean;
}

/** `qdetr experiment`: performs the cells behind a table or figure, several at a time, and redraws it. */
export function experimentCommand(program: Command): void {
  program
    .command('experiment')
    .description('train all cells behind a table or figure of the paper, several side by side; stopped at any moment, the same command goes on')
    .argument('[name]', `one of ${EXPERIMENTS.map(({ name }) => name).join(', ')}`)
    .addOption(new Option('--scale <scale>', 'smoke: seconds a cell, learns nothing; minutes: a laptop; gpu: large runs').choices(['smoke', 'minutes', 'gpu']).default('minutes'))
    .option('--seeds <count>', 'how many seeds: 3 means 0, 1 and 2', '1')
    .addOption(new Option('--model <family>', 'which detector').choices(FAMILIES).default('detr'))
    .option('--bits <w-a-attention...>', 'bit-widths of the quantized cells, e.g. 4-4-8 2-2-8; default: those of the paper')
    .addOption(new Option('--scope <scope>', 'train and quantize the whole detector in two stages, or its transformer alone in one').choices(['detector', 'transformer']).default('detector'))
    .addOption(new Option('--start <where>', "where students' transformers start; default: own at minutes, fresh elsewhere").choices(STUDENT_STARTS))
    .option('--warm-up <steps>', 'steps before stage 1 in which every student is trained real-valued and on L_GT alone; default: 4000 for fresh students at gpu, else 0')
    .option('--set <key=value...>', 'change a training setting in all cells, e.g. --set steps=400')
    .option('--distillation <key=value...>', 'change a setting of the distillation in all cells that have one, e.g. --distillation tau=0.4 lambda=1 matching=same-slot')
    .option('--alignment <key=value...>', 'change where DA is in all cells that have it, e.g. --alignment places=co-attention.k (decision A10) or axis=queries (A11)')
    .addOption(new Option('--policy <policy>', "which modules are quantized, and where DA is: as the paper says, or as its released code has them").choices(POLICY_PRESETS).default('paper'))
    .option('--teacher <weights>', "the teacher of all cells that have one: 'shipped', 'own' (the student's real-valued weights), a run's id or a .safetensors file")
    .option('--only <text...>', 'only cells whose name contains a text, or is it, e.g. --only 2-2-8')
    .option('--processes <count>', 'processes side by side, one thread each; default: the cores of this machine, 2 where a GPU computes')
    .option('--together <count>', 'cells that differ in the seed alone and that a process trains as one, each step of theirs in one replay on a GPU; default: all seeds, 5 at most, where a GPU computes, else 1')
    .option('--runs <folder>', 'where run folders go', '.runs')
    .option('--out <folder>', 'where figures go', 'figures')
    .option('--fresh', 'train again what is there already')
    .option('--list', 'say what each experiment answers, and stop')
    .option('--dry-run', 'print the cells and their settings, and stop')
    .action(async (name: string | undefined, options: ExperimentCommandOptions) => {
      if (options.list) console.log(list());
      else if (name === undefined) throw new UserError(`name an experiment (${EXPERIMENTS.map((one) => one.name).join(', ')}): 'npx qdetr experiment --list' says what each answers`);
      else await performExperiment(experimentNamed(name), options);
    });
}

async function performExperiment(experiment: Experiment, options: ExperimentCommandOptions): Promise<void> {
  const cells = chosenCells(experiment, options);
  const sharing = await sharingOf(options);
  checkWeights(cells, options.runs);
  if (options.dryRun) {
    console.log(plan(experiment, options, cells, sharing));
    return;
  }
  console.log(`${experiment.answers}.`);
  await performGrid(experiment, cells, { ...sharing, command: commandLine(experiment, options), runs: options.runs, out: options.out, fresh: options.fresh });
}

/** How many processes perform cells, and how many cells each trains as one: on a GPU, where processes take turns, a second one has work while the first evaluates. */
async function sharingOf({ processes, together, seeds }: ExperimentCommandOptions): Promise<GridSharing> {
  const hasGpu = (await chooseEngine()).gpu !== undefined;
  return {
    processes: processes === undefined ? (hasGpu ? 2 : availableParallelism()) : wholeNumberOption('--processes', processes),
    together: Math.min(wholeNumberOption('--seeds', seeds), together === undefined ? (hasGpu ? MOST_TOGETHER : 1) : wholeNumberOption('--together', together)),
  };
}

/** Seeds that are trained as one where nothing else is said: each takes its part of the GPU's memory. */
const MOST_TOGETHER = 5;

/** The cells that the command line asks for. @throws UserError for options that contradict the experiment */
function chosenCells(experiment: Experiment, { scale, seeds, model, bits, scope, start, warmUp, set, distillation, alignment, policy, teacher, only }: ExperimentCommandOptions): Cell[] {
  const changes = parseAssignments(set ?? []);
  if (Object.hasOwn(changes, 'seed')) throw new UserError('--set seed: an experiment has several seeds: choose how many with --seeds');
  for (const text of bits ?? []) {
    if (Object.values(parseBitsOption(text, true)).includes(32)) throw new UserError(`--bits ${text}: quantized cells have 2 to 8 bits everywhere; the real-valued cell is there anyway`);
  }
  const count = wholeNumberOption('--seeds', seeds);
  const wanted = { scale, family: model, seeds: Array.from({ length: count }, (_, seed) => seed), bits: bits && [...new Set(bits)], scope, studentStart: start, warmUp: warmUp === undefined ? undefined : wholeNumberOption('--warm-up', warmUp, 0), policy, changes };
  const all = variedCells(experiment, wanted, { distillation: parseDistillation(distillation ?? []), alignment: parseAlignment(alignment ?? []), teacher });
  stageSettings(all[0].cell);
  if (distillation !== undefined && all.every(({ cell }) => cell.distillation === null)) throw new UserError(`--distillation ${distillation.join(' ')}: no cell of ${experiment.name} has a distillation: leave it out`);
  if (alignment !== undefined && all.every(({ cell }) => cell.alignment === null)) throw new UserError(`--alignment ${alignment.join(' ')}: no cell of ${experiment.name} has a distribution alignment: leave it out`);
  if (teacher !== undefined && !all.some(({ cell }) => isTaught(cell))) throw new UserError(`--teacher ${teacher}: no cell of ${experiment.name} has a teacher: leave it out`);
  const chosen = only ? cellsNamed(all, only) : all;
  if (chosen.length === 0) throw new UserError(`--only ${only?.join(' ')}: no cell of ${experiment.name} has this in its name, such as '${cellName(all[0].cell)}': --dry-run prints all names`);
  return chosen.map(({ cell }) => cell);
}

/** The command line without what is of this machine: processes, folders of figures. */
function commandLine({ name }: Experiment, { scale, seeds, model, bits, scope, start, warmUp, set, distillation, alignment, policy, teacher, runs }: ExperimentCommandOptions): string {
  const given = (option: string, value: string | undefined, usual?: string): string[] => (value === undefined || value === usual ? [] : [`${option} ${/[^\w\s./=,:@+-]/.test(value) ? `'${value.replaceAll("'", "'\\''")}'` : value}`]);
  return [
    'npx qdetr experiment', name, `--scale ${scale}`, `--seeds ${seeds}`, ...given('--model', model, 'detr'), ...given('--bits', bits?.join(' ')),
    ...given('--scope', scope, 'detector'), ...given('--start', start), ...given('--warm-up', warmUp), ...given('--set', set?.join(' ')), ...given('--distillation', distillation?.join(' ')), ...given('--alignment', alignment?.join(' ')), ...given('--policy', policy, 'paper'), ...given('--teacher', teacher), ...given('--runs', runs, '.runs'),
  ].join(' ');
}

/** All experiments and what they answer. */
function list(): string {
  const width = Math.max(...EXPERIMENTS.map(({ name }) => name.length)) + 2;
  return [
    ...EXPERIMENTS.map(({ name, answers }) => `  ${name.padEnd(width)}${answers}`),
    "'npx qdetr experiment <name> --dry-run' prints an experiment's protocol and cells.",
  ].join('\n');
}

function plan(experiment: Experiment, options: ExperimentCommandOptions, cells: readonly Cell[], sharing: GridSharing): string {
  const { protocol, measured, smoke } = experiment;
  const times = measured.filter(({ scale }) => scale === options.scale).map(({ cells: count, seconds, where }) => `${counted(count, 'cell')} took ${formatDuration(seconds)} (${where})`);
  const settings = Object.entries(stageSettings(cells[0])).filter(([key]) => key !== 'seed' && key !== 'scale');
  return [
    `${experiment.answers}.`,
    ...protocol.map((line) => `* ${line}`),
    ...(options.scale === 'smoke' ? [`* smoke: ${smoke}.`] : saysDepartures(protocol, cells) ? [] : [`* ${departureText(cells)}`]),
    `${commandLine(experiment, options)}: ${sharingText(cells.length, sharing)}, one thread each:`,
    cellPlan(cells),
    'Settings of each stage:',
    ...settings.map(([key, value]) => `  ${key.padEnd(20)}${value}`),
    `Time at scale ${options.scale}: ${times.length > 0 ? times.join('; ') : 'not measured yet'}.`,
    'Nothing was trained (--dry-run).',
  ].join('\n');
}
