import type { AttentionMaps, ObservationRecord, ObservedPicture } from '../training/observation-record.js';
import { datasetName, modelName } from './groups.js';
import { noRuns } from './no-runs.js';
import { observedGroup, weightsOf, type Observations, type ObservedGroup } from './observation-records.js';
import { plainPng } from './picture.js';
import { FONT_FILES, type Figure } from './render.js';
import type { Origin } from './run-summaries.js';
import { CONFIG, FAINT, INK, QUIET, methodStyle, panelTitle, type Layer } from './style.js';
import { textWidth } from './text-width.js';

const SIDE = 192;
const LABELS = 214;
/** The paper selects four heads. */
const HEADS = 4;
/** Weights below this share of the largest one are not drawn. */
const VISIBLE = 0.03;
/** Colours of the object's box and of the query's. */
const TRUTH = '#ffffff', DETECTED = '#ffd21f';

/**
 * Fig. 2.9 (CVPR Fig. 2): where the co-attention of the last decoder layer looks, head by head, for the query that detects an object, in
 * the real-valued and the quantized models. The paper's figure holds no numbers.
 */
export function figure29(observations: Observations): Figure {
  const sections = (['recorded', 'fresh'] as const).flatMap((origin) => {
    const group = observedGroup('figure-2.9', observations[origin]);
    return group === null ? [] : picturesOf(group).map((picture, i) => section(origin, group, picture, i === 0));
  });
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v5.json',
    title: {
      text: 'Figure 2.9 · Where co-attention looks, real-valued and quantized',
      subtitle: [
        'Last decoder layer, one head a column, for the query that detects the object best. White box: the object; yellow: the query’s box.',
        'Bright: where the attention is, each map by its own largest weight. Overlap: the share that a map has in common with the real-valued model’s.',
      ],
    },
    vconcat: sections.length > 0 ? sections : [emptyPanel()],
    spacing: 40,
    config: CONFIG,
  } as Figure;
}

/** Pictures that every run of a group was observed on. */
function picturesOf({ runs }: ObservedGroup): ObservedPicture[] {
  const [first, ...others] = runs.map((run) => run.pictures);
  return first.filter((picture) => others.every((pictures) => pictures.some((other) => other.id === picture.id && other.rgb === picture.rgb)));
}

function section(origin: Origin, group: ObservedGroup, picture: ObservedPicture, isFirst: boolean): object {
  const mapsOf = (run: ObservationRecord): AttentionMaps | undefined => run.attention.find((maps) => maps.picture === picture.id);
  const real = group.runs.find((run) => run.method === 'Real-valued'), reference = real && mapsOf(real);
  const where = `scale '${group.scale}'${group.scope === 'transformer' ? ', transformer only' : ''}`;
  const title = panelTitle(origin === 'recorded' ? 'Recorded by this kit' : 'Fresh, made here', [`${datasetName(group.dataset)} test,`, `${modelName(group)}, ${where}`]);
  const rows = group.runs.flatMap((run) => {
    const maps = mapsOf(run);
    return maps === undefined ? [] : [{ run, maps }];
  });
  return {
    concat: rows.flatMap(({ run, maps }, row) => [
      labelView(run, maps, isFirst && row === 0 ? title : undefined),
      pictureView(picture, maps, row === 0 ? 'Image' : undefined),
      ...maps.heads.slice(0, HEADS).map((weights, head) => mapView(picture, maps, weights, row === 0 ? `Head ${head}` : undefined, run === real ? undefined : reference?.heads[head])),
    ]),
    columns: 2 + Math.min(HEADS, Math.max(...rows.map(({ maps }) => maps.heads.length))),
    align: 'each',
    spacing: { row: 14, column: 12 },
    resolve: { scale: { color: 'independent', opacity: 'independent' } },
  };
}

function labelView({ method, bits, seed, id }: ObservationRecord, { label, probability }: AttentionMaps, title?: object): object {
  const text = (words: string, y: number, mark: object): Layer => ({ data: { values: [{ text: words }] }, mark: { type: 'text', align: 'left', baseline: 'middle', ...mark }, encoding: { x: { value: 0 }, y: { value: y }, text: { field: 'text' } } });
  return {
    width: LABELS,
    height: SIDE,
    ...(title === undefined ? {} : { title }),
    layer: [
      text(method, 0.32 * SIDE, { fontSize: 16, fontWeight: 'bold', color: methodStyle(method).colour }),
      text(`${bits === '32-32-32' ? '32 bits' : bits}, seed ${seed}`, 0.32 * SIDE + 23, { fontSize: 15, color: QUIET }),
      text(weightsOf(id), 0.32 * SIDE + 43, { fontSize: 13, color: QUIET }),
      text(`${label} ${Math.round(100 * probability)} %`, 0.32 * SIDE + 67, { fontSize: 15, color: INK }),
    ],
  };
}

