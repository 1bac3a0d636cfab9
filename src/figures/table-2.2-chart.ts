import { datasetName, modelName } from './groups.js';
import { BITS } from './paper-values.js';
import type { Figure } from './render.js';
import { CONFIG, FAINT, INK, METHODS, QUIET, methodStyle, niceDomain, type Layer } from './style.js';
import type { Measured, Shown, Table22 } from './table-2.2.js';

const ROW = 31;
const ROWS = 17;
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
  real: number | null;
  measured: boolean;
  empty: string[];
}

/** Rows from top to bottom: the real-valued model, then a heading and four methods for each bit-width. */
function rows(): { method: string; bits: string; y: number }[] {
  const [real, ...others] = METHODS.slice(0, 5).map((style) => style.method);
  const quantized = BITS.flatMap((bits, i) => others.map((method, j) => ({ method, bits, y: 2.7 + 5.25 * i + j })));
  return [{ method: real, bits: '32-32-32', y: 0.5 }, ...quantized];
}

const headings = BITS.map((bits, i) => {
  const [weights, activations, attention] = bits.split('-');
  return { y: 1.7 + 5.25 * i, text: `${bits}`, rest: `weights ${weights} · activations ${activations} · attention ${attention}` };
});
const HEIGHT = ROW * ROWS;

function panel(table: Table22, column: 'paper' | 'recorded' | 'fresh'): Panel {
  const points: Point[] = [];
  for (const { method, bits, y } of rows()) {
    const cell = table.cells.find((candidate) => candidate.method === method && candidate.bits === bits);
    if (cell === undefined) continue;
    if (column === 'paper') {
      points.push({ y, method, value: cell.paper, low: null, high: null, numbers: cell.paper.toFixed(1), unseenNumber: '' });
      continue;
    }
    const measured = cell[column];
    if (measured === null) continue;
    const { mean, low, high } = measured.test;
    points.push({ y, method, value: mean, low, high, numbers: measuredText(measured), unseenNumber: measured.testUnseen?.mean.toFixed(1) ?? '' });
  }
  const real = points.find((point) => point.method === 'Real-valued')?.value ?? null;
  if (column === 'paper') {
    return { title: 'Paper', subtitle: ['VOC 2007 test, DETR-R50', 'as printed'], points, real, measured: false, empty: [] };
  }
  const shown = table[column];
  const [title, empty]: [string, string[]] = column === 'recorded' ? ['Recorded by this kit', ['No recorded', 'runs yet.']] : ['Fresh, made here', ['No fresh run yet:', "'npm start'", 'makes one.']];
  return { title, subtitle: shown === null ? ['MiniVOC test', ' '] : shownText(shown), points, real, measured: true, empty };
}

function shownText(shown: Shown): string[] {
  const seeds = new Set(shown.runs.map((run) => run.seed)).size;
  return [`${datasetName(shown.dataset)} test, ${modelName(shown)}`, `scale '${shown.scale}', ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}`];
}

function measuredText({ test }: Measured): string {
  return test.high === null ? test.mean.toFixed(1) : `${test.mean.toFixed(1)} ± ${(test.high - test.mean).toFixed(1)}`;
}

const y = { field: 'y', type: 'quantitative', axis: null, scale: { domain: [ROWS, 0] as number[], nice: false, zero: false } } as const;

function labelView(): object {
  const names = rows().map((row) => ({ y: row.y, text: row.bits === '32-32-32' ? `${row.method} (32 bits)` : row.method }));
  const text = (values: object[], mark: object): Layer => ({
    data: { values },
    mark: { type: 'text', align: 'left', baseline: 'middle', ...mark },
    encoding: { y, x: { value: 0 }, text: { field: 'text' } },
  });
  return {
    width: LABELS,
    height: HEIGHT,
    layer: [
      text(names, { fontSize: 16, dx: 0 }),
      text(headings, { fontSize: 16, fontWeight: 'bold' }),
      text(headings.map(({ y, rest }) => ({ y, text: rest })), { fontSize: 10.5, color: QUIET, dx: 56 }),
    ],
  };
}

function panelView(content: Panel): object {
  const { points, real } = content;
  const values = points.flatMap(({ value, low, high }) => [value, low, high]).filter((value): value is number => value !== null);
  const domain = niceDomain(values, 5, [0, 100]);
  const x = {
    field: 'value',
    type: 'quantitative',
    scale: { domain, nice: false, zero: false },
    axis: { title: 'AP50 (%)', tickCount: 4, grid: true, orient: 'bottom', domain: false, ticks: false, labelFlush: false, labelFontSize: 13 },
  } as const;
  const styles = METHODS.slice(0, 5);
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
  if (points.length === 0) {
    layer.push({
      data: { values: [{ y: 8.5, text: content.empty }] },
      mark: { type: 'text', fontSize: 15, lineHeight: 21, color: QUIET, baseline: 'middle', align: 'center' },
      encoding: { y, x: { value: PLOT / 2 }, text: { field: 'text' } },
    });
  }
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
  const head = (text: string, offset: number, hidden = false): Layer => ({
    data: { values: [{ y: -0.35, text }] },
    mark: { type: 'text', align: 'right', baseline: 'bottom', fontSize: 13, color: QUIET, opacity: hidden ? 0 : 1 },
    encoding: { y, x: { value: PLOT + offset }, text: { field: 'text' } },
  });
  const isEmpty = points.length === 0; // the heads stay, unseen, so that the panels' titles are level
  layer.push(head('test', content.measured && !isEmpty ? TEST_COLUMN.measured : TEST_COLUMN.paper, isEmpty));
  if (content.measured && !isEmpty) layer.push(head('unseen', UNSEEN_COLUMN));
  return {
    width: PLOT,
    height: HEIGHT,
    title: { text: content.title, subtitle: content.subtitle, fontSize: 18, subtitleFontSize: 14, subtitlePadding: 5, color: INK, offset: 16 },
    layer,
    view: { stroke: FAINT },
  };
}

/**
 * Table 2.2 as a chart: a panel each for the paper, the recorded runs and the fresh ones, because they are measured on
 * different data; the dashed line is the panel's own real-valued model, the bar the loss against it.
 */
export function table22Chart(table: Table22): Figure {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Table 2.2 · What each part of Q-DETR brings, by bit-width',
      subtitle: [
        'The panels are measured on different data (paper: VOC 2007, this kit: MiniVOC with a small DETR):',
        'compare the order of the methods and the gaps, not the levels. Dashed: real-valued; bars: what is lost against it.',
        'Numbers: AP50 on test ± 95 % interval over seeds; beside it test-unseen (sprites that training never shows).',
      ],
    },
    hconcat: [labelView(), ...(['paper', 'recorded', 'fresh'] as const).map((column) => panelView(panel(table, column)))],
    spacing: 26,
    config: CONFIG,
  } as Figure;
}
