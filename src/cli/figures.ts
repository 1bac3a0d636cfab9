import type { Command } from 'commander';
import { counted } from '../counted.js';
import { tableCosts } from '../experiments/table-costs.js';
import { ARTEFACTS, drawFigures } from '../figures/draw.js';
import { observationRecords } from '../figures/observation-records.js';
import { freshSummaries, recordedSummaries } from '../figures/run-summaries.js';

/** `qdetr figures`: redraws tables and figures from figures/recorded and .runs. */
export function figuresCommand(program: Command): void {
  program
    .command('figures')
    .description('redraw the tables and figures of the paper from recorded and fresh runs')
    .option('--only <artefact>', `draw one of ${ARTEFACTS.join(', ')}`)
    .option('--runs <folder>', 'where run folders are', '.runs')
    .option('--out <folder>', 'where the files go', 'figures')
    .action(async ({ only, runs: fresh, out }: { only?: string; runs: string; out: string }) => {
      const runs = { recorded: recordedSummaries(), fresh: freshSummaries(fresh) };
      const files = await drawFigures({ only, costs: tableCosts(), runs, observations: observationRecords({ fresh }), fresh, folder: out });
      console.log(`Drawn from the paper's values, ${counted(runs.recorded.length, 'recorded run')} and ${counted(runs.fresh.length, 'fresh run')}:`);
      for (const file of files) console.log(`  ${file}`);
    });
}
