import test from 'ava';
import { counted } from '../src/counted.js';

test('one thing, none, and many', (t) => {
  t.deepEqual([1, 0, 2, 16000].map((n) => counted(n, 'image')), ['1 image', '0 images', '2 images', '16000 images']);
});
