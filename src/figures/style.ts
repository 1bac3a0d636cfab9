import type { Field } from 'vega-lite/build/src/channeldef';
import type { Config } from 'vega-lite/build/src/config';
import type { LayerSpec, UnitSpec } from 'vega-lite/build/src/spec';

/** One layer of a view. */
export type Layer = LayerSpec<Field> | UnitSpec<Field>;

/** How a method is drawn. The colours of the paper's own methods are those that Fig. 2.12(b) names; the shape tells methods apart without colour. */
export interface MethodStyle {
  method: string;
  colour: string;
  shape: string;
  dash: number[];
}

/**
 * The paper names red twice, for the teacher and for + FQM: the teacher is drawn in a darker red, dashed, with diamonds.
 * All are shades that stay apart with the common kinds of colour blindness; those
 * after the teacher's are this kit's own choice.
 */
export const METHODS: readonly MethodStyle[] = [
  { method: 'Real-valued', colour: '#4a4a4a', shape: 'circle', dash: [1, 0] },
  { method: 'Baseline', colour: '#e08a00', shape: 'triangle-up', dash: [1, 0] },
  { method: '+ DA', colour: '#00855f', shape: 'square', dash: [1, 0] },
  { method: '+ FQM', colour: '#e0313a', shape: 'triangle-down', dash: [1, 0] },
  { method: '+ DA + FQM (Q-DETR)', colour: '#6f3fa8', shape: 'circle', dash: [1, 0] },
  { method: 'Teacher', colour: '#8b0000', shape: 'diamond', dash: [7, 4] },
  { method: 'Q-DETR, same slot', colour: '#1a6dff', shape: 'triangle-right', dash: [1, 0] },
  { method: 'LSQ', colour: '#4c99b2', shape: 'triangle-left', dash: [1, 0] },
  { method: 'Percentile', colour: '#b8437e', shape: 'cross', dash: [1, 0] },
  { method: 'VT-PTQ', colour: '#2e2357', shape: 'diamond', dash: [1, 0] },
];

/** The rows of Table 2.2, in its order. */
export const TABLE_22_METHODS: readonly MethodStyle[] = METHODS.slice(0, 5);

/** A method's place in the order of tables and legends: that of `METHODS`, unknown ones last. */
export const methodOrder = (method: string): number => METHODS.findIndex((style) => style.method === method) >>> 0;

/** The style of a method; methods that the paper's figures do not show are grey crosses. */
export function methodStyle(method: string): MethodStyle {
  return METHODS.find((style) => style.method === method) ?? { method, colour: '#767676', shape: 'cross', dash: [2, 3] };
}

/** Colour of titles and text. */
export const INK = '#1f2430';
/** Colour of what explains: labels, subtitles. */
export const QUIET = '#5c6370';
/** Colour of lines that should hardly be seen: axes, ticks. */
export const FAINT = '#d9dce2';

/** Shared look of all figures: readable from the back of a room, the same on a machine without fonts. */
export const CONFIG: Config = {
  font: 'DejaVu Sans, sans-serif',
  background: 'white',
  padding: { left: 28, right: 28, top: 24, bottom: 22 },
  title: { anchor: 'start', color: INK, fontSize: 23, fontWeight: 'bold', subtitleColor: QUIET, subtitleFontSize: 15, subtitlePadding: 8, offset: 22 },
  axis: {
    labelFontSize: 15,
    titleFontSize: 15,
    titleFontWeight: 'normal',
    labelColor: QUIET,
    titleColor: INK,
    gridColor: '#e9ebef',
    domainColor: FAINT,
    tickColor: FAINT,
    titlePadding: 10,
  },
  text: { color: INK, fontSize: 15 },
  view: { stroke: null },
  concat: { spacing: 34 },
};

/** Title of one panel of a figure, with what it is measured on below. */
export const panelTitle = (text: string, subtitle: string[]) => ({ text, subtitle, fontSize: 18, subtitleFontSize: 14, subtitlePadding: 5, color: INK, offset: 16 });

/** An axis range that holds all `values` with a margin, on multiples of `step`. */
export function niceDomain(values: readonly number[], step: number, [least, most]: [number, number]): [number, number] {
  if (values.length === 0) return [least, most];
  const low = Math.max(least, Math.floor((Math.min(...values) - 0.3 * step) / step) * step);
  const high = Math.min(most, Math.ceil((Math.max(...values) + 0.3 * step) / step) * step);
  return high > low ? [low, high] : [least, most];
}
