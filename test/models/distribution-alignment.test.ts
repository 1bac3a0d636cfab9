import test from 'ava';
import fc from 'fast-check';
import { multiHeadAttention } from '../../src/models/attention.js';
import { detector } from '../../src/models/detector.js';
import { align, alignedOperands, alignmentParameters, ALIGNMENT_PLACES, distributionAlignment, distributionAlignmentOverQueries, isAlignmentParameter, PAPER_ALIGNMENT, RELEASE_ALIGNMENT, type AlignmentSettings } from '../../src/models/distribution-alignment.js';
import { forward, realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { detrSettings } from '../../src/models/settings.js';
import { createCalibration } from '../../src/quantizer/calibration.js';
import type { Observer } from '../../src/quantizer/observer.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { isQuantizerParameter } from '../../src/quantizer/scales.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors, toValues, type ParameterValues, type Parameters } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { groupOf } from '../../src/training/parameter-groups.js';
import { readDistillationFixture } from '../distillation/fixture.js';
import { compiled, difference, eagerly, type Arrays } from '../tensor/compiled.js';
import { worstDifference } from './fixture.js';

const rounded = (x: Tensor): number[] => Array.from(x.dataSync(), (v) => Math.round(v * 1e3) / 1e3);

test.serial('by hand: two tokens of one head, over its width and over the tokens', async (t) => {
  await useBackend('cpu');
  const q = tf.tensor4d([1, 3, 10, 30], [1, 1, 2, 2]), gamma = [2, 5], beta = [1, 0];
  t.deepEqual(rounded(distributionAlignment(q, tf.tensor1d(gamma), tf.tensor1d(beta))), [-1, 5, -1, 5]); // each token: -1, 1
  t.deepEqual(rounded(distributionAlignmentOverQueries(q, tf.tensor2d([gamma]), tf.tensor2d([beta]))), [-1, -5, 3, 5]); // each channel: -1, 1
});

for (const axis of ['head-width', 'queries'] as const) {
  test.serial(`${axis}: values and gradients are those of torch's ${axis === 'queries' ? 'instance_norm' : 'layer_norm'}, eagerly and compiled`, async (t) => {
    await useBackend('wasm');
    const f = readDistillationFixture().alignment[axis];
    const compute = axis === 'queries' ? distributionAlignmentOverQueries : distributionAlignment;
    const step = (x: Record<string, Tensor>): Record<string, Tensor> => {
      const { value, grads: [dQ, dGamma, dBeta] } = tf.valueAndGrads((q: Tensor, gamma: Tensor, beta: Tensor) => tf.sum(tf.mul(compute(q, gamma, beta), x.dy)))([x.q, x.gamma, x.beta]);
      return { value, y: compute(x.q, x.gamma, x.beta), dQ, dGamma, dBeta };
    };
    const inputs: Arrays = Object.fromEntries((['q', 'dy', 'gamma', 'beta'] as const).map((k) => [k, { shape: f[k].shape, dtype: 'float32', data: Float32Array.from(f[k].data) }]));
    const found = eagerly(step, inputs);
    for (const [name, wanted] of Object.entries({ y: f.y, dQ: f.dQ, dGamma: f.dGamma, dBeta: f.dBeta })) t.true(worstDifference(tf.tensor(found[name], wanted.shape), wanted) < 1e-5, name);
    t.is(difference((await compiled(step, inputs)).results, found), undefined);
  });
}

test.serial('what is aligned has mean 0 and deviation 1 where gamma is 1 and beta 0; a shift or a positive factor of q is taken away', async (t) => {
  await useBackend('cpu');
  const value = fc.integer({ min: -300, max: 300 }).map((v) => v / 100);
  t.notThrows(() => fc.assert(fc.property(fc.array(value, { minLength: 24, maxLength: 24 }), value, fc.integer({ min: 2, max: 20 }), (values, shift, factor) => tf.tidy(() => {
    const q = tf.tensor4d(values, [1, 2, 3, 4]);
    const spread = (axis: number): boolean => Array.from(tf.moments(q, axis).variance.dataSync()).every((v) => v > 0.05);
    fc.pre(spread(3) && spread(2));
    const moved = tf.add(tf.mul(q, factor), shift), ones = tf.ones([2, 4]);
    const pairs = [[q, moved].map((x) => distributionAlignment(x, tf.ones([4]), tf.zeros([4]))), [q, moved].map((x) => distributionAlignmentOverQueries(x, ones, tf.zeros([2, 4])))];
    return pairs.every(([a, b], i) => {
      const { mean, variance } = tf.moments(a, 3 - i);
      return tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] < 2e-3 && mean.dataSync().every((m) => Math.abs(m) < 1e-4) && variance.dataSync().every((v) => Math.abs(v - 1) < 1e-3);
    });
  })), { numRuns: 40 }));
});

