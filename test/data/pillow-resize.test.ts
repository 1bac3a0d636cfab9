import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { pillowResize } from '../../src/data/pillow-resize.js';

/** Pillow 13.0.0 and torchvision 0.29.2: test/fixtures/make-transforms.py. */
const { image, resized } = JSON.parse(readFileSync('test/fixtures/transforms.json', 'utf8')) as { image: { width: number; height: number; pixels: string }; resized: { width: number; height: number; pillow: string; torchvision: string }[] };
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

test('by hand: two pixels become four, mixed 3:1 in between, and one, their mean', (t) => {
  const pixels = Uint8Array.of(0, 100, 200, 100, 200, 0);
  t.deepEqual([...pillowResize(pixels, 2, 1, 4, 1)], [0, 100, 200, 25, 125, 150, 75, 175, 50, 100, 200, 0]);
  t.deepEqual([...pillowResize(pixels, 2, 1, 1, 1)], [50, 150, 100]);
  t.is(pillowResize(pixels, 2, 1, 2, 1), pixels);
});

test('equal to Pillow\'s bytes, larger and smaller, in one direction and in both', (t) => {
  for (const { width, height, pillow } of resized) t.deepEqual(pillowResize(bytes(image.pixels), image.width, image.height, width, height), bytes(pillow), `${width}x${height}`);
});

test('torchvision\'s resize of tensors (antialias=True) is at most one level away', (t) => {
  for (const { width, height, torchvision } of resized) {
    const ours = pillowResize(bytes(image.pixels), image.width, image.height, width, height), theirs = bytes(torchvision);
    t.is(ours.length, theirs.length);
    t.true(ours.every((value, i) => Math.abs(value - theirs[i]) <= 1), `${width}x${height}`);
  }
});

test('a part of a resized image is that part of the whole', (t) => {
  const side = fc.integer({ min: 1, max: 40 });
  fc.assert(fc.property(side, side, side, side, fc.infiniteStream(fc.nat(1000)), (width, height, toWidth, toHeight, numbers) => {
    const next = (n: number): number => numbers.next().value! % n;
    const pixels = Uint8Array.from({ length: width * height * 3 }, () => next(256));
    const x = next(toWidth), y = next(toHeight), region = { x, y, width: 1 + next(toWidth - x), height: 1 + next(toHeight - y) };
    const whole = pillowResize(pixels, width, height, toWidth, toHeight), part = pillowResize(pixels, width, height, toWidth, toHeight, region);
    const expected = Array.from({ length: region.height }, (_, row) => [...whole.subarray(((y + row) * toWidth + x) * 3, ((y + row) * toWidth + x + region.width) * 3)]).flat();
    t.deepEqual([...part], expected);
  }), { numRuns: 200 });
});

test('a grey of one level stays what it is', (t) => {
  fc.assert(fc.property(fc.nat(255), fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 }), (level, from, to) => {
    t.true(pillowResize(new Uint8Array(from * 7 * 3).fill(level), from, 7, to, 5).every((value) => value === level));
  }), { numRuns: 100 });
});
