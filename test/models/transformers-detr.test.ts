import { readFileSync } from 'node:fs';
import test from 'ava';
import { detector } from '../../src/models/detector.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { sinePositions } from '../../src/models/position-encoding.js';
import type { DetectorSettings } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { toTensors, type Parameters } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import type { Tensor } from '../../src/tensor/tf.js';
import { countedImages, countedValues } from './counted-weights.js';
import { worstDifference, type FixtureArray } from './fixture.js';

interface Fixture {
  settings: DetectorSettings;
  names: string[];
  logits: FixtureArray; boxes: FixtureArray; memory: FixtureArray; coAttention: FixtureArray;
  positions: { height: number; width: number; channels: number; values: FixtureArray };
}

const fixture = JSON.parse(readFileSync('test/fixtures/transformers-detr.json', 'utf8')) as Fixture;
const { settings } = fixture;
const values = countedValues(initialDetectorParameters(settings, new RandomStream(1)));

function run(parameters: Parameters, images: Tensor): Record<'logits' | 'boxes' | 'memory' | 'coAttention', Tensor> {
  const { logits, boxes, memory, coAttention } = detector(parameters, images, settings);
  return { logits, boxes, memory, coAttention: coAttention[coAttention.length - 1].weights };
}

test('Hugging Face\'s DETR and ours have the same parameters, q, k and v being rows of one matrix here', (t) => {
  const unpacked = Object.keys(values).flatMap((name) => (/\.in_proj_/.test(name) ? ['q', 'k', 'v'].map((letter) => name.replace(/in_proj_(weight|bias)$/, `${letter}_proj.$1`)) : [name]));
  t.deepEqual(unpacked.sort(), fixture.names);
});

test.serial('logits and boxes of every decoder layer, memory and co-attention are Hugging Face\'s, eagerly and compiled', async (t) => {
  await useBackend('wasm');
  const images = countedImages(2, 32, 48);
  const got = run(toTensors(values), images);
  for (const key of ['logits', 'boxes', 'memory', 'coAttention'] as const) t.true(worstDifference(got[key], fixture[key]) < 1e-5, `${key}: ${worstDifference(got[key], fixture[key])}`);

  const step = await compileStep((state, batch) => ({ outputs: run(state, batch.images) }), { state: values, inputs: { images: { shape: images.shape, dtype: 'float32' } } });
  const outputs = await step.run({ images: images.dataSync() as Float32Array });
  for (const key of ['logits', 'boxes', 'memory', 'coAttention'] as const) t.true(fixture[key].data.every((v, i) => Math.abs(v - outputs[key][i]) < 1e-5 * Math.max(1, Math.abs(v))), `${key}, compiled`);
  await step.dispose();
});

test('sine positions are Hugging Face\'s', (t) => {
  const { height, width, channels, values: wanted } = fixture.positions;
  const got = sinePositions(height, width, channels);
  t.is(got.length, wanted.data.length);
  t.true(wanted.data.every((v, i) => Math.abs(v - got[i]) < 1e-5));
});
