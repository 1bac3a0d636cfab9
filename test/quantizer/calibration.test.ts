import test from 'ava';
import fc from 'fast-check';
import { calibrate, createCalibration } from '../../src/quantizer/calibration.js';
import { levels } from '../../src/quantizer/levels.js';
import { REAL, type Precision } from '../../src/quantizer/precision.js';
import { quantizeActivation } from '../../src/quantizer/quantize.js';
import { linear } from '../../src/quantizer/quantized-linear.js';
import { fromRange, meanSquaredError, searchScale, searchScaleAndOffset } from '../../src/quantizer/scale-search.js';
import { LOWEST_SCALE, isQuantizerParameter, isScale } from '../../src/quantizer/scales.js';
import { ValueHistogram } from '../../src/quantizer/value-histogram.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';

const draw = (count: number, of: (r: RandomStream) => number): Float32Array => {
  const stream = new RandomStream(11);
  return Float32Array.from({ length: count }, () => of(stream));
};
const histogramOf = (values: Float32Array): ValueHistogram => {
  const histogram = new ValueHistogram();
  histogram.add(values);
  return histogram;
};
const shapes: Record<string, Float32Array> = {
  normal: draw(20000, (r) => r.normal()),
  'ReLU of normal': draw(20000, (r) => Math.max(r.normal(), 0)),
  'long tails': draw(20000, (r) => r.normal() ** 3),
  'shifted, one outlier': draw(20000, (r) => 5 + r.normal()).map((v, i) => (i === 0 ? 60 : v)),
};

test('a histogram keeps its counts while its range grows', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.array(fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 6 }), (batches) => {
    const histogram = new ValueHistogram();
    batches.forEach((b) => histogram.add(b));
    const all = batches.flat().sort((a, b) => a - b);
    const { centres, counts } = histogram.points();
    const width = 2 * Math.max(all[all.length - 1] - all[0], 1e-9) / 2048;
    const spread = Array.from(centres).flatMap((c, i) => new Array<number>(counts[i]).fill(c));
    return spread.length === all.length && spread.every((c, i) => Math.abs(c - all[i]) <= width) && histogram.min === all[0] && histogram.max === all[all.length - 1];
  }), { numRuns: 200, seed: 3 }));
});

for (const [name, values] of Object.entries(shapes)) {
  for (const bits of [2, 3, 4, 8]) {
    test(`${name}, ${bits} bits: the search beats min-max and comes within 5 % of the best of a dense grid`, (t) => {
      const histogram = histogramOf(values), range = levels(bits);
      const found = meanSquaredError(histogram, searchScaleAndOffset(histogram, range), range);
      const minMax = meanSquaredError(histogram, fromRange(histogram.min, histogram.max, range), range);
      t.true(found < minMax);
      let best = Infinity;
      for (let i = 0; i <= 40; i++) {
        for (let j = 0; j <= 40; j++) {
          const width = histogram.max - histogram.min, low = histogram.min + (i / 80) * width, high = histogram.max - (j / 41) * width;
          if (high > low) best = Math.min(best, meanSquaredError(histogram, fromRange(low, high, range), range));
        }
      }
      t.true(found <= best * 1.05, `${found} against ${best}`);
    });
  }
}

test('the error that the search lowers is the error of the values', (t) => {
  const values = shapes['long tails'], range = levels(4);
  const { scale, offset } = searchScaleAndOffset(histogramOf(values), range);
  const exact = values.reduce((sum, x) => sum + (x - (scale * Math.min(Math.max(Math.round((x - offset) / scale), -8), 7) + offset)) ** 2, 0) / values.length;
  t.true(Math.abs(meanSquaredError(histogramOf(values), { scale, offset }, range) / exact - 1) < 0.01);
});

test('without offset, a scale for the signed and one for the unsigned grid', (t) => {
  const relu = histogramOf(shapes['ReLU of normal']);
  const unsigned = searchScale(relu, levels(3, false)), signed = searchScale(relu, levels(3));
  t.true(unsigned < signed); // 7 steps against 3 over the same values
  t.true(meanSquaredError(relu, { scale: unsigned, offset: 0 }, levels(3, false)) < meanSquaredError(relu, { scale: signed, offset: 0 }, levels(3)));
});

test('constant values give a positive scale', (t) => {
  for (const v of [0, 1, -3]) {
    const { scale, offset } = searchScaleAndOffset(histogramOf(new Float32Array(10).fill(v)), levels(4));
    t.true(scale >= LOWEST_SCALE && Number.isFinite(offset));
    t.true(meanSquaredError(histogramOf(new Float32Array(10).fill(v)), { scale, offset }, levels(4)) < 1e-6);
  }
});

