import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { multiHeadAttention } from '../../src/models/attention.js';
import { detector, detectorFromFeatures } from '../../src/models/detector.js';
import { forward, type ForwardOptions } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { firstPixels, paddingMask } from '../../src/models/padding-mask.js';
import { maskedSinePositions, sinePositions } from '../../src/models/position-encoding.js';
import { detrSettings, type DetectorSettings } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep, traceStep } from '../../src/tensor/compile-step.js';
import { findEngine } from '../../src/tensor/engine.js';
import { loweredToOnnx } from '../../src/tensor/onnx-lowering.js';
import { toTensors, type Parameters } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { backends } from '../tensor/backends.js';
import { findWebGpu } from '../tensor/webgpu/device.js';
import { countedImages, countedValues } from './counted-weights.js';
import { worstDifference, type FixtureArray } from './fixture.js';

interface Case { settings: DetectorSettings; logits: FixtureArray; boxes: FixtureArray }
const fixture = JSON.parse(readFileSync('test/fixtures/padded-batches.json', 'utf8')) as { height: number; width: number; sizes: [number, number][]; detr: Case; smca: Case };
const { height, width, sizes } = fixture;
const imageSizes = (of = sizes): Tensor => tf.tensor2d(of, undefined, 'int32');

/** Images with zeros in the padding. */
function paddedImages(): Tensor {
  const images = countedImages(sizes.length, height, width);
  const shown = sizes.map(([h, w]) => Array.from({ length: height * width }, (_, at) => Number(Math.floor(at / width) < h && at % width < w)));
  return tf.mul(images, tf.reshape(tf.tensor2d(shown), [sizes.length, height, width, 1]));
}

const numbers = (x: Tensor): number[] => Array.from(x.dataSync(), (v) => Math.round(v * 1e5) / 1e5 + 0);

test.serial('by hand: a canvas of 5 x 8 pixels on 2 x 3 cells; an image has a cell where it has the pixel that the cell begins at', async (t) => {
  await useBackend('cpu');
  t.deepEqual([...firstPixels(5, 2)], [0, 2]); // 2.5 rounded down
  t.deepEqual([...firstPixels(8, 3)], [0, 2, 5]);
  const { logits, valid, rows, columns } = paddingMask(imageSizes([[5, 8], [2, 3], [3, 5]]), { height: 5, width: 8 }, { height: 2, width: 3 });
  t.deepEqual(numbers(rows), [2, 1, 2]);
  t.deepEqual(numbers(columns), [3, 2, 2]);
  t.deepEqual(numbers(valid), [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 1, 1, 0]);
  t.deepEqual(numbers(logits), numbers(valid).map((v) => (v ? 0 : -1e9)));
  t.deepEqual([logits.shape, valid.shape], [[3, 1, 1, 6], [3, 1, 6, 1]]);
});

test.serial('positions in an image are those of a feature map of its own size, whatever lies beside it', async (t) => {
  await useBackend('cpu');
  const length = fc.integer({ min: 1, max: 9 });
  fc.assert(fc.property(length, length, fc.nat(3), fc.nat(3), (rows, columns, below, beside) => tf.tidy(() => {
    const grid = { height: rows + below, width: columns + beside };
    const mask = paddingMask(imageSizes([[rows * 10, columns * 10]]), { height: grid.height * 10, width: grid.width * 10 }, grid);
    const got = tf.slice(tf.reshape(maskedSinePositions(mask, grid, 8), [grid.height, grid.width, 8]), [0, 0, 0], [rows, columns, 8]);
    return sinePositions(rows, columns, 8).every((v, i) => v === got.dataSync()[i]);
  })), { numRuns: 40 });
  t.pass();
});

for (const bits of [32, 4]) {
  test.serial(`keys in the padding have no part in an attention (${bits} bits)`, async (t) => {
    await useBackend('wasm');
    const quantizers = ['q', 'k', 'v', 'a'].flatMap((letter) => [[`m.${letter}_quantizer.scale`, tf.tensor1d([0.11, 0.13])], [`m.${letter}_quantizer.offset`, tf.tensor1d([-0.3, 0.07])]] as const);
    const parameters: Parameters = { 'm.in_proj_weight': tf.randomNormal([12, 4], 0, 1, 'float32', 1), 'm.in_proj_bias': tf.zeros([12]), 'm.out_proj.weight': tf.randomNormal([4, 4], 0, 1, 'float32', 3), 'm.out_proj.bias': tf.zeros([4]), ...Object.fromEntries(quantizers) };
    const precision = { weightBits: 32, activationBits: 32, attentionBits: bits };
    const mask = paddingMask(imageSizes([[1, 3], [2, 2]]), { height: 2, width: 4 }, { height: 2, width: 4 });
    const query = tf.randomNormal([2, 3, 4], 0, 1, 'float32', 4), prior = tf.randomNormal([1, 2, 3, 8], -3, 1, 'float32', 5);
    const run = (seed: number): Tensor[] => { // only what lies in the padding differs
      const x = tf.add(tf.mul(tf.randomNormal([2, 8, 4], 0, 1, 'float32', 6), tf.reshape(mask.valid, [2, 8, 1])), tf.mul(tf.randomNormal([2, 8, 4], 0, 9, 'float32', seed), tf.sub(1, tf.reshape(mask.valid, [2, 8, 1]))));
      const { output, weights } = multiHeadAttention(forward(parameters, () => precision), 'm', query, x, x, 2, prior, mask);
      return [output, weights];
    };
    const [[output, weights], [others]] = [run(7), run(8)];
    t.deepEqual([...output.dataSync()], [...others.dataSync()]);
    t.is(tf.max(tf.mul(weights, tf.sub(1, tf.reshape(mask.valid, [2, 1, 1, 8])))).dataSync()[0], 0);
    t.true(tf.min(tf.add(weights, tf.mul(9, tf.sub(1, tf.reshape(mask.valid, [2, 1, 1, 8]))))).dataSync()[0] > 0);
  });
}

