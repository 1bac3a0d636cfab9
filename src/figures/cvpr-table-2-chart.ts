import { ANSWERS, originOf, type Answer, type ComparisonTable } from './comparison-table.js';
import { spread } from './end-labels.js';
import { datasetName, isSmca, modelName, seedsText } from './groups.js';
import { noRuns } from './no-runs.js';
import type { Figure } from './render.js';
import { CONFIG, FAINT, INK, methodStyle, niceDomain, panelTitle, type Layer } from './style.js';

const WIDTH = 308, HEIGHT = 280;
/** Bit-widths from left to right. */
const BITS = ['32-32-32', '8-8-8', '4-4-8', '3-3-8', '2-2-8'];
/** What the methods of the table are called where they are drawn; Q-DETR's style is that of its long name. */
const styleOf = (method: string) => methodStyle(method === 'Q-DETR' ? '+ DA + FQM (Q-DETR)' : method);

/** A value of one method at one bit-width, percent. */
interface Point {
  method: string;
  bits: string;
  ap50: number;
  low: number | null;
  high: number | null;
}

/**
 * CVPR Table 2 as a chart: AP50 by bit-width, a panel for each model, the paper's in the first line; below it a line for each kind of runs
 * of this kit that there is, since they are measured on other data.
 */
export function cvprTable2Chart({ rows, groups }: ComparisonTable): Figure {
  const models = [...new Set(rows.map(({ model }) => model))];
  const isOf = (model: string) => (group: ComparisonTable['groups'][Answer][number]): boolean => isSmca(group.model) === model.startsWith('SMCA');
  const printed = models.map((model) => panel(`Paper: ${model}`, ['VOC 2007 test', 'as printed'], rows.filter((row) => row.model === model).map(({ method, bits, paper }) => ({ method, bits, ap50: paper.ap50, low: null, high: null }))));
  const measured = ANSWERS.flatMap((answer) => models.flatMap((model) => {
    const own = groups[answer].filter(isOf(model));
    if (own.length === 0) return groups[answer].length > 0 && !answer.startsWith('full') ? [emptyPanel(model)] : [];
    const points = rows.filter((row) => row.model === model).flatMap(({ method, bits, [answer]: one }): Point[] => (one === null ? [] : [{ method, bits, ap50: one.ap50.mean, low: one.ap50.low, high: one.ap50.high }]));
    const runs = own.flatMap((group) => group.runs), title = `${originOf[answer] === 'recorded' ? 'Recorded by this kit' : 'Fresh, made here'}: ${modelName(own[0])}`;
    return points.length === 0 ? [] : [panel(title, [`${answer.startsWith('full') ? 'VOC 2007' : datasetName(own[0].dataset)} test, scale '${own[0].scale}'`, `${seedsText(runs)}${points.some(({ low }) => low !== null) ? '; ± 95 %' : ''}`], points)];
  }));
  const orders = models.flatMap((model) => orderNotes(rows.filter((row) => row.model === model)));
  const isEmpty = groups.full.length + groups.fullFresh.length === 0;
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'CVPR Table 2 · Methods on VOC, by bit-width',
      subtitle: [
        'AP50 at weights-activations-attention bits. Panels are measured on different data and models: compare order and gaps.',
        isEmpty ? 'This kit has no run of the full-size models on VOC yet: they need the data, a GPU and days.' : 'Runs of the full-size models on VOC and of small ones on MiniVOC have panels of their own.',
        ...orders,
      ],
    },
    concat: [...printed, ...measured],
    columns: 2,
    align: 'each',
    spacing: 30,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
    config: CONFIG,
  } as Figure;
}

/** Where the order of trained methods is not the paper's, by means, a line for each kind of runs; computed from the rows of one model. */
export function orderNotes(rows: ComparisonTable['rows']): string[] {
  return ANSWERS.flatMap((answer) => {
    const turned = TRAINED.flatMap((bits) => {
      const own = rows.filter((row) => row.bits === bits && row[answer] !== null);
      return own.flatMap((upper) => own.filter((lower) => upper.paper.ap50 > lower.paper.ap50 && upper[answer]!.ap50.mean < lower[answer]!.ap50.mean).map((lower) => ({ bits, pair: `${upper.method} below ${lower.method}` })));
    });
    const pairs = [...new Set(turned.map(({ pair }) => pair))].map((pair) => `${pair} at ${turned.filter((one) => one.pair === pair).map(({ bits }) => bits).join(', ')}`);
    return pairs.length === 0 ? [] : [`Not the paper’s order: ${ORDER_NAMES[answer]}, ${rows[0].model.replace('-R50', '')}, ${pairs.join('; ')} (means).`];
  });
}

