import test from 'ava';
import { detectionLoss } from '../../src/detection/detection-loss.js';
import { isBuffer } from '../../src/models/batch-normalization.js';
import { detectorCost, parameterCount } from '../../src/models/cost.js';
import { detector } from '../../src/models/detector.js';
import { realValued } from '../../src/models/forward.js';
import { CLASS_PRIOR, initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { modelOf } from '../../src/models/settings.js';
import { isSmcaParameter } from '../../src/models/smca-detr.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { sizeOf, toTensors, type Parameters } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { magnitude, readSmcaFixture, tensorOf, valuesOf, worstDifference } from './fixture.js';
import { backends } from '../tensor/backends.js';

const smoke = modelOf('smoke', 'smca-detr');
const noise = (count: number, seed: number): Tensor => tf.randomNormal([count, 64, 64, 3], 0, 1, 'float32', seed);
const farthest = (a: Tensor, b: Tensor): number => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0];

for (const backend of backends) {
  test.serial(`the whole small SMCA-DETR, its loss and the gradients of its parameters are PyTorch's (${backend})`, async (t) => {
    await useBackend(backend);
    const { settings, parameters, images, labels, targets, logits, boxes, memory, total, gradients } = readSmcaFixture().smca;
    const values = toTensors(valuesOf(parameters)), x = tensorOf(images);
    const truth = { labels: tf.tensor2d(labels, undefined, 'int32'), boxes: tensorOf(targets) };
    const output = detector(values, x, settings);
    t.true(worstDifference(output.logits, logits) < 1e-4);
    t.true(worstDifference(output.boxes, boxes) < 1e-4);
    t.true(worstDifference(output.memory, memory) < 1e-4);

    const names = Object.keys(gradients);
    t.deepEqual(names.filter(isSmcaParameter).length, 6 + 3 * 6); // point1 once; point2, point3 and norm4 in each of 3 layers
    const { value, grads } = tf.valueAndGrads((...xs: Tensor[]) => {
      const found = detector({ ...values, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }, x, settings);
      return detectionLoss(settings.family, found.logits, found.boxes, truth).total;
    })(names.map((n) => values[n]));
    t.true(Math.abs(value.dataSync()[0] - total) < 1e-4 * total);
    names.forEach((name, i) => t.true(worstDifference(grads[i], gradients[name]) < 2e-4 * magnitude(gradients[name]), name));
  });
}

test('a compiled step gives PyTorch\'s loss and gradients', async (t) => {
  const { settings, parameters, images, labels, targets, total, gradients } = readSmcaFixture().smca;
  const names = Object.keys(gradients);
  const inputs = { images: { shape: images.shape, dtype: 'float32' }, labels: { shape: [3, 3], dtype: 'int32' }, boxes: { shape: targets.shape, dtype: 'float32' } } as const;
  const step = await compileStep((state, batch) => {
    const { value, grads } = tf.valueAndGrads((...xs: Tensor[]) => {
      const { logits, boxes } = detector({ ...state, ...Object.fromEntries(names.map((n, i) => [n, xs[i]])) }, batch.images, settings);
      return detectionLoss(settings.family, logits, boxes, { labels: batch.labels, boxes: batch.boxes }).total;
    })(names.map((n) => state[n]));
    return { outputs: { loss: value, ...Object.fromEntries(names.map((n, i) => [n, grads[i]])) } };
  }, { state: valuesOf(parameters), inputs });
  const got = await step.run({ images: Float32Array.from(images.data), labels: Int32Array.from(labels.flat()), boxes: Float32Array.from(targets.data) });
  t.true(Math.abs(got.loss[0] - total) < 1e-4 * total);
  for (const name of names) {
    const bound = 2e-4 * magnitude(gradients[name]);
    t.true(gradients[name].data.every((v, i) => Math.abs(v - got[name][i]) < bound * Math.max(1, Math.abs(v))), name);
  }
  await step.dispose();
});

test.serial('the prior of every layer can be looked at; only the first one is the same for all images', async (t) => {
  await useBackend('wasm');
  const parameters = toTensors(initialDetectorParameters(smoke, new RandomStream(3)));
  const { coAttention, logits } = detector(parameters, noise(3, 5), smoke);
  t.deepEqual(coAttention.map(({ logPrior }) => logPrior!.shape), [[1, 4, 10, 16], [3, 4, 10, 16]]);
  t.deepEqual(logits.shape, [2, 3, 10, 20]);
  t.true(coAttention.every(({ logPrior }) => tf.max(logPrior!).dataSync()[0] <= 0));
  t.deepEqual(coAttention[1].weights.shape, [3, 4, 10, 16]);
  t.is(detector(toTensors(initialDetectorParameters(modelOf('smoke'), new RandomStream(3))), noise(1, 5), modelOf('smoke')).coAttention[0].logPrior, undefined);
});

/** Parameters with `point1` giving a place in the image, before the sigmoid, to every query. */
function lookingAt(x: number, y: number): Parameters {
  const parameters = toTensors(initialDetectorParameters(smoke, new RandomStream(3)));
  const last = 'transformer.decoder.layers.0.point1.layers.2';
  return { ...parameters, [`${last}.weight`]: tf.zerosLike(parameters[`${last}.weight`]), [`${last}.bias`]: tf.tensor1d([x, y]) };
}

