import { inflateSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { encodePng, indexedPng } from '../../src/figures/png.js';
import { svgToPng } from '../../src/figures/render.js';

/** The data of a chunk. */
function chunk(png: Buffer, type: string): Buffer {
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) if (png.toString('latin1', at + 4, at + 8) === type) return png.subarray(at + 8, at + 8 + png.readUInt32BE(at));
  throw new Error(`no ${type}`);
}

test('by hand: 2x1 pixels, red and blue: header, palette, a row without a filter', (t) => {
  const png = indexedPng(Uint8Array.of(255, 0, 0, 255, 0, 0, 255, 255), 2, 1)!;
  t.deepEqual([...chunk(png, 'IHDR')], [0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0]);
  t.deepEqual([...chunk(png, 'PLTE')], [255, 0, 0, 0, 0, 255]);
  t.deepEqual([...inflateSync(chunk(png, 'IDAT'))], [0, 0, 1]);
  t.is(png.subarray(-4).readUInt32BE(), 0xae426082); // IEND's check sum is the same in every PNG
});

test('every pixel has the colour that it had; 257 colours or a transparent pixel: null', (t) => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 9 }), fc.array(fc.integer({ min: 0, max: 0xffffff }), { minLength: 9, maxLength: 90 }), (width, colours) => {
    const height = Math.floor(colours.length / width), used = colours.slice(0, width * height);
    const png = indexedPng(Uint8Array.from(used.flatMap((c) => [c >> 16, (c >> 8) & 255, c & 255, 255])), width, height)!;
    const palette = chunk(png, 'PLTE'), rows = inflateSync(chunk(png, 'IDAT'));
    t.deepEqual(used.map((_, i) => palette.readUIntBE(3 * rows[Math.floor(i / width) * (width + 1) + 1 + (i % width)], 3)), used);
  }));
  const many = (count: number): Uint8Array => Uint8Array.from(Array.from({ length: count }, (_, i) => [i >> 8, i & 255, 0, 255]).flat());
  t.not(indexedPng(many(256), 256, 1), null);
  t.is(indexedPng(many(257), 257, 1), null);
  t.is(indexedPng(Uint8Array.of(0, 0, 0, 254), 1, 1), null);
});

test('another decoder reads it: an SVG with the picture in it shows its colours', (t) => {
  const url = `data:image/png;base64,${indexedPng(Uint8Array.of(200, 30, 40, 255), 1, 1)!.toString('base64')}`;
  const drawn = (content: string): Buffer => svgToPng(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="4" height="4">${content}</svg>`, 1);
  t.deepEqual(drawn(`<image width="4" height="4" xlink:href="${url}"/>`), drawn('<rect width="4" height="4" fill="#c81e28"/>'));
});

test('the number of bytes is checked', (t) => {
  t.throws(() => encodePng(new Uint8Array(5), 2, 1, 'rgb'), { instanceOf: RangeError, message: 'an image (rgb) of 2x1 has 6 bytes, not 5' });
});
