import test from 'ava';
import fc from 'fast-check';
import { spread } from '../../src/figures/end-labels.js';

test('labels that are far apart stay; two that collide move apart evenly', (t) => {
  t.deepEqual(spread([10, 100], 20, 200), [10, 100]);
  t.deepEqual(spread([50, 50], 20, 200), [40, 60]);
  t.deepEqual(spread([60, 50], 20, 200), [65, 45]);
});

test('labels at the edge are pushed inside', (t) => {
  t.deepEqual(spread([0, 0, 0], 20, 200), [0, 20, 40]);
});

test('labels keep their order, their distance and the frame wherever there is room', (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 300, noNaN: true }), { maxLength: 10 }), (heights) => {
      const placed = spread(heights, 22, 300);
      const order = heights.map((_, i) => i).sort((a, b) => placed[a] - placed[b]);
      return order.every(
        (i, k) => placed[i] >= -1e-6 && placed[i] <= 300 + 1e-6 && (k === 0 || (placed[i] - placed[order[k - 1]] >= 22 - 1e-6 && heights[i] >= heights[order[k - 1]])),
      );
    }),
  );
  t.pass();
});
