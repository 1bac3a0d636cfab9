import { MODULE_GROUPS, type RunSummary } from '../training/run-record.js';
import { quantizedGroups, scopeOf } from './groups.js';

/** Settings that decide whether tau selects queries. */
interface Selecting {
  matching: string;
  selection: string;
}

/** What of an experiment's cell tells which runs are its own. */
export interface AskedCell {
  artefact: readonly string[];
  method: string;
  bits: string;
  family: string;
  scale: string;
  scope: string;
  groups: readonly string[];
  distillation: Selecting & { tau: number; lambda: number } | null;
}

/** A cell of an experiment's grid, seeds put together, and the runs that answer it. */
export interface AnsweredCell<C extends AskedCell> {
  cell: C;
  /** Seeds that have been run, in order. */
  seeds: number[];
  runs: RunSummary[];
}

/**
 * Which cells of a grid have runs: those of the same artefact, method, bits, model, scale, scope, module groups, tau and lambda, whatever their recipe.
 * @param cells of a grid; cells that differ in the seed alone are one
 * @param artefact the one that the runs must answer
 */
export function answeredCells<C extends AskedCell>(artefact: string, cells: readonly C[], runs: readonly RunSummary[]): AnsweredCell<C>[] {
  const distinct = new Map(cells.map((cell) => [cellKey(cell), cell]));
  const answers = new Map<string, RunSummary[]>();
  for (const run of runs) {
    if (!run.artefact.includes(artefact)) continue;
    const key = runKey(run);
    answers.set(key, [...(answers.get(key) ?? []), run]);
  }
  return [...distinct].map(([key, cell]) => {
    const own = answers.get(key) ?? [];
    return { cell, seeds: [...new Set(own.map(({ seed }) => seed))].sort((a, b) => a - b), runs: own };
  });
}

/** tau where it selects queries; null elsewhere, whatever a record says. */
const tauOf = (tau: number | null | undefined, settings: Partial<Record<keyof Selecting, unknown>> | null | undefined): number | null =>
  settings?.selection === 'all' || settings?.matching === 'hungarian' ? null : tau ?? null;

const REAL = '32-32-32';
const keyOf = (...parts: unknown[]): string => JSON.stringify(parts);

function cellKey({ method, bits, family, scale, scope, groups, distillation }: AskedCell): string {
  const quantized = bits === REAL ? [] : MODULE_GROUPS.filter((group) => groups.includes(group) && (scope !== 'transformer' || group !== 'backbone'));
  return keyOf(method, bits, family, scale, scope, quantized, tauOf(distillation?.tau, distillation), distillation?.lambda ?? null);
}

function runKey(run: RunSummary): string {
  const { method, bits, model, scale, tau, lambda, distillation } = run;
  return keyOf(method, bits, model, scale, scopeOf(run), quantizedGroups(run), tauOf(tau, distillation), lambda);
}
