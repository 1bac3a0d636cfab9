import sharp from 'sharp';
import type { Rectangle } from '../bank-format.js';
import type { Picture } from './render-mesh.js';

/** Longer side of a sprite in pixels. */
export const SPRITE_SIDE = 112;
const SHEET_WIDTH = 2048;
const GAP = 2;

/** Makes everything outside a rectangle invisible; the rectangle is left, top, right, bottom in fractions of the picture. */
export function cropPicture({ data, width, height }: Picture, [left, top, right, bottom]: readonly [number, number, number, number]): Picture {
  const out = Buffer.from(data);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const fx = (x + 0.5) / width, fy = (y + 0.5) / height;
      if (fx < left || fx > right || fy < top || fy > bottom) out[(y * width + x) * 4 + 3] = 0;
    }
  return { data: out, width, height };
}

/**
 * Cuts a picture to its visible pixels (alpha over 24) and shrinks it to SPRITE_SIDE.
 * @returns the sprite, or undefined where nothing is visible
 */
export async function trimSprite({ data, width, height }: Picture): Promise<Picture | undefined> {
  let left = width, top = height, right = -1, bottom = -1;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (data[(y * width + x) * 4 + 3] > 24) {
        left = Math.min(left, x); right = Math.max(right, x);
        top = Math.min(top, y); bottom = Math.max(bottom, y);
      }
  if (right < 0) return undefined;
  const w = right - left + 1, h = bottom - top + 1;
  const scale = Math.min(1, SPRITE_SIDE / Math.max(w, h));
  const cut = sharp(data, { raw: { width, height, channels: 4 } }).extract({ left, top, width: w, height: h });
  const { data: out, info } = await cut.resize(Math.max(2, Math.round(w * scale)), Math.max(2, Math.round(h * scale)), { fit: 'fill' }).raw().toBuffer({ resolveWithObject: true });
  return { data: out, width: info.width, height: info.height };
}

/** Spreads the colours of visible pixels into invisible ones, so that lossy compression leaves no dark rim. */
function bleed({ data, width, height }: Picture): void {
  let known = Uint8Array.from({ length: width * height }, (_, i) => (data[i * 4 + 3] > 0 ? 1 : 0));
  for (let pass = 0; pass < 8; pass++) {
    const next = Uint8Array.from(known);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        if (known[y * width + x]) continue;
        const sum = [0, 0, 0];
        let n = 0;
        for (const [dx, dy] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) {
          const X = x + dx, Y = y + dy;
          if (X < 0 || Y < 0 || X >= width || Y >= height || !known[Y * width + X]) continue;
          n++;
          for (let c = 0; c < 3; c++) sum[c] += data[(Y * width + X) * 4 + c];
        }
        if (!n) continue;
        for (let c = 0; c < 3; c++) data[(y * width + x) * 4 + c] = Math.round(sum[c] / n);
        next[y * width + x] = 1;
      }
    known = next;
  }
}

/**
 * Packs sprites on shelves of one sheet and compresses it.
 * @returns the WebP file and each sprite's rectangle, in the order of the sprites
 */
export async function packSheet(sprites: readonly Picture[]): Promise<{ file: Buffer; width: number; height: number; rectangles: Rectangle[] }> {
  const order = sprites.map((_, i) => i).sort((a, b) => sprites[b].height - sprites[a].height || a - b);
  const rectangles: Rectangle[] = new Array<Rectangle>(sprites.length);
  let x = 0, y = 0, shelf = 0, used = 0;
  for (const i of order) {
    const { width, height } = sprites[i];
    if (x + width > SHEET_WIDTH) { x = 0; y += shelf + GAP; shelf = 0; }
    rectangles[i] = [x, y, width, height];
    x += width + GAP;
    used = Math.max(used, x - GAP);
    shelf = Math.max(shelf, height);
  }
  const sheet: Picture = { width: used, height: y + shelf, data: Buffer.alloc(used * (y + shelf) * 4) };
  rectangles.forEach(([left, top, width, height], i) => {
    for (let row = 0; row < height; row++) sprites[i].data.copy(sheet.data, ((top + row) * sheet.width + left) * 4, row * width * 4, (row + 1) * width * 4);
  });
  bleed(sheet);
  const raw = { width: sheet.width, height: sheet.height, channels: 4 as const };
  const file = await sharp(sheet.data, { raw }).webp({ quality: 75, alphaQuality: 80, effort: 6, smartSubsample: true }).toBuffer();
  return { file, width: sheet.width, height: sheet.height, rectangles };
}
