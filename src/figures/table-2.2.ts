import * as aq from 'arquero';
import type { RunSummary, Scale } from '../training/run-record.js';
import { finalAp50, groupFor, type RunGroup } from './groups.js';
import { BITS, type PaperValues } from './paper-values.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { meanInterval, type Interval } from './statistics.js';

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

/** Table 2.2 (CVPR Table 1): the paper's values, the recorded runs and the fresh ones; a column without runs is null. */
export interface Table22 {
  cells: Table22Cell[];
  recorded: Shown | null;
  fresh: Shown | null;
}

/**
 * Puts the paper's cells and the runs that answer them side by side, by bit-width and, within it, in the paper's order.
 * Cells without a run stay empty (null).
 */
export function table22(paper: PaperValues, runs: RunSummaries): Table22 {
  const groups = { recorded: groupFor('table-2.2', runs.recorded), fresh: groupFor('table-2.2', runs.fresh) };
  const measured = { recorded: measuredCells(groups.recorded), fresh: measuredCells(groups.fresh) };
  const cell = (origin: Origin, method: string, bits: string): Measured | null => measured[origin].get(`${method}|${bits}`) ?? null;
  const order = ['32-32-32', ...BITS];
  const printed = [...paper.table_2_2].sort((a, b) => order.indexOf(a.bits) - order.indexOf(b.bits));
  const cells = printed.map(({ method, bits, ap50 }) => ({
    method,
    bits,
    paper: ap50,
    recorded: cell('recorded', method, bits),
    fresh: cell('fresh', method, bits),
  }));
  return { cells, ...groups };
}

function measuredCells(group: RunGroup | null): Map<string, Measured> {
  const cells = new Map<string, Measured>();
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
