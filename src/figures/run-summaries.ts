import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { UserError, messageOf } from '../errors.js';
import { readJson } from '../files.js';
import { parseRunSummary, type RunSummary } from '../training/run-record.js';

/** Where a run's record comes from: committed with the kit, or made on this machine. */
export type Origin = 'recorded' | 'fresh';

/** All runs that tables and figures may show. */
export type RunSummaries = Record<Origin, RunSummary[]>;

/**
 * Records committed with the kit: every line of `folder`/*.jsonl, in order of file name.
 * @throws UserError naming file:line and key of a damaged record.
 */
export function recordedSummaries(folder = 'figures/recorded'): RunSummary[] {
  return namesIn(folder)
    .filter((name) => name.endsWith('.jsonl'))
    .flatMap((name) => readLines(path.join(folder, name)));
}

/**
 * Runs of this machine: `folder`/<id>/summary.json. A folder without one is a run that has not finished, and is skipped.
 * @throws UserError naming file and key of a damaged record.
 */
export function freshSummaries(folder = '.runs'): RunSummary[] {
  return namesIn(folder)
    .map((name) => path.join(folder, name, 'summary.json'))
    .filter((file) => existsSync(file))
    .map((file) => parseRunSummary(readJson(file, 'remove its folder and run the experiment again'), file));
}

/** Both kinds of runs, read from their usual places. */
export function runSummaries(): RunSummaries {
  return { recorded: recordedSummaries(), fresh: freshSummaries() };
}

function readLines(file: string): RunSummary[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    const where = `${file}:${i + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new UserError(`${where}: the line is no JSON (${messageOf(error)}); get the file back with 'git checkout -- ${file}'`);
    }
    return [parseRunSummary(value, where)];
  });
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}
