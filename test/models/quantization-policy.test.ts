import test from 'ava';
import { detectorCost } from '../../src/models/cost.js';
import { backboneFeatures, detector, detectorFromFeatures } from '../../src/models/detector.js';
import { realValued, type Quantization } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { MODULE_GROUPS, moduleGroup, paperQuantization, quantizationPolicy, type ModuleGroup, type PolicyPreset } from '../../src/models/quantization-policy.js';
import { detrSettings, fullSizeDetectors, paperStudent, type DetectorSettings } from '../../src/models/settings.js';
import { calibrate } from '../../src/quantizer/calibration.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { toTensors, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';

/**
 * Worked from PAPER.md by hand, at 4-4-8: a product of the model (numbers of layers and blocks as *), its group in Fig. 2.11, and its bits with
 * the presets: weight-activation, or one number for the two operands of a product inside of attention. `paper`: decisions A6 to A9.
 * `release`: the table of 3.3, its rows "ResNet conv1 7x7", "Bottleneck conv1/2/3", "downsample", "encoder self-attn", ...
 */
const TABLE: readonly [product: string, group: ModuleGroup | undefined, paper: string, release: string][] = [
  ['backbone.0.body.conv1', 'backbone', '8-8', '8-8'],
  ['backbone.0.body.layer*.*.conv*', 'backbone', '4-4', '4-4'],
  ['backbone.0.body.layer*.*.downsample.0', 'backbone', '4-4', '32-32'],
  ['input_proj', undefined, '32-32', '32-32'],
  ['transformer.encoder.layers.*.self_attn.q_proj', 'encoder', '4-4', '4-32'],
  ['transformer.encoder.layers.*.self_attn.k_proj', 'encoder', '4-4', '4-32'],
  ['transformer.encoder.layers.*.self_attn.v_proj', 'encoder', '4-4', '4-32'],
  ['transformer.encoder.layers.*.self_attn.qk', 'encoder', '8', '8'],
  ['transformer.encoder.layers.*.self_attn.av', 'encoder', '8', '8'],
  ['transformer.encoder.layers.*.self_attn.out_proj', 'encoder', '4-4', '4-32'],
  ['transformer.encoder.layers.*.linear1', 'encoder', '4-4', '4-4'],
  ['transformer.encoder.layers.*.linear2', 'encoder', '4-4', '4-4'],
  ['transformer.decoder.layers.*.self_attn.q_proj', 'decoder-attention', '4-4', '4-32'],
  ['transformer.decoder.layers.*.self_attn.k_proj', 'decoder-attention', '4-4', '4-32'],
  ['transformer.decoder.layers.*.self_attn.v_proj', 'decoder-attention', '4-4', '4-32'],
  ['transformer.decoder.layers.*.self_attn.qk', 'decoder-attention', '8', '8'],
  ['transformer.decoder.layers.*.self_attn.av', 'decoder-attention', '8', '8'],
  ['transformer.decoder.layers.*.self_attn.out_proj', 'decoder-attention', '4-4', '4-32'],
  ['transformer.decoder.layers.*.multihead_attn.q_proj', 'decoder-attention', '4-4', '32-32'],
  ['transformer.decoder.layers.*.multihead_attn.k_proj', 'decoder-attention', '4-4', '32-32'],
  ['transformer.decoder.layers.*.multihead_attn.v_proj', 'decoder-attention', '4-4', '32-32'],
  ['transformer.decoder.layers.*.multihead_attn.qk', 'decoder-attention', '8', '8'],
  ['transformer.decoder.layers.*.multihead_attn.av', 'decoder-attention', '8', '8'],
  ['transformer.decoder.layers.*.multihead_attn.out_proj', 'decoder-attention', '4-4', '32-32'],
  ['transformer.decoder.layers.*.linear1', 'feed-forward', '4-4', '4-4'],
  ['transformer.decoder.layers.*.linear2', 'feed-forward', '4-4', '4-4'],
  ['class_embed', undefined, '32-32', '32-32'],
  ['bbox_embed.layers.*', undefined, '32-32', '32-32'],
];
/** SMCA-DETR's own layers, real-valued in both. */
const SMCA: typeof TABLE = [
  ['transformer.decoder.layers.*.point1.layers.*', undefined, '32-32', '32-32'],
  ['transformer.decoder.layers.*.point2', undefined, '32-32', '32-32'],
  ['transformer.decoder.layers.*.point3', undefined, '32-32', '32-32'],
];

const MODELS: readonly [string, DetectorSettings][] = [
  ['small DETR', detrSettings.minutes], ['small SMCA-DETR', { ...detrSettings.minutes, family: 'smca-detr' }],
  ['DETR-R50', paperStudent('detr')], ['DETR-R101', fullSizeDetectors['detr-r101']], ['SMCA-DETR-R50', paperStudent('smca-detr')],
];

/** The module that decides over a product: the attention itself over its operands. */
const moduleOf = (product: string): string => product.replace(/\.(qk|av)$/, '');
const patternOf = (product: string): string => product.replace(/(layer|layers\.|conv)\d/g, '$1*').replace(/(layer\*)\.\d+/, '$1.*').replace('body.conv*', 'body.conv1');

function bitsOf(quantization: Quantization, product: string): string {
  const { weightBits, activationBits, attentionBits } = quantization(moduleOf(product));
  return /\.(qk|av)$/.test(product) ? String(attentionBits) : `${weightBits}-${activationBits}`;
}

