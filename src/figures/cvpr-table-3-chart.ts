import type { Answer, CocoComparison } from './comparison-table.js';
import { spread } from './end-labels.js';
import type { Figure } from './render.js';
import { CONFIG, FAINT, INK, methodStyle, niceDomain, panelTitle, QUIET, type Layer } from './style.js';

const WIDTH = 400, HEIGHT = 320;
const styleOf = (method: string) => methodStyle(method === 'Q-DETR' ? '+ DA + FQM (Q-DETR)' : method);
/** The two costs, with the marks of their axes. */
const COSTS: readonly { key: 'size' | 'operations'; title: string; axis: string; ticks: number[]; domain: [number, number] }[] = [
  { key: 'size', title: 'size', axis: 'MB (2^20 bytes), logarithmic', ticks: [10, 20, 40, 80, 160], domain: [6.6, 215] },
  { key: 'operations', title: 'operations', axis: '10⁹ multiply-adds, logarithmic', ticks: [5, 10, 20, 40, 80], domain: [3, 120] },
];

/** Bit-widths of the methods that train. */
const TRAINED_BITS = ['4-4-8', '3-3-8', '2-2-8'];

/** A row with an AP: at the paper's cost, and at what is really stored or computed. */
interface Point {
  method: string;
  bits: string;
  ap: number;
  cost: number;
  stored: number;
}

/** CVPR Table 3 as a chart: the paper's AP on COCO over its size and operations, for each model; rings are the same rows at honest costs, diamonds with an edge this kit's runs on COCO. */
export function cvprTable3Chart({ rows, groups }: CocoComparison): Figure {
  const models = [...new Set(rows.map(({ model }) => model))];
  const isEmpty = groups.full.length + groups.fullFresh.length === 0;
  const panels = models.flatMap((model) => COSTS.map((cost) => {
    const of = rows.filter((row) => row.model === model);
    const printed = of.flatMap(({ method, bits, paper, cost: own }): Point[] => (paper.ap === null ? [] : [{ method, bits, ap: paper.ap, cost: cost.key === 'size' ? paper.sizeMB : paper.opsG, stored: own?.stored[cost.key] ?? NaN }]));
    const measured = (['full', 'fullFresh'] as const satisfies readonly Answer[]).flatMap((answer) => of.flatMap(({ method, bits, cost: own, [answer]: one }): Point[] => (one === null || own === undefined ? [] : [{ method, bits, ap: one.ap.mean, cost: own.stored[cost.key], stored: own.stored[cost.key] }])));
    return panel(model, cost, printed, measured);
  }));
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'CVPR Table 3 · What accuracy on COCO costs',
      subtitle: [
        'Filled: the paper’s AP on COCO val2017 over the cost that it prints. Rings: the same AP over the cost of a model as it is',
        'really stored and computed, first layer, heads, normalizations and scales included (npx qdetr cost). Lines: 4, 3 and 2 bits.',
        isEmpty ? 'This kit has no runs on COCO yet: every AP is the paper’s.' : 'Diamonds with a dark edge: this kit’s own runs on COCO val2017, scale ‘paper’, at honest cost.',
      ],
    },
    concat: panels,
    columns: 2,
    align: 'each',
    spacing: 44,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
    config: CONFIG,
  } as Figure;
}

