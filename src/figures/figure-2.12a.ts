import { spread } from './end-labels.js';
import { datasetName, groupFor, modelName, seedsText, type RunGroup } from './groups.js';
import type { PaperValues } from './paper-values.js';
import { noRuns } from './no-runs.js';
import type { Figure } from './render.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import type { Interval } from './statistics.js';
import { CONFIG, FAINT, INK, methodStyle, niceDomain, type Layer } from './style.js';
import { FULL_IMITATION, isGrid, methodPoints, tauPoints, type MethodPoint } from './tau-points.js';

const WIDTH = 320;
const HEIGHT = 340;
/** Dark to light, told apart with the common kinds of colour blindness; the shapes differ too. */
const COLOURS = ['#3b1f6b', '#1f6f9e', '#00855f', '#b8860b', '#d1495b', '#767676'];
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'triangle-down', 'cross'];

/**
 * Fig. 2.12(a) (CVPR Fig. 5(a)): AP50 over tau, a line per lambda. The paper's panel holds the two points that its text
 * prints and no others; the kit's runs have panels of their own, because they are measured on other data, and the runs that
 * quantize only the transformer have a line of panels below.
 */
export function figure212a(paper: PaperValues, runs: RunSummaries): Figure {
  const panels = ORIGINS.flatMap((origin) => {
    const group = groupFor('figure-2.12a', runs[origin]);
    return group === null ? [] : byBits(group).flatMap((part) => (tauPoints(part).length === 0 ? [] : [kitPanel(origin, part)]));
  });
  const isTwoWays = [...runs.recorded, ...runs.fresh].some((run) => run.artefact.includes('figure-2.12a') && run.method === FULL_IMITATION);
  const only = ORIGINS.flatMap((origin) => {
    const whole = groupFor('figure-2.12a', runs[origin], { scope: 'transformer' });
    return whole === null ? [] : byBits(whole).flatMap((group) => {
      const points = methodPoints(group);
      if (points.length === 0) return [];
      return [isGrid(group) ? kitPanel(origin, group) : transformerPanel(origin, group, points)];
    });
  });
  const first = [paperPanel(paper), ...(panels.length > 0 ? panels : only.length > 0 ? only : [emptyPanel()])];
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Figure 2.12(a) · Choosing τ and λ',
      subtitle: [
        'τ: how selective foreground-aware query matching is (1 distils none). λ: weight of the distillation loss.',
        'The paper prints two of its points as numbers; only those are drawn as its own. The panels are measured on different data.',
        ...(isTwoWays ? ['τ = 0: filled by Eq. 2.34 to the letter (queries with GIoU above 0), open by the paper’s words (“full imitation”, every query).'] : []),
        ...(only.length > 0 ? ['Only the transformer: at low bits, the backbone real-valued and fixed. A line without a mark distils every query: no τ.'] : []),
      ],
    },
    ...(panels.length > 0 && only.length > 0 ? { vconcat: [{ hconcat: first }, { hconcat: only }], spacing: 44 } : { hconcat: first }),
    resolve: { scale: { color: 'independent', shape: 'independent' } },
    config: CONFIG,
  } as Figure;
}

const ORIGINS = ['recorded', 'fresh'] as const;

/** A group's runs of each bit-width, which have a panel each; real-valued ones are in none. */
function byBits(group: RunGroup): RunGroup[] {
  const widths = [...new Set(group.runs.map(({ bits }) => bits))].filter((bits) => bits !== '32-32-32');
  return widths.map((bits) => ({ ...group, runs: group.runs.filter((run) => run.bits === bits) }));
}

