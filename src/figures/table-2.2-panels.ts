import { FONT_FILES } from './render.js';
import { CONFIG, FAINT, INK, QUIET, methodStyle, niceDomain, panelTitle, type Layer } from './style.js';
import { wrapText } from './text-width.js';

/** Height of a row, and widths of the plots and of the column of names. */
export const ROW = 31, PLOT = 155, LABELS = 200;
/** Where the columns of numbers end, in pixels right of a panel's plot. */
const TEST_COLUMN = { paper: 44, measured: 98 }, UNSEEN_COLUMN = 152;
const REAL = '32-32-32';

/** A value of one row in one panel; percent, or percentage points. `y` counts rows from the top, in the middle of the row. */
export interface Point {
  y: number;
  method: string;
  value: number;
  low: number | null;
  high: number | null;
  numbers: string;
  /** The second column. */
  second: string;
  /** What a reader sees who points at it: what it is, the runs behind it and the command that makes them. */
  about: string;
  /** Where a click leads: to the record; null: nowhere. */
  record: string | null;
}

/** What a panel shows. */
export interface Panel {
  title?: { text: string; subtitle: string[] };
  points: readonly Point[];
  /** Rows without a value, and what stands there. */
  missing: readonly { y: number; text: string }[];
  /** The line that values are seen against: the real-valued model's AP50, or no gain. */
  reference: { value: number; colour: string } | null;
  axis: string;
  /** A range that values have; the axis covers those that there are, on multiples of `step`. */
  range: { least: number; most: number; step: number };
  /** What the columns of numbers are called; without a second one, there is none. */
  heads: { first: string; second?: string };
}

/** The rows that all panels of a line of panels share. */
export interface Section {
  rows: { method: string; bits: string; y: number }[];
  headings: { y: number; bits: string; rest: string }[];
  /** Height in rows. */
  height: number;
}

/** Rows from top to bottom: the real-valued model, if it is among them, then a heading and the methods for each bit-width. */
export function section(cells: readonly { method: string; bits: string }[]): Section {
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

const yOf = ({ height }: Section) => ({ field: 'y', type: 'quantitative', axis: null, scale: { domain: [height, 0] as number[], nice: false, zero: false } }) as const;

/** Title of a line of panels: what its rows are, wrapped to their column. */
const sectionTitle = (text: string, subtitle: string): object => panelTitle(text, wrapText(subtitle, LABELS, FONT_FILES[0], 14));

/** The names of the rows. */
export function labelView(rowsOf: Section, title?: { text: string; subtitle: string }): object {
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
    ...(title === undefined ? {} : { title: sectionTitle(title.text, title.subtitle) }),
    layer: [
      text([{ y: -0.35, text: 'test' }], { fontSize: 13, baseline: 'bottom', opacity: 0 }), // as the panels have one: titles are level
      text(names, { fontSize: 16, dx: 0 }),
      text(headings.map((heading) => ({ y: heading.y, text: heading.bits })), { fontSize: 16, fontWeight: 'bold' }),
      text(headings.map(({ y, rest }) => ({ y, text: rest })), { fontSize: 10.5, color: QUIET, dx: 56 }),
    ],
  };
}

/** Where a mark leads and what it says. */
const about = { tooltip: { field: 'about', type: 'nominal' }, description: { field: 'about', type: 'nominal' } } as const;
const href = { href: { field: 'record', type: 'nominal' } } as const;
/** Layers of the points that lead somewhere, and of those that do not: a link to nowhere is a link to this page. */
const linked = (points: readonly Point[], layer: (values: Point[], encoding: object) => Layer): Layer[] =>
  [points.filter(({ record }) => record !== null), points.filter(({ record }) => record === null)].flatMap((values, i) => (values.length > 0 ? [layer(values, i === 0 ? { ...about, ...href } : about)] : []));

