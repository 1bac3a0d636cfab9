import test from 'ava';
import { anyOf, bytesText, counted } from '../src/counted.js';

test('one thing, none, and many', (t) => {
  t.deepEqual([1, 0, 2, 16000].map((n) => counted(n, 'image')), ['1 image', '0 images', '2 images', '16000 images']);
});

test('any of several things, with commas before the last', (t) => {
  t.deepEqual([['a'], ['a', 'b'], ['a', 'b', 'c']].map(anyOf), ['a', 'a or b', 'a, b or c']);
});

test('bytes: MiB rounded up, GiB from one on', (t) => {
  t.deepEqual([1, 2 ** 20, 2 ** 20 + 1, 2 ** 30 - 1, 3.4 * 2 ** 30].map(bytesText), ['1 MiB', '1 MiB', '2 MiB', '1024 MiB', '3.4 GiB']);
});