function paperPanel(paper: PaperValues): object {
  const { bits, dataset, points } = paper.figure_2_12a;
  const values = points.map(({ tau, lambda, ap50 }) => ({
    tau,
    ap50,
    text: [`${ap50.toFixed(1)}`, lambda === null ? 'no distillation' : `τ = ${tau}, λ = ${lambda}`],
    align: tau > 0.8 ? 'right' : 'center',
  }));
  const label = (align: 'right' | 'center'): Layer => ({
    data: { values: values.filter((value) => value.align === align) },
    mark: { type: 'text', align, baseline: 'bottom', dy: -33, dx: align === 'right' ? 8 : 0, fontSize: 15, lineHeight: 19 },
    encoding: { x: tauAxis(), y: ap50Axis([74.6, 85.4]), text: { field: 'text' } },
  });
  return view('Paper', [`${dataset}, DETR-R50, ${bits}`, 'the two printed points'], [
    {
      data: { values },
      mark: { type: 'point', filled: true, size: 190, color: INK, opacity: 1 },
      encoding: { x: tauAxis(), y: ap50Axis([74.6, 85.4]) },
    },
    label('right'),
    label('center'),
  ]);
}

function emptyPanel(): object {
  return view('This kit', ['MiniVOC test', ''], [
    { data: { values: [{ tau: 0.5, ap50: 50 }] }, mark: { type: 'point', opacity: 0 }, encoding: { x: tauAxis(), y: ap50Axis([-4, 104]) } },
    noRuns('figure-2.12a', WIDTH, HEIGHT),
  ]);
}

/** Domain of AP50 for some points, with room for their marks. */
function domainOf(points: readonly Interval[]): [number, number] {
  const [low, high] = niceDomain(points.flatMap((point) => [point.mean, point.low ?? point.mean, point.high ?? point.mean]), 5, [0, 100]);
  return [low - 0.4, high + 0.4];
}

function titleOf(origin: Origin, { scope }: RunGroup): string {
  const title = origin === 'recorded' ? 'Recorded by this kit' : 'Fresh, made here';
  return scope === 'transformer' ? `${title}: only the transformer` : title;
}

/** Which runs a panel shows. */
function subtitleOf(group: RunGroup): string[] {
  const bits = [...new Set(group.runs.map((run) => run.bits))].filter((name) => name !== '32-32-32').join(', ');
  return [`${datasetName(group.dataset)} test, ${modelName(group)}, ${bits}`, `scale '${group.scale}', ${seedsText(group.runs)}${new Set(group.runs.map((run) => run.seed)).size > 1 ? '; ± 95 %' : ''}`];
}

/** A label right of the plot, at a free height, with a line from its point. */
function endLabel(point: { tau: number; ap50: number }, text: string, colour: string, place: number, y: object): Layer[] {
  return [
    { data: { values: [point] }, mark: { type: 'rule', color: colour, strokeWidth: 1, opacity: 0.6 }, encoding: { x: tauAxis(), y, x2: { value: WIDTH + 18 }, y2: { value: place } } },
    { data: { values: [{ text }] }, mark: { type: 'text', align: 'left', baseline: 'middle', color: colour, fontSize: 15, fontWeight: 'bold', dx: 4 }, encoding: { x: { value: WIDTH + 18 }, y: { value: place }, text: { field: 'text' } } },
  ] as Layer[];
}

/** Points of the transformer-only runs, a colour and a label for each method; the baseline's is a dashed line too, as what no distillation gives. */
function transformerPanel(origin: Origin, group: RunGroup, points: readonly MethodPoint[]): object {
  const domain = domainOf(points);
  const y = ap50Axis(domain);
  const pixel = (ap50: number): number => HEIGHT * (1 - (ap50 - domain[0]) / (domain[1] - domain[0]));
  const places = spread(points.map(({ mean }) => pixel(mean)), 22, HEIGHT);
  const layer = points.flatMap(({ method, tau, lambda, mean, low, high }, i): Layer[] => {
    const { colour, shape } = methodStyle(method);
    const point = { tau: tau ?? 1.05, ap50: mean };
    const dash = lambda === null ? [4, 4] : [9, 4];
    const across: Layer = { data: { values: [point] }, mark: { type: 'rule', color: colour, strokeWidth: 2, strokeDash: dash }, encoding: { y } };
    const interval: Layer = { data: { values: low === null ? [] : [{ tau: point.tau, low, high }] }, mark: { type: 'rule', color: colour, strokeWidth: 2 }, encoding: { x: tauAxis(), y: { ...y, field: 'low' }, y2: { field: 'high' } } };
    const mark: Layer = { data: { values: [point] }, mark: { type: 'point', filled: true, color: colour, shape, size: 170, opacity: 1 }, encoding: { x: tauAxis(), y } };
    return [...(tau === null || lambda === null ? [across] : []), ...(low === null ? [] : [interval]), ...(tau === null ? [] : [mark]), ...endLabel(point, `${method}  ${mean.toFixed(1)}`, colour, places[i], y)];
  });
  return view(titleOf(origin, group), subtitleOf(group), layer);
}

