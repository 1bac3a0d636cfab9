import test from 'ava';
import { batchAt } from '../../src/data/batches.js';
import { detector } from '../../src/models/detector.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { quantizationPolicy } from '../../src/models/quantization-policy.js';
import type { Family } from '../../src/models/settings.js';
import { levels } from '../../src/quantizer/levels.js';
import type { Observer } from '../../src/quantizer/observer.js';
import { postTrainingQuantize, type PostTrainingMethod } from '../../src/quantizer/post-training.js';
import { parsePrecision, REAL } from '../../src/quantizer/precision.js';
import { conv2d } from '../../src/quantizer/quantized-convolution.js';
import { linear } from '../../src/quantizer/quantized-linear.js';
import { isQuantizerParameter } from '../../src/quantizer/scales.js';
import { ValueHistogram } from '../../src/quantizer/value-histogram.js';
import { correctedBias } from '../../src/quantizer/vt-ptq-bias-correction.js';
import { createCapture, samplePositions } from '../../src/quantizer/vt-ptq-capture.js';
import { searchLayer } from '../../src/quantizer/vt-ptq-layer.js';
import { activationOperand, toTensor } from '../../src/quantizer/vt-ptq-operand.js';
import { vtPtqSettings } from '../../src/quantizer/vt-ptq-settings.js';
import { vtPtq } from '../../src/quantizer/vt-ptq.js';
import { useBackend } from '../../src/tensor/backend.js';
import { sizeOf, toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { createDetectorEvaluator } from '../../src/training/evaluate-detector.js';
import { squares, tinyModel } from '../training/tiny-detector.js';

const stream = new RandomStream(12);
const random = (...shape: number[]): { shape: number[]; data: Float32Array } => ({ shape, data: Float32Array.from({ length: sizeOf(shape) }, () => stream.normal()) });
const tensorOf = ({ shape, data }: { shape: readonly number[]; data: Float32Array }): Tensor => tf.tensor(data, [...shape]);

test.serial('windows of a convolution: with its kernel as a matrix they give its outputs', async (t) => {
  await useBackend('wasm');
  const parameters = toTensors({ 'c.weight': random(3, 3, 2, 5) }), images = [random(2, 4, 6, 2), random(2, 4, 6, 2)].map(tensorOf);
  const capture = createCapture({ images: 3, positions: 24 });
  const outputs = images.map((x) => conv2d(parameters, 'c', x, { stride: 1, padding: 1 }, REAL, capture.observe));
  const windows = toTensor(capture.inputs.get('c')!);
  t.deepEqual(windows.shape, [3, 24, 18]);
  const found = tf.matMul(tf.reshape(windows, [-1, 18]), tensorOf(capture.weights.get('c')!));
  const wanted = tf.slice(tf.reshape(tf.concat(outputs, 0), [-1, 5]), [0, 0], [3 * 24, 5]); // the first 3 of 4 images
  t.true(tf.max(tf.abs(tf.sub(found, wanted))).dataSync()[0] < 1e-5);
});

test.serial('rows of a layer and of attention operands are of the same tokens; v keeps all', async (t) => {
  await useBackend('wasm');
  const capture = createCapture({ images: 2, positions: 3 });
  const x = random(2, 7, 4);
  linear(toTensors({ 'a.q_proj.weight': random(4, 4) }), 'a.q_proj', tensorOf(x), REAL, capture.observe);
  const heads = tf.transpose(tf.reshape(tensorOf(x), [2, 7, 2, 2]), [0, 2, 1, 3]);
  for (const letter of ['q', 'v']) capture.observe(`a.${letter}_quantizer`, heads);
  const chosen = [...samplePositions(7, 3)];
  t.is(new Set(chosen).size, 3);
  const of = (image: number, token: number): number[] => [...x.data.subarray((image * 7 + token) * 4, (image * 7 + token + 1) * 4)];
  t.deepEqual([...toTensor(capture.inputs.get('a.q_proj')!).dataSync()], [0, 1].flatMap((image) => chosen.flatMap((token) => of(image, token))));
  t.deepEqual([...toTensor(capture.operands.get('a.q_quantizer')!).dataSync()], [0, 1].flatMap((image) => [0, 2].flatMap((half) => chosen.flatMap((token) => of(image, token).slice(half, half + 2)))));
  t.deepEqual([...toTensor(capture.operands.get('a.v_quantizer')!).dataSync()], [...heads.dataSync()]);
});

test('corrected biases: a layer, a third of a packed one, a new one', (t) => {
  const vector = (...values: number[]): { shape: number[]; data: Float32Array } => ({ shape: [values.length], data: Float32Array.from(values) });
  const parameters: ParameterValues = { 'l.bias': vector(1, 2), 'a.in_proj_bias': vector(1, 2, 3, 4, 5, 6), 'a.k_proj.weight': vector(0) };
  t.deepEqual(correctedBias(parameters, 'l', Float32Array.of(0.5, -1)), { 'l.bias': vector(1.5, 1) });
  t.deepEqual(correctedBias(parameters, 'a.k_proj', Float32Array.of(10, 20)), { 'a.in_proj_bias': vector(1, 2, 13, 24, 5, 6) });
  t.deepEqual(correctedBias(parameters, 'c', Float32Array.of(7)), { 'c.bias': vector(7) });
  t.deepEqual(parameters['l.bias'], vector(1, 2), 'the model keeps its own');
});

for (const grid of ['offset', 'symmetric'] as const) {
  for (const bits of [4, 8]) {
    test.serial(`a layer at ${bits} bits, ${grid}: better correlated than from min and max, its mean outputs kept by the correction`, async (t) => {
      await useBackend('wasm');
      const x = random(3 * 20, 8), weight = random(8, 6), histogram = new ValueHistogram();
      x.data.forEach((v, i) => (x.data[i] = i === 5 ? 12 : v)); // an outlier, worth clipping
      histogram.add(x.data);
      const input = { images: 3, shape: [20, 8], pieces: [x.data] }, inputOperand = activationOperand('m.input_quantizer', [histogram], bits, 0, grid);
      const settings = { ...vtPtqSettings, grid };
      const { history } = searchLayer({ weight, weightBits: bits, input, inputOperand }, { ...settings, biasCorrection: false });
      t.true(history[history.length - 1][0] > history[0][0] && history[history.length - 1][0] < 1);
      const found = searchLayer({ weight, weightBits: bits, input, inputOperand }, settings);
      const w = { shape: [6, 8], data: Float32Array.from({ length: 48 }, (_, i) => weight.data[(i % 8) * 6 + Math.floor(i / 8)]) };
      const quantized = toTensors({
        'm.weight': w, 'm.bias': { shape: [6], data: found.correction! }, 'm.weight_quantizer.scale': { shape: [6], data: found.weightScale }, ...inputOperand.parameters(found.input),
      });
      const outputs = linear(quantized, 'm', tensorOf(x), { weightBits: bits, activationBits: bits, attentionBits: 32 });
      const shift = tf.mean(tf.sub(outputs, tf.matMul(tensorOf(x), tensorOf(weight))), 0);
      t.true(tf.max(tf.abs(shift)).dataSync()[0] < 1e-4, 'E[O] is kept');
      t.true(tf.max(tf.abs(tensorOf({ shape: [6], data: found.correction! }))).dataSync()[0] > 1e-4, 'there was something to correct');
    });
  }
}

const batches = [0, 1].map((step) => batchAt(squares, { batchSize: 2, seed: 0, flip: false, step }).images);
const images = (pixels: Uint8Array): Tensor => tf.tensor4d(normalizedPixels(pixels), [2, 16, 16, 3]);

/** A tiny detector of a family with random weights, and its forward pass for calibration. */
function untrained(family: Family = 'detr') {
  const model = { ...tinyModel, family }, values = initialDetectorParameters(model, new RandomStream(3)), parameters = toTensors(values);
  return { model, values, forward: (pixels: Uint8Array, observe: Observer) => detector(parameters, images(pixels), model, undefined, { observe }) };
}

const cases: [PostTrainingMethod, string, Family][] = [['VT-PTQ', '8-8-8', 'detr'], ['VT-PTQ', '4-4-8', 'detr'], ['VT-PTQ', '8-8-8', 'smca-detr'], ['Percentile', '8-8-8', 'detr']];
for (const [method, bits, family] of cases) {
  test.serial(`${method}, ${bits}, ${family}: a whole detector runs with what it gives${bits === '8-8-8' ? ', near the real-valued one' : ''}`, async (t) => {
    await useBackend('wasm');
    const policy = quantizationPolicy({ precision: parsePrecision(bits) }), { model, values, forward } = untrained(family), before = tf.memory().numTensors;
    const found = postTrainingQuantize(method, values, batches, forward, policy);
    t.is(tf.memory().numTensors, before, 'no tensor is left');
    const quantizers = Object.keys(postTrainingQuantize('LSQ+', values, batches, forward, policy));
    t.deepEqual(Object.keys(found).filter(isQuantizerParameter).sort(), quantizers.sort());
    const others = Object.keys(found).filter((name) => !isQuantizerParameter(name));
    t.is(others.length > 0, method === 'VT-PTQ');
    t.true(others.every((name) => name.endsWith('bias')) && Object.values(found).every(({ data }) => data.every(Number.isFinite)));
    t.false(others.some((name) => /class_embed|bbox_embed|input_proj|point\d/.test(name)), 'real-valued layers keep their biases');
    const logits = (added: ParameterValues, quantization?: typeof policy): Tensor => detector(toTensors({ ...values, ...added }), images(batches[0]), model, quantization).logits;
    const real = logits({}), error = tf.norm(tf.sub(logits(found, policy), real)).dataSync()[0] / tf.norm(tf.sub(real, tf.mean(real, 2, true))).dataSync()[0];
    t.true(error < (bits === '8-8-8' ? 0.15 : 1), `relative error ${error}`);
    const evaluator = createDetectorEvaluator(model, policy, 1);
    const { scores } = await evaluator.detect({ ...values, ...found }, squares);
    await evaluator.dispose();
    t.true(scores.length > 0 && scores.every((s) => s >= 0 && s <= 1), 'compiled too, with biases that the model had not');
  });
}

test.serial('groups and presets: only what is quantized gets parameters; the symmetric grid has no offsets', async (t) => {
  await useBackend('wasm');
  const { values, forward } = untrained();
  const names = (policy: ReturnType<typeof quantizationPolicy>): string[] => Object.keys(vtPtq(values, batches, forward, policy, { ...vtPtqSettings, grid: 'symmetric' }));
  const decoder = names(quantizationPolicy({ precision: parsePrecision('4-4-8'), groups: ['decoder-attention'] }));
  t.true(decoder.every((name) => /decoder\.layers\.0\.(self_attn|multihead_attn)/.test(name)) && decoder.some((name) => name.endsWith('a_quantizer.scale')));
  t.false(decoder.some((name) => name.endsWith('.offset')));
  const released = names(quantizationPolicy({ precision: parsePrecision('4-4-8'), preset: 'release' }));
  t.true(released.some((name) => name.endsWith('self_attn.q_proj.weight_quantizer.scale')));
  t.false(released.some((name) => /self_attn\.q_proj\.input_quantizer|multihead_attn\.q_proj/.test(name)), 'real-valued inputs and projections');
});

test('levels of a symmetric grid leave half a level of the largest magnitude out', (t) => {
  const histogram = new ValueHistogram();
  histogram.add([-2, 6]);
  const { 'x.scale': scale } = activationOperand('x', [histogram], 4, 0, 'symmetric').parameters([0.5]);
  t.is(scale.data[0], Math.fround(3 / 7.5));
  const { 'x.scale': wide, 'x.offset': offset } = activationOperand('x', [histogram], 4, 0, 'offset').parameters([0.5]);
  t.true(Math.abs(offset.data[0] + wide.data[0] * levels(4).lowest + 1) < 1e-6 && Math.abs(offset.data[0] + wide.data[0] * levels(4).highest - 3) < 1e-6);
});
