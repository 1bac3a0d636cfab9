import { datasetName, modelName, seedsText } from './groups.js';
import { BASELINE } from './paired-gains.js';
import { fromAnyFolder } from './record-links.js';
import type { Figure } from './render.js';
import type { Origin } from './run-summaries.js';
import { methodStyle } from './style.js';
import { labelView, noteView, panelTable, panelView, section, ZERO_COLOUR, type Panel, type Point, type Section } from './table-2.2-panels.js';
import { conditionText, conditionTitle, gainText, measuredText, signed } from './table-2.2-text.js';
import type { Measured, OwnCell, OwnTable, Shown, Table22 } from './table-2.2.js';

const ORIGINS = ['recorded', 'fresh'] as const;
const TITLES = { recorded: 'Recorded by this kit', fresh: 'Fresh, made here' } as const;
const REAL = '32-32-32', PAPER_FILE = '../data-manifests/paper/paper-tables.json';
const SCHEMA = 'https://vega.github.io/schema/vega-lite/v5.json';

const halfWidth = ({ mean, high }: { mean: number; high: number | null }): string => (high === null ? '' : ` ± ${(high - mean).toFixed(1)}`);
/** Whether a row has a gain over the baseline. */
const hasGain = ({ method, bits }: { method: string; bits: string }): boolean => bits !== REAL && method !== BASELINE;

/** What a cell of this kit's says of itself: the number, its runs and the command. */
function aboutText(row: { method: string; bits: string }, origin: Origin, number: string, { records, commands }: Measured): string {
  const places = records.length === 0 ? '' : ` Records: ${records.map(({ id, place }) => `${id} (${place})`).join(', ')}.`;
  return `${row.method} at ${row.bits}, ${origin}: ${number}.${places} Made by: ${commands.join('; ')}`;
}

const recordOf = ({ records }: Measured): string | null => (records.length === 0 ? null : fromAnyFolder(records[0].link));
const measuredAt = (cells: readonly OwnCell[], { method, bits }: { method: string; bits: string }, origin: Origin): Measured | null => cells.find((cell) => cell.method === method && cell.bits === bits)?.[origin] ?? null;

const LEVELS = { axis: 'AP50 (%)', range: { least: 0, most: 100, step: 5 } } as const;
const GAINS = { axis: 'gain, AP50 points', range: { least: -100, most: 100, step: 2 }, reference: { value: 0, colour: ZERO_COLOUR } } as const;

const realLine = (points: readonly Point[]): Panel['reference'] => {
  const real = points.find(({ method }) => method === 'Real-valued');
  return real === undefined ? null : { value: real.value, colour: methodStyle('Real-valued').colour };
};

/** The paper's column: its values, or what they say of gains. */
function paperPanel({ rows }: Section, cells: Table22['cells'], kind: 'levels' | 'gains'): Panel {
  const printed = (method: string, bits: string): number => cells.find((cell) => cell.method === method && cell.bits === bits)!.paper;
  const points = rows.map(({ y, method, bits }): Point => {
    const value = kind === 'levels' ? printed(method, bits) : printed(method, bits) - printed(BASELINE, bits), numbers = kind === 'levels' ? value.toFixed(1) : signed(value);
    return { y, method, value, low: null, high: null, numbers, second: '', about: `${method} at ${bits}, paper: ${numbers}, as printed in Table 2.2 (VOC 2007 test, DETR-R50; no intervals). Source: data-manifests/paper/paper-tables.json`, record: PAPER_FILE };
  });
  const title = { text: 'Paper', subtitle: ['VOC 2007 test, DETR-R50', 'as printed'] };
  return kind === 'levels' ? { ...LEVELS, title, points, missing: [], reference: realLine(points), heads: { first: 'test' } } : { ...GAINS, points, missing: [], heads: { first: 'gain' } };
}

/** AP50 of one origin's runs. */
function levelPanel({ rows }: Section, cells: readonly OwnCell[], origin: Origin, title?: Panel['title']): Panel {
  const points = rows.flatMap((row): Point[] => {
    const measured = measuredAt(cells, row, origin);
    if (measured === null) return [];
    const { test, testUnseen } = measured;
    return [{ y: row.y, method: row.method, value: test.mean, low: test.low, high: test.high, numbers: `${test.mean.toFixed(1)}${halfWidth(test)}`, second: testUnseen?.mean.toFixed(1) ?? '', about: aboutText(row, origin, `AP50 ${measuredText(test)} on test`, measured), record: recordOf(measured) }];
  });
  const missing = rows.filter(({ y }) => points.every((point) => point.y !== y)).map(({ y }) => ({ y, text: 'no run' }));
  return { ...LEVELS, title, points, missing, reference: realLine(points), heads: { first: 'test', second: 'unseen' } };
}