function kitPanel(origin: Origin, group: RunGroup): object {
  const points = tauPoints(group);
  const domain = domainOf(points);
  const lambdas = [...new Set(points.map((point) => point.lambda))];
  const names = lambdas.map(lambdaName);
  const values = points.map((point) => ({ ...point, ap50: point.mean, series: lambdaName(point.lambda) }));
  const pixel = (ap50: number): number => HEIGHT * (1 - (ap50 - domain[0]) / (domain[1] - domain[0]));
  const lasts = names.map((series) => values.filter((value) => value.series === series).at(-1)!);
  const places = spread(lasts.map((last) => pixel(last.ap50)), 22, HEIGHT);
  const colour = (i: number): string => (lambdas[i] === null ? INK : COLOURS[i % COLOURS.length]);
  const range = names.map((_, i) => colour(i));
  const color = { field: 'series', type: 'nominal', legend: null, scale: { domain: names, range } } as const;
  const shape = { field: 'series', type: 'nominal', legend: null, scale: { domain: names, range: names.map((_, i) => SHAPES[i % SHAPES.length]) } } as const;
  const x = tauAxis();
  const y = ap50Axis(domain);
  const data = { values: values.filter((value) => !value.isFullImitation) };
  const open = { values: values.filter((value) => value.isFullImitation) };
  const reference = values.filter((value) => value.lambda === null);
  return view(titleOf(origin, group), subtitleOf(group), [
    { data: { values: reference }, mark: { type: 'rule', strokeDash: [4, 4], color: INK, strokeWidth: 1.5 }, encoding: { y } },
    { data, mark: { type: 'line', strokeWidth: 3 }, encoding: { x, y, color } },
    { data: { values: values.filter((value) => value.low !== null) }, mark: { type: 'rule', strokeWidth: 2 }, encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color } },
    { data, mark: { type: 'point', filled: true, size: 130, opacity: 1 }, encoding: { x, y, color, shape } },
    { data: open, mark: { type: 'point', fill: 'white', size: 130, strokeWidth: 2.5, opacity: 1 }, encoding: { x, y, color, shape } },
    ...lasts.flatMap((last, i) => endLabel(last, names[i], colour(i), places[i], y)),
  ]);
}

const lambdaName = (lambda: number | null): string => (lambda === null ? 'no distillation' : `λ = ${lambda}`);

function tauAxis() {
  return { field: 'tau', type: 'quantitative' as const, scale: { domain: [-0.05, 1.05], nice: false }, axis: { title: 'τ', values: [0, 0.2, 0.4, 0.6, 0.8, 1], grid: false } };
}

function ap50Axis(domain: [number, number]) {
  return { field: 'ap50', type: 'quantitative' as const, scale: { domain, nice: false, zero: false }, axis: { title: 'AP50 (%)', tickCount: 6, domain: false, ticks: false } };
}

function view(title: string, subtitle: string[], layer: Layer[]): object {
  return {
    width: WIDTH,
    height: HEIGHT,
    title: { text: title, subtitle, fontSize: 18, subtitleFontSize: 14, subtitlePadding: 5, color: INK, offset: 16 },
    layer,
    view: { stroke: FAINT },
  };
}
