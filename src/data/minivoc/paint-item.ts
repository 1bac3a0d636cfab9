import type { Item } from './scene.js';

/** Least alpha (of 255) with which a pixel counts as the object's. */
export const VISIBLE_ALPHA = 96;

/** Pixels with at least VISIBLE_ALPHA at full resolution, by sprite. */
const areas = new WeakMap<object, number>();

function areaOf(item: Item): number {
  const known = areas.get(item.sprite);
  if (known !== undefined) return known;
  const { data } = item.sprite.levels[0];
  let area = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at] >= VISIBLE_ALPHA) area++;
  areas.set(item.sprite, area);
  return area;
}

/**
 * Paints a sprite with bilinear sampling over what is there.
 * @param out RGB values [size, size, 3], painted over
 * @param instances instance of each pixel, overwritten where the sprite is visible
 * @returns `inside`, the pixels that it covers in the image; `whole`, those that it would cover without the image's border
 */
export function paintItem(out: Float32Array, instances: Int8Array, size: number, item: Item): { inside: number; whole: number } {
  const { sprite, instance, transform, colour, bias, shading } = item;
  const perPixel = (item.length * size) / Math.max(sprite.width, sprite.height);
  let level = 0;
  while (level < sprite.levels.length - 1 && perPixel * sprite.levels[level].scale <= 0.55) level++;
  const { data, width, height, scale } = sprite.levels[Math.min(sprite.levels.length - 1, level + item.blur)];
  const stride = (width + 2) * 4;
  const [a, b, c, d] = transform.map((value) => value * perPixel);
  const determinant = a * d - b * c;
  const ux = d / determinant / scale, uy = -b / determinant / scale, vx = -c / determinant / scale, vy = a / determinant / scale;
  const halfWidth = sprite.width / 2, halfHeight = sprite.height / 2;
  const cx = item.x * size, cy = item.y * size;
  const reachX = Math.abs(a) * halfWidth + Math.abs(b) * halfHeight + perPixel * scale, reachY = Math.abs(c) * halfWidth + Math.abs(d) * halfHeight + perPixel * scale;
  const left = Math.max(0, Math.floor(cx - reachX)), right = Math.min(size - 1, Math.ceil(cx + reachX));
  const top = Math.max(0, Math.floor(cy - reachY)), bottom = Math.min(size - 1, Math.ceil(cy + reachY));
  const [c0, c1, c2, c3, c4, c5, c6, c7, c8] = colour;
  const shadeU = shading[0] / width, shadeV = shading[1] / height;
  const cut = cx - reachX < 0 || cy - reachY < 0 || cx + reachX > size || cy + reachY > size;
  let inside = 0;
  for (let y = top; y <= bottom; y++) {
    const dy = y + 0.5 - cy;
    // Coordinates of a level's pixel centres, counted with the rim of one pixel.
    const u0 = uy * dy + halfWidth / scale + 0.5, v0 = vy * dy + halfHeight / scale + 0.5;
    for (let x = left; x <= right; x++) {
      const dx = x + 0.5 - cx;
      const u = ux * dx + u0, v = vx * dx + v0;
      if (u < 0 || v < 0 || u >= width + 1 || v >= height + 1) continue;
      const U = u | 0, V = v | 0, fu = u - U, fv = v - V;
      const p = V * stride + U * 4, q = p + stride;
      const wp = (1 - fu) * (1 - fv), wr = fu * (1 - fv), wq = (1 - fu) * fv, ws = fu * fv;
      const alpha = data[p + 3] * wp + data[p + 7] * wr + data[q + 3] * wq + data[q + 7] * ws;
      if (alpha < 4) continue;
      const red = data[p] * wp + data[p + 4] * wr + data[q] * wq + data[q + 4] * ws;
      const green = data[p + 1] * wp + data[p + 5] * wr + data[q + 1] * wq + data[q + 5] * ws;
      const blue = data[p + 2] * wp + data[p + 6] * wr + data[q + 2] * wq + data[q + 6] * ws;
      const cover = alpha / 255, rest = 1 - cover, shade = 1 + (u - width / 2) * shadeU + (v - height / 2) * shadeV, shift = bias * cover;
      const pixel = y * size + x, at = pixel * 3;
      out[at] = out[at] * rest + (c0 * red + c1 * green + c2 * blue) * shade + shift;
      out[at + 1] = out[at + 1] * rest + (c3 * red + c4 * green + c5 * blue) * shade + shift;
      out[at + 2] = out[at + 2] * rest + (c6 * red + c7 * green + c8 * blue) * shade + shift;
      if (alpha >= VISIBLE_ALPHA) {
        inside++;
        instances[pixel] = instance;
      }
    }
  }
  return { inside, whole: cut ? Math.max(inside, areaOf(item) * Math.abs(determinant)) : inside };
}
