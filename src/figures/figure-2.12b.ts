import * as aq from 'arquero';
import { spread } from './end-labels.js';
import { datasetName, groupFor, modelName, seedsText, type RunGroup } from './groups.js';
import { noRuns } from './no-runs.js';
import type { Figure } from './render.js';
import type { Origin, RunSummaries } from './run-summaries.js';
import { CONFIG, FAINT, INK, methodOrder, methodStyle, type Layer } from './style.js';

const WIDTH = 560;
const EMPTY_WIDTH = 860;
const HEIGHT = 420;

/** One checkpoint of one method on the information plane, averaged over seeds. */
export interface PlanePoint {
  method: string;
  epoch: number;
  /** I(X; E): minus the L1 error with which the image is reconstructed from the encoder's output (decision A26). */
  informationX: number;
  /** I(y; E, q): AP50 in percent. */
  ap50: number;
}

/** The curves of one kind of runs: points in order of method (as the paper lists them) and epoch. */
export function planePoints(group: RunGroup): PlanePoint[] {
  const rows = group.runs.flatMap((run) =>
    run.informationPlane.map(({ epoch, informationX, informationY }) => ({
      method: run.method,
      order: methodOrder(run.method),
      epoch,
      informationX,
      ap50: 100 * informationY,
    })),
  );
  if (rows.length === 0) return [];
  return aq
    .from(rows)
    .groupby('order', 'method', 'epoch')
    .rollup({ informationX: aq.op.mean('informationX'), ap50: aq.op.mean('ap50') })
    .orderby('order', 'method', 'epoch')
    .select('method', 'epoch', 'informationX', 'ap50')
    .objects() as PlanePoint[];
}

/**
 * Fig. 2.12(b) (CVPR Fig. 5(b)): the information plane, a curve per method over its checkpoints. The paper prints none
 * of its values, so nothing is drawn as its own; its colours are kept. Runs that quantize only the transformer have panels of
 * their own, below where there are others.
 */
export function figure212b(runs: RunSummaries): Figure {
  let hasTeacher = false;
  const panelsOf = (scope: 'detector' | 'transformer'): object[] =>
    (['recorded', 'fresh'] as const).flatMap((origin) => {
      const group = groupFor('figure-2.12b', runs[origin], { scope });
      const points = group === null ? [] : planePoints(group);
      hasTeacher ||= points.some(({ method }) => method === 'Teacher');
      return group === null || points.length === 0 ? [] : [planePanel(origin, group, points)];
    });
  const lines = [panelsOf('detector'), panelsOf('transformer')].filter((panels) => panels.length > 0);
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Figure 2.12(b) · Information plane',
      subtitle: [
        'A curve per method over its checkpoints, the last one large.',
        'The paper prints none of its values: nothing here is the paper’s.',
        'Its students have the colours that it names; others are this kit’s choice.',
        ...(hasTeacher ? ['It names red twice: the teacher is a darker red, dashed, with diamonds.'] : []),
      ],
    },
    ...(lines.length > 1 ? { vconcat: lines.map((hconcat) => ({ hconcat })), spacing: 44 } : { hconcat: lines[0] ?? [emptyPanel()] }),
    config: CONFIG,
  } as Figure;
}

function planePanel(origin: Origin, group: RunGroup, points: PlanePoint[]): object {
  const xs = paddedDomain(points.map((point) => point.informationX));
  const ys = paddedDomain(points.map((point) => point.ap50));
  const methods = [...new Set(points.map((point) => point.method))];
  const styles = methods.map(methodStyle);
  const curves = methods.map((method) => points.filter((point) => point.method === method));
  const lasts = curves.map((curve) => curve[curve.length - 1]);
  const pixel = (ap50: number): number => HEIGHT * (1 - (ap50 - ys[0]) / (ys[1] - ys[0]));
  const places = spread(lasts.map((last) => pixel(last.ap50)), 22, HEIGHT);
  const x = xAxis(xs);
  const y = yAxis(ys, `${datasetName(group.dataset)} test`);
  const bits = [...new Set(group.runs.map((run) => run.bits).filter((text) => text !== '32-32-32'))];
  const subtitle = [`${datasetName(group.dataset)} test, ${modelName(group)}${bits.length > 0 ? `, students ${bits.join(', ')}` : ''}`, `scale '${group.scale}', ${seedsText(group.runs).replace(/^(?!1 )/, 'mean of ')}`];
  const layer = curves.flatMap((values, i): Layer[] => {
    const { colour, shape, dash } = styles[i];
    return [
      { data: { values }, mark: { type: 'line', color: colour, strokeWidth: 3, strokeDash: dash }, encoding: { x, y, order: { field: 'epoch', type: 'quantitative' } } },
      { data: { values: values.slice(0, -1) }, mark: { type: 'point', filled: true, color: colour, shape, size: 60, opacity: 1 }, encoding: { x, y } },
      { data: { values: [lasts[i]] }, mark: { type: 'rule', color: colour, strokeWidth: 1, opacity: 0.45 }, encoding: { x, y, x2: { value: WIDTH + 14 }, y2: { value: places[i] } } },
      { data: { values: [lasts[i]] }, mark: { type: 'point', filled: true, color: colour, shape, size: 230, opacity: 1, stroke: 'white', strokeWidth: 1.5 }, encoding: { x, y } },
      { data: { values: [{ text: methods[i] }] }, mark: { type: 'text', align: 'left', baseline: 'middle', color: colour, fontSize: 15, fontWeight: 'bold', dx: 4 }, encoding: { x: { value: WIDTH + 14 }, y: { value: places[i] }, text: { field: 'text' } } },
    ];
  });
  const title = origin === 'recorded' ? 'Recorded by this kit' : 'Fresh, made here';
  return view(group.scope === 'transformer' ? `${title}: only the transformer at low bits, backbone fixed` : title, subtitle, layer);
}

function emptyPanel(): object {
  const values = [{ informationX: 0.5, ap50: 50 }];
  return view('This kit', ['MiniVOC test', ''], [
    { data: { values }, mark: { type: 'point', opacity: 0 }, encoding: { x: { ...xAxis([0, 1]), axis: { ...xAxis([0, 1]).axis, labels: false } }, y: yAxis([-4, 104], 'MiniVOC test') } },
    noRuns('figure-2.12b', EMPTY_WIDTH, HEIGHT, 'No points yet, recorded or fresh.'),
  ], EMPTY_WIDTH);
}

function paddedDomain(values: readonly number[]): [number, number] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const margin = high > low ? 0.08 * (high - low) : Math.max(0.05 * Math.abs(high), 1e-3);
  return [Number((low - margin).toPrecision(6)), Number((high + margin).toPrecision(6))];
}

function xAxis(domain: [number, number]) {
  return {
    field: 'informationX',
    type: 'quantitative' as const,
    scale: { domain, nice: false, zero: false },
    axis: { title: 'I(X; E): minus the L1 error of reconstructing the image from E  →', tickCount: 6, domain: false, ticks: false },
  };
}

function yAxis(domain: [number, number], data: string) {
  return {
    field: 'ap50',
    type: 'quantitative' as const,
    scale: { domain, nice: false, zero: false },
    axis: { title: `I(y; E, q): AP50 on ${data} (%)  →`, tickCount: 6, domain: false, ticks: false },
  };
}

function view(title: string, subtitle: string[], layer: Layer[], width = WIDTH): object {
  return {
    width,
    height: HEIGHT,
    title: { text: title, subtitle, fontSize: 18, subtitleFontSize: 14, subtitlePadding: 5, color: INK, offset: 16 },
    layer,
    view: { stroke: FAINT },
  };
}
