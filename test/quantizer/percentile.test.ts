import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { createCalibration } from '../../src/quantizer/calibration.js';
import { levels } from '../../src/quantizer/levels.js';
import { PERCENTILE, largestMagnitude, percentileScaleAndOffset, symmetricScale } from '../../src/quantizer/percentile.js';
import { ValueHistogram } from '../../src/quantizer/value-histogram.js';
import { useBackend } from '../../src/tensor/backend.js';
import { tf } from '../../src/tensor/tf.js';

const histogramOf = (...batches: ArrayLike<number>[]): ValueHistogram => {
  const histogram = new ValueHistogram();
  batches.forEach((values) => histogram.add(values));
  return histogram;
};
/** The width of a bin is at most the range over 2048: it doubles while values arrive. */
const binWidth = ({ min, max }: ValueHistogram): number => Math.max(max - min, 1e-9) / 2048;

test('by hand: percentiles of 0, 1, 2, 3, 10', (t) => {
  const histogram = histogramOf([3, 0], [10, 1, 2]);
  const near = (p: number, wanted: number): boolean => t.true(Math.abs(histogram.percentile(p) - wanted) <= binWidth(histogram), `${p}: ${histogram.percentile(p)} instead of ${wanted}`);
  [[0, 0], [25, 1], [50, 2], [60, 2.4], [75, 3], [87.5, 6.5], [100, 10]].forEach(([p, wanted]) => near(p, wanted));
  t.is(histogram.percentile(0), 0);
  t.is(histogram.percentile(100), 10);
});

test('by hand: levels lie between the percentiles, values beyond are clipped', (t) => {
  const histogram = histogramOf(Float32Array.from({ length: 101 }, (_, i) => (i === 100 ? 1000 : i))); // 0, 1, ..., 99, 1000
  const { scale, offset } = percentileScaleAndOffset(histogram, levels(2), 99);
  t.true(Math.abs(offset - 2 * scale - 1) < 1 && Math.abs(offset + scale - 99) < 1, 'the 1st percentile is 1, the 99th 99');
  const minMax = percentileScaleAndOffset(histogram, levels(2), 100);
  t.deepEqual([minMax.scale, minMax.offset], [1000 / 3, 2000 / 3]);
  t.is(symmetricScale(largestMagnitude(histogramOf([-6, 3])), levels(3)), 6 / 3.5);
  t.true(symmetricScale(0, levels(8)) > 0);
});

test('percentiles that leave no range, and of no values, are refused', (t) => {
  const histogram = histogramOf([1, 2]);
  for (const p of [50, 0, 100.1, NaN]) t.throws(() => percentileScaleAndOffset(histogram, levels(8), p), { instanceOf: UserError, message: /percentile/ });
  t.throws(() => histogram.percentile(-1), { instanceOf: RangeError });
  t.throws(() => histogram.percentile(NaN), { instanceOf: RangeError });
  t.throws(() => new ValueHistogram().percentile(50), { instanceOf: RangeError });
});

test('percentiles rise with p, and stay between min and max', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 40 }), fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 2, maxLength: 6 }), (values, ps) => {
    const histogram = histogramOf(values);
    const found = ps.sort((a, b) => a - b).map((p) => histogram.percentile(p));
    return found.every((v, i) => v >= histogram.min && v <= histogram.max && (i === 0 || v >= found[i - 1]));
  }), { numRuns: 300, seed: 4 }));
});

const fixture = JSON.parse(readFileSync('test/fixtures/post-training.json', 'utf8')) as { percentiles: { name: string; values: number[]; percentiles: [number, number][] }[] };
for (const { name, values, percentiles } of fixture.percentiles) {
  test(`${name}: percentiles of numpy, to the width of a bin`, (t) => {
    const half = values.length >> 1, histogram = histogramOf(values.slice(0, half), values.slice(half));
    for (const [p, wanted] of percentiles) t.true(Math.abs(histogram.percentile(p) - wanted) <= binWidth(histogram), `${p}: ${histogram.percentile(p)} instead of ${wanted}`);
  });
}

test.serial('Percentile and Min-max as methods of a calibration: names of LSQ+, its grid, softmax outputs by what was seen', async (t) => {
  await useBackend('wasm');
  const calibration = createCalibration();
  const weight = tf.tensor2d([1, -4, 0.5, 0], [2, 2]);
  const input = tf.tensor1d(Float32Array.from({ length: 1001 }, (_, i) => (i === 1000 ? 50 : i / 1000)));
  calibration.observe('m.weight_quantizer', weight);
  calibration.observe('m.input_quantizer', input);
  calibration.observe('m.a_quantizer', tf.tensor4d([0.1, 0.9, 0.25, 0.75], [1, 2, 1, 2]));
  const precision = { weightBits: 8, activationBits: 4, attentionBits: 8 };
  const minMax = calibration.quantizerParameters(precision, 'Min-max'), percentile = calibration.quantizerParameters(precision, 'Percentile', { percentile: 99 });
  for (const found of [minMax, percentile]) t.deepEqual(Object.keys(found).sort(), ['m.a_quantizer.offset', 'm.a_quantizer.scale', 'm.input_quantizer.offset', 'm.input_quantizer.scale', 'm.weight_quantizer.scale']);
  t.deepEqual([...minMax['m.weight_quantizer.scale'].data], [...Float32Array.of(4 / 127.5, 0.5 / 127.5)]);
  t.deepEqual(percentile['m.weight_quantizer.scale'], minMax['m.weight_quantizer.scale']);
  const highest = (found: typeof minMax, quantizer: string, bits: number, n = 0): number => found[`${quantizer}.offset`].data[n] + found[`${quantizer}.scale`].data[n] * levels(bits).highest;
  t.true(Math.abs(highest(minMax, 'm.input_quantizer', 4) - 50) < 1e-4 && Math.abs(highest(percentile, 'm.input_quantizer', 4) - 0.99) < 0.03);
  t.true(Math.abs(highest(minMax, 'm.a_quantizer', 8, 0) - 0.9) < 1e-6 && Math.abs(highest(minMax, 'm.a_quantizer', 8, 1) - 0.75) < 1e-6);
  t.deepEqual(calibration.quantizerParameters(precision, 'Percentile'), calibration.quantizerParameters(precision, 'Percentile', { percentile: PERCENTILE }));
});

test.serial('LSQ on the signed grid throughout, where asked for: half of it spans [0, 1]', async (t) => {
  await useBackend('wasm');
  const calibration = createCalibration();
  calibration.observe('m.input_quantizer', tf.tensor1d([0, 0.5, 2]));
  calibration.observe('m.a_quantizer', tf.ones([1, 1, 1, 1]));
  const found = calibration.quantizerParameters({ weightBits: 4, activationBits: 4, attentionBits: 8 }, 'LSQ', { unsigned: false });
  t.deepEqual(Object.keys(found).sort(), ['m.a_quantizer.scale', 'm.input_quantizer.scale']);
  t.is(found['m.a_quantizer.scale'].data[0], Math.fround(1 / 127));
});
