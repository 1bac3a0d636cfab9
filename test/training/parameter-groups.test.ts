import test from 'ava';
import fc from 'fast-check';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors, toValues, type ParameterValues } from '../../src/tensor/parameters.js';
import { tf } from '../../src/tensor/tf.js';
import { groupOf, isBuffer, isFrozenInDetr, pack, packLayout, packTensors, unpack, unpackTensors } from '../../src/training/parameter-groups.js';

const settings = { backboneFactor: 0.1, quantizerFactor: 0.2, weightDecay: 1e-4 };
const value = (shape: number[], first: number) => ({ shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => first + i) });

const values: ParameterValues = {
  'backbone.0.body.conv1.weight': value([1, 1, 1, 2], 10),
  'backbone.0.body.bn1.running_mean': value([2], 20),
  'transformer.encoder.layers.0.linear1.weight': value([2, 3], 30),
  'transformer.encoder.layers.0.linear1.weight_quantizer.scale': value([2], 40),
  'transformer.encoder.layers.0.linear1.input_quantizer.scale': value([1], 50),
  'transformer.encoder.layers.0.linear1.input_quantizer.offset': value([1], 60),
  'query_embed.weight': value([2, 2], 70),
  'backbone.0.body.layer2.0.conv1.weight': value([1, 1, 2, 1], 80),
};

test('groups by hand', (t) => {
  const layouts = packLayout(values, settings);
  t.deepEqual(layouts.map(({ group, size }) => [group, size]), [
    [{ name: 'backbone', learningRateFactor: 0.1, weightDecay: 1e-4 }, 4],
    [{ name: 'transformer', learningRateFactor: 1, weightDecay: 1e-4 }, 10],
    [{ name: 'quantizer scales', learningRateFactor: 0.2, weightDecay: 0, minimum: 1e-8 }, 3],
    [{ name: 'quantizer offsets', learningRateFactor: 0.2, weightDecay: 0 }, 1],
  ]);
  t.deepEqual(layouts.map((layout) => [...pack(layout, values)]), [[10, 11, 80, 81], [30, 31, 32, 33, 34, 35, 70, 71, 72, 73], [40, 41, 50], [60]]);
  t.is(groupOf('backbone.0.body.layer2.0.conv1.weight_quantizer.scale', settings).name, 'quantizer scales');
});

test('what DETR freezes: buffers, batch normalization, the stem and the first stage of the backbone', (t) => {
  const frozen = ['backbone.0.body.conv1.weight', 'backbone.0.body.bn1.weight', 'backbone.0.body.layer1.2.conv3.weight', 'backbone.0.body.layer3.0.bn2.bias', 'backbone.0.body.layer2.0.downsample.1.weight', 'backbone.0.body.layer4.0.bn1.running_var'];
  const trained = ['backbone.0.body.layer2.0.conv1.weight', 'backbone.0.body.layer4.0.downsample.0.weight', 'input_proj.weight', 'transformer.decoder.norm.weight', 'query_embed.weight', 'backbone.0.body.layer1.0.conv1.input_quantizer.scale'];
  t.deepEqual(frozen.filter((name) => !isFrozenInDetr(name)), []);
  t.deepEqual(trained.filter(isFrozenInDetr), []);
  t.true(isBuffer('bn1.num_batches_tracked') && isBuffer('running_mean') && !isBuffer('bn1.weight') && !isBuffer('a.my_running_mean'));
  const backbone = packLayout(values, settings, isFrozenInDetr).find(({ group }) => group.name === 'backbone')!;
  t.deepEqual(backbone.entries, [{ name: 'backbone.0.body.layer2.0.conv1.weight', shape: [1, 1, 2, 1], offset: 0, size: 2 }]);
});

test('pack refuses a missing parameter and a wrong shape', (t) => {
  const [backbone] = packLayout(values, settings);
  const { 'backbone.0.body.conv1.weight': conv1, ...without } = values;
  t.throws(() => pack(backbone, without), { message: 'backbone.0.body.conv1.weight should have the shape [1, 1, 1, 2], but is missing' });
  t.throws(() => pack(backbone, { ...values, 'backbone.0.body.conv1.weight': { ...conv1, shape: [2, 1, 1, 1] } }), { message: /but has \[2, 1, 1, 1\]/ });
});

const trees = fc.dictionary(
  fc.stringMatching(/^(backbone\.|transformer\.)[a-z]{1,4}(\.weight|\.input_quantizer\.(scale|offset))$/),
  fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }).chain((shape) => fc.float32Array({ minLength: shape.reduce((a, b) => a * b, 1), maxLength: shape.reduce((a, b) => a * b, 1), noNaN: true }).map((data) => ({ shape, data }))),
  { minKeys: 1, maxKeys: 8 },
);

test.serial('what is packed unpacks equal, as arrays and as tensors, and each number is in one place', async (t) => {
  await useBackend('wasm');
  await fc.assert(fc.asyncProperty(trees, async (tree) => {
    const layouts = packLayout(tree, settings);
    const sorted = (v: ParameterValues) => Object.entries(v).map(([name, { shape, data }]) => [name, [...shape], [...data].map((x) => x + 0)] as const).sort(([a], [b]) => (a < b ? -1 : 1));
    const flats = layouts.map((layout) => pack(layout, tree));
    t.is(flats.reduce((total, f) => total + f.length, 0), Object.values(tree).reduce((total, v) => total + v.data.length, 0));
    t.deepEqual(sorted(Object.assign({}, ...layouts.map((layout, i) => unpack(layout, flats[i])))), sorted(tree));

    const tensors = toTensors(tree);
    const packed = layouts.map((layout) => packTensors(layout, tensors));
    for (const [i, p] of packed.entries()) t.deepEqual(await p.data(), flats[i]);
    const unpacked = Object.assign({}, ...layouts.map((layout, i) => unpackTensors(layout, packed[i])));
    t.deepEqual(sorted(await toValues(unpacked)), sorted(tree));
    tf.dispose([tensors, packed, unpacked]);
  }), { numRuns: 50 });
});