const x = (size: number) => ({ field: 'x', type: 'quantitative' as const, scale: { domain: [0, size], nice: false }, axis: null });
const y = (size: number) => ({ field: 'y', type: 'quantitative' as const, scale: { domain: [size, 0], nice: false }, axis: null });

/** A picture, filling the view. */
function raster({ rgb, size }: ObservedPicture, grey: boolean): Layer {
  const bytes = Uint8Array.from(Buffer.from(rgb, 'base64'));
  const url = `data:image/png;base64,${plainPng(grey ? darkened(bytes) : bytes, size, size).toString('base64')}`;
  return { data: { values: [{ url }] }, mark: { type: 'image', width: SIDE, height: SIDE, align: 'left', baseline: 'top', smooth: false, aria: false }, encoding: { url: { field: 'url' }, x: { value: 0 }, y: { value: 0 } } };
}

/** Luminance at less than half strength, so that what lies over it is seen: grey bytes [H, W]. */
const darkened = (rgb: Uint8Array): Uint8Array => Uint8Array.from({ length: rgb.length / 3 }, (_, i) => Math.round(0.45 * (0.299 * rgb[3 * i] + 0.587 * rgb[3 * i + 1] + 0.114 * rgb[3 * i + 2])));

const box = ([left, top, right, bottom]: AttentionMaps['box'], size: number, colour: string, width: number): Layer => ({
  data: { values: [{ x: left, x2: right, y: top, y2: bottom }] },
  mark: { type: 'rect', fill: null, stroke: colour, strokeWidth: width, clip: true },
  encoding: { x: x(size), x2: { field: 'x2' }, y: y(size), y2: { field: 'y2' } },
});

const view = (layer: Layer[], title?: string): object => ({
  width: SIDE,
  height: SIDE,
  ...(title === undefined ? {} : { title: { text: title, fontSize: 15, color: INK, anchor: 'middle', offset: 8 } }),
  layer,
  view: { stroke: FAINT },
});

const pictureView = (picture: ObservedPicture, maps: AttentionMaps, title?: string): object =>
  view([raster(picture, false), box(maps.truth, picture.size, INK, 4), box(maps.truth, picture.size, TRUTH, 2), box(maps.box, picture.size, INK, 4), box(maps.box, picture.size, DETECTED, 2)], title);

/** One head's map over the darkened picture; below it what it has in common with the real-valued model's. */
function mapView(picture: ObservedPicture, { width, height, box: detected, truth }: AttentionMaps, weights: readonly number[], title?: string, reference?: readonly number[]): object {
  const cell = { x: picture.size / width, y: picture.size / height };
  const largest = Math.max(...weights, 1e-12);
  const values = weights.map((weight, i) => {
    const column = i % width, row = Math.floor(i / width);
    return { x: column * cell.x, x2: (column + 1) * cell.x, y: row * cell.y, y2: (row + 1) * cell.y, share: Number((weight / largest).toFixed(3)) };
  }).filter(({ share }) => share >= VISIBLE);
  const heat: Layer = {
    data: { values },
    mark: { type: 'rect', strokeWidth: 0, clip: true },
    encoding: {
      x: x(picture.size), x2: { field: 'x2' }, y: y(picture.size), y2: { field: 'y2' },
      color: { field: 'share', type: 'quantitative', legend: null, scale: { domain: [0, 1], scheme: 'inferno' } },
      opacity: { field: 'share', type: 'quantitative', legend: null, scale: { domain: [0, 1], range: [0.15, 0.95] } },
    },
  };
  const overlap: Layer[] = reference === undefined ? [] : words(`overlap ${Math.round(100 * commonShare(weights, reference))} %`);
  return view([raster(picture, true), heat, box(truth, picture.size, TRUTH, 1.5), box(detected, picture.size, DETECTED, 1.5), ...overlap], title);
}

/** Sum over the cells of the smaller of two attention weights: 1 for equal maps, 0 for maps without a common cell. */
export const commonShare = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, weight, i) => sum + Math.min(weight, b[i] ?? 0), 0);

/** Words at the bottom left of a picture, on a ground of their own. */
const words = (text: string): Layer[] => [
  { data: { values: [{}] }, mark: { type: 'rect', color: INK, opacity: 0.8 }, encoding: { x: { value: 0 }, x2: { value: textWidth(text, FONT_FILES[1], 13) + 12 }, y: { value: SIDE - 21 }, y2: { value: SIDE } } },
  { data: { values: [{ text }] }, mark: { type: 'text', align: 'left', baseline: 'bottom', fontSize: 13, fontWeight: 'bold', color: 'white' }, encoding: { x: { value: 6 }, y: { value: SIDE - 4 }, text: { field: 'text' } } },
];

function emptyPanel(): object {
  const width = LABELS + 4 * SIDE, height = 220;
  return { width, height, title: panelTitle('This kit', ['MiniVOC test', ' ']), ...noRuns('figure-2.9', width, height, 'Nothing observed yet, in recorded or fresh runs.'), view: { stroke: FAINT } };
}
