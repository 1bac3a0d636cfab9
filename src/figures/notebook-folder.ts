import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Where a notebook's trainings go. In Jupyter: `.runs`, as those of the command line, so that a run which is there already is used again (its numbers are
 * the same) and figures, tables and claims see it. Headless runs (`npx qdetr notebooks`) train anew, in a temporary folder that goes with the process:
 * committed outputs depend on no machine's runs.
 */
export function notebookFolder(): string {
  if (process.env.QDETR_HEADLESS !== '1') return '.runs';
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-notebook-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
