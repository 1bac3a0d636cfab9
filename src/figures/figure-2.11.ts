import { MODULE_GROUPS, type RunSummary } from '../training/run-record.js';
import { spread } from './end-labels.js';
import { datasetName, finalAp50, groupFor, modelName, quantizedGroups, seedsText, type RunGroup } from './groups.js';
import type { PaperValues } from './paper-values.js';
import { noRuns } from './no-runs.js';
import type { Figure } from './render.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { meanInterval, type Interval } from './statistics.js';
import { CONFIG, FAINT, INK, niceDomain, panelTitle, type Layer } from './style.js';

const WIDTH = 400;
const HEIGHT = 330;
/** Where the rows of numbers begin, in pixels below the plot, and how far apart they are. */
const NUMBERS = { top: 66, row: 23 };
/** Room left and right of the first and last step, in steps. */
const MARGIN = 0.35;
/** What is quantized at each step, as axis labels; a bar parts lines. */
const STEPS = ['real-|valued', '+ backbone', '+ encoder', '+ decoder|attention', '+ MLPs'];
/** Dark to light, told apart with the common kinds of colour blindness; the shapes differ too. */
const SERIES: readonly { bits: number; colour: string; shape: string }[] = [
  { bits: 4, colour: '#1f4e9e', shape: 'circle' },
  { bits: 3, colour: '#c2571a', shape: 'square' },
  { bits: 2, colour: '#7a7a7a', shape: 'triangle-up' },
];

/** AP50 (percent) after quantizing the first `step` groups of Fig. 2.11: backbone, encoder, the decoder's attention, MLPs. */
export interface ProgressPoint extends Interval {
  /** Bits of weights and activations. */
  bits: number;
  step: number;
}

/** The series of some runs, by falling bit-width and rising step; the real-valued runs begin every series. */
export function progressPoints(runs: readonly RunSummary[]): ProgressPoint[] {
  const real = runs.filter((run) => run.bits === '32-32-32');
  const bits = [...new Set(runs.filter((run) => run.bits !== '32-32-32').map(widthOf))].sort((a, b) => b - a);
  return bits.flatMap((width) =>
    STEPS.flatMap((_, step): ProgressPoint[] => {
      const here = step === 0 ? real : runs.filter((run) => widthOf(run) === width && stepOf(run) === step);
      const values = here.flatMap((run) => finalAp50(run, 'test') ?? []);
      return values.length === 0 ? [] : [{ bits: width, step, ...meanInterval(values) }];
    }),
  );
}

/** Runs without the bit-widths that have none of the steps in between: such a width is Table 2.2's baseline alone, and no part of the figure. */
export function inSteps(runs: readonly RunSummary[]): RunSummary[] {
  const widths = new Set(runs.filter((run) => stepOf(run) > 0 && stepOf(run) < MODULE_GROUPS.length).map(widthOf));
  return runs.filter((run) => run.bits === '32-32-32' || widths.has(widthOf(run)));
}

/** Bits of a run's weights. */
const widthOf = (run: RunSummary): number => Number(run.bits.split('-')[0]);

/** How many groups, counted from the first, a run quantizes; 0 where it leaves one of them out. */
function stepOf(run: RunSummary): number {
  const groups = quantizedGroups(run);
  return groups.every((group, i) => group === MODULE_GROUPS[i]) ? groups.length : 0;
}

const PAPER_STEPS = ['real-valued', 'backbone', '+encoder', '+decoder MHA', '+MLP'];

/** The paper's series, as printed. */
export function printedPoints(paper: PaperValues): ProgressPoint[] {
  return paper.figure_2_11.map(({ bits, quantized, ap50 }) => ({ bits: parseInt(bits, 10), step: PAPER_STEPS.indexOf(quantized), mean: ap50, n: 1, low: null, high: null }));
}

/**
 * Fig. 2.11 (CVPR Fig. 4): AP50 while one module group after the other is quantized, a line per bit-width. The paper's printed
 * values and the kit's runs have panels of their own, because they are measured on different data.
 * @param onlyInSteps leave out bit-widths without a step in between (`inSteps`); by default all that there are are drawn
 */
export function figure211(paper: PaperValues, runs: RunSummaries, { onlyInSteps = false }: { onlyInSteps?: boolean } = {}): Figure {
  const panels = (['detector', 'post-training'] as const).flatMap((scope) =>
    (['recorded', 'fresh'] as const).flatMap((origin) => {
      const found = groupFor('figure-2.11', runs[origin], { scope });
      const group = found !== null && onlyInSteps ? { ...found, runs: inSteps(found.runs) } : found;
      const points = group === null ? [] : progressPoints(group.runs);
      return group === null || points.length === 0 ? [] : [kitPanel(origin, group, points)];
    }),
  );
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Figure 2.11 · Which modules lose the accuracy',
      subtitle: [
        'AP50 while one module group after the other is quantized, from left to right. The panels are measured on different data: compare the steps.',
        'As printed; the paper’s 78.8 for everything at 4 bits is 78.0 in its Table 2.2, and at 3 bits its backbone costs more than the decoder’s attention.',
      ],
    },
    concat: [panel('Paper', ['VOC07 test, DETR-R50', 'printed values'], printedPoints(paper)), ...(panels.length > 0 ? panels : [emptyPanel()])],
    columns: 2,
    align: 'each',
    spacing: 40,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
    config: CONFIG,
  } as Figure;
}

