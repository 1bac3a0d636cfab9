import test from 'ava';
import fc from 'fast-check';
import { alignedEntropy, codeUse, entropyInBits, gaussianEntropy, queryDistribution } from '../../src/distillation/query-entropy.js';
import { distributionAlignment } from '../../src/models/distribution-alignment.js';
import { fakeQuantizeActivation } from '../../src/quantizer/fake-quantize.js';
import { levels } from '../../src/quantizer/levels.js';
import { useBackend } from '../../src/tensor/backend.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';

test('by hand: 1/2 ln(2 pi e sigma^2)', (t) => {
  t.true(Math.abs(gaussianEntropy(1) - 1.4189385332046727) < 1e-12); // scipy 1.17.1: norm.entropy()
  t.true(Math.abs(gaussianEntropy(4) - gaussianEntropy(1) - Math.LN2) < 1e-12, 'twice as wide: one bit more');
  t.is(gaussianEntropy(1 / (2 * Math.PI * Math.E)), 0);
});

test('Eq. 2.31\'s expectation over samples is the closed form, e included', (t) => {
  const stream = new RandomStream(4), deviation = 0.3, n = 200_000;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.log(deviation * Math.sqrt(2 * Math.PI)) + stream.normal() ** 2 / 2; // -log N(q)
  t.true(Math.abs(sum / n - gaussianEntropy(deviation ** 2)) < 0.01);
  t.true(Math.abs(sum / n - 0.5 * Math.log(2 * Math.PI * deviation ** 2)) > 0.4, 'as printed, without e');
});

test.serial('the entropy of aligned queries follows gamma, whatever they were before', async (t) => {
  await useBackend('cpu');
  const stream = new RandomStream(6), q = Float32Array.from({ length: 4 * 16 }, () => 7 + 0.02 * stream.normal());
  const aligned = distributionAlignment(tf.tensor4d(q, [1, 1, 4, 16]), tf.fill([16], 1.5), tf.zeros([16])).dataSync();
  for (let token = 0; token < 4; token++) {
    const before = queryDistribution(q.slice(16 * token, 16 * token + 16)), after = queryDistribution(aligned.slice(16 * token, 16 * token + 16));
    t.true(before.entropy < -1.5);
    t.true(Math.abs(after.entropy - alignedEntropy(before.variance, 1.5)) < 1e-3);
    t.true(after.entropy < gaussianEntropy(1.5 ** 2), 'eps keeps it below');
  }
});

test('by hand: mean, variance and histogram; what lies outside of the range counts at its ends', (t) => {
  const { mean, variance, histogram } = queryDistribution([-1, 0, 0.5, 2.5], { low: -1, high: 2, count: 3 });
  t.is(mean, 0.5);
  t.is(variance, (2.25 + 0.25 + 0 + 4) / 4);
  t.deepEqual(histogram, { low: -1, high: 2, counts: [1, 2, 1] });
  t.deepEqual(queryDistribution([3, 3]).histogram.counts.filter((c) => c > 0), [2], 'all values equal');
  t.is(queryDistribution([1, 2, 3]).histogram.high, 3);
});

test('every value is counted once', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (values, count) => {
    const { counts } = queryDistribution(values, { count }).histogram;
    return counts.length === count && counts.reduce((a, b) => a + b) === values.length;
  })));
});

test('by hand: the codes of two heads at 2 bits, and their entropy', (t) => {
  // Head 0: scale 1, offset 0; head 1: scale 0.5, offset 1. Levels -2 to 1.
  const queries = { shape: [1, 2, 2, 2], data: Float32Array.of(-2.2, 0.4, 0.6, 9, 1, 1.5, 0, 1.1) }; // codes -2, 0, 1, 1 and 0, 1, -2, 0
  const { lowest, counts, entropy } = codeUse(queries, [1, 0.5], [0, 1], levels(2));
  t.is(lowest, -2);
  t.deepEqual(counts, [2, 0, 3, 3]);
  t.true(Math.abs(entropy - (2 / 8 * 2 + 2 * (3 / 8) * Math.log2(8 / 3))) < 1e-12);
});

test('entropy in bits: all of four levels alike 2, one level 0, no value 0', (t) => {
  t.is(entropyInBits([5, 5, 5, 5]), 2);
  t.is(entropyInBits([0, 7, 0, 0]), 0);
  t.is(entropyInBits([0, 0]), 0);
});

test.serial('codes are those of the quantizer that training uses', async (t) => {
  await useBackend('wasm');
  const stream = new RandomStream(8), range = levels(3), scale = [0.3, 0.7], offset = [0.1, -0.2];
  const data = Float32Array.from({ length: 2 * 2 * 5 * 4 }, () => 2 * stream.normal());
  const { counts } = codeUse({ shape: [2, 2, 5, 4], data }, scale, offset, range);
  const quantized = fakeQuantizeActivation(tf.tensor4d(data, [2, 2, 5, 4]), tf.tensor1d(scale), tf.tensor1d(offset), { ...range, axis: 1, gradientScale: 1 }).dataSync();
  const expected = new Array<number>(8).fill(0);
  quantized.forEach((v, i) => expected[Math.round((v - offset[Math.floor(i / 20) % 2]) / scale[Math.floor(i / 20) % 2]) - range.lowest]++);
  t.deepEqual(counts, expected);
});
