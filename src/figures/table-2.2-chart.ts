import { datasetName, modelName, seedsText } from './groups.js';
import { FONT_FILES, type Figure } from './render.js';
import type { Origin } from './run-summaries.js';
import { CONFIG, FAINT, INK, QUIET, methodStyle, niceDomain, type Layer } from './style.js';
import type { Measured, Shown, Table22, TransformerCell, TransformerOnly } from './table-2.2.js';
import { wrapText } from './text-width.js';

const ROW = 31;
const PLOT = 155;
const LABELS = 200;
/** Where the columns of numbers end, in pixels right of a panel's plot. */
const TEST_COLUMN = { paper: 44, measured: 98 };
const UNSEEN_COLUMN = 152;

/** A value of one row in one panel; percent. `y` counts rows from the top, in the middle of the row. */
interface Point {
  y: number;
  method: string;
  value: number;
  low: number | null;
  high: number | null;
  numbers: string;
  unseenNumber: string;
}

interface Panel {
  title: string;
  subtitle: string[];
  points: Point[];
  /** Rows without a run. */
  missing: number[];
  real: number | null;
  measured: boolean;
  empty: string[];
}

/** The rows that all panels of a line of panels share. */
interface Section {
  rows: { method: string; bits: string; y: number }[];
  headings: { y: number; bits: string; rest: string }[];
  /** Height in rows. */
  height: number;
}

const REAL = '32-32-32';

/** Rows from top to bottom: the real-valued model, then a heading and the methods for each bit-width. */
function section(cells: readonly { method: string; bits: string }[]): Section {
  const rows = cells.filter(({ bits }) => bits === REAL).map((cell, i) => ({ method: cell.method, bits: REAL, y: i + 0.5 }));
  const headings: Section['headings'] = [];
  let y = rows.length > 0 ? rows.length + 0.7 : 0.5;
  for (const bits of new Set(cells.map((cell) => cell.bits).filter((name) => name !== REAL))) {
    const [weights, activations, attention] = bits.split('-');
    headings.push({ y, bits, rest: `weights ${weights} · activations ${activations} · attention ${attention}` });
    y += 1;
    for (const { method } of cells.filter((cell) => cell.bits === bits)) rows.push({ method, bits, y: y++ });
    y += 0.25;
  }
  return { rows, headings, height: y - 0.25 };
}

const pointOf = (row: Section['rows'][number], { test: { mean, low, high }, testUnseen }: Measured): Point => ({
  y: row.y,
  method: row.method,
  value: mean,
  low,
  high,
  numbers: high === null ? mean.toFixed(1) : `${mean.toFixed(1)} ± ${(high - mean).toFixed(1)}`,
  unseenNumber: testUnseen?.mean.toFixed(1) ?? '',
});

const realOf = (points: readonly Point[]): number | null => points.find((point) => point.method === 'Real-valued')?.value ?? null;

function paperPanel({ rows }: Section, cells: Table22['cells']): Panel {
  const points = rows.flatMap((row): Point[] => {
    const cell = cells.find(({ method, bits }) => method === row.method && bits === row.bits);
    return cell === undefined ? [] : [{ y: row.y, method: row.method, value: cell.paper, low: null, high: null, numbers: cell.paper.toFixed(1), unseenNumber: '' }];
  });
  return { title: 'Paper', subtitle: ['VOC 2007 test, DETR-R50', 'as printed'], points, missing: [], real: realOf(points), measured: false, empty: [] };
}

function measuredPanel({ rows }: Section, origin: Origin, { cells, ...shown }: Pick<Table22, Origin> & { cells: readonly TransformerCell[] }, empty: string[]): Panel {
  const points = rows.flatMap((row): Point[] => {
    const measured = cells.find(({ method, bits }) => method === row.method && bits === row.bits)?.[origin] ?? null;
    return measured === null ? [] : [pointOf(row, measured)];
  });
  const missing = rows.map(({ y }) => y).filter((y) => points.every((point) => point.y !== y));
  return { title: TITLES[origin], subtitle: shownText(shown[origin]), points, missing, real: realOf(points), measured: true, empty };
}

const TITLES = { recorded: 'Recorded by this kit', fresh: 'Fresh, made here' } as const;

function shownText(shown: Shown | null): string[] {
  if (shown === null) return ['MiniVOC test', ' '];
  return [`${datasetName(shown.dataset)} test, ${modelName(shown)}`, `scale '${shown.scale}', ${seedsText(shown.runs)}`];
}