test.serial('parameters turn it on: by operand and by axis; an observer hears what comes in, the quantizer sees what comes out', async (t) => {
  await useBackend('cpu');
  const q = tf.tensor4d([1, 3, 10, 30], [1, 1, 2, 2]);
  const run = (parameters: Parameters): { heard: string[]; y: number[] } => {
    const heard: string[] = [];
    return { heard, y: rounded(align(forward(parameters, realValued, { observe: (name, x) => heard.push(`${name} ${x.dataSync()[0]}`) }), 'a.q', q)) };
  };
  t.deepEqual(run({ 'a.k_alignment.gamma': tf.ones([2]), 'a.k_alignment.beta': tf.zeros([2]) }), { heard: [], y: [1, 3, 10, 30] });
  t.deepEqual(run({ 'a.q_alignment.gamma': tf.tensor1d([2, 5]), 'a.q_alignment.beta': tf.tensor1d([1, 0]) }), { heard: ['a.q_alignment 1'], y: [-1, 5, -1, 5] });
  t.deepEqual(run({ 'a.q_query_alignment.gamma': tf.tensor2d([[2, 5]]), 'a.q_query_alignment.beta': tf.tensor2d([[1, 0]]) }), { heard: ['a.q_query_alignment 1'], y: [-1, -5, 3, 5] });

  const seen: Record<string, number[]> = {};
  const attention = { 'a.in_proj_weight': tf.tensor2d([1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1], [6, 2]), 'a.in_proj_bias': tf.zeros([6]), 'a.out_proj.weight': tf.tensor2d([1, 0, 0, 1], [2, 2]), 'a.out_proj.bias': tf.zeros([2]) };
  const tokens = tf.tensor3d([[[1, 3], [10, 30]]]), observe: Observer = (name, x) => { seen[name] = rounded(x); };
  multiHeadAttention(forward({ ...attention, 'a.q_alignment.gamma': tf.tensor1d([2, 5]), 'a.q_alignment.beta': tf.tensor1d([1, 0]) }, realValued, { observe }), 'a', tokens, tokens, tokens, 1);
  t.deepEqual([seen['a.q_alignment'], seen['a.q_quantizer'], seen['a.k_quantizer']], [[1, 3, 10, 30], [-1, 5, -1, 5], [1, 3, 10, 30]]);
});

const model = detrSettings.smoke; // 4 heads of width 8, 1 encoder and 2 decoder layers

test('where the paper and the release align; names and shapes; 1 and 0 to begin with', async (t) => {
  const names = async (settings: AlignmentSettings): Promise<string[]> => Object.entries(await alignmentParameters(settings, model)).map(([name, { shape, data }]) => `${name} [${shape.join()}] ${data[0]}`);
  t.deepEqual(await names(PAPER_ALIGNMENT), [0, 1].flatMap((l) => [`transformer.decoder.layers.${l}.multihead_attn.q_alignment.gamma [8] 1`, `transformer.decoder.layers.${l}.multihead_attn.q_alignment.beta [8] 0`]));
  t.deepEqual(await names({ ...RELEASE_ALIGNMENT, axis: 'queries' }), [0, 1].flatMap((l) => [`transformer.decoder.layers.${l}.self_attn.q_query_alignment.gamma [4,8] 1`, `transformer.decoder.layers.${l}.self_attn.q_query_alignment.beta [4,8] 0`]));
  t.deepEqual(alignedOperands(model, 'encoder.v'), ['transformer.encoder.layers.0.self_attn.v']);
  const all = await names({ ...PAPER_ALIGNMENT, places: ALIGNMENT_PLACES });
  t.is(new Set(all).size, 2 * 3 * (1 + 2 * 2));
});

test('alignments belong to the transformer\'s parameters, not to the quantizers\'', async (t) => {
  for (const axis of ['head-width', 'queries'] as const) {
    for (const name of Object.keys(await alignmentParameters({ ...PAPER_ALIGNMENT, axis }, model))) {
      t.false(isQuantizerParameter(name));
      t.true(isAlignmentParameter(name));
      t.is(groupOf(name, { backboneFactor: 1, quantizerFactor: 1, weightDecay: 0 }).name, 'transformer');
    }
  }
  t.false(isAlignmentParameter('transformer.decoder.norm.bias'));
});

