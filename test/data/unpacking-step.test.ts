/** Images that are unpacked by a compiled step: the same as those that the processor normalizes. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { flipSample } from '../../src/data/batches.js';
import { colourJitter } from '../../src/data/colour-jitter.js';
import { gatheredImages, packedImages, wordsOf } from '../../src/data/packed-images.js';
import { normalizedImages, normalizedPixels } from '../../src/models/normalize-images.js';
import { compileStep, traceStep, type StateStep } from '../../src/tensor/compile-step.js';
import { findEngine, type EngineFinding } from '../../src/tensor/engine.js';
import { planGraph } from '../../src/tensor/webgpu/plan.js';
import { testDevice } from '../tensor/webgpu/device.js';

const SIZE = 4, IMAGES = 5, BATCH = 3;
const step: StateStep = (_, { packed, indices, mirrored }) => ({ outputs: { images: normalizedImages(gatheredImages(packed, indices, mirrored, SIZE)) } });
const inputs = { indices: { shape: [BATCH], dtype: 'int32' as const }, mirrored: { shape: [BATCH], dtype: 'int32' as const } };
const dataset = fc.uint8Array({ minLength: IMAGES * SIZE * SIZE * 3, maxLength: IMAGES * SIZE * SIZE * 3 });
const drawn = fc.array(fc.tuple(fc.nat(IMAGES - 1), fc.boolean()), { minLength: BATCH, maxLength: BATCH });

const engines: EngineFinding[] = [await findEngine('onnxruntime-node')];
const { engine: webGpu } = await testDevice();
if (webGpu) engines.push(webGpu);
for (const engine of engines) {
  test.serial(`${engine.name}: a gathered batch is normalizedPixels of the images or of their mirror images, to 1e-6`, async (t) => {
    await fc.assert(fc.asyncProperty(dataset, fc.array(drawn, { minLength: 1, maxLength: 5 }), async (pixels, batches) => {
      const compiled = await compileStep(step, { state: {}, inputs, engine, resident: { packed: { shape: [IMAGES, wordsOf(SIZE)], dtype: 'int32', data: packedImages(pixels, SIZE) } } });
      try {
        for (const batch of batches) {
          const { images } = await compiled.run({ indices: Int32Array.from(batch, ([index]) => index), mirrored: Int32Array.from(batch, ([, flip]) => Number(flip)) });
          const wanted = batch.flatMap(([index, flip]) => {
            const image = pixels.subarray(index * SIZE * SIZE * 3, (index + 1) * SIZE * SIZE * 3);
            return [...normalizedPixels(flip ? flipSample({ id: '', image, objects: [] }, SIZE).image : image)];
          });
          t.true(wanted.every((v, i) => Math.abs(images[i] - v) <= 1e-6));
        }
      } finally {
        await compiled.dispose();
      }
    }), { numRuns: 10, seed: 6 });
  });
}

test('on WebGPU, gathering, unpacking, mirroring and normalizing are one kernel', (t) => {
  const resident = { packed: { shape: [16_000, wordsOf(128)], dtype: 'int32' as const } };
  const large: StateStep = (_, { packed, indices, mirrored }) => ({ outputs: { images: normalizedImages(gatheredImages(packed, indices, mirrored, 128)) } });
  const { kernels } = planGraph(traceStep(large, { state: {}, inputs, resident }, () => false));
  t.is(kernels.length, 1);
});

for (const engine of engines) {
  test.serial(`${engine.name}: jittered colours are torchvision's`, async (t) => {
    const { shape, images, factors, jittered } = JSON.parse(readFileSync('test/fixtures/colour-jitter.json', 'utf8')) as { shape: number[]; images: number[]; factors: number[]; jittered: number[] };
    const compiled = await compileStep((_, x) => ({ outputs: { y: colourJitter(x.images, x.factors) } }), { state: {}, inputs: { images: { shape, dtype: 'float32' }, factors: { shape: [shape[0], 3], dtype: 'float32' } }, engine });
    const { y } = await compiled.run({ images: Float32Array.from(images), factors: Float32Array.from(factors) });
    t.true(jittered.every((v, i) => Math.abs(y[i] - v) <= 2e-3));
    await compiled.dispose();
  });
}
