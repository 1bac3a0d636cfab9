import test from 'ava';
import { parameterCount } from '../../src/models/cost.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { parameterBreakdown } from '../../src/models/parameter-breakdown.js';
import { detrSettings, fullSizeDetectors, modelOf, paperStudent, withRprelu } from '../../src/models/settings.js';
import { sizeOf } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';

test('DETR-R50 by hand: attention, feed-forward networks, heads and queries', (t) => {
  const of = new Map(parameterBreakdown({ ...fullSizeDetectors['detr-r50'], classes: 91 }).map(({ group, parameters }) => [group, parameters]));
  t.is(of.get('first convolution'), 7 * 7 * 3 * 64);
  for (const attention of ["encoder's self-attention", "decoder's self-attention", "decoder's co-attention"]) t.is(of.get(attention), 6 * 4 * (256 * 256 + 256));
  t.is(of.get("decoder's feed-forward networks"), 6 * (2 * 256 * 2048 + 2048 + 256));
  t.is(of.get('class head'), 92 * 257);
  t.is(of.get('box head'), 2 * 256 * 257 + 4 * 257);
  t.is(of.get('layer normalizations'), 2 * 256 * (2 * 6 + 3 * 6 + 1));
  t.is(of.get('query embeddings'), 100 * 256);
  t.false(of.has("SMCA's point layers") || of.has('RPReLU of the backbone'));
});

test('every trained element is in one group', (t) => {
  for (const settings of [...Object.values(fullSizeDetectors), ...Object.values(detrSettings), paperStudent('detr'), paperStudent('smca-detr'), modelOf('gpu', 'smca-detr')]) {
    t.is(parameterBreakdown(settings).reduce((sum, { parameters }) => sum + parameters, 0), parameterCount(settings));
  }
});

test('groups are those of the parameters that a model has, by name', (t) => {
  const settings = withRprelu(modelOf('smoke', 'smca-detr')), values = initialDetectorParameters(settings, new RandomStream(1));
  const elements = (names: RegExp): number => Object.entries(values).filter(([name]) => names.test(name)).reduce((sum, [, { shape }]) => sum + sizeOf(shape), 0);
  const of = new Map(parameterBreakdown(settings).map(({ group, parameters }) => [group, parameters]));
  t.is(of.get("SMCA's point layers"), elements(/\.point\d/));
  t.is(of.get('layer normalizations'), elements(/^transformer.*norm\d?\./));
  t.is(of.get("decoder's co-attention"), elements(/\.multihead_attn\./));
  t.is(of.get('query embeddings'), elements(/^query_embed/));
  t.is(of.get('RPReLU of the backbone'), elements(/^backbone.*(prelu|move|slope|bias\d)/i));
});