test.serial('weights start from 2 mean|w|/sqrt(Qp) per channel, inputs from all batches', async (t) => {
  await useBackend('cpu');
  const values = { 'fc.weight': { shape: [3, 2], data: Float32Array.of(1, -3, 0.5, 0.5, 0, 0) } };
  const parameters = toTensors(values);
  const precision: Precision = { weightBits: 3, activationBits: 8, attentionBits: 8 };
  const forward = (batch: number[], observe: (quantizer: string, x: tf.Tensor) => void) => linear(parameters, 'fc', tf.tensor2d(batch, [1, 2]), REAL, observe);
  const found = calibrate([[0, 1], [4, 9], [-7, 2]], forward, precision);
  const overall = (2 * (5 / 6)) / Math.sqrt(3); // the channel of zeros
  t.deepEqual([...found['fc.weight_quantizer.scale'].data], [...Float32Array.of((2 * 2) / Math.sqrt(3), (2 * 0.5) / Math.sqrt(3), overall)]);
  const seen = tf.tensor2d([0, 1, 4, 9, -7, 2], [3, 2]);
  const quantized = quantizeActivation(toTensors(found), 'fc.input_quantizer', seen, 8);
  t.true(tf.max(tf.abs(tf.sub(quantized, seen))).dataSync()[0] < 0.05, 'the grid fits the values of all three batches');
});

test.serial('LSQ has no offset, and the unsigned grid where nothing below 0 was seen', async (t) => {
  await useBackend('cpu');
  const calibration = createCalibration();
  calibration.observe('a.input_quantizer', tf.tensor1d([0, 0.5, 2]));
  calibration.observe('b.input_quantizer', tf.tensor1d([-0.5, 0.5, 2]));
  calibration.observe('m.a_quantizer', tf.ones([1, 2, 1, 1]));
  calibration.observe('m.k_quantizer', tf.tensor4d([-1, 1], [1, 2, 1, 1]));
  const found = calibration.quantizerParameters({ weightBits: 4, activationBits: 4, attentionBits: 8 }, 'LSQ');
  t.deepEqual(Object.keys(found).sort(), ['a.unsigned_input_quantizer.scale', 'b.input_quantizer.scale', 'm.k_quantizer.scale', 'm.unsigned_a_quantizer.scale']);
  t.deepEqual([...found['m.unsigned_a_quantizer.scale'].data], [...Float32Array.of(1 / 255, 1 / 255)]);
});

test.serial('modules may differ in precision; real-valued ones get no parameters', async (t) => {
  await useBackend('cpu');
  const calibration = createCalibration();
  for (const module of ['stem', 'fc']) calibration.observe(`${module}.input_quantizer`, tf.tensor1d([-1, 0, 1]));
  const found = calibration.quantizerParameters((module) => (module === 'stem' ? REAL : { ...REAL, activationBits: 4 }));
  t.deepEqual(Object.keys(found), ['fc.input_quantizer.scale', 'fc.input_quantizer.offset']);
});

test('names of scales and offsets', (t) => {
  t.true(isScale('a.b.weight_quantizer.scale') && isScale('a.unsigned_input_quantizer.scale'));
  t.false(isScale('a.input_quantizer.offset') || isScale('norm.scale'));
  t.true(isQuantizerParameter('a.q_quantizer.offset') && isQuantizerParameter('a.q_quantizer.scale'));
  t.false(isQuantizerParameter('a.weight'));
});

test('weights start at the least squared error where that is asked for, each output channel at its own; a channel of zeros as LSQ has it', async (t) => {
  await useBackend('wasm');
  const { observe, quantizerParameters } = createCalibration();
  // 2 bits, levels -2 to 1: a channel of +-3 and 0 is met exactly by alpha = 3; LSQ's rule gives 2 mean|w| = 4.
  observe('m.weight_quantizer', tf.tensor2d([[3, -3, 0], [0, 0, 0]]));
  const bits: Precision = { weightBits: 2, activationBits: 2, attentionBits: 8 };
  const scales = (weights: 'LSQ' | 'least-error'): number[] => Array.from(quantizerParameters(bits, 'LSQ+', { weights })['m.weight_quantizer.scale'].data);
  const [byLsq, byError] = [scales('LSQ'), scales('least-error')];
  t.deepEqual([byLsq[0], byLsq[1]], [4, 2]);
  t.true(Math.abs(byError[0] - 3) < 0.01, String(byError[0]));
  t.is(byError[1], 2);
});

test('the least error of a weight is never above that of LSQ\'s rule', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 4, maxLength: 60 }), fc.constantFrom(2, 3, 4), (values, bits) => {
    const histogram = histogramOf(Float32Array.from(values)), range = levels(bits);
    if (histogram.sumOfMagnitudes === 0) return true;
    const error = (scale: number): number => meanSquaredError(histogram, { scale, offset: 0 }, range);
    const byLsq = (2 * histogram.sumOfMagnitudes) / histogram.total / Math.sqrt(range.highest);
    return error(searchScale(histogram, range)) <= 1.02 * error(byLsq) + 1e-6;
  }), { numRuns: 200, seed: 5 }));
});

test.serial('quantizers that are not wanted are not observed', async (t) => {
  await useBackend('cpu');
  const { observe, histograms, quantizerParameters } = createCalibration((quantizer) => quantizer !== 'b.input_quantizer'), values = tf.tensor1d([1, 2, 3]);
  for (const quantizer of ['a.input_quantizer', 'b.input_quantizer']) observe(quantizer, values);
  values.dispose();
  t.deepEqual([...histograms.keys()], ['a.input_quantizer']);
  t.deepEqual(Object.keys(quantizerParameters({ weightBits: 4, activationBits: 4, attentionBits: 8 })), ['a.input_quantizer.scale', 'a.input_quantizer.offset']);
});
