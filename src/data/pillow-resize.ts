/** Part of an image: its upper left corner and its size, in pixels. */
export interface Region { x: number; y: number; width: number; height: number }

/** Fixed point of Pillow's weights (its PRECISION_BITS), and a half in it. */
const BITS = 22, HALF = 1 << (BITS - 1);

/** For each pixel of an axis: the first pixel that it is made of, how many they are, and their weights [length, most]. */
interface Taps { first: Int32Array; count: Int32Array; weights: Int32Array; most: number }

/** Weights of a triangle filter as wide as a pixel of the smaller image (Pillow's precompute_coeffs and normalize_coeffs_8bpc). */
function triangleTaps(from: number, to: number): Taps {
  const scale = from / to, support = Math.max(scale, 1), most = Math.ceil(support) * 2 + 1;
  const taps: Taps = { first: new Int32Array(to), count: new Int32Array(to), weights: new Int32Array(to * most), most };
  const exact = new Float64Array(most);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5)), count = Math.min(from, Math.trunc(centre + support + 0.5)) - first;
    let sum = 0;
    for (let j = 0; j < count; j++) sum += exact[j] = Math.max(0, 1 - Math.abs((j + first - centre + 0.5) * (1 / support)));
    for (let j = 0; j < count; j++) taps.weights[i * most + j] = Math.trunc(0.5 + (sum === 0 ? exact[j] : exact[j] / sum) * (1 << BITS));
    taps.first[i] = first;
    taps.count[i] = count;
  }
  return taps;
}

/** Rows y0 to y1 of the image, columns x0 to x1 of the resized one: RGB [y1 - y0, x1 - x0, 3]. */
function resizeRows(pixels: Uint8Array, width: number, { first, count, weights, most }: Taps, x0: number, x1: number, y0: number, y1: number): Uint8Array {
  const out = new Uint8Array((y1 - y0) * (x1 - x0) * 3);
  const single = count.subarray(x0, x1).every((n) => n <= 2) ? pairs(width, { first, count, weights, most }, x0, x1) : undefined;
  let to = 0;
  for (let y = y0; y < y1; y++) {
    const row = y * width * 3;
    if (single) {
      for (let i = 0; i < x1 - x0; i++) { // enlarged: two pixels make one
        const a = row + single.left[i], b = row + single.right[i], p = single.leftWeight[i], q = single.rightWeight[i];
        out[to] = (Math.imul(pixels[a], p) + Math.imul(pixels[b], q) + HALF) >> BITS;
        out[to + 1] = (Math.imul(pixels[a + 1], p) + Math.imul(pixels[b + 1], q) + HALF) >> BITS;
        out[to + 2] = (Math.imul(pixels[a + 2], p) + Math.imul(pixels[b + 2], q) + HALF) >> BITS;
        to += 3;
      }
      continue;
    }
    for (let x = x0; x < x1; x++) {
      let red = HALF, green = HALF, blue = HALF, from = row + first[x] * 3;
      for (let at = x * most, end = at + count[x]; at < end; at++) {
        const weight = weights[at];
        red = (red + Math.imul(pixels[from], weight)) | 0;
        green = (green + Math.imul(pixels[from + 1], weight)) | 0;
        blue = (blue + Math.imul(pixels[from + 2], weight)) | 0;
        from += 3;
      }
      out[to] = red >> BITS;
      out[to + 1] = green >> BITS;
      out[to + 2] = blue >> BITS;
      to += 3;
    }
  }
  return out;
}

/** Taps of at most two pixels, as offsets into a row and weights. */
function pairs(width: number, { first, count, weights, most }: Taps, x0: number, x1: number): Record<'left' | 'right' | 'leftWeight' | 'rightWeight', Int32Array> {
  const made = { left: new Int32Array(x1 - x0), right: new Int32Array(x1 - x0), leftWeight: new Int32Array(x1 - x0), rightWeight: new Int32Array(x1 - x0) };
  for (let x = x0; x < x1; x++) {
    made.left[x - x0] = first[x] * 3;
    made.right[x - x0] = Math.min(width - 1, first[x] + 1) * 3;
    made.leftWeight[x - x0] = weights[x * most];
    made.rightWeight[x - x0] = count[x] > 1 ? weights[x * most + 1] : 0;
  }
  return made;
}