function kitPanel(origin: Origin, group: RunGroup, points: readonly ProgressPoint[]): object {
  const how = group.scope === 'post-training' ? ', by calibration alone' : '';
  const title = `${origin === 'recorded' ? 'Recorded by this kit' : 'Fresh, made here'}${how}`;
  return panel(title, [`${datasetName(group.dataset)} test, ${modelName(group)}`, `scale '${group.scale}', ${seedsText(group.runs)}${points.some(({ low }) => low !== null) ? '; ± 95 %' : ''}`], points);
}

function panel(title: string, subtitle: string[], points: readonly ProgressPoint[]): object {
  const ends = points.flatMap(({ mean, low, high }) => [mean, low ?? mean, high ?? mean]);
  const range = Math.max(...ends) - Math.min(...ends);
  const step = range > 25 ? 10 : range > 8 ? 5 : 2;
  const [least, most] = niceDomain(ends, step, [0, 100]);
  const domain: [number, number] = [least - 0.06 * (most - least), most + 0.06 * (most - least)];
  const y = ap50Axis(domain);
  const pixel = (ap50: number): number => HEIGHT * (1 - (ap50 - domain[0]) / (domain[1] - domain[0]));
  const widths = [...new Set(points.map((point) => point.bits))];
  const series = widths.map((bits) => points.filter((point) => point.bits === bits));
  const places = spread(series.map((values) => pixel(values[values.length - 1].mean)), 22, HEIGHT);
  const layer = series.flatMap((values, i): Layer[] => {
    const { colour, shape } = SERIES.find(({ bits }) => bits === widths[i]) ?? { colour: INK, shape: 'cross' };
    const data = { values: values.map((point, j) => ({ ...point, text: point.mean.toFixed(1), part: point.step - j })) }; // a missing step parts the line
    const row = { value: HEIGHT + NUMBERS.top + i * NUMBERS.row };
    const name = { values: [{ text: `${widths[i]} bits` }] };
    const last = values[values.length - 1];
    return [
      { data, mark: { type: 'line', color: colour, strokeWidth: 3 }, encoding: { x: stepAxis(), y, detail: { field: 'part' } } },
      { data: { values: data.values.filter((point) => point.low !== null) }, mark: { type: 'rule', color: colour, strokeWidth: 2 }, encoding: { x: stepAxis(), y: { ...y, field: 'low' }, y2: { field: 'high' } } },
      { data: { values: data.values.filter((point) => point.step > 0) }, mark: { type: 'point', filled: true, color: colour, shape, size: 130, opacity: 1 }, encoding: { x: stepAxis(), y } },
      { data, mark: { type: 'text', color: colour, fontSize: 15, fontWeight: 'bold', baseline: 'middle' }, encoding: { x: stepAxis(), y: row, text: { field: 'text' } } },
      { data: name, mark: { type: 'text', align: 'left', baseline: 'middle', color: colour, fontSize: 15, dx: 4 }, encoding: { x: { value: WIDTH + 10 }, y: row, text: { field: 'text' } } },
      { data: { values: [last] }, mark: { type: 'rule', color: colour, strokeWidth: 1, opacity: 0.6 }, encoding: { x: stepAxis(), y, x2: { value: WIDTH + 10 }, y2: { value: places[i] } } },
      { data: name, mark: { type: 'text', align: 'left', baseline: 'middle', color: colour, fontSize: 15, fontWeight: 'bold', dx: 4 }, encoding: { x: { value: WIDTH + 10 }, y: { value: places[i] }, text: { field: 'text' } } },
    ];
  });
  const real: Layer = { data: { values: points.filter((point) => point.step === 0).slice(0, 1) }, mark: { type: 'point', filled: true, color: INK, shape: 'circle', size: 150, opacity: 1 }, encoding: { x: stepAxis(), y } };
  return { width: WIDTH, height: HEIGHT, title: panelTitle(title, subtitle), layer: [...layer, real], view: { stroke: FAINT } };
}

function emptyPanel(): object {
  const layer: Layer[] = [
    { data: { values: [{ step: 0, mean: 50 }] }, mark: { type: 'point', opacity: 0 }, encoding: { x: stepAxis(), y: ap50Axis([-4, 104]) } },
    noRuns('figure-2.11', WIDTH, HEIGHT),
  ];
  return { width: WIDTH, height: HEIGHT, title: panelTitle('This kit', ['MiniVOC test', ' ']), layer, view: { stroke: FAINT } };
}

function stepAxis() {
  return {
    field: 'step',
    type: 'quantitative' as const,
    scale: { domain: [-MARGIN, STEPS.length - 1 + MARGIN], nice: false },
    axis: { title: null, values: STEPS.map((_, i) => i), labelExpr: `split(${JSON.stringify(STEPS)}[datum.value], '|')`, labelLineHeight: 18, labelFontSize: 14, labelColor: INK, grid: false, labelFlush: false },
  };
}

function ap50Axis(domain: [number, number]) {
  return { field: 'mean', type: 'quantitative' as const, scale: { domain, nice: false, zero: false }, axis: { title: 'AP50 (%)', tickCount: 6, domain: false, ticks: false } };
}
