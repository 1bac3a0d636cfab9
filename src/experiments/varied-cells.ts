import path from 'node:path';
import { resolveDistillation, selectsByTau, type DistillationSettings } from '../distillation/settings.js';
import type { Cell } from './cell.js';
import { cellName, REAL_BITS, type Experiment, type GridOptions } from './grid.js';
import { isTaught } from './real-valued-weights.js';
import { changedAlignment, type AlignmentChanges } from './varied-alignment.js';

/** What a user changes in the cells that an experiment has for {@link GridOptions}. */
export interface Variation {
  /** Changes of the distillation of the cells that have one. */
  distillation?: Readonly<Record<string, unknown>>;
  /** Changes of the distribution alignment of the cells that have one (decisions A10, A11). */
  alignment?: AlignmentChanges;
  /** The teacher of the cells that have one. */
  teacher?: string;
}

/** A cell under the name that says what was changed in it, and its name in the experiment without changes. */
export interface VariedCell {
  cell: Cell;
  plainName: string;
}

/**
 * An experiment's cells with the user's changes, which their methods' names say: `+ FQM (policy release, tau 0.4, teacher own)`, so that no table
 * takes them for the experiment's own. Cells that the changes make equal are one.
 * @throws UserError for settings of the distillation or the alignment that are wrong
 */
export function variedCells(experiment: Experiment, options: GridOptions, { distillation = {}, alignment = {}, teacher }: Variation = {}): VariedCell[] {
  const seen = new Set<string>();
  return experiment.grid(options).flatMap((plain) => {
    const cell = variedCell(plain, distillation, alignment, teacher), training = JSON.stringify({ ...cell, method: '', artefact: [], experiment: '', distillation: effective(cell.distillation) });
    if (seen.has(training)) return [];
    seen.add(training);
    return [{ cell, plainName: cellName(plain) }];
  });
}

/** Settings of a distillation without those that have no effect beside the others. */
function effective(settings: DistillationSettings | null): object | null {
  if (settings === null) return null;
  const { tau, tauZero, selection, ...rest } = settings, selects = selectsByTau(settings);
  return { ...rest, selection: rest.matching === 'hungarian' ? undefined : selection, tau: selects ? tau : undefined, tauZero: selects && tau === 0 ? tauZero : undefined };
}

function variedCell(plain: Cell, changes: Readonly<Record<string, unknown>>, alignmentChanges: AlignmentChanges, teacher?: string): Cell {
  const own = plain.distillation;
  const changed = own === null ? {} : Object.fromEntries(Object.entries(changes).filter(([key, value]) => own[key as keyof typeof own] !== value));
  const distillation = own === null ? null : resolveDistillation({ ...own, ...changes }, '--distillation');
  const alignment = plain.alignment && changedAlignment(plain.alignment, alignmentChanges);
  const isOther = teacher !== undefined && teacher !== plain.teacher && isTaught(plain);
  const words = [
    ...(plain.preset === 'paper' || plain.bits === REAL_BITS ? [] : [`policy ${plain.preset}`]),
    ...Object.entries(changed).map(([key, value]) => `${key} ${String(value)}`),
    ...(['places', 'axis', 'start'] as const).filter((key) => String(alignment?.[key]) !== String(plain.alignment?.[key])).map((key) => `DA ${ALIGNMENT_WORDS[key]} ${listed(alignment![key])}`),
    ...(isOther ? [`teacher ${path.basename(teacher)}`] : []),
  ];
  return { ...plain, method: words.length > 0 ? `${plain.method} (${words.join(', ')})` : plain.method, distillation, alignment, teacher: isOther ? teacher : plain.teacher };
}

const ALIGNMENT_WORDS = { places: 'on', axis: 'over', start: 'starts' } as const;
const listed = (value: string | readonly string[]): string => (typeof value === 'string' ? value : value.join(' and '));

/**
 * The cells whose names hold one of the texts, with or without what was changed, in whatever case. A text that is the whole name of a cell means that
 * cell alone: `…, seed 1` is not `…, seed 10`.
 */
export function cellsNamed(cells: readonly VariedCell[], texts: readonly string[]): VariedCell[] {
  const names = ({ cell, plainName }: VariedCell): string[] => [cellName(cell), plainName].map((name) => name.toLowerCase());
  const chosen = texts.map((text) => text.toLowerCase()).flatMap((text) => {
    const whole = cells.filter((cell) => names(cell).includes(text));
    return whole.length > 0 ? whole : cells.filter((cell) => names(cell).some((name) => name.includes(text)));
  });
  return cells.filter((cell) => chosen.includes(cell));
}