const yOf = ({ height }: Section) => ({ field: 'y', type: 'quantitative', axis: null, scale: { domain: [height, 0] as number[], nice: false, zero: false } }) as const;

function labelView(rowsOf: Section, title?: object): object {
  const { rows, headings, height } = rowsOf;
  const y = yOf(rowsOf);
  const names = rows.map((row) => ({ y: row.y, text: row.bits === REAL ? `${row.method} (32 bits)` : row.method }));
  const text = (values: object[], mark: object): Layer => ({
    data: { values },
    mark: { type: 'text', align: 'left', baseline: 'middle', ...mark },
    encoding: { y, x: { value: 0 }, text: { field: 'text' } },
  });
  return {
    width: LABELS,
    height: ROW * height,
    ...(title === undefined ? {} : { title }),
    layer: [
      text([{ y: -0.35, text: 'test' }], { fontSize: 13, baseline: 'bottom', opacity: 0 }), // as the panels have one: titles are level
      text(names, { fontSize: 16, dx: 0 }),
      text(headings.map((heading) => ({ y: heading.y, text: heading.bits })), { fontSize: 16, fontWeight: 'bold' }),
      text(headings.map(({ y, rest }) => ({ y, text: rest })), { fontSize: 10.5, color: QUIET, dx: 56 }),
    ],
  };
}

function panelView(rowsOf: Section, content: Panel): object {
  const { points, missing, real } = content;
  const title = { text: content.title, subtitle: content.subtitle, fontSize: 18, subtitleFontSize: 14, subtitlePadding: 5, color: INK, offset: 16 };
  if (points.length === 0) return noteView(rowsOf, content.empty, title);
  const y = yOf(rowsOf);
  const values = points.flatMap(({ value, low, high }) => [value, low, high]).filter((value): value is number => value !== null);
  const domain = niceDomain(values, 5, [0, 100]);
  const x = {
    field: 'value',
    type: 'quantitative',
    scale: { domain, nice: false, zero: false },
    axis: { title: 'AP50 (%)', tickCount: 4, grid: true, orient: 'bottom', domain: false, ticks: false, labelFlush: false, labelFontSize: 13 },
  } as const;
  const styles = [...new Set(rowsOf.rows.map((row) => row.method))].map(methodStyle);
  const color = { field: 'method', type: 'nominal', legend: null, scale: { domain: styles.map((s) => s.method), range: styles.map((s) => s.colour) } } as const;
  const shape = { field: 'method', type: 'nominal', legend: null, scale: { domain: styles.map((s) => s.method), range: styles.map((s) => s.shape) } } as const;
  const column = (field: string, offset: number, mark: object): Layer => ({
    data: { values: points },
    mark: { type: 'text', align: 'right', baseline: 'middle', fontSize: 14.5, ...mark },
    encoding: { y, x: { value: PLOT + offset }, text: { field } },
  });
  const layer: Layer[] = [
    { data: { values: [{ value: domain[0], y: 0 }] }, mark: { type: 'point', opacity: 0 }, encoding: { x, y } },
  ];
  if (real !== null) {
    layer.push(
      { data: { values: [{ value: real }] }, mark: { type: 'rule', color: methodStyle('Real-valued').colour, strokeDash: [4, 4] }, encoding: { x } },
      { data: { values: points.map((point) => ({ ...point, real })) }, mark: { type: 'rule', strokeWidth: 3, opacity: 0.28 }, encoding: { x, x2: { field: 'real' }, y, color } },
    );
  }
  layer.push(
    { data: { values: points.filter((point) => point.low !== null) }, mark: { type: 'rule', strokeWidth: 2 }, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color } },
    { data: { values: points }, mark: { type: 'point', filled: true, size: 150, opacity: 1 }, encoding: { x, y, color, shape } },
    column('numbers', content.measured ? TEST_COLUMN.measured : TEST_COLUMN.paper, { fontWeight: 'bold' }),
  );
  if (content.measured) layer.push(column('unseenNumber', UNSEEN_COLUMN, { color: QUIET }));
  layer.push({
    data: { values: missing.map((row) => ({ y: row, text: 'no run' })) },
    mark: { type: 'text', align: 'right', baseline: 'middle', fontSize: 13, color: QUIET },
    encoding: { y, x: { value: PLOT + TEST_COLUMN.measured }, text: { field: 'text' } },
  });
  const head = (text: string, offset: number): Layer => ({
    data: { values: [{ y: -0.35, text }] },
    mark: { type: 'text', align: 'right', baseline: 'bottom', fontSize: 13, color: QUIET },
    encoding: { y, x: { value: PLOT + offset }, text: { field: 'text' } },
  });
  layer.push(head('test', content.measured ? TEST_COLUMN.measured : TEST_COLUMN.paper));
  if (content.measured) layer.push(head('unseen', UNSEEN_COLUMN));
  return {
    width: PLOT,
    height: ROW * rowsOf.height,
    title,
    layer,
    view: { stroke: FAINT },
  };
}

