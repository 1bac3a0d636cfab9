import type { Cell } from '../experiments/cell.js';
import { cellTable } from '../experiments/cell-table.js';
import { cellName, type Experiment } from '../experiments/grid.js';
import { needsObservations, observeRuns } from '../experiments/observe-runs.js';
import { stageSettings, stagesOf } from '../experiments/stage-settings.js';
import { tableCosts } from '../experiments/table-costs.js';
import { drawFigures } from '../figures/draw.js';
import { observationRecords } from '../figures/observation-records.js';
import { paperValues } from '../figures/paper-values.js';
import { freshSummaries, recordedSummaries } from '../figures/run-summaries.js';
import { finalEvaluation } from '../training/run-record.js';
import { performCells, type CellOutcome } from './cell-pool.js';
import { GridProgress } from './grid-progress.js';
import { interruptible } from './interrupt.js';
import { formatDuration } from './progress.js';
import { percent } from './run-listener.js';

/** How many cells are performed at a time. */
export interface GridSharing {
  /** Processes side by side; there are no more of them than cells. */
  processes: number;
  /** Cells that a process trains as one, where they differ in the seed alone; left out: 1. */
  together?: number;
}

/** How a grid is performed. */
export interface GridCommand extends GridSharing {
  /** The command line without what is of this machine, for the record and for repeating one cell. */
  command: string;
  /** Folder of the runs. */
  runs: string;
  /** Folder of the figures. */
  out: string;
  fresh?: boolean;
  /** Whether the reasons are told why runs are or are not used again. */
  tellsReuse?: boolean;
}

/** `2 cells`, `1 cell`. */
export const counted = (n: number, what: string, many = `${what}s`): string => `${n} ${n === 1 ? what : many}`;

/** `9 cells, 2 processes side by side, up to 3 seeds as one`. */
export const sharingText = (cells: number, { processes, together = 1 }: GridSharing): string =>
  `${counted(cells, 'cell')}, ${counted(Math.min(processes, cells), 'process', 'processes')} side by side${together > 1 ? `, up to ${together} seeds as one` : ''}`;

/**
 * Performs an experiment's cells side by side and tells on the terminal how it goes: each cell's end, the table, the figures that were redrawn,
 * what failed and how to repeat it. The process's exit code is 1 where a cell failed, 130 where one was stopped.
 * @returns the figures' files; empty where no cell is finished
 */
export async function performGrid(experiment: Experiment, cells: readonly Cell[], { processes, together, command, runs: root, out, fresh, tellsReuse = false }: GridCommand): Promise<string[]> {
  const begun = performance.now(), progress = new GridProgress(experiment.name);
  console.log(`${sharingText(cells.length, { processes, together })}. Ctrl-C is safe at any moment: the same command goes on from there.`);
  const told = new Set<string>();
  const outcomes = await interruptible(
    (signal) => performCells(cells, {
      processes, together, command, root, freshSince: fresh ? new Date().toISOString() : undefined, signal, steps: expectedSteps,
      reuse: (text) => {
        if (!tellsReuse || told.has(text)) return;
        told.add(text); // cells share runs
        progress.clear();
        console.log(`  ${text}.`);
      },
      changed: (state, ended) => {
        if (ended && ended.state !== 'stopped') {
          progress.clear();
          console.log(`  ${endLine(ended)}`);
        }
        progress.update(state);
      },
    }),
    () => process.stderr.write('\nstopping all cells after their step …\n'),
  );
  progress.clear();
  const runs = new Map(outcomes.flatMap((outcome) => (outcome.state === 'finished' ? [[outcome.cell, outcome.summary] as const] : [])));
  console.log(`\n${cellTable(experiment, cells, runs, paperValues())}\n`);
  const failed = outcomes.filter((outcome) => outcome.state === 'failed'), stopped = outcomes.filter(({ state }) => state === 'stopped');
  if (needsObservations(experiment)) await observeRuns([...runs.values()], root);
  const files = runs.size > 0 ? await drawFigures({ costs: tableCosts(), runs: { recorded: recordedSummaries(), fresh: freshSummaries(root) }, observations: observationRecords({ fresh: root }), fresh: root, folder: out }) : [];
  if (files.length > 0) console.log(`Drawn: ${files.filter((file) => /\.(png|md)$/.test(file)).join(', ')}.`);
  if (failed.length > 0) {
    console.log(`${failed.length} failed; each with the command that repeats it:`);
    for (const { cell, message } of failed) console.log(`  ${cellName(cell)}: ${message}\n    ${command} --only '${cellName(cell)}'`);
    process.exitCode = 1;
  }
  console.log(`${runs.size} of ${counted(cells.length, 'cell')} done in ${formatDuration((performance.now() - begun) / 1000)}.`);
  if (stopped.length > 0) {
    console.log(`${counted(stopped.length, 'cell')} stopped or not begun. The same command goes on from there.`);
    process.exitCode = 130;
  }
  return files;
}

/** Steps of a cell's stages; runs before them (a teacher's, a backbone's) are not foreseen. */
const expectedSteps = (cell: Cell): number => stageSettings(cell).steps * Math.max(1, stagesOf(cell));

/** How a cell ended, in a line. */
function endLine(outcome: CellOutcome): string {
  const name = cellName(outcome.cell);
  if (outcome.state !== 'finished') return `${name}: ${outcome.state === 'failed' ? `failed: ${outcome.message}` : 'stopped'}`;
  const evaluation = finalEvaluation(outcome.summary, 'test');
  return `${name}: AP50 ${evaluation ? percent(evaluation.ap50) : 'not measured'} (${outcome.reused ? 'there already' : formatDuration(outcome.seconds)})`;
}