test.serial('a query attends around its reference point, and its box is centred there before it has learned anything', async (t) => {
  await useBackend('wasm');
  const still: Parameters = {};
  const names = Object.keys(initialDetectorParameters(smoke, new RandomStream(3)));
  for (const name of names.filter((n) => /\.point2\.|^bbox_embed\.layers\.2\./.test(n))) still[name] = tf.zerosLike(lookingAt(0, 0)[name]);
  for (const [x, y] of [[-20, -20], [-20, 20], [Math.log(3), 0]]) { // sigmoids 0, 0; 0, 1; 3/4, 1/2
    const { boxes, coAttention } = detector({ ...lookingAt(x, y), ...still }, noise(2, 1), smoke);
    const [cx, cy] = [1 / (1 + Math.exp(-x)), 1 / (1 + Math.exp(-y))];
    t.true(farthest(boxes, tf.tensor1d([cx, cy, 0.5, 0.5])) < 1e-5);
    const wanted = Array.from({ length: 16 }, (_, cell) => -((4 * cx - (cell % 4)) ** 2 + (4 * cy - Math.floor(cell / 4)) ** 2) / 8); // scales begin at 1
    for (const { logPrior } of coAttention) t.true(farthest(logPrior!, tf.tensor1d(wanted)) < 1e-5);
  }
});

test.serial('with scales of 0 it is DETR with sigmoids and shifted centres', async (t) => {
  await useBackend('wasm');
  const values = toTensors(initialDetectorParameters(smoke, new RandomStream(3)));
  const flat = Object.fromEntries(Object.entries(values).map(([name, v]) => [name, name.endsWith('.point3.bias') ? tf.zerosLike(v) : v]));
  const images = noise(2, 4), asDetr = detector(values, images, { ...modelOf('smoke'), classes: 19 }); // 20 scores
  const asSmca = detector(flat, images, smoke);
  t.true(farthest(asSmca.logits, asDetr.logits) < 1e-5);
  t.true(farthest(detector(values, images, smoke).logits, asDetr.logits) > 1e-3);
  const sizes = (x: Tensor): Tensor => tf.slice(x, [0, 0, 0, 2], [-1, -1, -1, 2]);
  t.true(farthest(sizes(asSmca.boxes), sizes(asDetr.boxes)) < 1e-5);
  t.true(farthest(asSmca.boxes, asDetr.boxes) > 1e-3);
});

test.serial('outputs depend on the image, and on that image alone', async (t) => {
  await useBackend('wasm');
  const parameters = toTensors(initialDetectorParameters(smoke, new RandomStream(3))), images = noise(3, 5);
  const of = (x: Tensor, image: number): Tensor => tf.slice(x, [0, image, 0, 0], [-1, 1, -1, -1]);
  const one = detector(parameters, tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1]), smoke), all = detector(parameters, images, smoke);
  t.true(farthest(one.boxes, of(all.boxes, 1)) < 1e-5);
  t.true(farthest(of(all.logits, 0), of(all.logits, 2)) > 1e-3);
});

test('initial parameters: counts agree with the cost table; scales 1, class probabilities 0.01', (t) => {
  for (const scale of ['smoke', 'minutes', 'gpu'] as const) {
    const settings = modelOf(scale, 'smca-detr'), values = initialDetectorParameters(settings, new RandomStream(1));
    const trained = Object.entries(values).filter(([name]) => !isBuffer(name));
    t.is(trained.reduce((n, [, v]) => n + sizeOf(v.shape), 0), parameterCount(settings), scale);
    for (const [name, { shape, data }] of trained) t.is(data.length, sizeOf(shape), name);
  }
  const values = initialDetectorParameters(smoke, new RandomStream(1));
  t.true(values['transformer.decoder.layers.1.point3.weight'].data.every((v) => v === 0) && values['transformer.decoder.layers.1.point3.bias'].data.every((v) => v === 1));
  t.true(values['class_embed.bias'].data.every((v) => Math.abs(1 / (1 + Math.exp(-v)) - CLASS_PRIOR) < 1e-6));
  const point2 = values['transformer.decoder.layers.0.point2.weight'];
  t.deepEqual(point2.shape, [8, 32]);
  t.true(Math.max(...point2.data) <= Math.sqrt(6 / 40)); // xavier_uniform of [8, 32]
  const shared = Object.keys(initialDetectorParameters(modelOf('smoke'), new RandomStream(1)));
  t.deepEqual(Object.keys(values).filter((name) => !isSmcaParameter(name)), shared);
});

test('costs by hand: reference points once, offsets and scales in every decoder layer; K class scores', (t) => {
  const costs = new Map(detectorCost(smoke).map((cost) => [cost.name, cost]));
  t.is(costs.get('transformer.decoder.layers.0.point1.layers.2')!.multiplyAdds, 10 * 32 * 2);
  t.false(costs.has('transformer.decoder.layers.1.point1.layers.2'));
  t.is(costs.get('transformer.decoder.layers.1.point3')!.weights, 32 * 2 * 4);
  t.is(costs.get('class_embed')!.multiplyAdds, 2 * 10 * 32 * 20);
});

test.serial('quantization asks for every product of the cost table; the point layers stay real-valued', async (t) => {
  await useBackend('wasm');
  const asked = new Set<string>();
  detector(toTensors(initialDetectorParameters(smoke, new RandomStream(1))), noise(1, 1), smoke, (module) => (asked.add(module), realValued(module)));
  t.deepEqual([...asked].sort(), [...new Set(detectorCost(smoke).map(({ name }) => name.replace(/\.(qk|av)$/, '')))].sort());
  const bits = paperQuantization(parsePrecision('4-4-8'));
  for (const module of [...asked].filter((name) => name.includes('.point'))) t.is(bits(module).weightBits, 32, module);
  t.is(bits('transformer.decoder.layers.0.multihead_attn').attentionBits, 8);
});
