import type { DecodedPicture } from './read-pictures.js';
import type { Rectangle } from './bank-format.js';

/** One resolution of a sprite: premultiplied RGBA with a transparent rim of one pixel, so that sampling needs no bounds checks. */
export interface SpriteLevel {
  /** Premultiplied RGBA [height + 2, width + 2, 4]. */
  data: Uint8Array;
  width: number;
  height: number;
  /** Pixels of the full sprite that one pixel of this level stands for. */
  scale: number;
}

/** A picture of one thing, cut out, with its halvings. */
export class Sprite {
  readonly width: number;
  readonly height: number;
  #levels: SpriteLevel[] | undefined;

  constructor(readonly sheet: DecodedPicture, readonly rectangle: Rectangle) {
    [, , this.width, this.height] = rectangle;
  }

  /** The sprite and its halvings, made when first asked for. */
  get levels(): readonly SpriteLevel[] {
    return (this.#levels ??= buildLevels(this.sheet, this.rectangle));
  }
}

function fullLevel(sheet: DecodedPicture, [left, top, width, height]: Rectangle): SpriteLevel {
  const data = new Uint8Array((width + 2) * (height + 2) * 4);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = ((top + y) * sheet.width + left + x) * 4, to = ((y + 1) * (width + 2) + x + 1) * 4;
      const alpha = sheet.data[from + 3];
      for (let c = 0; c < 3; c++) data[to + c] = (sheet.data[from + c] * alpha + 127) / 255;
      data[to + 3] = alpha;
    }
  return { data, width, height, scale: 1 };
}

/** Averages 2x2 pixels; an odd last row or column is averaged with the transparent rim. */
function halve({ data, width, height, scale }: SpriteLevel): SpriteLevel {
  const w = (width + 1) >> 1, h = (height + 1) >> 1, stride = (width + 2) * 4;
  const half = new Uint8Array((w + 2) * (h + 2) * 4);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const from = (2 * y + 1) * stride + (2 * x + 1) * 4, to = ((y + 1) * (w + 2) + x + 1) * 4;
      for (let c = 0; c < 4; c++) half[to + c] = (data[from + c] + data[from + 4 + c] + data[from + stride + c] + data[from + stride + 4 + c] + 2) >> 2;
    }
  return { data: half, width: w, height: h, scale: scale * 2 };
}

function buildLevels(sheet: DecodedPicture, rectangle: Rectangle): SpriteLevel[] {
  const levels = [fullLevel(sheet, rectangle)];
  for (let last = levels[0]; last.width > 8 && last.height > 8; levels.push(last)) last = halve(last);
  return levels;
}
