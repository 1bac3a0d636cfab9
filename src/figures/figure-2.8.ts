import type { ObservationRecord, QueryHistogram } from '../training/observation-record.js';
import { datasetName, modelName } from './groups.js';
import { noRuns } from './no-runs.js';
import { observedGroup, weightsOf, type Observations, type ObservedGroup } from './observation-records.js';
import type { Figure } from './render.js';
import type { Origin } from './run-summaries.js';
import { CONFIG, FAINT, INK, QUIET, methodStyle, panelTitle, type Layer } from './style.js';

const WIDTH = 360;
const HEIGHT = 190;
const LABELS = 214;
/** The paper's: values blue, the Gaussian of their mean and deviation red. */
const VALUES = '#7fa8dc', GAUSSIAN = '#d1262f';
/** Share of a panel's height below the histogram, where the quantizers' levels are. */
const STRIP = 0.2;
/** At most so many levels of a head are ticked. */
const TICKS = 16;

/**
 * Fig. 2.8 (CVPR Fig. 1): distributions of the co-attention's queries, a row for each run and a column for each decoder layer, with the
 * Gaussian of the same mean and deviation, its entropy (Eq. 2.31), the entropy of the quantizer's integers and its levels. The paper
 * prints no numbers with its histograms, so nothing is drawn as its own.
 */
export function figure28(observations: Observations): Figure {
  const sections = (['recorded', 'fresh'] as const).flatMap((origin) => {
    const group = observedGroup('figure-2.8', observations[origin]);
    return group === null || group.runs.every((run) => run.queries.length === 0) ? [] : [section(origin, group)];
  });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Figure 2.8 · What quantization does to the queries of co-attention',
      subtitle: [
        'Blue: values of q as the quantizer sees them, all heads together. Red: the Gaussian of their mean and deviation; H: its entropy (Eq. 2.31).',
        'Codes: entropy of the quantizer’s integers. Ticks: its levels (at 8 bits every 16th), a row for each head. Grey: before distribution alignment.',
        'The paper shows layers 0, 2 and 5 of a DETR-R50 and prints no numbers; these are all decoder layers of this kit’s small models.',
      ],
    },
    vconcat: sections.length > 0 ? sections : [emptyPanel()],
    spacing: 44,
    config: CONFIG,
  } as Figure;
}

function section(origin: Origin, group: ObservedGroup): object {
  const layers = [...new Set(group.runs.flatMap((run) => run.queries.map(({ layer }) => layer)))].sort((a, b) => a - b);
  const domains = layers.map((layer) => domainOf(group.runs.flatMap((run) => run.queries.filter((one) => one.layer === layer))));
  const [{ images }] = group.runs;
  const where = [`scale '${group.scale}'`, ...(group.scope === 'transformer' ? ['only the transformer at low bits'] : [])];
  const title = panelTitle(origin === 'recorded' ? 'Recorded by this kit' : 'Fresh, made here', [`${datasetName(group.dataset)} test,`, `${images} images, ${modelName(group)},`, ...where]);
  return {
    concat: group.runs.flatMap((run, row) => [
      labelView(run, row === 0 ? title : undefined),
      ...layers.map((layer, i) => cell(run, layer, domains[i], row === 0, row === group.runs.length - 1)),
    ]),
    columns: 1 + layers.length,
    align: 'each',
    spacing: { row: 16, column: 26 },
  };
}

/** The range of queries that a column shows: that of all of its histograms. */
const domainOf = (histograms: readonly QueryHistogram[]): [number, number] => [Math.min(...histograms.map(({ low }) => low)), Math.max(...histograms.map(({ high }) => high))];

function labelView({ method, bits, seed, id }: ObservationRecord, title?: object): object {
  const { colour } = methodStyle(method);
  const text = (words: string, y: number, mark: object): Layer => ({ data: { values: [{ text: words }] }, mark: { type: 'text', align: 'left', baseline: 'middle', ...mark }, encoding: { x: { value: 0 }, y: { value: y }, text: { field: 'text' } } });
  return {
    width: LABELS,
    height: HEIGHT,
    ...(title === undefined ? {} : { title }),
    layer: [text(method, 0.32 * HEIGHT, { fontSize: 17, fontWeight: 'bold', color: colour }), text(`${bits === '32-32-32' ? '32 bits' : bits}, seed ${seed}`, 0.32 * HEIGHT + 24, { fontSize: 15, color: QUIET }), text(weightsOf(id), 0.32 * HEIGHT + 45, { fontSize: 13, color: QUIET })],
  };
}

