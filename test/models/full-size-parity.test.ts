import { readFileSync } from 'node:fs';
import test from 'ava';
import { detector } from '../../src/models/detector.js';
import { detectorParameterShapes } from '../../src/models/initial-parameters.js';
import { fullSizeDetectors } from '../../src/models/settings.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { tf } from '../../src/tensor/tf.js';
import { countedImages, livelyValues } from './counted-weights.js';
import type { FixtureArray } from './fixture.js';

type Name = 'detr-r50' | 'detr-r101';
const fixture = JSON.parse(readFileSync('test/fixtures/full-size.json', 'utf8')) as { height: number; width: number; sizes: [number, number][]; every: number; models: Record<Name, Record<'logits' | 'boxes', FixtureArray>> };
const { height, width, sizes, every } = fixture;

/** QDETR_TEST_FULL_SIZE=1 adds R101, whose pass takes twice as long. */
const names: Name[] = process.env.QDETR_TEST_FULL_SIZE ? ['detr-r50', 'detr-r101'] : ['detr-r50'];

for (const name of names) {
  test.serial(`${name} at ${height} x ${width}, a padded batch of two sizes: logits and boxes are those of transformers`, async (t) => {
    t.timeout(240_000);
    await useBackend('wasm');
    const settings = { ...fullSizeDetectors[name], classes: 91 }, state = livelyValues(detectorParameterShapes(settings));
    const images = countedImages(sizes.length, height, width).dataSync() as Float32Array;
    sizes.forEach(([h, w], image) => {
      for (let row = 0; row < height; row++) images.fill(0, ((image * height + row) * width + (row < h ? w : 0)) * 3, (image * height + row + 1) * width * 3);
    });
    const step = await compileStep((parameters, batch) => {
      const { logits, boxes } = detector(parameters, batch.images, settings, undefined, { imageSizes: batch.sizes });
      const last = (x: tf.Tensor): tf.Tensor => tf.slice(x, [x.shape[0] - 1, 0, 0, 0], [1, -1, -1, -1]);
      return { outputs: { logits: last(logits), boxes: last(boxes) } };
    }, { state, inputs: { images: { shape: [sizes.length, height, width, 3], dtype: 'float32' }, sizes: { shape: [sizes.length, 2], dtype: 'int32' } } });
    const got = await step.run({ images, sizes: Int32Array.from(sizes.flat()) });
    await step.dispose();
    for (const key of ['logits', 'boxes'] as const) {
      const { shape: [, shown, outputs], data } = fixture.models[name][key];
      let worst = 0, spread = 0;
      data.forEach((wanted, i) => {
        const image = Math.floor(i / (shown * outputs)), query = every * (Math.floor(i / outputs) % shown), output = i % outputs;
        worst = Math.max(worst, Math.abs(got[key][(image * settings.queries + query) * outputs + output] - wanted) / Math.max(1, Math.abs(wanted)));
        spread = Math.max(spread, Math.abs(wanted - data[output])); // from the first image's first query
      });
      t.log(`${key}: ${worst.toExponential(1)} apart, ${spread.toFixed(3)} between queries and images`);
      t.true(worst < 1e-3 && worst < 0.01 * spread, `${key}: ${worst}`);
    }
  });
}