/** Rows y0 to y1 of the resized image out of rows of `stride` bytes, the first of which is row `top`: [y1 - y0, stride]. */
function resizeColumns(rows: Uint8Array, stride: number, top: number, { first, count, weights, most }: Taps, y0: number, y1: number): Uint8Array {
  const out = new Uint8Array((y1 - y0) * stride), sums = new Int32Array(stride);
  for (let y = y0; y < y1; y++) {
    const to = (y - y0) * stride, from = (first[y] - top) * stride;
    if (count[y] <= 2) {
      const p = weights[y * most], q = count[y] > 1 ? weights[y * most + 1] : 0, below = count[y] > 1 ? from + stride : from;
      for (let i = 0; i < stride; i++) out[to + i] = (Math.imul(rows[from + i], p) + Math.imul(rows[below + i], q) + HALF) >> BITS;
      continue;
    }
    sums.fill(HALF);
    for (let j = 0; j < count[y]; j++) {
      const weight = weights[y * most + j], row = from + j * stride;
      for (let i = 0; i < stride; i++) sums[i] += Math.imul(rows[row + i], weight);
    }
    for (let i = 0; i < stride; i++) out[to + i] = sums[i] >> BITS;
  }
  return out;
}

/** Part of an image, copied: RGB [region.height, region.width, 3]. */
function cropped(pixels: Uint8Array, width: number, { x, y, width: columns, height: rows }: Region): Uint8Array {
  const out = new Uint8Array(columns * rows * 3);
  for (let row = 0; row < rows; row++) out.set(pixels.subarray(((y + row) * width + x) * 3, ((y + row) * width + x + columns) * 3), row * columns * 3);
  return out;
}

/**
 * Resizes an image by Pillow's `resize(..., BILINEAR)`, which torchvision's and DETR's transforms of Pillow images call: a triangle filter, wide enough not to alias
 * where the image gets smaller, first along the rows, then along the columns (the other way round where an image gets wider and less tall), each rounded to bytes in 22-bit fixed point (libImaging/Resample.c). Equal to Pillow's bytes.
 * @param pixels RGB [height, width, 3]; unchanged
 * @param width of the image, in pixels
 * @param height of the image, in pixels
 * @param toWidth width of the resized image
 * @param toHeight height of the resized image
 * @param region the part of the resized image that is wanted, and alone computed; default: all of it
 * @returns RGB [region.height, region.width, 3]; `pixels` itself where nothing is to be done
 */
export function pillowResize(pixels: Uint8Array, width: number, height: number, toWidth: number, toHeight: number, region: Region = { x: 0, y: 0, width: toWidth, height: toHeight }): Uint8Array {
  const { x, y } = region, right = x + region.width, bottom = y + region.height;
  const isWhole = region.width === toWidth && region.height === toHeight;
  if (width === toWidth && height === toHeight) return isWhole ? pixels : cropped(pixels, width, region);
  if (height === toHeight) return resizeRows(pixels, width, triangleTaps(width, toWidth), x, right, y, bottom);
  const columns = triangleTaps(height, toHeight);
  if (toWidth > width && toHeight < height) // the cheaper order, as in Pillow 13
    return resizeRows(resizeColumns(pixels, width * 3, 0, columns, y, bottom), width, triangleTaps(width, toWidth), x, right, 0, region.height);
  const top = columns.first[y], last = columns.first[bottom - 1] + columns.count[bottom - 1];
  const rows = width === toWidth
    ? cropped(pixels, width, { x, y: top, width: region.width, height: last - top })
    : resizeRows(pixels, width, triangleTaps(width, toWidth), x, right, top, last);
  return resizeColumns(rows, region.width * 3, top, columns, y, bottom);
}