/**
 * Table 2.2 as a chart: a panel each for the paper, the recorded runs and the fresh ones, because they are measured on
 * different data; the dashed line is the panel's own real-valued model, the bar the loss against it. Runs that quantize only
 * the transformer have a line of panels of their own below.
 */
export function table22Chart(table: Table22): Figure {
  const rowsOf = section(table.cells);
  const only = table.transformerOnly;
  const isPartial = (['recorded', 'fresh'] as const).some((origin) => table[origin] !== null && table.cells.some((cell) => cell[origin] === null));
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Table 2.2 · What each part of Q-DETR brings, by bit-width',
      subtitle: [
        'The panels are measured on different data (paper: VOC 2007, this kit: MiniVOC with a small DETR):',
        'compare the order of the methods and the gaps, not the levels. Dashed: real-valued; bars: what is lost against it.',
        'Numbers: AP50 on test ± 95 % interval over seeds; beside it test-unseen (sprites that training never shows).',
        ...(isPartial ? ['No run: that cell has not been trained here; npx qdetr experiment table-2.2 --scale minutes trains it.'] : []),
      ],
    },
    concat: [
      labelView(rowsOf),
      panelView(rowsOf, paperPanel(rowsOf, table.cells)),
      panelView(rowsOf, measuredPanel(rowsOf, 'recorded', table, ['The kit comes without recorded runs of the whole detector.'])),
      panelView(rowsOf, measuredPanel(rowsOf, 'fresh', table, ['No run of the whole detector on this machine yet. This makes them:', 'npx qdetr experiment table-2.2 --scale minutes'])),
      ...transformerViews(only),
    ],
    columns: 4,
    align: 'each',
    spacing: 26,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
    config: CONFIG,
  } as Figure;
}

/** The second line of panels; none without runs. */
function transformerViews(only: TransformerOnly): object[] {
  if (only.cells.length === 0) return [];
  const rowsOf = section(only.cells);
  const title = { text: 'Only the transformer', subtitle: ['at low bits; the backbone is', 'real-valued and fixed'], fontSize: 18, subtitleFontSize: 14, subtitlePadding: 5, color: INK, offset: 16 };
  const view = (origin: Origin, empty: string[]): object => (only[origin] === null ? noteView(rowsOf, empty) : panelView(rowsOf, measuredPanel(rowsOf, origin, only, empty)));
  return [
    labelView(rowsOf, title),
    noteView(rowsOf, ['The paper has no such runs.']),
    view('recorded', ['The kit comes without recorded runs of this kind.']),
    view('fresh', ['No run of this kind on this machine yet. This makes some:', 'npm start']),
  ];
}

/** Words in the place of a panel. */
function noteView(rowsOf: Section, text: string[], title?: object): object {
  const y = yOf(rowsOf);
  return {
    width: PLOT,
    height: ROW * rowsOf.height,
    ...(title === undefined ? {} : { title }),
    layer: [
      { data: { values: [{ y: -0.35, text: 'test' }] }, mark: { type: 'text', fontSize: 13, baseline: 'bottom', opacity: 0 }, encoding: { y, x: { value: 0 }, text: { field: 'text' } } }, // as panels have one: titles are level
      {
        data: { values: [{ text: text.flatMap((sentence) => wrapText(sentence, PLOT + 20, FONT_FILES[0], 15)) }] },
        mark: { type: 'text', fontSize: 15, lineHeight: 21, color: QUIET, baseline: 'middle', align: 'left' },
        encoding: { x: { value: 0 }, y: { value: (ROW * rowsOf.height) / 2 }, text: { field: 'text' } },
      },
    ],
  };
}