/** Gains of one origin's runs over the baseline, paired by seed. */
function gainPanel({ rows }: Section, cells: readonly OwnCell[], origin: Origin, title?: Panel['title']): Panel {
  const wanted = rows.filter(hasGain), points = wanted.flatMap((row): Point[] => {
    const measured = measuredAt(cells, row, origin), gain = measured?.gain ?? null;
    if (measured === null || gain === null) return [];
    return [{ y: row.y, method: row.method, value: gain.mean, low: gain.low, high: gain.high, numbers: `${signed(gain.mean)}${halfWidth(gain)}`, second: String(gain.n), about: aboutText(row, origin, `${gainText(gain)} over the baseline of the same seed`, measured), record: recordOf(measured) }];
  });
  const missing = wanted.filter(({ y }) => points.every((point) => point.y !== y)).map(({ y }) => ({ y, text: 'no pair' }));
  return { ...GAINS, title, points, missing, heads: { first: 'gain', second: 'seeds' } };
}

function shownText(shown: Shown | null): string[] {
  if (shown === null) return ['MiniVOC test', ' '];
  return [`${datasetName(shown.dataset)} test, ${modelName(shown)}`, `scale '${shown.scale}', ${seedsText(shown.runs)}`];
}

const titleOf = (origin: Origin, shown: Shown | null): { text: string; subtitle: string[] } => ({ text: TITLES[origin], subtitle: shownText(shown) });
/** A panel, or words where it has no points. */
const orNote = (rows: Section, panel: Panel, note: readonly string[]): object => (panel.points.length > 0 ? panelView(rows, panel) : noteView(rows, note, panel.title));

const EMPTY = {
  recorded: ['The kit comes without recorded runs of the whole detector.'],
  fresh: ['No run of the whole detector on this machine yet. This makes them:', 'npx qdetr experiment table-2.2 --scale minutes'],
} as const;

/**
 * Table 2.2 as a chart: a panel each for the paper, the recorded runs and the fresh ones, because they are measured on different data; the dashed line is the
 * panel's own real-valued model, the bar the loss against it. Below, what each method gains over the baseline of the same seed. Every number leads to its record.
 */
export function table22Chart(table: Table22): Figure {
  const levels = section(table.cells), gains = section(table.cells.filter(hasGain));
  const isPartial = ORIGINS.some((origin) => table[origin] !== null && table.cells.some((cell) => cell[origin] === null));
  const subtitle = [
    'The panels are measured on different data (paper: VOC 2007, this kit: MiniVOC with a small DETR):',
    'compare the order of the methods and the gaps, not the levels. Dashed: real-valued; bars: what is lost against it.',
    'Numbers: AP50 on test ± 95 % interval over seeds; beside it test-unseen (sprites that training never shows).',
    ...(isPartial ? ['No run: that cell has not been trained here; npx qdetr experiment table-2.2 --scale minutes trains it.'] : []),
  ];
  const views = [
    labelView(levels), panelView(levels, paperPanel(levels, table.cells, 'levels')),
    ...ORIGINS.map((origin) => orNote(levels, levelPanel(levels, table.cells, origin, titleOf(origin, table[origin])), EMPTY[origin])),
    labelView(gains, { text: 'Gain over Baseline', subtitle: 'AP50 points; this kit: paired by seed, ± 95 %; of one seed no interval' }), panelView(gains, paperPanel(gains, table.cells, 'gains')),
    ...ORIGINS.map((origin) => orNote(gains, gainPanel(gains, table.cells, origin), table[origin] === null ? [] : ['No seed has a method and the Baseline.'])),
  ];
  return { $schema: SCHEMA, ...panelTable('Table 2.2 · What each part of Q-DETR brings, by bit-width', subtitle, views, 4) } as Figure;
}

/**
 * The tables beside Table 2.2 as a chart: the best conditions found, other conditions and scales, and runs that quantize only the transformer; of each the levels
 * and, paired by seed, the gains over the baseline, a line for recorded and fresh runs each.
 */
export function table22ConditionsChart({ conditions, transformerOnly }: Table22): Figure {
  const blocks: { title: string; subtitle: string; table: OwnTable }[] = [
    ...conditions.map((table) => ({ title: conditionTitle(table), subtitle: conditionText(table), table })),
    { title: 'Only the transformer', subtitle: 'at low bits; the backbone is real-valued and fixed', table: transformerOnly },
  ];
  const views = blocks.flatMap(({ title, subtitle, table }) => ORIGINS.flatMap((origin) => {
    const shown = table[origin];
    if (shown === null) return [];
    const rows = section(table.cells), { text, subtitle: where } = titleOf(origin, shown);
    return [
      labelView(rows, { text: title, subtitle }), orNote(rows, levelPanel(rows, table.cells, origin, { text, subtitle: where }), ['Not evaluated.']),
      orNote(rows, gainPanel(rows, table.cells, origin, { text: 'Gain over Baseline', subtitle: ['paired by seed, ± 95 %', ' '] }), ['No seed has a method and the Baseline.']),
    ];
  }));
  const subtitle = ['None of these rows is a cell of Table 2.2, and none is averaged with its cells.', 'Numbers: AP50 on test ± 95 % interval over seeds; beside it test-unseen. One seed has no interval.'];
  return { $schema: SCHEMA, ...panelTable('Beside Table 2.2 · Other conditions, and the transformer alone', views.length > 0 ? subtitle : ['No such runs yet, recorded or fresh.'], views.length > 0 ? views : [noteView(section([]), [])], 3) } as Figure;
}
