import test from 'ava';
import { detectorCost, parameterCount } from '../../src/models/cost.js';
import { MEBIBYTE, operationFactor, paperCost, sizeCountings, storedCost } from '../../src/models/cost-rules.js';
import { detector } from '../../src/models/detector.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { detrSettings, fullSizeDetectors, modelOf, paperStudent, withRprelu, type DetectorSettings } from '../../src/models/settings.js';
import { calibrate } from '../../src/quantizer/calibration.js';
import { packBits } from '../../src/quantizer/pack.js';
import { isReal, parsePrecision, REAL } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import { sizeOf, toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';

const bits = parsePrecision('4-4-8');

/** A basic block behind a stem, both with stride 2; one encoder and one decoder layer. */
const tiny: DetectorSettings = {
  family: 'detr', imageSize: 8, backbone: { stem: 2, widths: [2], blocks: [1], strides: [2] },
  modelWidth: 4, heads: 2, feedForward: 3, encoderLayers: 1, decoderLayers: 1, queries: 2, classes: 1,
};

test('a tiny model by hand, an image of 5 x 3', (t) => {
  // Feature maps 3 x 2 and 2 x 1, so 2 tokens and 2 queries. Multiply-adds of the stem, of what has low bits, of attention's products, of what stays real-valued:
  const stem = 6 * 9 * 3 * 2;
  const block = 2 * (36 + 36 + 4), layers = 2 * (4 * 16 + 12 + 12) + 2 * (8 * 16 + 12 + 12), low = block + layers;
  const attention = 3 * 2 * (2 * 2 * 4);
  const real = 2 * 8 + 2 * (8 + 3 * 16);
  t.deepEqual([stem, low, attention, real], [324, 632, 96, 128]);
  const image = { height: 5, width: 3 };
  t.is(detectorCost(tiny, image).reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0), stem + low + attention + real);
  t.is(paperCost(tiny, bits, image).operations, stem + (low + real) / 8 + attention / 4);

  const stored = storedCost(tiny, bits, image);
  t.deepEqual(stored.multiplyAdds, { 4: low, 8: stem + attention, 32: real });
  t.is(stored.operations, (stem + attention) / 4 + low / 8 + real);

  // 36 + 36 + 4 weights in the block, 88 in the encoder's layer, 152 in the decoder's
  t.deepEqual(stored.quantizedWeights, { 4: (76 + 88 + 152) / 2, 8: 54 });
  t.is(stored.realWeights, 4 * (8 + 8 + 3 * 16));
  // batch normalization of 8 channels in all; biases of input_proj, encoder, decoder, heads; 6 layer norms; queries
  t.is(stored.others, 4 * (4 * 8 + 4 + 23 + 39 + 2 + 12 + 6 * 8 + 8));
  // a scale for each output; scale and offset for the inputs of 4 + 6 + 10 modules, and for 4 operands of 2 heads in 3 attentions
  t.is(stored.quantizers, 4 * (8 + 23 + 39 + 2 * 20 + 2 * 4 * 2 * 3));
  t.is(stored.bytes, 158 + 54 + 256 + 672 + 632);
  t.is(parameterCount(tiny), 586);
  t.is(paperCost(tiny, bits).bytes, 586 / 2);
});

test('factors: the paper\'s for 2, 3 and 4 bits, a quarter for 8, none between', (t) => {
  t.deepEqual([2, 3, 4, 8, 32].map(operationFactor), [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1]);
  t.deepEqual([5, 6, 7].map(operationFactor), [undefined, undefined, undefined]);
  t.is(paperCost(tiny, parsePrecision('5-5-8')).operations, undefined);
  t.is(storedCost(tiny, parsePrecision('4-4-6')).operations, undefined);
  t.true(storedCost(tiny, parsePrecision('5-5-8')).bytes > storedCost(tiny, bits).bytes);
});

