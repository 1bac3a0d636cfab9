import path from 'node:path';
import { counted } from '../counted.js';
import { selectsByTau } from '../distillation/settings.js';
import { MODULE_GROUPS } from '../models/quantization-policy.js';
import type { Cell, StudentStart } from './cell.js';
import { cellName, REAL_BITS } from './grid.js';
import { isTaught } from './real-valued-weights.js';
import { stageSettings, stagesOf } from './stage-settings.js';

/** What is told of a cell; undefined where the cell has no such thing. */
type Fact = (cell: Cell) => string | undefined;

const isQuantized = ({ bits }: Cell): boolean => bits !== REAL_BITS;

const SCOPE_WORDS: Readonly<Record<Cell['scope'], string>> = {
  detector: 'whole detector', transformer: 'transformer alone', 'post-training': 'nothing',
};
const START_WORDS: Readonly<Record<StudentStart, string>> = { fresh: 'fresh transformer', own: 'its own real-valued weights', teacher: "the teacher's transformer" };

function stagesText(cell: Cell): string {
  const stages = stagesOf(cell), { steps } = stageSettings(cell);
  if (stages === 0) return 'none';
  return stages === 2 && isQuantized(cell) ? `2 of ${counted(steps, 'step')}` : `1 of ${counted(stages * steps, 'step')}`;
}

/** What tells cells apart: a column where they differ, a dash where a cell has none. */
const COLUMNS: Readonly<Record<string, Fact>> = {
  bits: ({ bits }) => bits,
  trained: ({ scope }) => SCOPE_WORDS[scope],
  stages: stagesText,
  DA: ({ alignment }) => alignment?.places.join(', '),
  teacher: (cell) => (isTaught(cell) ? path.basename(cell.teacher) : undefined),
  'student starts from': ({ studentStart }) => START_WORDS[studentStart],
  'warm-up': ({ warmUp, scope }) => (warmUp > 0 && scope === 'detector' ? counted(warmUp, 'step') : undefined),
};

/** Settings of what a cell has: a column only where those that have it differ. */
const DETAILS: Readonly<Record<string, Fact>> = {
  quantizer: (cell) => (isQuantized(cell) ? cell.quantizer : undefined),
  quantized: (cell) => (!isQuantized(cell) ? undefined : cell.groups.length === MODULE_GROUPS.length && cell.scope !== 'transformer' ? 'all groups' : cell.groups.filter((group) => cell.scope !== 'transformer' || group !== 'backbone').join(', ')),
  policy: (cell) => (isQuantized(cell) ? cell.preset : undefined),
  'weight scales start': (cell) => (isQuantized(cell) && cell.scope !== 'post-training' ? (cell.weightStart === 'LSQ' ? "by LSQ's rule" : 'at the least error') : undefined),
  'DA over': ({ alignment }) => alignment?.axis,
  'DA starts': ({ alignment }) => (alignment ? { ones: 'gamma 1, beta 0', measured: 'as measured' }[alignment.start] : undefined),
  tau: ({ distillation }) => (distillation && selectsByTau(distillation) ? String(distillation.tau) : undefined),
  'tau 0 means': ({ distillation }) => (distillation?.tau === 0 && selectsByTau(distillation) ? distillation.tauZero : undefined),
  lambda: ({ distillation }) => distillation?.lambda.toString(),
  'lambda warm-up': ({ distillation }) => (distillation ? counted(distillation.warmUpSteps, 'step') : undefined),
  matching: ({ distillation }) => distillation?.matching,
  selection: ({ distillation }) => distillation?.selection,
  feature: ({ distillation }) => distillation?.feature,
  'decoder layers': ({ distillation }) => distillation?.layers,
  'information points': ({ informationPoints }) => (informationPoints > 0 ? String(informationPoints) : undefined),
};

/** What stands where a cell has no such thing. */
const NOTHING = '-';

/**
 * Cells and their settings in plain text: first what is one and the same wherever there is such a thing, then a line for each cell with what they
 * differ in.
 */
export function cellPlan(cells: readonly Cell[]): string {
  const valuesOf = (fact: Fact): Set<string | undefined> => new Set(cells.map(fact));
  const isShared = (label: string, fact: Fact): boolean => {
    const values = valuesOf(fact);
    if (label in DETAILS) values.delete(undefined);
    return values.size === 1 && !values.has(undefined);
  };
  const facts = Object.entries({ ...COLUMNS, ...DETAILS }).filter(([, fact]) => cells.some((cell) => fact(cell) !== undefined));
  const shared = facts.filter(([label, fact]) => isShared(label, fact)), columns = facts.filter(([label, fact]) => !isShared(label, fact));
  const width = Math.max(...shared.map(([label]) => label.length), 18) + 2;
  const rows = [['', ...columns.map(([label]) => label)], ...cells.map((cell) => [cellName(cell), ...columns.map(([, fact]) => fact(cell) ?? NOTHING)])];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return [
    ...shared.map(([label, fact]) => `  ${label.padEnd(width)}${cells.map(fact).find((value) => value !== undefined)}`),
    ...rows.map((row) => `  ${row.map((text, column) => text.padEnd(widths[column])).join('  ')}`.trimEnd()),
  ].join('\n');
}