function panel(model: string, { key, title, axis, ticks, domain }: (typeof COSTS)[number], printed: readonly Point[], measured: readonly Point[]): object {
  const [least, most] = niceDomain([...printed, ...measured].map(({ ap }) => ap), 5, [0, 100]);
  const [low, high] = [least - 0.03 * (most - least), most + 0.09 * (most - least)];
  const x = { field: 'cost', type: 'quantitative', scale: { type: 'log', domain, nice: false }, axis: { title: axis, values: ticks, format: 'd', grid: true, domain: false, ticks: false, labelPadding: 6 } } as const;
  const y = { field: 'ap', type: 'quantitative', scale: { domain: [low, high] as number[], nice: false, zero: false }, axis: { title: 'AP (%)', domain: false, ticks: false, tickCount: 5 } } as const;
  const across = (cost: number): number => (WIDTH * Math.log(cost / domain[0])) / Math.log(domain[1] / domain[0]), up = (ap: number): number => HEIGHT * (1 - (ap - low) / (high - low));
  const lost = model.startsWith('SMCA') ? '; Q-DETR at 2-2-8: lost in the text copy' : '';
  const methods = [...new Set(printed.map(({ method }) => method))];
  const named = methods.map((method) => printed.filter((point) => point.method === method)).map((values) => values[0]);
  const below = named.filter(({ method }) => method === 'Baseline' || method === 'LSQ'), places = spread(below.map(({ ap }) => up(ap)), 19, HEIGHT);
  const layer = methods.flatMap((method): Layer[] => {
    const { colour, shape } = styleOf(method), values = printed.filter((point) => point.method === method), honest = values.filter(({ stored }) => Number.isFinite(stored));
    const data = { values: [...values] };
    return [
      { data: { values: honest }, mark: { type: 'rule', color: colour, strokeWidth: 1.2, opacity: 0.55 }, encoding: { x, y, x2: { field: 'stored' } } },
      { data: { values: honest }, mark: { type: 'point', filled: false, color: colour, shape: 'circle', size: 70, strokeWidth: 1.8, opacity: 1 }, encoding: { x: { ...x, field: 'stored' }, y } },
      { data, mark: { type: 'line', color: colour, strokeWidth: 3 }, encoding: { x, y } },
      { data, mark: { type: 'point', filled: true, color: colour, shape, size: 140, opacity: 1 }, encoding: { x, y } },
    ];
  });
  const label = (point: Point, place: { x: number; y: number }, mark: object): Layer => ({
    data: { values: [{ text: `${point.method} ${point.ap.toFixed(1)}` }] },
    mark: { type: 'text', fontSize: 14, fontWeight: 'bold', baseline: 'middle', color: point.method === 'Real-valued' ? INK : styleOf(point.method).colour, ...mark },
    encoding: { x: { value: place.x }, y: { value: place.y }, text: { field: 'text' } },
  });
  const rightOf = ({ cost, stored }: Point): number => Math.max(across(cost), Number.isFinite(stored) ? across(stored) : 0) + 13;
  const leftOf = ({ cost, stored }: Point): number => Math.min(across(cost), Number.isFinite(stored) ? across(stored) : WIDTH) - 13;
  for (const point of named) {
    const i = below.indexOf(point);
    if (point.method === 'Real-valued') layer.push(label(point, { x: across(point.cost), y: up(point.ap) - 17 }, { align: 'right', dx: 12 }));
    else if (point.method === 'Q-DETR') layer.push(label(point, { x: leftOf(point), y: up(point.ap) }, { align: 'right' }));
    else layer.push(label(point, { x: rightOf(point), y: i < 0 ? up(point.ap) : places[i] }, { align: 'left' }));
  }
  const tops = TRAINED_BITS.flatMap((bits) => printed.filter((point) => point.bits === bits).sort((a, b) => b.ap - a.ap).slice(0, 1));
  layer.push(...tops.map(({ bits, cost, ap }): Layer => ({
    data: { values: [{ text: bits }] }, mark: { type: 'text', fontSize: 13, color: QUIET, baseline: 'bottom', align: 'right', dx: -2, dy: -9 }, encoding: { x: { value: across(cost) }, y: { value: up(ap) }, text: { field: 'text' } },
  })));
  layer.push(...measured.map((point): Layer => ({
    data: { values: [point] }, mark: { type: 'point', filled: true, shape: 'diamond', color: styleOf(point.method).colour, stroke: INK, strokeWidth: 2, size: 230, opacity: 1 }, encoding: { x, y },
  })));
  return { width: WIDTH, height: HEIGHT, title: panelTitle(`${model}: AP over ${title}`, [`paper, COCO val2017${lost}`, key === 'size' ? 'MB taken as 2^20 bytes' : 'rings: an image of 800 x 1066']), layer, view: { stroke: FAINT } };
}