function cell(run: ObservationRecord, layer: number, domain: [number, number], isFirst: boolean, isLast: boolean): object {
  const at = (place: QueryHistogram['place']): QueryHistogram | undefined => run.queries.find((one) => one.layer === layer && one.place === place);
  const shown = at('quantizer'), before = at('alignment');
  const x = { field: 'x', type: 'quantitative' as const, scale: { domain, nice: false, zero: false }, axis: { title: isLast ? 'query value' : null, labels: isLast, ticks: false, tickCount: 5, grid: false, domain: false } };
  const top = 1.12 * Math.max(...[shown, before].flatMap((one) => one?.densities ?? [0]), shown === undefined ? 0 : 1 / (shown.deviation * Math.sqrt(2 * Math.PI)), 1e-9);
  const y = { field: 'density', type: 'quantitative' as const, scale: { domain: [-STRIP * top, top], nice: false, zero: false }, axis: null };
  const layers: Layer[] = shown === undefined ? [note('not observed')] : [
    { data: { values: bins(shown) }, mark: { type: 'rect', color: VALUES, clip: true }, encoding: { x, x2: { field: 'x2' }, y, y2: { field: 'base' } } },
    { data: { values: gaussian(shown, domain) }, mark: { type: 'line', color: GAUSSIAN, strokeWidth: 2.5, clip: true }, encoding: { x, y } },
    ...(before === undefined ? [] : [{ data: { values: outline(before) }, mark: { type: 'line', color: '#767676', strokeWidth: 2, interpolate: 'step-after', clip: true }, encoding: { x, y } } as Layer]),
    ...levelTicks(shown, domain, x),
    ...numbers(shown, before),
  ];
  return {
    width: WIDTH,
    height: HEIGHT,
    ...(isFirst ? { title: { text: `Decoder layer ${layer}`, fontSize: 16, color: INK, anchor: 'middle', offset: 10 } } : {}),
    layer: layers,
    view: { stroke: FAINT },
  };
}

const edge = ({ low, high, densities }: QueryHistogram, i: number): number => low + ((high - low) * i) / densities.length;

const bins = (one: QueryHistogram): object[] => one.densities.map((density, i) => ({ x: edge(one, i), x2: edge(one, i + 1), density, base: 0 }));

const outline = (one: QueryHistogram): object[] => [...one.densities.map((density, i) => ({ x: edge(one, i), density })), { x: one.high, density: 0 }];

/** N(mean, deviation^2) over the panel. */
function gaussian({ mean, deviation }: QueryHistogram, [low, high]: [number, number]): object[] {
  const points = 160;
  return Array.from({ length: points + 1 }, (_, i) => {
    const x = low + ((high - low) * i) / points;
    return { x, density: Math.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * Math.sqrt(2 * Math.PI)) };
  });
}

/** The levels of each head below the histogram: a line over their range, and a tick at every 2^k-th of them. */
function levelTicks({ quantizer }: QueryHistogram, [low, high]: [number, number], x: object): Layer[] {
  if (quantizer === null) return [];
  const { bits, lowest, highest, scale, offset } = quantizer;
  const stride = Math.max(1, 2 ** bits / TICKS);
  const row = (head: number): number => HEIGHT * (1 - STRIP / (1 + STRIP)) + 6 + (head * (HEIGHT * (STRIP / (1 + STRIP)) - 10)) / Math.max(1, scale.length - 1);
  const place = (level: number, head: number): number => level * scale[head] + offset[head];
  const ticks = scale.flatMap((_, head) =>
    Array.from({ length: Math.floor((highest - lowest) / stride) + 1 }, (__, i) => ({ x: place(lowest + i * stride, head), y: row(head) - 2.5, y2: row(head) + 2.5 })).filter((tick) => tick.x >= low && tick.x <= high),
  );
  const ranges = scale.map((_, head) => ({ x: Math.max(low, place(lowest, head)), x2: Math.min(high, place(highest, head)), y: row(head) }));
  const pixels = { field: 'y', type: 'quantitative', scale: null, axis: null } as const;
  return [
    { data: { values: ranges }, mark: { type: 'rule', color: INK, strokeWidth: 1, opacity: 0.35 }, encoding: { x, x2: { field: 'x2' }, y: pixels } },
    { data: { values: ticks }, mark: { type: 'rule', color: INK, strokeWidth: 1.2 }, encoding: { x, y: pixels, y2: { field: 'y2' } } },
  ] as Layer[];
}

/** Deviation and entropies, at the top right; before the alignment, at the top left. */
function numbers({ deviation, gaussianEntropy, codeEntropy, quantizer }: QueryHistogram, before?: QueryHistogram): Layer[] {
  const lines = [`σ ${deviation.toPrecision(3)}`, `H ${gaussianEntropy.toFixed(2)} nats`, ...(codeEntropy === null || quantizer === null ? [] : [`codes ${codeEntropy.toFixed(2)} bits`])];
  const text = (words: string[], align: 'left' | 'right', colour: string): Layer => ({
    data: { values: [{ text: words }] },
    mark: { type: 'text', align, baseline: 'top', fontSize: 13.5, lineHeight: 18, color: colour },
    encoding: { x: { value: align === 'right' ? WIDTH - 8 : 8 }, y: { value: 8 }, text: { field: 'text' } },
  });
  return [text(lines, 'right', INK), ...(before === undefined ? [] : [text(['before:', `σ ${before.deviation.toPrecision(3)}`, `H ${before.gaussianEntropy.toFixed(2)} nats`], 'left', QUIET)])];
}

const note = (words: string): Layer => ({
  data: { values: [{ text: words }] },
  mark: { type: 'text', fontSize: 15, lineHeight: 21, color: QUIET, align: 'center', baseline: 'middle' },
  encoding: { x: { value: WIDTH / 2 }, y: { value: HEIGHT / 2 }, text: { field: 'text' } },
});

function emptyPanel(): object {
  const width = 2 * WIDTH + LABELS + 52;
  return { width, height: HEIGHT, title: panelTitle('This kit', ['MiniVOC test', ' ']), ...noRuns('figure-2.8', width, HEIGHT, 'Nothing observed yet, in recorded or fresh runs.'), view: { stroke: FAINT } };
}
