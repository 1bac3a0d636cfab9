import path from 'node:path';
import { UserError } from '../errors.js';
import { writeFilesAtomic } from '../files.js';
import { cocoComparisonTable, comparisonTable } from './comparison-table.js';
import { cocoComparisonJson, cocoComparisonMarkdown, comparisonJson, comparisonMarkdown } from './comparison-text.js';
import { figure211 } from './figure-2.11.js';
import { figure212a } from './figure-2.12a.js';
import { figure212b } from './figure-2.12b.js';
import { figure28 } from './figure-2.8.js';
import { figure29 } from './figure-2.9.js';
import { observationRecords, type Observations } from './observation-records.js';
import { paperValues } from './paper-values.js';
import { writeFigure } from './render.js';
import { runSummaries, type RunSummaries } from './run-summaries.js';
import { table22Chart } from './table-2.2-chart.js';
import { table22Json, table22Markdown } from './table-2.2-text.js';
import { table22 } from './table-2.2.js';

/** The artefacts of the paper that can be drawn, in the order of the book; then those that only the CVPR paper has. */
export const ARTEFACTS = ['table-2.2', 'figure-2.8', 'figure-2.9', 'figure-2.11', 'figure-2.12a', 'figure-2.12b', 'cvpr-table-2', 'cvpr-table-3'] as const;
/** Name of an artefact. */
export type Artefact = (typeof ARTEFACTS)[number];

/** What to draw: one artefact (default: all), from which runs and observations (default: those on disk), into which folder. */
export interface DrawOptions {
  only?: string;
  runs?: RunSummaries;
  observations?: Observations;
  folder?: string;
}

/**
 * Draws tables and figures from the paper's values and run records, and returns the files written.
 * @throws UserError for an unknown artefact, a damaged record, or a file that can't be written.
 */
export async function drawFigures({ only, runs = runSummaries(), observations = observationRecords(), folder = 'figures' }: DrawOptions = {}): Promise<string[]> {
  const wanted = ARTEFACTS.filter((artefact) => only === undefined || artefact === only);
  if (wanted.length === 0) throw new UserError(`'${only}' is no figure of this kit: choose one of ${ARTEFACTS.join(', ')}`);
  const files: string[] = [];
  for (const artefact of wanted) files.push(...(await draw[artefact]({ runs, observations, folder })));
  return files;
}

const draw: Record<Artefact, (drawn: Required<Omit<DrawOptions, 'only'>>) => Promise<string[]>> = {
  'table-2.2': ({ runs, folder }) => {
    const paper = paperValues();
    const table = table22(paper, runs);
    const texts = [['table-2.2.md', table22Markdown(table)], ['table-2.2.json', table22Json(table, paper)]] as const;
    return writeFigure('table-2.2', table22Chart(table), folder, texts);
  },
  'figure-2.8': ({ observations, folder }) => writeFigure('figure-2.8', figure28(observations), folder),
  'figure-2.9': ({ observations, folder }) => writeFigure('figure-2.9', figure29(observations), folder),
  'figure-2.11': ({ runs, folder }) => writeFigure('figure-2.11', figure211(paperValues(), runs, { onlyInSteps: true }), folder),
  'figure-2.12a': ({ runs, folder }) => writeFigure('figure-2.12a', figure212a(paperValues(), runs), folder),
  'figure-2.12b': ({ runs, folder }) => writeFigure('figure-2.12b', figure212b(runs), folder),
  'cvpr-table-2': ({ runs, folder }) => {
    const paper = paperValues();
    const table = comparisonTable(paper, runs);
    return writeTexts(folder, [['cvpr-table-2.md', comparisonMarkdown(table)], ['cvpr-table-2.json', comparisonJson(table, paper)]]);
  },
  'cvpr-table-3': ({ runs, folder }) => {
    const paper = paperValues();
    const table = cocoComparisonTable(paper, runs);
    return writeTexts(folder, [['cvpr-table-3.md', cocoComparisonMarkdown(table)], ['cvpr-table-3.json', cocoComparisonJson(table, paper)]]);
  },
};

/** Writes an artefact that has no picture, all of its files or none. */
async function writeTexts(folder: string, texts: readonly (readonly [name: string, text: string])[]): Promise<string[]> {
  const set = texts.map(([name, text]) => [path.join(folder, name), text] as const);
  writeFilesAtomic(set);
  return set.map(([file]) => file);
}
