import * as aq from 'arquero';
import { MODULE_GROUPS, type RunSummary, type Scale } from '../training/run-record.js';
import { finalAp50, groupFor, quantizedGroups, type RunGroup } from './groups.js';
import { BASELINE, pairedGain, type PairedGain } from './paired-gains.js';
import { BITS, type PaperValues } from './paper-values.js';
import { recordLink, type RecordFolders, type RecordLink } from './record-links.js';
import { recordPlaces } from './record-places.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { meanInterval, type Interval } from './statistics.js';
import { methodOrder } from './style.js';
import { conditionBlocks, literalRuns, type Block } from './table-2.2-blocks.js';

/** AP50 of the runs behind one cell, in percent: seen sprites (`test`) and sprites that training never shows. */
export interface Measured {
  test: Interval;
  testUnseen: Interval | null;
  seeds: number[];
  /** Over the baseline at the same bits; null for the baseline, the real-valued detector, and where no seed has both. */
  gain: PairedGain | null;
  /** Where the records of its runs are, in order of seed. */
  records: RecordLink[];
  /** The commands that made them. */
  commands: string[];
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

/** A cell of a table beside the main one, of runs that the paper has not. */
export type OwnCell = Omit<Table22Cell, 'paper'>;

/** A table of runs alone; a column without runs is null. */
export interface OwnTable {
  cells: OwnCell[];
  recorded: Shown | null;
  fresh: Shown | null;
}

/** Table 2.2 under other conditions than the main table's, or at another scale. */
export type ConditionTable = OwnTable & Pick<Block, 'conditions' | 'isBest' | 'scale' | 'dataset'>;

/** Table 2.2 (CVPR Table 1): the paper's values, the recorded runs and the fresh ones; a column without runs is null. */
export interface Table22 {
  cells: Table22Cell[];
  recorded: Shown | null;
  fresh: Shown | null;
  /** What stands beside the table: the best conditions found, other conditions, other scales. */
  conditions: ConditionTable[];
  /** The same methods with only the transformer at low bits; the backbone is real-valued and fixed. */
  transformerOnly: OwnTable;
}

const BITS_ORDER: readonly string[] = ['32-32-32', ...BITS];
/** A bit-width's place: real-valued first, then as Table 2.2 has them, unknown ones last. */
const bitsOrder = (bits: string): number => BITS_ORDER.indexOf(bits) >>> 0;

/**
 * Puts the paper's cells and the runs that answer them side by side, by bit-width and, within it, in the paper's order.
 * Cells without a run stay empty (null). The main table has only runs by the letter: the paper's protocol as it is at their scale, with tau 0.6 and lambda 2.5,
 * and one number of steps. Runs under other conditions, and of scales that it does not show, have tables of their own, and so have runs that quantize only the
 * transformer, and in them methods that the paper lacks. Runs that leave other module groups real-valued are not shown.
 * @param folders where records are; default: those of the project
 */
export function table22(paper: PaperValues, runs: RunSummaries, folders: RecordFolders = { places: recordPlaces(), fresh: '.runs' }): Table22 {
  const whole = { recorded: wholeDetector(runs.recorded), fresh: wholeDetector(runs.fresh) };
  const groups = { recorded: groupFor('table-2.2', literalRuns(whole.recorded)), fresh: groupFor('table-2.2', literalRuns(whole.fresh)) };
  const measured = measuredBy(groups, folders);
  const printed = [...paper.table_2_2].sort((a, b) => bitsOrder(a.bits) - bitsOrder(b.bits));
  const cells = printed.map(({ method, bits, ap50 }) => ({ method, bits, paper: ap50, ...cellOf(measured, method, bits) }));
  const conditions = conditionBlocks(whole, groups).map(({ recorded, fresh, ...block }) => ({ ...block, ...ownTable({ recorded, fresh }, folders) }));
  const wish = { scope: 'transformer' } as const;
  const transformerOnly = ownTable({ recorded: groupFor('table-2.2', runs.recorded, wish), fresh: groupFor('table-2.2', runs.fresh, wish) }, folders);
  return { cells, ...groups, conditions, transformerOnly };
}

const wholeDetector = (runs: readonly RunSummary[]): RunSummary[] => runs.filter((run) => run.bits === '32-32-32' || quantizedGroups(run).length === MODULE_GROUPS.length);

/** Runs alone as a table, in its order. */
function ownTable(groups: Record<Origin, RunGroup | null>, folders: RecordFolders): OwnTable {
  const measured = measuredBy(groups, folders);
  const keys = new Set([...measured.recorded.keys(), ...measured.fresh.keys()]);
  const names = [...keys].map((key) => key.split('|') as [string, string]);
  names.sort(([a, x], [b, y]) => bitsOrder(x) - bitsOrder(y) || x.localeCompare(y) || methodOrder(a) - methodOrder(b) || a.localeCompare(b));
  return { cells: names.map(([method, bits]) => ({ method, bits, ...cellOf(measured, method, bits) })), ...groups };
}

const measuredBy = (groups: Record<Origin, RunGroup | null>, folders: RecordFolders): Record<Origin, MeasuredCells> =>
  ({ recorded: measuredCells('recorded', groups.recorded, folders), fresh: measuredCells('fresh', groups.fresh, folders) });

type MeasuredCells = Map<string, Measured>;

function cellOf(measured: Record<Origin, MeasuredCells>, method: string, bits: string): Record<Origin, Measured | null> {
  const key = `${method}|${bits}`;
  return { recorded: measured.recorded.get(key) ?? null, fresh: measured.fresh.get(key) ?? null };
}

function measuredCells(origin: Origin, group: RunGroup | null, folders: RecordFolders): MeasuredCells {
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
    const own = group.runs.filter((run) => run.method === method && run.bits === bits && finalAp50(run, 'test') !== null).sort((a, b) => a.seed - b.seed);
    cells.set(`${method}|${bits}`, {
      test: meanInterval(seen),
      testUnseen: unseen.length > 0 ? meanInterval(unseen) : null,
      seeds: seeds.filter((_, i) => test[i] !== null),
      gain: method === BASELINE || bits === '32-32-32' ? null : pairedGain(group.runs, method, bits),
      records: own.flatMap(({ id }) => recordLink(id, origin, folders) ?? []),
      commands: [...new Set(own.map(({ command }) => command))],
    });
  }
  return cells;
}

const isNumber = (value: number | null): value is number => value !== null;