/** One column of the table: values with intervals against a line, and their numbers. */
export function panelView(rowsOf: Section, { title, points, missing, reference, axis, range, heads }: Panel): object {
  const y = yOf(rowsOf);
  const values = [...points.flatMap(({ value, low, high }) => [value, low, high]), reference?.value ?? null].filter((value): value is number => value !== null);
  const domain = niceDomain(values, range.step, [range.least, range.most]);
  const x = {
    field: 'value',
    type: 'quantitative',
    scale: { domain, nice: false, zero: false },
    axis: { title: axis, tickCount: 4, grid: true, orient: 'bottom', domain: false, ticks: false, labelFlush: false, labelFontSize: 13 },
  } as const;
  const styles = [...new Set(rowsOf.rows.map((row) => row.method))].map(methodStyle);
  const color = { field: 'method', type: 'nominal', legend: null, scale: { domain: styles.map((s) => s.method), range: styles.map((s) => s.colour) } } as const;
  const shape = { field: 'method', type: 'nominal', legend: null, scale: { domain: styles.map((s) => s.method), range: styles.map((s) => s.shape) } } as const;
  const first = heads.second === undefined ? (heads.first === 'test' || points.every(({ high }) => high === null) ? TEST_COLUMN.paper : TEST_COLUMN.measured) : TEST_COLUMN.measured;
  const column = (field: string, offset: number, mark: object): Layer[] => linked(points, (own, encoding) => ({
    data: { values: own },
    mark: { type: 'text', align: 'right', baseline: 'middle', fontSize: 14.5, ...mark },
    encoding: { y, x: { value: PLOT + offset }, text: { field }, ...encoding },
  }));
  const layer: Layer[] = [
    { data: { values: [{ value: domain[0], y: 0 }] }, mark: { type: 'point', opacity: 0 }, encoding: { x, y } },
  ];
  if (reference !== null) {
    layer.push(
      { data: { values: [{ value: reference.value }] }, mark: { type: 'rule', color: reference.colour, strokeDash: [4, 4] }, encoding: { x } },
      { data: { values: points.map(({ y: at, method, value }) => ({ y: at, method, value, reference: reference.value })) }, mark: { type: 'rule', strokeWidth: 3, opacity: 0.28 }, encoding: { x, x2: { field: 'reference' }, y, color } },
    );
  }
  layer.push(
    { data: { values: points.filter((point) => point.low !== null).map(({ y: at, method, low, high }) => ({ y: at, method, low, high })) }, mark: { type: 'rule', strokeWidth: 2 }, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color } },
    ...linked(points, (own, encoding) => ({ data: { values: own }, mark: { type: 'point', filled: true, size: 150, opacity: 1 }, encoding: { x, y, color, shape, ...encoding } })),
    ...column('numbers', first, { fontWeight: 'bold' }),
  );
  if (heads.second !== undefined) layer.push(...column('second', UNSEEN_COLUMN, { color: QUIET }));
  layer.push({
    data: { values: [...missing] },
    mark: { type: 'text', align: 'right', baseline: 'middle', fontSize: 13, color: QUIET },
    encoding: { y, x: { value: PLOT + first }, text: { field: 'text' } },
  });
  const head = (text: string, offset: number): Layer => ({
    data: { values: [{ y: -0.35, text }] },
    mark: { type: 'text', align: 'right', baseline: 'bottom', fontSize: 13, color: QUIET },
    encoding: { y, x: { value: PLOT + offset }, text: { field: 'text' } },
  });
  layer.push(head(heads.first, first), ...(heads.second === undefined ? [] : [head(heads.second, UNSEEN_COLUMN)]));
  return { width: PLOT, height: ROW * rowsOf.height, ...(title === undefined ? {} : { title: panelTitle(title.text, title.subtitle) }), layer, view: { stroke: FAINT } };
}

/** Words in the place of a panel. */
export function noteView(rowsOf: Section, text: readonly string[], title?: { text: string; subtitle: string[] }): object {
  const y = yOf(rowsOf);
  return {
    width: PLOT,
    height: ROW * rowsOf.height,
    ...(title === undefined ? {} : { title: panelTitle(title.text, title.subtitle) }),
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

/** Panels in lines of `columns`, under a title. */
export const panelTable = (text: string, subtitle: string[], views: readonly object[], columns: number): object => ({
  title: { text, subtitle },
  concat: views,
  columns,
  align: 'each',
  spacing: 26,
  resolve: { scale: { color: 'independent', shape: 'independent' } },
  config: CONFIG,
});

/** Colour of the line of no gain. */
export const ZERO_COLOUR = INK;