test('sums are those of their parts, and do not depend on the image; real-valued, both accountings count the same operations', (t) => {
  for (const settings of [...Object.values(fullSizeDetectors), paperStudent('detr'), paperStudent('smca-detr'), modelOf('gpu'), withRprelu(modelOf('smoke', 'smca-detr'))]) {
    const all = detectorCost(settings).reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0);
    for (const text of ['32-32-32', '8-8-8', '4-4-8', '3-3-8', '2-2-8', '2-4-32']) {
      const precision = parsePrecision(text), stored = storedCost(settings, precision);
      t.is(stored.bytes, stored.realWeights + stored.others + stored.quantizers + Object.values(stored.quantizedWeights).reduce((a, b) => a + b, 0));
      t.is(Object.values(stored.multiplyAdds).reduce((a, b) => a + b, 0), all, text);
      t.is(storedCost(settings, precision, { height: 64, width: 96 }).bytes, stored.bytes);
      t.true(stored.bytes > paperCost(settings, precision).bytes, text);
    }
    t.is(paperCost(settings, REAL).operations, all);
    t.is(storedCost(settings, REAL).operations, all);
    t.is(storedCost(settings, REAL).quantizers, 0);
  }
});

test('a stride halves upwards, and square images cost what their side says', (t) => {
  const settings = fullSizeDetectors['detr-r50'];
  const cost = (height: number, width: number): unknown => detectorCost(settings, { height, width });
  t.deepEqual(cost(800, 800), detectorCost(settings));
  t.deepEqual(cost(800, 1066), cost(1066, 800));
  t.deepEqual(cost(799, 1066), cost(800, 1065));
  const qk = detectorCost(settings, { height: 800, width: 1066 }).find(({ name }) => name === 'transformer.encoder.layers.0.self_attn.qk')!;
  t.is(qk.multiplyAdds, 850 ** 2 * 256); // 25 x 34
});

test.serial('stored bytes are those of a calibrated model\'s packed weights and other numbers', async (t) => {
  await useBackend('wasm');
  for (const family of ['detr', 'smca-detr'] as const) {
    const settings = { ...detrSettings.smoke, family }, quantization = paperQuantization(bits);
    const values = initialDetectorParameters(settings, new RandomStream(1)), tensors = toTensors(values);
    const quantizers = calibrate([tf.randomUniform([1, 64, 64, 3], -1, 1, 'float32', 1)], (images, observe) => detector(tensors, images, settings, undefined, { observe }), quantization);
    const elements = (all: ParameterValues): number => Object.values(all).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const stored = storedCost(settings, bits);
    t.is(stored.quantizers, 4 * elements(quantizers), family);
    const products = detectorCost(settings).filter(({ kind }) => kind === 'weights'), weights = products.reduce((sum, product) => sum + product.weights, 0);
    t.is(stored.others, 4 * (elements(values) - weights), family);
    const packed = products.map(({ name, weights: count }) => {
      const { weightBits } = quantization(name);
      return isReal(weightBits) ? 4 * count : packBits(new Int8Array(count), weightBits).length;
    });
    t.is(stored.bytes - stored.others - stored.quantizers, packed.reduce((a, b) => a + b, 0), family);
  }
});

test('countings of the real-valued size: each adds to the one before', (t) => {
  const plain = { ...fullSizeDetectors['detr-r50'], classes: 91 }, sizes = sizeCountings(plain, withRprelu(plain)).map(({ size }) => size);
  t.is(sizes[0] * 1e6, 4 * 41_577_888);
  t.is(Math.round(sizes[1] * MEBIBYTE), 4 * 41_577_888);
  t.is(Math.round((sizes[2] - sizes[1]) * MEBIBYTE), 4 * 53_120); // as many as weights and biases: Hugging Face's buffers
  t.is(Math.round((sizes[3] - sizes[2]) * MEBIBYTE), 4 * 107_392); // 64 + 3 x 35776 channels, test/models/full-size.test.ts
  t.is(Math.round((sizes[4] - sizes[3]) * MEBIBYTE), 4 * 100 * 256);
});