for (const family of ['detr', 'smca'] as const) {
  const { settings, logits, boxes } = fixture[family], wanted = { logits, boxes };
  const values = countedValues(initialDetectorParameters(settings, new RandomStream(1)));

  for (const backend of backends) {
    test.serial(`${settings.family}: a padded batch of images of odd sizes gives the reference's logits and boxes in every layer (${backend})`, async (t) => {
      await useBackend(backend);
      const parameters = toTensors(values), images = paddedImages();
      const got = detector(parameters, images, settings, undefined, { imageSizes: imageSizes() });
      for (const key of ['logits', 'boxes'] as const) t.true(worstDifference(got[key], wanted[key]) < 1e-5, `${key}: ${worstDifference(got[key], wanted[key])}`);
      t.true(worstDifference(detector(parameters, images, settings).boxes, boxes) > 1e-4, 'without the mask it is another result');
    });
  }

  test(`${settings.family}: compiled${family === 'smca' ? ', on WebGPU too where there is one' : ''}, a padded batch gives the same, and other sizes need no other step`, async (t) => {
    const engines = [await findEngine('onnxruntime-node'), ...(family === 'smca' ? [await findWebGpu()] : [])];
    for (const engine of engines.filter(({ gpu, runtime }) => gpu ?? runtime)) {
      const step = await compileStep((state, batch) => {
        const found = detector(state, batch.images, settings, undefined, { imageSizes: batch.sizes });
        return { outputs: { logits: found.logits, boxes: found.boxes } };
      }, { engine, state: values, inputs: { images: { shape: [3, height, width, 3], dtype: 'float32' }, sizes: { shape: [3, 2], dtype: 'int32' } } });
      await useBackend('wasm');
      const images = paddedImages().dataSync() as Float32Array;
      const full = await step.run({ images, sizes: Int32Array.from(sizes.flatMap(() => [height, width])) });
      t.true(boxes.data.some((v, i) => Math.abs(v - full.boxes[i]) > 1e-4));
      const got = await step.run({ images, sizes: Int32Array.from(sizes.flat()) });
      for (const key of ['logits', 'boxes'] as const) t.true(wanted[key].data.every((v, i) => Math.abs(v - got[key][i]) < 1e-5 * Math.max(1, Math.abs(v))), key);
      await step.dispose();
    }
  });
}

test.serial('sizes as large as the canvas change nothing', async (t) => {
  await useBackend('wasm');
  for (const { settings } of [fixture.detr, fixture.smca]) {
    const parameters = toTensors(countedValues(initialDetectorParameters(settings, new RandomStream(1)))), images = countedImages(2, 32, 48);
    const run = (options: ForwardOptions): number[] => Array.from(detector(parameters, images, settings, undefined, options).boxes.dataSync());
    t.deepEqual(run({ imageSizes: imageSizes([[32, 48], [32, 48]]) }), run({}));
  }
});

test('without sizes the graph has nothing of the mask, and the canvas of features is theirs times the stride', (t) => {
  const settings = detrSettings.smoke, state = initialDetectorParameters(settings, new RandomStream(1));
  const kernels = (masked: boolean): string[] => {
    const inputs = { images: { shape: [2, 64, 64, 3], dtype: 'float32' as const }, sizes: { shape: [2, 2], dtype: 'int32' as const } };
    return traceStep((parameters, { images, sizes: of }) => ({ outputs: { boxes: detector(parameters, images, settings, undefined, masked ? { imageSizes: of } : {}).boxes } }), { state, inputs }, loweredToOnnx).nodes.map(({ op }) => op);
  };
  t.false(kernels(false).some((op) => op === 'Less' || op === 'GatherV2'));
  t.is(kernels(true).filter((op) => op === 'GatherV2').length, 2);
});

test.serial('features of a padded batch go through the transformer alone', async (t) => {
  await useBackend('wasm');
  const settings = detrSettings.smoke, parameters = toTensors(initialDetectorParameters(settings, new RandomStream(1)));
  const features = tf.randomNormal([2, 3, 5, 32], 0, 1, 'float32', 1);
  const boxes = (of: [number, number][], x: Tensor): number[] => Array.from(tf.slice(detectorFromFeatures(parameters, x, settings, undefined, { imageSizes: imageSizes(of) }).boxes, [0, 1, 0, 0], [2, 1, 10, 4]).dataSync());
  const other = tf.add(features, tf.pad(tf.ones([1, 3, 2, 32]), [[1, 0], [0, 0], [3, 0], [0, 0]])); // columns 3 and 4 of the second image
  t.deepEqual(boxes([[48, 80], [48, 48]], features), boxes([[48, 80], [48, 48]], other));
  t.notDeepEqual(boxes([[48, 80], [48, 49]], features), boxes([[48, 80], [48, 49]], other));
});

test.serial('images and sizes of other shapes are errors', async (t) => {
  await useBackend('cpu');
  const settings = detrSettings.smoke;
  t.throws(() => detector({}, tf.zeros([2, 64, 64, 1]), settings), { message: /images have shape \[2, 64, 64, 1\]/ });
  t.throws(() => detector({}, tf.zeros([2, 64, 64, 3]), settings, undefined, { imageSizes: imageSizes([[64, 64]]) }), { message: /imageSizes has shape \[1, 2\] where \[2, 2\]/ });
});