for (const [name, settings] of MODELS) {
  test(`${name}: every product has the bits of the table, with both presets`, (t) => {
    const rows = new Map([...TABLE, ...(settings.family === 'smca-detr' ? SMCA : [])].map(([product, ...row]) => [product, row]));
    const products = detectorCost(settings).map((cost) => cost.name);
    t.deepEqual([...new Set(products.map(patternOf))].sort(), [...rows.keys()].sort());
    const [paper, release] = (['paper', 'release'] as const).map((preset) => quantizationPolicy({ precision: parsePrecision('4-4-8'), preset }));
    for (const product of products) t.deepEqual([moduleGroup(moduleOf(product)), bitsOf(paper, product), bitsOf(release, product)], rows.get(patternOf(product)), product);
  });
}

test('Fig. 2.11: the groups are quantized one after the other, and each product belongs to one of them or to none', (t) => {
  const products = detectorCost(fullSizeDetectors['detr-r50']).map((cost) => cost.name), precision = parsePrecision('3-3-8');
  for (const preset of ['paper', 'release'] as const satisfies readonly PolicyPreset[]) {
    const whole = quantizationPolicy({ precision, preset });
    for (let count = 0; count <= MODULE_GROUPS.length; count++) {
      const groups = MODULE_GROUPS.slice(0, count), part = quantizationPolicy({ precision, preset, groups });
      for (const product of products) {
        const group = moduleGroup(moduleOf(product));
        t.is(bitsOf(part, product), group !== undefined && groups.includes(group) ? bitsOf(whole, product) : /\.(qk|av)$/.test(product) ? '32' : '32-32', `${groups.join()}: ${product}`);
      }
    }
  }
  t.is(quantizationPolicy({ precision, groups: [] }), realValued);
  t.is(quantizationPolicy({ precision, groups: ['feed-forward'] })('backbone.0.body.conv1').weightBits, 32, 'the first convolution belongs to the backbone');
});

test('32-32-32 is real-valued everywhere, the first convolution too; one bit-width below 32 is enough for quantizers', (t) => {
  t.is(paperQuantization(parsePrecision('32-32-32')), realValued);
  t.is(paperQuantization(parsePrecision('32-8-32'))('backbone.0.body.conv1').activationBits, 8);
  t.is(paperQuantization(parsePrecision('32-8-32'))('class_embed').activationBits, 32);
});

/** Number of scales' parameters by the part of the model and what they quantize. */
function quantizers(values: ParameterValues): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of Object.keys(values).filter((n) => n.endsWith('_quantizer.scale'))) {
    const part = ['self_attn', 'multihead_attn', 'downsample'].find((p) => name.includes(`.${p}.`)) ?? 'other';
    const kind = ['weight', 'input'].find((k) => name.endsWith(`.${k}_quantizer.scale`)) ?? 'operand';
    counts[`${part} ${kind}`] = (counts[`${part} ${kind}`] ?? 0) + 1;
  }
  return counts;
}

for (const preset of ['paper', 'release'] as const) {
  test.serial(`a model is calibrated with the ${preset} preset and runs, eagerly and compiled`, async (t) => {
    await useBackend('wasm');
    const settings = detrSettings.smoke, values = initialDetectorParameters(settings, new RandomStream(1)), real = toTensors(values);
    const images = tf.randomNormal([2, 64, 64, 3], 0, 1, 'float32', 1);
    const quantization = quantizationPolicy({ precision: parsePrecision('4-4-8'), preset });
    const found = calibrate([images], (batch, observe) => detector(real, batch, settings, undefined, { observe }), quantization);
    // 1 encoder and 2 decoder layers of two linear layers, 3 blocks of two convolutions, the first convolution; 2 shortcuts or more; 5 attentions of 4 projections and 4 operands
    const shortcuts = Object.keys(values).filter((name) => name.endsWith('downsample.0.weight')).length;
    t.deepEqual(quantizers(found), preset === 'paper'
      ? { 'other weight': 13, 'other input': 13, 'downsample weight': shortcuts, 'downsample input': shortcuts, 'self_attn weight': 12, 'self_attn input': 12, 'self_attn operand': 12, 'multihead_attn weight': 8, 'multihead_attn input': 8, 'multihead_attn operand': 8 }
      : { 'other weight': 13, 'other input': 13, 'self_attn weight': 12, 'self_attn operand': 12, 'multihead_attn operand': 8 });

    const all = { ...values, ...found }, parameters = { ...real, ...toTensors(found) };
    const { logits } = detector(parameters, images, settings, quantization), plain = detector(real, images, settings).logits;
    const wanted = logits.dataSync() as Float32Array;
    t.true(wanted.every(Number.isFinite));
    t.true((plain.dataSync() as Float32Array).some((v, i) => Math.abs(v - wanted[i]) > 1e-3), 'quantization changes the outputs');
    const parts = detectorFromFeatures(parameters, backboneFeatures(parameters, images, settings, quantization), settings, quantization);
    t.deepEqual(parts.logits.dataSync(), wanted);
    const step = await compileStep((state, batch) => ({ outputs: { logits: detector(state, batch.images, settings, quantization).logits } }), { state: all, inputs: { images: { shape: [2, 64, 64, 3], dtype: 'float32' } } });
    const compiled = (await step.run({ images: images.dataSync() as Float32Array })).logits;
    const far = wanted.filter((v, i) => Math.abs(v - compiled[i]) > 1e-3).length; // another order of summation moves a value that lies at a rounding border by a level
    t.true(far < wanted.length / 10, `${far} of ${wanted.length} logits`);
    await step.dispose();
  });
}
