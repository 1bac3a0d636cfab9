import { crc32, deflateSync } from 'node:zlib';

/** Bytes of a pixel: grey, or red, green and blue, or an index into a palette. */
type Kind = 'grey' | 'rgb' | 'indexed';
const COLOUR_TYPES: Readonly<Record<Kind, number>> = { grey: 0, rgb: 2, indexed: 3 };

/**
 * A PNG of 8-bit pixels, row by row.
 * @param palette RGB bytes of the colours that indices mean
 * @param level of compression; 0 makes bytes that depend on nothing but the image, others on the version of zlib too
 * @throws RangeError when the number of bytes is not that of the image
 */
export function encodePng(pixels: Uint8Array, width: number, height: number, kind: Kind, { palette, level = 0 }: { palette?: Uint8Array; level?: number } = {}): Buffer {
  const row = (kind === 'rgb' ? 3 : 1) * width;
  if (pixels.length !== row * height) throw new RangeError(`an image (${kind}) of ${width}x${height} has ${row * height} bytes, not ${pixels.length}`);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, COLOUR_TYPES[kind], 0, 0, 0], 8);
  const rows = Buffer.alloc(height * (1 + row)); // each begins with its filter: none
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(row * y, row * (y + 1)), y * (1 + row) + 1);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), ...(palette ? [chunk('PLTE', palette)] : []), chunk('IDAT', deflateSync(rows, { level })), chunk('IEND', new Uint8Array())]);
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

/** An opaque picture of at most 256 colours, given as RGBA bytes, as a small PNG with a palette, pixel for pixel the same; null for any other. */
export function indexedPng(rgba: Uint8Array, width: number, height: number): Buffer | null {
  const indices = new Map<number, number>(), pixels = new Uint8Array(width * height);
  for (let i = 0; i < pixels.length; i++) {
    if (rgba[4 * i + 3] !== 255) return null;
    const colour = (rgba[4 * i] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i + 2];
    const index = indices.get(colour) ?? indices.size;
    if (index === 256) return null;
    if (index === indices.size) indices.set(colour, index);
    pixels[i] = index;
  }
  const palette = Uint8Array.from([...indices.keys()].flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  return encodePng(pixels, width, height, 'indexed', { palette, level: 9 });
}
