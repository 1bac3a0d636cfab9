import type { Command } from 'commander';
import { tableCosts } from '../experiments/table-costs.js';
import { ARTEFACTS, drawFigures } from '../figures/draw.js';
import { runSummaries } from '../figures/run-summaries.js';

/** `qdetr figures`: redraws tables and figures from figures/recorded and .runs. */
export function figuresCommand(program: Command): void {
  program
    .command('figures')
    .description('redraw the tables and figures of the paper from recorded and fresh runs')
    .option('--only <artefact>', `draw one of ${ARTEFACTS.join(', ')}`)
    .option('--out <folder>', 'where the files go', 'figures')
    .action(async (options: { only?: string; out: string }) => {
      const runs = runSummaries();
      const files = await drawFigures({ only: options.only, costs: tableCosts(), runs, folder: options.out });
      console.log(`Drawn from the paper's values, ${count(runs.recorded.length, 'recorded run')} and ${count(runs.fresh.length, 'fresh run')}:`);
      for (const file of files) console.log(`  ${file}`);
    });
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
