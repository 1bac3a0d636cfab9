import { runSummaries, type RunSummaries } from './run-summaries.js';

/** Whether notebooks run at their smoke size (environment variable QDETR_SMOKE=1): small enough for tests, figures not meant to be kept. */
export const isSmoke = (): boolean => process.env.QDETR_SMOKE === '1';

/** A setting of a notebook: its full value, or the small one that tests use. */
export function sized<T>({ full, smoke }: { full: T; smoke: T }): T {
  return isSmoke() ? smoke : full;
}

/**
 * The runs that a notebook shows: those recorded with the kit and, in Jupyter, the fresh ones of this machine. Headless
 * runs (`npx qdetr notebooks`) leave fresh ones out, so that committed outputs are the same on every machine.
 * @throws UserError naming file and key of a damaged record.
 */
export function notebookRuns(): RunSummaries {
  const runs = runSummaries();
  return process.env.QDETR_HEADLESS === '1' ? { ...runs, fresh: [] } : runs;
}