test.serial('by hand: the measured start is the least-squares line from normalized to given values', async (t) => {
  await useBackend('cpu');
  const sizes = { modelWidth: 2, heads: 1, encoderLayers: 1, decoderLayers: 1 }, name = 'transformer.encoder.layers.0.self_attn.q';
  const measured = async (axis: AlignmentSettings['axis'], values: number[], shape: [number, number, number, number]): Promise<number[][]> => {
    const found = await alignmentParameters({ places: ['encoder.q'], axis, start: 'measured' }, sizes, (observe) => { observe(`${name}_quantizer`, tf.tensor4d(values, shape)); observe('other.q_quantizer', tf.zeros([9])); });
    return Object.values(found).map(({ data }) => Array.from(data, (v) => Math.round(v * 1e3) / 1e3));
  };
  // Tokens (1, 3), (3, 1), (2, 6): z is (-1, 1), (1, -1), (-1, 1). Channel 0: from -1 to (1 + 2) / 2, from 1 to 3; channel 1: 1 to (3 + 6) / 2, -1 to 1.
  t.deepEqual(await measured('head-width', [1, 3, 3, 1, 2, 6], [1, 1, 3, 2]), [[0.75, 1.75], [2.25, 2.75]]);
  // Over the queries, each image and channel of two tokens is z = (-1, 1) or (1, -1): mean and half the difference, averaged over two images.
  t.deepEqual(await measured('queries', [1, 5, 3, 1, 7, 8, 1, 2], [2, 1, 2, 2]), [[2, 2.5], [3, 4]]);
  t.deepEqual(await measured('queries', [4, 4, 4, 4], [1, 1, 2, 2]), [[1, 1], [4, 4]], 'values that never vary');
});

test('a measured start without a measurement is refused', async (t) => {
  await t.throwsAsync(alignmentParameters({ ...PAPER_ALIGNMENT, start: 'measured' }, model), { message: /layers\.0\.multihead_attn\.q_alignment should start as measured, but transformer\.decoder\.layers\.0\.multihead_attn\.q was not observed/ });
});

test.serial('values that an alignment made are left as they are by its measured start', async (t) => {
  await useBackend('cpu');
  const stream = new RandomStream(2), draw = (n: number): Float32Array => Float32Array.from({ length: n }, () => stream.normal());
  const sizes = { modelWidth: 16, heads: 2, encoderLayers: 0, decoderLayers: 1 };
  for (const axis of ['head-width', 'queries'] as const) {
    const compute = axis === 'queries' ? distributionAlignmentOverQueries : distributionAlignment, shape = axis === 'queries' ? [2, 8] : [8];
    // Of one width for all channels, so that what normalizes the values again takes the same away from each.
    const q = compute(tf.tensor4d(draw(2 * 2 * 5 * 8), [2, 2, 5, 8]), tf.fill(shape, 1.7), tf.fill(shape, axis === 'queries' ? 3 : 0));
    const found = await alignmentParameters({ places: ['co-attention.q'], axis, start: 'measured' }, sizes, (observe) => observe('transformer.decoder.layers.0.multihead_attn.q_quantizer', q));
    const [gamma, beta] = Object.values(found).map(({ shape: s, data }) => tf.tensor(data, [...s]));
    t.true(tf.max(tf.abs(tf.sub(compute(q, gamma, beta), q))).dataSync()[0] < 1e-3, axis);
  }
});

test.serial('in a detector: a measured start stays nearer to the model than ones do; calibration sees aligned queries and makes quantizers only', async (t) => {
  await useBackend('wasm');
  const weights = initialDetectorParameters(model, new RandomStream(1)), stream = new RandomStream(7);
  const images = tf.tensor4d(Float32Array.from({ length: 2 * 64 * 64 * 3 }, () => stream.normal()), [2, 64, 64, 3]);
  const output = (extra: ParameterValues, observe?: Observer): Tensor => tf.tidy(() => detector(toTensors({ ...weights, ...extra }), images, model, realValued, { observe }).coAttention[1].features);
  const plain = output({}), distance = (extra: ParameterValues): number => tf.norm(tf.sub(output(extra), plain)).dataSync()[0];
  const settings = { ...PAPER_ALIGNMENT, places: ['co-attention.q', 'encoder.q'] } as const;
  for (const axis of ['head-width', 'queries'] as const) {
    const ones = await alignmentParameters({ ...settings, axis }, model);
    const measured = await alignmentParameters({ ...settings, axis, start: 'measured' }, model, (observe) => void output({}, observe).dispose());
    t.deepEqual(Object.keys(measured), Object.keys(ones));
    t.true(distance(measured) > 0 && distance(measured) < distance(ones), `${axis}: ${distance(measured)} against ${distance(ones)}`);

    const calibration = createCalibration();
    output(measured, calibration.observe).dispose();
    const precision = paperQuantization(parsePrecision('4-4-8')), quantizers = calibration.quantizerParameters(precision);
    t.deepEqual(Object.keys(quantizers).filter((name) => !isQuantizerParameter(name)), []);
    const quantized = tf.tidy(() => detector(toTensors({ ...weights, ...measured, ...quantizers }), images, model, precision).boxes);
    t.true(Object.values(await toValues({ quantized }))[0].data.every(Number.isFinite));
  }
});
