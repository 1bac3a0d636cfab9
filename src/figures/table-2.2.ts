import * as aq from 'arquero';
import { MODULE_GROUPS, type RunSummary, type Scale } from '../training/run-record.js';
import { finalAp50, groupFor, quantizedGroups, type RunGroup } from './groups.js';
import { BITS, type PaperValues } from './paper-values.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { meanInterval, type Interval } from './statistics.js';
import { methodOrder } from './style.js';

/** AP50 of the runs behind one cell, in percent: seen sprites (`test`) and sprites that training never shows. */
export interface Measured {
  test: Interval;
  testUnseen: Interval | null;
  seeds: number[];
}

/** One of the 13 cells of Table 2.2. The paper's number is AP50 on VOC 2007 test, ours on the data set of `Shown`. */
export interface Table22Cell {
  method: string;
  bits: string;
  paper: number;
  recorded: Measured | null;
  fresh: Measured | null;
}

/** Which runs a column shows: one scale, one data set, one model. */
export interface Shown {
  scale: Scale;
  dataset: string;
  model: string;
  runs: RunSummary[];
}

/** A cell of the runs in which only the transformer is quantized. The paper has no such cells. */
export type TransformerCell = Omit<Table22Cell, 'paper'>;

/** Runs with a real-valued, fixed backbone; a column without runs is null. */
export interface TransformerOnly {
  cells: TransformerCell[];
  recorded: Shown | null;
  fresh: Shown | null;
}

/** Table 2.2 (CVPR Table 1): the paper's values, the recorded runs and the fresh ones; a column without runs is null. */
export interface Table22 {
  cells: Table22Cell[];
  recorded: Shown | null;
  fresh: Shown | null;
  /** What stands beside the table: the same methods with only the transformer at low bits. */
  transformerOnly: TransformerOnly;
}

const BITS_ORDER: readonly string[] = ['32-32-32', ...BITS];
/** A bit-width's place: real-valued first, then as Table 2.2 has them, unknown ones last. */
const bitsOrder = (bits: string): number => BITS_ORDER.indexOf(bits) >>> 0;

/**
 * Puts the paper's cells and the runs that answer them side by side, by bit-width and, within it, in the paper's order.
 * Cells without a run stay empty (null). Runs that quantize only the transformer answer none of the paper's cells: they have
 * cells of their own, and so have methods that the paper lacks. Runs that leave other module groups real-valued are not shown.
 */
export function table22(paper: PaperValues, runs: RunSummaries): Table22 {
  const groups = { recorded: wholeDetector(runs.recorded), fresh: wholeDetector(runs.fresh) };
  const measured = { recorded: measuredCells(groups.recorded), fresh: measuredCells(groups.fresh) };
  const printed = [...paper.table_2_2].sort((a, b) => bitsOrder(a.bits) - bitsOrder(b.bits));
  const cells = printed.map(({ method, bits, ap50 }) => ({ method, bits, paper: ap50, ...cellOf(measured, method, bits) }));
  return { cells, ...groups, transformerOnly: transformerOnly(runs) };
}

const wholeDetector = (runs: readonly RunSummary[]): RunGroup | null =>
  groupFor('table-2.2', runs.filter((run) => run.bits === '32-32-32' || quantizedGroups(run).length === MODULE_GROUPS.length));

function transformerOnly(runs: RunSummaries): TransformerOnly {
  const wish = { scope: 'transformer' } as const;
  const groups = { recorded: groupFor('table-2.2', runs.recorded, wish), fresh: groupFor('table-2.2', runs.fresh, wish) };
  const measured = { recorded: measuredCells(groups.recorded), fresh: measuredCells(groups.fresh) };
  const keys = new Set([...measured.recorded.keys(), ...measured.fresh.keys()]);
  const names = [...keys].map((key) => key.split('|') as [string, string]);
  names.sort(([a, x], [b, y]) => bitsOrder(x) - bitsOrder(y) || x.localeCompare(y) || methodOrder(a) - methodOrder(b) || a.localeCompare(b));
  return { cells: names.map(([method, bits]) => ({ method, bits, ...cellOf(measured, method, bits) })), ...groups };
}

type MeasuredCells = Map<string, Measured>;

function cellOf(measured: Record<Origin, MeasuredCells>, method: string, bits: string): Record<Origin, Measured | null> {
  const key = `${method}|${bits}`;
  return { recorded: measured.recorded.get(key) ?? null, fresh: measured.fresh.get(key) ?? null };
}

function measuredCells(group: RunGroup | null): MeasuredCells {
  const cells: MeasuredCells = new Map();
  if (group === null) return cells;
  const rows = group.runs.map((run) => ({
    method: run.method,
    bits: run.bits,
    seed: run.seed,
    test: finalAp50(run, 'test'),
    testUnseen: finalAp50(run, 'test-unseen'),
  }));
  const grouped = aq
    .from(rows)
    .orderby('seed')
    .groupby('method', 'bits')
    .rollup({ seeds: aq.op.array_agg('seed'), test: aq.op.array_agg('test'), testUnseen: aq.op.array_agg('testUnseen') })
    .objects() as { method: string; bits: string; seeds: number[]; test: (number | null)[]; testUnseen: (number | null)[] }[];
  for (const { method, bits, seeds, test, testUnseen } of grouped) {
    const seen = test.filter(isNumber);
    if (seen.length === 0) continue;
    const unseen = testUnseen.filter(isNumber);
    cells.set(`${method}|${bits}`, {
      test: meanInterval(seen),
      testUnseen: unseen.length > 0 ? meanInterval(unseen) : null,
      seeds: seeds.filter((_, i) => test[i] !== null),
    });
  }
  return cells;
}

const isNumber = (value: number | null): value is number => value !== null;
