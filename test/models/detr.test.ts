import test from 'ava';
import { setCriterion } from '../../src/detection/set-criterion.js';
import { isBuffer } from '../../src/models/batch-normalization.js';
import { classifier } from '../../src/models/classifier.js';
import { detectorCost, parameterCount } from '../../src/models/cost.js';
import { detector } from '../../src/models/detector.js';
import { initialClassifierParameters, initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { sinePositions } from '../../src/models/position-encoding.js';
import { detrSettings } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { sizeOf, toTensors } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { trace } from '../../src/tensor/trace.js';
import { readDetrFixture, tensorOf, valuesOf, worstDifference } from './fixture.js';

test('sine positions are those of DETR', (t) => {
  const { height, width, channels, values } = readDetrFixture().positions;
  const got = sinePositions(height, width, channels);
  t.is(got.length, values.data.length);
  t.true(values.data.every((v, i) => Math.abs(v - got[i]) < 1e-5));
});

for (const mode of ['frozen', 'live'] as const) {
  test.serial(`the whole small DETR, its loss and the gradients of its parameters are PyTorch's (${mode} batch normalization)`, async (t) => {
    await useBackend('wasm');
    const { settings, parameters, images, labels, targets, [mode]: wanted } = readDetrFixture().detr;
    const options = { batchStatistics: mode === 'live' };
    const values = toTensors(valuesOf(parameters)), x = tensorOf(images);
    const truth = { labels: tf.tensor2d(labels, undefined, 'int32'), boxes: tensorOf(targets) };
    const output = detector(values, x, settings, undefined, options);
    t.true(worstDifference(output.logits, wanted.logits) < 1e-4);
    t.true(worstDifference(output.boxes, wanted.boxes) < 1e-4);
    t.true(worstDifference(output.memory, wanted.memory) < 1e-4);
    t.deepEqual(Object.keys(output.statistics).sort(), Object.keys(wanted.statistics).sort());
    for (const [name, statistic] of Object.entries(wanted.statistics)) t.true(worstDifference(output.statistics[name], statistic) < 1e-5, name);

    const names = Object.keys(wanted.gradients);
    const loss = (...xs: Tensor[]): Tensor => {
      const { logits, boxes } = detector({ ...values, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }, x, settings, undefined, options);
      return setCriterion(logits, boxes, truth).total;
    };
    const { value, grads } = tf.valueAndGrads(loss)(names.map((n) => values[n]));
    t.true(Math.abs(value.dataSync()[0] - wanted.total) < 1e-4);
    names.forEach((name, i) => t.true(worstDifference(grads[i], wanted.gradients[name]) < 2e-4, name));
  });
}

test('a compiled step gives PyTorch\'s loss and gradients', async (t) => {
  const { settings, parameters, images, labels, targets, live } = readDetrFixture().detr;
  const values = valuesOf(parameters), names = Object.keys(live.gradients);
  const inputs = { images: { shape: images.shape, dtype: 'float32' }, labels: { shape: [3, 3], dtype: 'int32' }, boxes: { shape: targets.shape, dtype: 'float32' } } as const;
  const step = await compileStep((state, batch) => {
    const { value, grads } = tf.valueAndGrads((...xs: Tensor[]) => {
      const { logits, boxes } = detector({ ...state, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }, batch.images, settings, undefined, { batchStatistics: true });
      return setCriterion(logits, boxes, { labels: batch.labels, boxes: batch.boxes }).total;
    })(names.map((n) => state[n]));
    return { outputs: { loss: value, ...Object.fromEntries(names.map((n, i) => [n, grads[i]])) } };
  }, { state: values, inputs });
  const got = await step.run({ images: Float32Array.from(images.data), labels: Int32Array.from(labels.flat()), boxes: Float32Array.from(targets.data) });
  t.true(Math.abs(got.loss[0] - live.total) < 1e-4);
  for (const name of names) t.true(live.gradients[name].data.every((v, i) => Math.abs(v - got[name][i]) < 2e-4 * Math.max(1, Math.abs(v))), name);
  await step.dispose();
});

test.serial('outputs depend on the image, and on that image alone when batch statistics are off', async (t) => {
  await useBackend('wasm');
  const settings = detrSettings.smoke;
  const parameters = toTensors(initialDetectorParameters(settings, new RandomStream(3)));
  const images = tf.randomNormal([3, 64, 64, 3], 0, 1, 'float32', 5);
  const one = detector(parameters, tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1]), settings), all = detector(parameters, images, settings);
  const of = (x: Tensor, image: number): Float32Array => tf.slice(x, [0, image, 0, 0], [-1, 1, -1, -1]).dataSync() as Float32Array;
  const distance = (a: Float32Array, b: Float32Array): number => a.reduce((worst, v, i) => Math.max(worst, Math.abs(v - b[i])), 0);
  t.true(distance(of(one.boxes, 0), of(all.boxes, 1)) < 1e-5);
  t.true(distance(of(all.boxes, 0), of(all.boxes, 1)) > 1e-3);
  t.true(distance(of(all.logits, 0), of(all.logits, 2)) > 1e-3);
});

