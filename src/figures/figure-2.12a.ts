import * as aq from 'arquero';
import { spread } from './end-labels.js';
import { datasetName, finalAp50, groupFor, modelName, type RunGroup } from './groups.js';
import type { PaperValues } from './paper-values.js';
import type { Figure } from './render.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { meanInterval, type Interval } from './statistics.js';
import { CONFIG, FAINT, INK, QUIET, niceDomain, type Layer } from './style.js';

const WIDTH = 320;
const HEIGHT = 340;
/** Dark to light, told apart with the common kinds of colour blindness; the shapes differ too. */
const COLOURS = ['#3b1f6b', '#1f6f9e', '#00855f', '#b8860b', '#d1495b', '#767676'];
const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'triangle-down', 'cross'];

/** AP50 (percent) at one pair of tau and lambda; lambda null: no distillation, which Fig. 2.12(a) puts at tau = 1. */
export interface TauPoint extends Interval {
  tau: number;
  lambda: number | null;
}

/** What Fig. 2.12(a) shows of one kind of runs, in order of lambda and tau. */
export function tauPoints(group: RunGroup): TauPoint[] {
  const rows = group.runs.flatMap((run) => {
    const ap50 = finalAp50(run, 'test');
    if (ap50 === null || (run.tau === null && run.lambda !== null)) return [];
    return [{ lambda: run.lambda ?? -1, tau: run.tau ?? 1, ap50 }];
  });
  const grouped = aq.from(rows).groupby('lambda', 'tau').rollup({ ap50: aq.op.array_agg('ap50') }).orderby('lambda', 'tau');
  return (grouped.objects() as { lambda: number; tau: number; ap50: number[] }[]).map(({ lambda, tau, ap50 }) => ({
    tau,
    lambda: lambda < 0 ? null : lambda,
    ...meanInterval(ap50),
  }));
}

/**
 * Fig. 2.12(a) (CVPR Fig. 5(a)): AP50 over tau, a line per lambda. The paper's panel holds the two points that its text
 * prints and no others; the kit's runs have panels of their own, because they are measured on other data.
 */
export function figure212a(paper: PaperValues, runs: RunSummaries): Figure {
  const groups = { recorded: groupFor('figure-2.12a', runs.recorded), fresh: groupFor('figure-2.12a', runs.fresh) };
  const panels = [paperPanel(paper)];
  if (groups.recorded !== null || groups.fresh === null) panels.push(kitPanel('recorded', groups.recorded));
  if (groups.fresh !== null) panels.push(kitPanel('fresh', groups.fresh));
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Figure 2.12(a) · Choosing τ and λ',
      subtitle: [
        'τ: how selective foreground-aware query matching is (0 distils every query, 1 none). λ: weight of the distillation loss.',
        'The paper prints two of its points as numbers; only those are drawn as its own. The panels are measured on different data.',
      ],
    },
    hconcat: panels,
    resolve: { scale: { color: 'independent', shape: 'independent' } },
    config: CONFIG,
  } as Figure;
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

function kitPanel(origin: Origin, group: RunGroup | null): object {
  const name = origin === 'recorded' ? 'Recorded by this kit' : 'Fresh, made here';
  if (group === null) {
    return view('This kit', ['MiniVOC test', ''], [
      { data: { values: [{ tau: 0.5, ap50: 50 }] }, mark: { type: 'point', opacity: 0 }, encoding: { x: tauAxis(), y: ap50Axis([-4, 104]) } },
      sentence('No runs of this figure yet,', 'recorded or fresh.'),
    ]);
  }
  const points = tauPoints(group);
  const ends = points.flatMap(({ mean, low, high }) => [mean, low ?? mean, high ?? mean]);
  const domain = niceDomain(ends, 5, [0, 100]).map((end, i) => end + (i === 0 ? -0.4 : 0.4)) as [number, number];
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
  const data = { values };
  const reference = values.filter((value) => value.lambda === null);
  const seeds = new Set(group.runs.map((run) => run.seed)).size;
  return view(name, [`${datasetName(group.dataset)} test, ${modelName(group)}, ${[...new Set(group.runs.map((run) => run.bits))].join(', ')}`, `scale '${group.scale}', ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}; ± 95 %`], [
    { data: { values: reference }, mark: { type: 'rule', strokeDash: [4, 4], color: INK, strokeWidth: 1.5 }, encoding: { y } },
    { data, mark: { type: 'line', strokeWidth: 3 }, encoding: { x, y, color } },
    { data: { values: values.filter((value) => value.low !== null) }, mark: { type: 'rule', strokeWidth: 2 }, encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color } },
    { data, mark: { type: 'point', filled: true, size: 130, opacity: 1 }, encoding: { x, y, color, shape } },
    ...lasts.flatMap((last, i): Layer[] => [
      { data: { values: [last] }, mark: { type: 'rule', color: colour(i), strokeWidth: 1, opacity: 0.6 }, encoding: { x, y, x2: { value: WIDTH + 18 }, y2: { value: places[i] } } },
      { data: { values: [{ text: names[i] }] }, mark: { type: 'text', align: 'left', baseline: 'middle', color: colour(i), fontSize: 15, fontWeight: 'bold', dx: 4 }, encoding: { x: { value: WIDTH + 18 }, y: { value: places[i] }, text: { field: 'text' } } },
    ]),
  ]);
}

const lambdaName = (lambda: number | null): string => (lambda === null ? 'no distillation' : `λ = ${lambda}`);

function sentence(...text: string[]): Layer {
  return {
    data: { values: [{ text }] },
    mark: { type: 'text', fontSize: 15, lineHeight: 21, color: QUIET, align: 'center', baseline: 'middle' },
    encoding: { x: { value: WIDTH / 2 }, y: { value: HEIGHT / 2 }, text: { field: 'text' } },
  };
}

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
