import { UserError } from '../errors.js';
import { cocoComparisonTable, comparisonTable } from './comparison-table.js';
import { cocoComparisonJson, cocoComparisonMarkdown, comparisonJson, comparisonMarkdown } from './comparison-text.js';
import { cvprTable2Chart } from './cvpr-table-2-chart.js';
import { cvprTable3Chart } from './cvpr-table-3-chart.js';
import { figure211 } from './figure-2.11.js';
import { figure212a } from './figure-2.12a.js';
import { figure212b } from './figure-2.12b.js';
import { figure28 } from './figure-2.8.js';
import { figure29 } from './figure-2.9.js';
import { observationRecords, type Observations } from './observation-records.js';
import { paperValues } from './paper-values.js';
import { recordPlaces } from './record-places.js';
import { writeFigure } from './render.js';
import { runSummaries, type RunSummaries } from './run-summaries.js';
import type { TableCosts } from './table-costs.js';
import { table22Chart, table22ConditionsChart } from './table-2.2-chart.js';
import { hasOtherTables, table22Json, table22Markdown } from './table-2.2-text.js';
import { table22 } from './table-2.2.js';

/** The artefacts of the paper that can be drawn, in the order of the book; then those that only the CVPR paper has. */
export const ARTEFACTS = ['table-2.2', 'figure-2.8', 'figure-2.9', 'figure-2.11', 'figure-2.12a', 'figure-2.12b', 'cvpr-table-2', 'cvpr-table-3'] as const;
/** Name of an artefact. */
export type Artefact = (typeof ARTEFACTS)[number];

/** What to draw: one artefact (default: all), from which runs and observations (default: those on disk), with which costs of the full-size models, into which folder. */
export interface DrawOptions {
  only?: string;
  costs: TableCosts;
  runs?: RunSummaries;
  observations?: Observations;
  /** Where fresh runs are, for links to their records. */
  fresh?: string;
  folder?: string;
}

/**
 * Draws tables and figures from the paper's values and run records, and returns the files written.
 * @throws UserError for an unknown artefact, a damaged record, or a file that can't be written.
 */
export async function drawFigures({ only, costs, runs = runSummaries(), observations = observationRecords(), fresh = '.runs', folder = 'figures' }: DrawOptions): Promise<string[]> {
  const wanted = ARTEFACTS.filter((artefact) => only === undefined || artefact === only);
  if (wanted.length === 0) throw new UserError(`'${only}' is no figure of this kit: choose one of ${ARTEFACTS.join(', ')}`);
  const files: string[] = [];
  for (const artefact of wanted) files.push(...(await draw[artefact]({ runs, costs, observations, fresh, folder })));
  return files;
}

const draw: Record<Artefact, (drawn: Required<Omit<DrawOptions, 'only'>>) => Promise<string[]>> = {
  'table-2.2': async ({ runs, fresh, folder }) => {
    const paper = paperValues();
    const table = table22(paper, runs, { places: recordPlaces(), fresh });
    const texts = [['table-2.2.md', table22Markdown(table)], ['table-2.2.json', table22Json(table, paper)]] as const;
    const main = await writeFigure('table-2.2', table22Chart(table), folder, texts);
    return hasOtherTables(table) ? [...main, ...(await writeFigure('table-2.2-conditions', table22ConditionsChart(table), folder))] : main;
  },
  'figure-2.8': ({ observations, folder }) => writeFigure('figure-2.8', figure28(observations), folder),
  'figure-2.9': ({ observations, folder }) => writeFigure('figure-2.9', figure29(observations), folder),
  'figure-2.11': ({ runs, folder }) => writeFigure('figure-2.11', figure211(paperValues(), runs, { onlyInSteps: true }), folder),
  'figure-2.12a': ({ runs, folder }) => writeFigure('figure-2.12a', figure212a(paperValues(), runs), folder),
  'figure-2.12b': ({ runs, folder }) => writeFigure('figure-2.12b', figure212b(runs), folder),
  'cvpr-table-2': ({ runs, costs, folder }) => {
    const paper = paperValues(), table = comparisonTable(paper, runs, costs.voc);
    return writeFigure('cvpr-table-2', cvprTable2Chart(table), folder, [['cvpr-table-2.md', comparisonMarkdown(table)], ['cvpr-table-2.json', comparisonJson(table, paper)]]);
  },
  'cvpr-table-3': ({ runs, costs, folder }) => {
    const paper = paperValues(), table = cocoComparisonTable(paper, runs, costs.coco);
    return writeFigure('cvpr-table-3', cvprTable3Chart(table), folder, [['cvpr-table-3.md', cocoComparisonMarkdown(table)], ['cvpr-table-3.json', cocoComparisonJson(table, paper)]]);
  },
};
