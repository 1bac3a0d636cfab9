import test from 'ava';
import { attentionPicture, heatColour } from '../../src/figures/attention-picture.js';

test('the colours run from the darkest anchor to the lightest, through the anchors', (t) => {
  t.deepEqual(heatColour(0), [0, 0, 4]);
  t.deepEqual(heatColour(0.4), [147, 38, 103]);
  t.deepEqual(heatColour(1), [252, 255, 164]);
  t.deepEqual(heatColour(0.1), [33, 5, 54]);
  t.deepEqual(heatColour(7), heatColour(1));
});

test('a picture of 4 x 4 pixels with 2 x 2 cells, by hand', (t) => {
  const rgb = new Uint8Array(48).fill(100);
  const { rgb: out, width, height } = attentionPicture(rgb, 4, [0, 0.5, 0.01, 0], 2);
  const pixel = (x: number, y: number): number[] => [...out.subarray(3 * (4 * y + x), 3 * (4 * y + x) + 3)];
  t.deepEqual([width, height], [4, 4]);
  t.deepEqual(pixel(0, 0), [45, 45, 45], 'no weight: grey at 0.45');
  t.deepEqual(pixel(1, 3), [45, 45, 45], 'a fiftieth of the largest is not drawn');
  for (const [x, y] of [[2, 0], [3, 0], [2, 1], [3, 1]]) t.deepEqual(pixel(x, y), [242, 245, 158], 'the largest covers 0.95: 0.05 * 45 + 0.95 * colour');
});

test('a common largest weight makes maps comparable', (t) => {
  const rgb = new Uint8Array(12);
  t.deepEqual(attentionPicture(rgb, 2, [0.5, 0.5, 0.5, 0.5], 2, 1).rgb, attentionPicture(rgb, 2, [1, 1, 1, 1], 2, 2).rgb);
  t.notDeepEqual(attentionPicture(rgb, 2, [0.5, 0.5, 0.5, 0.5], 2, 1).rgb, attentionPicture(rgb, 2, [0.5, 0.5, 0.5, 0.5], 2).rgb);
});

test('weights that fill no whole rows are refused', (t) => {
  t.throws(() => attentionPicture(new Uint8Array(12), 2, [1, 2, 3], 2), { instanceOf: RangeError, message: /3 weights are no whole number of rows of 2/ });
});
