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
  const columns = x1 - x0, out = new Uint8Array((y1 - y0) * columns * 3);
  const pair = count.subarray(x0, x1).every((n) => n <= 2) ? pairs(width, { first, count, weights, most }, x0, x1) : undefined;
  for (let y = y0; y < y1; y++) {
    const row = pixels.subarray(y * width * 3, (y + 1) * width * 3), made = out.subarray((y - y0) * columns * 3, (y - y0 + 1) * columns * 3);
    if (pair) mixPixels(row, made, pair);
    else sumPixels(row, made, { first, count, weights, most }, x0);
  }
  return out;
}

/** A row of an enlarged image: two pixels make one. Rows are arrays of their own in here: twice as fast as offsets into the image. */
function mixPixels(row: Uint8Array, made: Uint8Array, { left, right, leftWeight, rightWeight }: Pairs): void {
  const columns = left.length;
  let to = 0;
  for (let i = 0; i < columns; i++) {
    const a = left[i], b = right[i], p = leftWeight[i], q = rightWeight[i];
    made[to] = (Math.imul(row[a], p) + Math.imul(row[b], q) + HALF) >> BITS;
    made[to + 1] = (Math.imul(row[a + 1], p) + Math.imul(row[b + 1], q) + HALF) >> BITS;
    made[to + 2] = (Math.imul(row[a + 2], p) + Math.imul(row[b + 2], q) + HALF) >> BITS;
    to += 3;
  }
}

/** A row of any resized image, from column `x` on. */
function sumPixels(row: Uint8Array, made: Uint8Array, { first, count, weights, most }: Taps, x: number): void {
  for (let to = 0; to < made.length; to += 3, x++) {
    let red = HALF, green = HALF, blue = HALF, from = first[x] * 3;
    for (let at = x * most, end = at + count[x]; at < end; at++) {
      const weight = weights[at];
      red = (red + Math.imul(row[from], weight)) | 0;
      green = (green + Math.imul(row[from + 1], weight)) | 0;
      blue = (blue + Math.imul(row[from + 2], weight)) | 0;
      from += 3;
    }
    made[to] = red >> BITS;
    made[to + 1] = green >> BITS;
    made[to + 2] = blue >> BITS;
  }
}

type Pairs = Record<'left' | 'right' | 'leftWeight' | 'rightWeight', Int32Array>;

/** Taps of at most two pixels, as offsets into a row and weights. */
function pairs(width: number, { first, count, weights, most }: Taps, x0: number, x1: number): Pairs {
  const made: Pairs = { left: new Int32Array(x1 - x0), right: new Int32Array(x1 - x0), leftWeight: new Int32Array(x1 - x0), rightWeight: new Int32Array(x1 - x0) };
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
    const row = (j: number): Uint8Array => rows.subarray((first[y] - top + j) * stride, (first[y] - top + j + 1) * stride), made = out.subarray((y - y0) * stride, (y - y0 + 1) * stride);
    if (count[y] <= 2) mixRows(row(0), row(count[y] - 1), made, weights[y * most], count[y] > 1 ? weights[y * most + 1] : 0);
    else {
      sums.fill(HALF);
      for (let j = 0; j < count[y]; j++) addRow(sums, row(j), weights[y * most + j]);
      for (let i = 0; i < stride; i++) made[i] = sums[i] >> BITS;
    }
  }
  return out;
}

function mixRows(above: Uint8Array, below: Uint8Array, made: Uint8Array, p: number, q: number): void {
  for (let i = 0; i < made.length; i += 3) {
    made[i] = (Math.imul(above[i], p) + Math.imul(below[i], q) + HALF) >> BITS;
    made[i + 1] = (Math.imul(above[i + 1], p) + Math.imul(below[i + 1], q) + HALF) >> BITS;
    made[i + 2] = (Math.imul(above[i + 2], p) + Math.imul(below[i + 2], q) + HALF) >> BITS;
  }
}

function addRow(sums: Int32Array, row: Uint8Array, weight: number): void {
  for (let i = 0; i < sums.length; i++) sums[i] += Math.imul(row[i], weight);
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
