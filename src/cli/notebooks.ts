import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { UserError, messageOf } from '../errors.js';
import { isSmoke } from '../figures/notebook.js';
import { writeFileAtomic } from '../files.js';
import { cellName, firstDifference, notebookText, readNotebook, runNotebook } from './run-notebook.js';

/** What to do with the outputs: write them (default), compare them with the committed ones, or nothing (smoke size). */
export interface NotebookOptions {
  check?: boolean;
  smoke?: boolean;
}

/**
 * Runs one notebook and writes its outputs in place, atomically; or compares them (`check`), or only runs it (`smoke`).
 * @returns one line about what happened
 * @throws UserError naming notebook and cell when a cell fails, or its outputs differ under `check`.
 */
export async function executeNotebook(file: string, { check = false, smoke = isSmoke() }: NotebookOptions = {}): Promise<string> {
  const before = readNotebook(file);
  const after = await runNotebook(file, { smoke });
  if (smoke) return `${file}: runs at its smoke size`;
  const text = notebookText(after);
  const changed = text !== readFileSync(file, 'utf8');
  if (check) {
    const cell = firstDifference(before, after);
    if (cell !== null) throw new UserError(`${file}: ${cellName(after, cell)} gives other outputs than the file holds: run 'npx qdetr notebooks ${file}' and look at the difference`);
    if (changed) throw new UserError(`${file}: its metadata or layout is not as a run leaves it: run 'npx qdetr notebooks ${file}'`);
    return `${file}: as committed`;
  }
  if (changed) writeFileAtomic(file, text);
  return `${file}: ${changed ? 'new outputs written' : 'outputs unchanged'}`;
}

/** `qdetr notebooks`: runs notebooks headless, each in a process of its own, without Python. */
export function notebooksCommand(program: Command): void {
  program
    .command('notebooks')
    .description('run notebooks from top to bottom and write their outputs')
    .argument('[files...]', 'notebooks (default: all in notebooks/)')
    .option('--check', 'compare the outputs with those in the files; write nothing')
    .option('--smoke', 'run at smoke size; write nothing')
    .action(async (files: string[], { check, smoke }: NotebookOptions) => {
      if (check && (smoke ?? isSmoke())) throw new UserError('--check compares full runs: leave out --smoke, and unset QDETR_SMOKE');
      const failures: string[] = [];
      for (const file of files.length > 0 ? files : allNotebooks()) {
        const start = Date.now();
        try {
          const line = await executeNotebook(file, { check, smoke });
          console.log(`${line} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
        } catch (error) {
          if (!(error instanceof UserError)) throw error;
          console.error(messageOf(error));
          failures.push(file);
        }
      }
      if (failures.length > 0) throw new UserError(`${failures.length === 1 ? 'a notebook' : `${failures.length} notebooks`} failed: ${failures.join(', ')}`);
    });
}

function allNotebooks(folder = 'notebooks'): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const files = names.filter((name) => name.endsWith('.ipynb')).sort();
  if (files.length === 0) throw new UserError(`${folder}/ holds no notebooks: they are in the repository ('git checkout -- ${folder}' brings them back there), not in a bundle`);
  return files.map((name) => path.join(folder, name));
}
