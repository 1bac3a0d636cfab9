import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { readJson } from '../files.js';
import { parseStrictly } from '../schema.js';
import { observationSchema, type ObservationRecord } from '../training/observation-record.js';
import { groupFor, type RunGroup } from './groups.js';
import type { Origin } from './run-summaries.js';
import { methodOrder } from './style.js';

/** What was observed of runs: queries and attention maps. */
export type Observations = Record<Origin, ObservationRecord[]>;

/**
 * Observations of recorded runs (`recorded`/observations-*.json) and of this machine's (`fresh`/<id>/observations.json).
 * @throws UserError naming file and key of a damaged record.
 */
export function observationRecords({ recorded = 'figures/recorded', fresh = '.runs' } = {}): Observations {
  const files = (folder: string, wanted: (name: string) => string | null): string[] =>
    existsSync(folder) ? readdirSync(folder).sort().flatMap((name) => wanted(name) ?? []).map((name) => path.join(folder, name)).filter((file) => existsSync(file)) : [];
  const read = (file: string, remedy: string): ObservationRecord => parseStrictly(observationSchema, readJson(file, remedy), file, remedy);
  return {
    recorded: files(recorded, (name) => (/^observations-.*\.json$/.test(name) ? name : null)).map((file) => read(file, `get it back with 'git checkout -- ${file}'`)),
    fresh: files(fresh, (name) => path.join(name, 'observations.json')).map((file) => read(file, 'remove it and run the experiment again')),
  };
}

/** One bit-width of the observed runs of an artefact, in the order of tables: the real-valued model first, each method once (its lowest seed). */
export interface ObservedGroup extends RunGroup<ObservationRecord> {
  bits: string;
}

/** Bit-widths by preference: the paper's first. */
const PREFERRED = ['4-4-8', '3-3-8', '2-2-8'];

/** The observed runs that a figure shows; whole detectors before those with only the transformer at low bits; null where there are none. */
export function observedGroup(artefact: string, records: readonly ObservationRecord[]): ObservedGroup | null {
  const group = groupFor(artefact, records) ?? groupFor(artefact, records, { scope: 'transformer' });
  if (group === null) return null;
  const widths = [...new Set(group.runs.map((run) => run.bits))].filter((bits) => bits !== '32-32-32');
  const bits = PREFERRED.find((width) => widths.includes(width)) ?? widths.sort()[0] ?? '32-32-32';
  const shown = group.runs.filter((run) => run.bits === bits || run.bits === '32-32-32').sort((a, b) => a.seed - b.seed);
  const first = shown.filter((run, i) => shown.findIndex(({ method }) => method === run.method) === i);
  return { ...group, bits, runs: first.sort((a, b) => methodOrder(a.method) - methodOrder(b.method) || a.method.localeCompare(b.method)) };
}

/** Whose weights were observed, in words: those of a run, or what a notebook says in place of a run's id. */
export const weightsOf = (id: string): string => (/^[0-9a-f]{12}$/.test(id) ? `weights of run ${id}` : id);
