import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { imagesToObserve, observeAttention, observeQueries, observeRun, writeObservations, type ObservedDetector } from '../../src/experiments/observations.js';
import { UserError } from '../../src/errors.js';
import { detector } from '../../src/models/detector.js';
import { realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import type { DetectorSettings } from '../../src/models/settings.js';
import { calibrate } from '../../src/quantizer/calibration.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';
import { observationSchema } from '../../src/training/observation-record.js';
import { madeUpRun } from '../figures/summaries.js';
import { squares, tinyModel } from '../training/tiny-detector.js';

const settings: DetectorSettings = { ...tinyModel, decoderLayers: 2 };
const { imageSize: side, heads, queries, modelWidth } = settings;
const weights = initialDetectorParameters(settings, new RandomStream(3));
const real: ObservedDetector = { parameters: weights, settings, quantization: realValued };
const QUANTIZER = 'transformer.decoder.layers.1.multihead_attn.q_quantizer';

const images = (count: number): Float32Array => Float32Array.from(Array.from({ length: count }, (_, i) => [...normalizedPixels(squares.sample(i).image)]).flat());

/** The real-valued model with calibrated quantizers, and with distribution alignment in the last layer where `gamma` is given. */
async function quantized(gamma?: number): Promise<ObservedDetector> {
  await useBackend('wasm');
  const width = modelWidth / heads, name = 'transformer.decoder.layers.1.multihead_attn.q_alignment';
  const alignment: ParameterValues = gamma === undefined ? {} : { [`${name}.gamma`]: { shape: [width], data: new Float32Array(width).fill(gamma) }, [`${name}.beta`]: { shape: [width], data: new Float32Array(width) } };
  const parameters = { ...weights, ...alignment }, quantization = paperQuantization(parsePrecision('4-4-8')), tensors = toTensors(parameters);
  const found = calibrate([images(4)], (pixels, observe) => detector(tensors, tf.tensor4d(pixels, [4, side, side, 3]), settings, undefined, { observe }), quantization);
  tf.dispose(tensors);
  return { parameters: { ...parameters, ...found }, settings, quantization };
}

test.serial('histograms of each decoder layer: all heads of all images, densities that add up to 1, moments of the values themselves', async (t) => {
  const histograms = await observeQueries(real, squares, 5);
  t.deepEqual(histograms.map(({ layer, place, count }) => [layer, place, count]), [[0, 'quantizer', 5 * queries * modelWidth], [1, 'quantizer', 5 * queries * modelWidth]]);
  const tensors = toTensors(weights);
  let values = new Float32Array();
  tf.tidy(() => void detector(tensors, tf.tensor4d(images(5), [5, side, side, 3]), settings, realValued, { observe: (name, x) => (name === QUANTIZER ? (values = Float32Array.from(x.dataSync())) : undefined) }));
  tf.dispose(tensors);
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length, variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
  const [, last] = histograms;
  t.true(Math.abs(last.mean - mean) < 1e-4 && Math.abs(last.deviation - Math.sqrt(variance)) < 1e-4);
  t.true(Math.abs(last.gaussianEntropy - 0.5 * Math.log(2 * Math.PI * Math.E * variance)) < 1e-3);
  for (const { densities, low, high, quantizer, codeEntropy } of histograms) {
    t.true(Math.abs(densities.reduce((sum, d) => sum + d, 0) * ((high - low) / densities.length) - 1) < 1e-3);
    t.deepEqual([quantizer, codeEntropy], [null, null]);
  }
});

test.serial('a quantized model: the levels of each head and the entropy of its integers', async (t) => {
  const observed = await quantized();
  const last = (await observeQueries(observed, squares, 5))[1];
  t.deepEqual([last.quantizer!.bits, last.quantizer!.lowest, last.quantizer!.highest, last.quantizer!.scale.length], [8, -128, 127, heads]);
  t.true(Math.abs(last.quantizer!.scale[0] / observed.parameters[`${QUANTIZER}.scale`].data[0] - 1) < 1e-4);
  t.true(last.codeEntropy! > 3 && last.codeEntropy! <= 8);
});

test.serial('with distribution alignment: before and after it, the deviation after being gamma', async (t) => {
  const histograms = await observeQueries(await quantized(0.5), squares, 5);
  t.deepEqual(histograms.map(({ layer, place }) => [layer, place]), [[0, 'quantizer'], [1, 'alignment'], [1, 'quantizer']]);
  t.true(Math.abs(histograms[2].deviation - 0.5) < 0.01);
  const [, without] = await observeQueries(await quantized(), squares, 5);
  t.deepEqual([histograms[1].densities, histograms[1].deviation], [without.densities, without.deviation]);
  t.notDeepEqual(histograms[2].densities, without.densities);
});

for (const family of ['detr', 'smca-detr'] as const) {
  test.serial(`attention maps of ${family}: one for each head, adding up to 1; an image without objects is left out`, async (t) => {
    const model = { ...settings, family };
    const { attention, pictures } = await observeAttention({ parameters: initialDetectorParameters(model, new RandomStream(4)), settings: model, quantization: realValued }, squares, [0, 1, 2]);
    t.deepEqual(attention.map(({ picture }) => picture), ['1', '2']);
    t.deepEqual(pictures.map(({ id, size }) => [id, size]), [['1', side], ['2', side]]);
    t.deepEqual([...Buffer.from(pictures[0].rgb, 'base64')], [...squares.sample(1).image]);
    for (const { heads: maps, width, height, query, probability } of attention) {
      t.is(maps.length, heads);
      for (const map of maps) t.true(map.length === width * height && Math.abs(map.reduce((sum, w) => sum + w, 0) - 1) < 1e-3);
      t.true(query >= 0 && query < queries && probability > 0 && probability < 1);
    }
  });
}

test.serial('of an image the query is observed that has the largest probability plus overlap, whichever slot it has', async (t) => {
  const swapped = { ...weights, 'query_embed.weight': { ...weights['query_embed.weight'], data: weights['query_embed.weight'].data.slice() } };
  const { data } = swapped['query_embed.weight'];
  const [before] = (await observeAttention(real, squares, [1])).attention;
  const other = (before.query + 1) % queries;
  const row = (slot: number): Float32Array => weights['query_embed.weight'].data.slice(slot * modelWidth, (slot + 1) * modelWidth);
  data.set(row(before.query), other * modelWidth);
  data.set(row(other), before.query * modelWidth);
  const [after] = (await observeAttention({ ...real, parameters: swapped }, squares, [1])).attention;
  t.is(after.query, other);
  t.deepEqual([after.box.map((x) => x.toFixed(2)), after.probability.toFixed(3)], [before.box.map((x) => x.toFixed(2)), before.probability.toFixed(3)]);
});

test('images to observe: the first whose largest object covers a tenth to a half', (t) => {
  const area = ([x0, y0, x1, y1]: readonly number[]): number => ((x1 - x0) * (y1 - y0)) / squares.size ** 2;
  const chosen = imagesToObserve(squares, 2);
  t.true(chosen.length <= 2 && chosen.every((index) => squares.sample(index).objects.some(({ box }) => area(box) >= 0.1)));
  t.deepEqual(imagesToObserve(squares, 2, 0), []);
});

test.serial('the record of a run fits its schema, is small, and is written into the run folder', async (t) => {
  const { artefact, ...summary } = madeUpRun({ artefact: ['figure-2.8'], bits: '4-4-8', scope: 'detector' });
  const record = await observeRun({ ...summary, artefact }, await quantized(1), squares, { images: 4, pictures: 1 });
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-observe-'));
  const file = writeObservations(folder, record);
  t.deepEqual(observationSchema.parse(JSON.parse(readFileSync(file, 'utf8'))), record);
  t.deepEqual([record.id, record.method, record.images, record.scope, record.queries.length], [summary.id, 'Baseline', 4, 'detector', 3]);
  t.throws(() => writeObservations(folder, { ...record, images: -1 }), { instanceOf: UserError, message: /'images' should be a whole number/ });
});
