import path from 'node:path';
import type { Command } from 'commander';
import { claimsJson, claimsMarkdown, claimsPlain } from '../experiments/claims-text.js';
import { claimRows, judgeClaims } from '../experiments/judge-claims.js';
import { claimsChart } from '../figures/claims-chart.js';
import { observationRecords } from '../figures/observation-records.js';
import { writeFigure } from '../figures/render.js';
import { freshSummaries, recordedSummaries } from '../figures/run-summaries.js';

/** `qdetr claims`: what recorded and fresh runs say about each claim of the paper. */
export function claimsCommand(program: Command): void {
  program
    .command('claims')
    .description("judge the paper's claims on recorded and fresh runs: reproduced, not reproduced or undecided, with the runs used")
    .option('--json', 'print one JSON list, and write nothing')
    .option('--runs <folder>', 'where run folders are', '.runs')
    .option('--out <folder>', 'where claims.md and the chart go', 'figures')
    .action(async ({ json, runs, out }: { json?: boolean; runs: string; out: string }) => {
      const judgements = judgeClaims({ recorded: recordedSummaries(), fresh: freshSummaries(runs) }, observationRecords({ fresh: runs }));
      if (json) {
        process.stdout.write(claimsJson(judgements));
        return;
      }
      console.log(claimsPlain(judgements));
      const files = await writeFigure('claims', claimsChart(claimRows(judgements)), out, [['claims.md', `${claimsMarkdown(judgements)}\n![The claims as a chart](claims.png)\n`]]);
      console.log(`\nWritten: ${files.filter((file) => ['.md', '.png'].includes(path.extname(file))).join(', ')}.`);
    });
}
