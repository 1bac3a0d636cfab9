import type { Command } from 'commander';
import { Option } from 'commander';
import { runStart, startRecipe, startCosts, startRunNames, type StartRuns, type StartScale } from '../experiments/start.js';
import type { FinishedRun, RunListener } from '../experiments/run.js';
import { drawFigures } from '../figures/draw.js';
import { freshSummaries, recordedSummaries } from '../figures/run-summaries.js';
import { finalEvaluation } from '../training/run-record.js';
import { parseAssignments, type TrainingSettings } from '../training/settings.js';
import { TrainingInterrupted } from '../training/train.js';
import { interruptible } from './interrupt.js';
import { formatDuration } from './progress.js';
import { percent, runListener } from './run-listener.js';

interface StartCommandOptions {
  fresh?: boolean;
  fromScratch?: boolean;
  scale: StartScale;
  set?: string[];
  runs: string;
  out: string;
}

/** `qdetr start` (`npm start`): trains the fresh runs and redraws Table 2.2 and Fig. 2.12 beside the paper's values. */
export function startCommand(program: Command): void {
  program
    .command('start')
    .description('train a real-valued and a 2-bit detector on this machine and redraw Table 2.2 and Fig. 2.12')
    .option('--fresh', 'train again what is there already')
    .option('--from-scratch', 'start from random weights, not from those that come with the project (over an hour)')
    .addOption(new Option('--scale <scale>', 'smoke: seconds, learns nothing; minutes: about five minutes on two idle cores').choices(['smoke', 'minutes']).default('minutes'))
    .option('--set <key=value...>', 'change a training setting in all of its runs, e.g. --set seed=1')
    .option('--runs <folder>', 'where run folders go', '.runs')
    .option('--out <folder>', 'where figures go', 'figures')
    .action(start);
}

async function start(options: StartCommandOptions): Promise<void> {
  const recipe = startRecipe(options.scale, parseAssignments(options.set ?? []), options.fromScratch);
  const names = startRunNames(recipe);
  const begun = performance.now();
  const command = ['npx qdetr start', `--scale ${options.scale}`, ...(options.fromScratch ? ['--from-scratch'] : []), ...(options.set ? [`--set ${options.set.join(' ')}`] : [])].join(' ');
  console.log(`${names.length} runs: ${names.join(', ')}. Ctrl-C is safe at any moment: the next start goes on from there.`);
  let number = 0;
  const stepsAfter = (training: TrainingSettings, name: string): number => {
    const costs = startCosts(recipe), here = names.indexOf(name);
    return costs.slice(here + 1).reduce((sum, cost) => sum + cost, 0) / (costs[here] / training.steps);
  };
  const listen = (name: string, training: TrainingSettings): RunListener => runListener(`[${++number}/${names.length}] ${name}`, training, stepsAfter(training, name));
  try {
    const runs = await interruptible(
      (signal) => runStart(options.scale, recipe, { command, fresh: options.fresh, root: options.runs, signal, listen }),
      () => process.stderr.write('\nstopping after this step …\n'),
    );
    const files = await drawFigures({ runs: { recorded: recordedSummaries(), fresh: freshSummaries(options.runs) }, folder: options.out });
    console.log(closingMessage(runs, files, options, (performance.now() - begun) / 1000));
  } catch (error) {
    if (!(error instanceof TrainingInterrupted)) throw error;
    console.log(`Stopped after step ${error.step} of this run; its checkpoint is in ${error.folder}. The same command goes on from there.`);
    process.exitCode = 130;
  }
}

function closingMessage(runs: StartRuns, files: readonly string[], { out }: StartCommandOptions, seconds: number): string {
  const row = ({ summary, folder }: FinishedRun): string => {
    const of = (split: 'test' | 'test-unseen'): string => percent(finalEvaluation(summary, split)?.ap50 ?? 0);
    return `  ${`${summary.method} ${summary.bits}`.padEnd(24)} test ${of('test').padStart(5)}   test-unseen ${of('test-unseen').padStart(5)}   ${folder}`;
  };
  return [
    '',
    `AP50 on MiniVOC (${runs.realValued.summary.dataset}, scale ${runs.realValued.summary.scale}; not comparable with the paper's VOC numbers):`,
    row(runs.realValued),
    row(runs.quantized),
    '',
    `Done in ${formatDuration(seconds)}. Look at:`,
    `  ${out}/table-2.2.md       the paper, recorded runs and these fresh runs side by side`,
    ...files.filter((f) => f.endsWith('.png')).map((f) => `  ${f}`),
    '',
    'Next:',
    '  npx qdetr notebooks           run the notebooks here, without Jupyter',
    '  notebooks/README.md           how to open them in JupyterLab',
    '  npm start -- --set seed=1     the same with another seed',
    '  npx qdetr --help              everything else',
  ].join('\n');
}
