import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { decodeAndTransform, decodeImage } from '../../src/data/decode-image.js';
import { UserError } from '../../src/errors.js';

/** Pillow 13.0.0 with libjpeg-turbo 3.2.0: test/fixtures/make-transforms.py. */
const { decoded: { width, height, files }, cmyk } = JSON.parse(readFileSync('test/fixtures/transforms.json', 'utf8')) as { decoded: { width: number; height: number; files: { name: string; file: string; pixels: string }[] }; cmyk: string };
const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-decode-'));
test.after.always(() => rmSync(folder, { recursive: true }));

/** Each is called .jpg, whatever it is. */
function written(name: string, data: Uint8Array): string {
  const file = path.join(folder, `${name.replace(/\W/g, '-')}.jpg`);
  writeFileSync(file, data);
  return file;
}
const jpeg = Buffer.from(files[0].file, 'base64');

for (const { name, file, pixels } of files) test(`${name}: the bytes are Pillow's`, async (t) => {
  const image = await decodeImage(written(name, Buffer.from(file, 'base64')));
  t.deepEqual([image.width, image.height], [width, height]);
  t.true(Buffer.from(pixels, 'base64').equals(image.pixels));
});

test('CMYK becomes RGB, managed: near the colours it was made of', async (t) => {
  const image = await decodeImage(written('cmyk', Buffer.from(cmyk, 'base64'))), rgb = Buffer.from(files[1].pixels, 'base64');
  t.is(image.pixels.length, rgb.length);
  t.true(image.pixels.reduce((sum, value, i) => sum + Math.abs(value - rgb[i]), 0) / rgb.length < 60);
});

test('what is no image is named', async (t) => {
  const wrong: [string, Uint8Array][] = [['half', jpeg.subarray(0, jpeg.length >> 1)], ['without its end', jpeg.subarray(0, jpeg.length - 2)], ['empty', new Uint8Array(0)], ['text', Buffer.from('no image')]];
  for (const [name, data] of wrong) {
    const file = written(name, data);
    await t.throwsAsync(decodeImage(file), { instanceOf: UserError, message: new RegExp(`^${file.replace(/\W/g, '.')} can't be decoded \\(.+\\): get the file again`) }, name);
  }
  await t.throwsAsync(decodeImage(path.join(folder, 'missing.jpg')), { instanceOf: UserError, message: /missing\.jpg can't be decoded/ });
});

test('an image of another size than its annotation says is named', async (t) => {
  const file = written('size', jpeg);
  await t.throwsAsync(decodeAndTransform({ file, width: height, height: width, plan: { flip: false, size: { width: 8, height: 8 } } }), { instanceOf: UserError, message: /size\.jpg has 50x37 pixels, but its annotation says 37x50/ });
});
