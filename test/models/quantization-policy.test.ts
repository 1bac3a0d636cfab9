import test from 'ava';
import { detectorCost } from '../../src/models/cost.js';
import { realValued } from '../../src/models/forward.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { detrSettings } from '../../src/models/settings.js';
import { formatPrecision, parsePrecision } from '../../src/quantizer/precision.js';

test('decisions A6 to A8: which module of the small DETR has which bits at 4-4-8', (t) => {
  const quantization = paperQuantization(parsePrecision('4-4-8'));
  const bits = (module: string): string => formatPrecision(quantization(module));
  t.is(bits('backbone.0.body.conv1'), '8-8-8', 'the first convolution and the image');
  for (const module of ['backbone.0.body.layer1.0.conv1', 'backbone.0.body.layer3.0.downsample.0', 'transformer.encoder.layers.0.self_attn', 'transformer.decoder.layers.1.multihead_attn', 'transformer.decoder.layers.0.linear2'])
    t.is(bits(module), '4-4-8', module);
  for (const module of ['input_proj', 'class_embed', 'bbox_embed.layers.0', 'bbox_embed.layers.2', 'fc']) t.is(bits(module), '32-32-32', module);
});

test('of all products of a model, only the projection to the transformer and the heads stay real-valued', (t) => {
  const quantization = paperQuantization(parsePrecision('2-2-8'));
  const real = detectorCost(detrSettings.minutes).map(({ name }) => name).filter((name) => quantization(name.replace(/\.(qk|av|[qkv]_proj)$/, '')).weightBits === 32);
  t.deepEqual(real, ['input_proj', 'class_embed', 'bbox_embed.layers.0', 'bbox_embed.layers.1', 'bbox_embed.layers.2']);
});

test('32-32-32 is real-valued everywhere, the first convolution too; one bit-width below 32 is enough for quantizers', (t) => {
  t.is(paperQuantization(parsePrecision('32-32-32')), realValued);
  t.is(paperQuantization(parsePrecision('32-8-32'))('backbone.0.body.conv1').activationBits, 8);
});