test('initial parameters: counts agree with the cost table, spreads with PyTorch', (t) => {
  for (const [scale, settings] of Object.entries(detrSettings)) {
    const values = initialDetectorParameters(settings, new RandomStream(1));
    const trained = Object.entries(values).filter(([name]) => !isBuffer(name));
    t.is(trained.reduce((n, [, v]) => n + sizeOf(v.shape), 0), parameterCount(settings), scale);
    for (const [name, { shape, data }] of Object.entries(values)) t.is(data.length, sizeOf(shape), name);
  }
  const values = initialDetectorParameters(detrSettings.gpu, new RandomStream(1));
  const deviation = (name: string): number => Math.sqrt(values[name].data.reduce((s, v) => s + v * v, 0) / values[name].data.length);
  t.true(Math.abs(deviation('transformer.encoder.layers.0.self_attn.in_proj_weight') - Math.sqrt(2 / (128 + 384))) < 1e-3); // xavier_uniform of [384, 128]
  t.true(Math.abs(deviation('backbone.0.body.layer3.1.conv2.weight') - Math.sqrt(2 / (9 * 128))) < 1e-3); // kaiming_normal, fan_out
  t.true(Math.abs(deviation('query_embed.weight') - 1) < 0.05);
  t.deepEqual(initialDetectorParameters(detrSettings.smoke, new RandomStream(2)), initialDetectorParameters(detrSettings.smoke, new RandomStream(2)));
});

test('costs by hand: attention, first convolution and heads of the smoke model', (t) => {
  const costs = new Map(detectorCost(detrSettings.smoke).map((cost) => [cost.name, cost]));
  t.is(costs.get('transformer.decoder.layers.1.multihead_attn.qk')!.multiplyAdds, 10 * 16 * 32); // 10 queries, 4 x 4 tokens, width 32
  t.is(costs.get('backbone.0.body.conv1')!.multiplyAdds, 32 * 32 * 27 * 8); // 32 x 32 outputs
  t.is(costs.get('backbone.0.body.conv1')!.weights, 27 * 8);
  t.is(costs.get('class_embed')!.multiplyAdds, 2 * 10 * 32 * 21); // 10 queries after each of 2 decoder layers, 20 classes and "no object"
  t.is(costs.get('class_embed')!.weights, 32 * 21); // shared by the layers
  t.is(costs.get('bbox_embed.layers.2')!.multiplyAdds, 2 * 10 * 32 * 4);
});

test('a full-size step is traced without values; quantization asks for every module of the cost table', (t) => {
  const settings = detrSettings.gpu, values = initialDetectorParameters(settings, new RandomStream(1));
  const asked = new Set<string>();
  const inputs = Object.fromEntries(Object.entries(values).map(([name, { shape }]) => [name, { shape, dtype: 'float32' as const }]));
  const quantization = (module: string): { weightBits: number; activationBits: number; attentionBits: number } => {
    asked.add(module);
    return { weightBits: 32, activationBits: 32, attentionBits: 32 };
  };
  const names = Object.keys(values).filter((name) => !isBuffer(name));
  const graph = trace(({ images, labels, targets, ...parameters }) => {
    const trained = names.map((n) => parameters[n]);
    const { value, grads } = tf.valueAndGrads((...xs: Tensor[]) => {
      const { logits, boxes } = detector({ ...parameters, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }, images, settings, quantization, { batchStatistics: true });
      return setCriterion(logits, boxes, { labels, boxes: targets }).total;
    })(trained);
    return { loss: value, ...Object.fromEntries(names.map((n, i) => [n, grads[i]])) };
  }, { ...inputs, images: { shape: [16, 128, 128, 3], dtype: 'float32' }, labels: { shape: [16, 6], dtype: 'int32' }, targets: { shape: [16, 6, 4], dtype: 'float32' } });
  t.deepEqual(graph.outputs.get('query_embed.weight')!.shape, [25, 128]);
  const products = detectorCost(settings).map(({ name }) => name.replace(/\.(qk|av)$/, ''));
  t.deepEqual([...asked].sort(), [...new Set(products)].sort());
});

test.serial('the classifier shares the backbone names of DETR', async (t) => {
  await useBackend('wasm');
  const { backbone } = detrSettings.smoke;
  const values = initialClassifierParameters(backbone, 20, new RandomStream(1));
  const { logits, statistics } = classifier(toTensors(values), tf.randomNormal([4, 32, 32, 3], 0, 1, 'float32', 1), backbone, undefined, { batchStatistics: true });
  t.deepEqual(logits.shape, [4, 20]);
  const detrNames = new Set(Object.keys(initialDetectorParameters(detrSettings.smoke, new RandomStream(1))));
  t.deepEqual(Object.keys(values).filter((name) => !detrNames.has(name)), ['fc.weight', 'fc.bias']);
  t.true(Object.keys(statistics).every((name) => detrNames.has(name)));
});

test('settings that can\'t be built are refused by key', (t) => {
  const wrong = (change: object): (() => unknown) => () => initialDetectorParameters({ ...detrSettings.smoke, ...change }, new RandomStream(1));
  t.throws(wrong({ heads: 5 }), { message: /heads is 5: give a divisor of modelWidth, 32/ });
  t.throws(wrong({ imageSize: 72 }), { message: /imageSize is 72: give a multiple .* 16/ });
  t.throws(wrong({ queries: 0 }), { message: /queries is 0/ });
  t.throws(wrong({ backbone: { ...detrSettings.smoke.backbone, strides: [2, 2] } }), { message: /backbone\.strides has 2 stages/ });
});
