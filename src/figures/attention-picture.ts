import type { Picture } from './picture.js';

/** Anchors of the colour map `inferno` (matplotlib), dark to light, at equal distances. */
const INFERNO = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]] as const;
/** Weights below this share of the largest one are not drawn. */
const VISIBLE = 0.03;
/** How much of the picture the least and the largest drawn weight cover. */
const COVER = { least: 0.15, most: 0.95 } as const;
/** Strength of the grey picture below. */
const GREY = 0.45;

/** The colour of a share of the largest weight, 0 to 1, as RGB from 0 to 255. */
export function heatColour(share: number): [number, number, number] {
  const place = Math.min(Math.max(share, 0), 1) * (INFERNO.length - 1), first = Math.min(Math.floor(place), INFERNO.length - 2);
  const mix = (channel: 0 | 1 | 2): number => INFERNO[first][channel] + (place - first) * (INFERNO[first + 1][channel] - INFERNO[first][channel]);
  return [mix(0), mix(1), mix(2)];
}

/**
 * A map over a picture, as Fig. 2.9 shows attention: the picture in dark grey, and over it each cell's weight, bright where it is large.
 * @param rgb the picture's bytes [side, side, 3]
 * @param weights of the cells [rows * columns], rows first, at least 0
 * @param columns cells in a row; rows follow from the weights
 * @param largest what is drawn brightest: the largest weight of the map unless given
 * @returns bytes [side, side, 3] of the same size, to be shown with boxes and a caption of their own
 * @throws RangeError when the weights are no whole number of rows
 */
export function attentionPicture(rgb: Uint8Array, side: number, weights: ArrayLike<number>, columns: number, largest = Math.max(...Array.from(weights), 1e-12)): Picture {
  const rows = weights.length / columns;
  if (!Number.isInteger(rows) || rows < 1) throw new RangeError(`${weights.length} weights are no whole number of rows of ${columns}`);
  const out = new Uint8Array(rgb.length);
  for (let at = 0; at < side * side; at++) {
    const column = Math.floor(((at % side) * columns) / side), row = Math.floor((Math.floor(at / side) * rows) / side);
    const share = Math.min(weights[row * columns + column] / largest, 1);
    const cover = share < VISIBLE ? 0 : COVER.least + (COVER.most - COVER.least) * share;
    const grey = GREY * (0.299 * rgb[3 * at] + 0.587 * rgb[3 * at + 1] + 0.114 * rgb[3 * at + 2]);
    heatColour(share).forEach((heat, channel) => (out[3 * at + channel] = Math.round((1 - cover) * grey + cover * heat)));
  }
  return { rgb: out, width: side, height: side };
}