/** Bit-widths of trained methods. */
const TRAINED = BITS.slice(2);
const ORDER_NAMES: Readonly<Record<Answer, string>> = { full: 'recorded on VOC', fullFresh: 'fresh on VOC', recorded: 'recorded on MiniVOC', fresh: 'fresh on MiniVOC' };

function panel(title: string, subtitle: string[], points: readonly Point[]): object {
  const [least, most] = niceDomain(points.flatMap(({ ap50, low, high }) => [ap50, low ?? ap50, high ?? ap50]), 5, [0, 100]);
  const domain = [least - 0.05 * (most - least), most + 0.12 * (most - least)];
  const x = { field: 'bits', type: 'ordinal', sort: BITS, scale: { domain: BITS, type: 'point', padding: 0.35 }, axis: { title: null, labelAngle: 0, domain: false, ticks: false, labelPadding: 8, labelFontSize: 13.5 } } as const;
  const y = { field: 'ap50', type: 'quantitative', scale: { domain, nice: false, zero: false }, axis: { title: 'AP50 (%)', domain: false, ticks: false, tickCount: 5 } } as const;
  const methods = [...new Set(points.map(({ method }) => method))], series = methods.map((method) => points.filter((point) => point.method === method));
  const pixel = (ap50: number): number => HEIGHT * (1 - (ap50 - domain[0]) / (domain[1] - domain[0]));
  const isLine = (values: readonly Point[]): boolean => values[values.length - 1].bits === BITS[BITS.length - 1];
  const ends = series.filter(isLine), places = spread(ends.map((values) => pixel(values[values.length - 1].ap50)), 21, HEIGHT);
  const step = WIDTH / (BITS.length - 1 + 2 * 0.35), across = (bits: string): number => step * (0.35 + BITS.indexOf(bits));
  const layer = series.flatMap((values, i): Layer[] => {
    const { colour, shape } = styleOf(methods[i]), last = values[values.length - 1], end = ends.indexOf(values);
    const data = { values };
    const name = { values: [{ ...last, text: methods[i] }] };
    return [
      { data, mark: { type: 'line', color: colour, strokeWidth: 3 }, encoding: { x, y } },
      { data: { values: values.filter(({ low }) => low !== null) }, mark: { type: 'rule', color: colour, strokeWidth: 2 }, encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' } } },
      { data, mark: { type: 'point', filled: true, color: colour, shape, size: 140, opacity: 1 }, encoding: { x, y } },
      ...(end >= 0 ? [
        { data: name, mark: { type: 'rule', color: colour, strokeWidth: 1, opacity: 0.6 }, encoding: { x, y, x2: { value: WIDTH + 6 }, y2: { value: places[end] } } },
        { data: { values: [{ text: `${methods[i]} ${last.ap50.toFixed(1)}` }] }, mark: { type: 'text', align: 'left', baseline: 'middle', color: colour, fontWeight: 'bold', fontSize: 15, dx: 10 }, encoding: { x: { value: WIDTH }, y: { value: places[end] }, text: { field: 'text' } } },
      ] as Layer[] : [besides(values[0], pixel, across)]),
    ];
  });
  return { width: WIDTH, height: HEIGHT, title: panelTitle(title, subtitle), layer, view: { stroke: FAINT } };
}

/** The name and value of a method of one bit-width beside its point: above the real-valued one, below the others. */
function besides({ method, bits, ap50 }: Point, pixel: (ap50: number) => number, across: (bits: string) => number): Layer {
  const isReal = bits === BITS[0];
  return {
    data: { values: [{ text: `${method} ${ap50.toFixed(1)}` }] },
    mark: { type: 'text', color: isReal ? INK : styleOf(method).colour, fontSize: 14, fontWeight: 'bold', align: isReal ? 'left' : 'center', dx: isReal ? -12 : -10, dy: isReal ? -17 : 19, baseline: 'middle' },
    encoding: { x: { value: across(bits) }, y: { value: pixel(ap50) }, text: { field: 'text' } },
  };
}

/** Words in the place of the panel of a model without runs, beside one that has some. */
function emptyPanel(model: string): object {
  const family = model.startsWith('SMCA') ? 'smca-detr' : 'detr';
  return { width: WIDTH, height: HEIGHT, title: panelTitle(`This kit: small ${model.replace('-R50', '')}`, ['MiniVOC test', ' ']), layer: [noRuns(`voc-comparison --model ${family}`, WIDTH, HEIGHT, 'No runs yet.')], view: { stroke: FAINT } };
}
