import test from 'ava';
import { batchAt } from '../../src/data/batches.js';
import { detector } from '../../src/models/detector.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { calibrate, type QuantizerMethod, type QuantizerMethodOptions } from '../../src/quantizer/calibration.js';
import type { Observer } from '../../src/quantizer/observer.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { isScale } from '../../src/quantizer/scales.js';
import { useBackend } from '../../src/tensor/backend.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { toTensors } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { detectionInputs, detectionObjective } from '../../src/training/detection-task.js';
import { squares, tinyModel } from '../training/tiny-detector.js';

const images = (pixels: Uint8Array): Tensor => tf.tensor4d(normalizedPixels(pixels), [2, 16, 16, 3]);
const batch = batchAt(squares, { batchSize: 2, seed: 0, flip: false, step: 0 });
const values = initialDetectorParameters(tinyModel, new RandomStream(3));

/** [method, options, whether some of its quantizers are on the unsigned grid, bits] */
const cases: [QuantizerMethod, QuantizerMethodOptions, boolean, string][] = [
  ['LSQ', {}, true, '4-4-8'], ['LSQ', {}, true, '8-8-8'], ['LSQ', { unsigned: false }, false, '2-2-8'], ['LSQ', { unsigned: false }, false, '8-8-8'],
  ['Percentile', {}, false, '8-8-8'], ['Min-max', {}, false, '4-4-8'],
];
for (const [method, options, unsigned, bits] of cases) {
  test.serial(`${method}${unsigned ? ' with unsigned ranges' : ''}, ${bits}: a whole detector's loss and gradients, compiled as eagerly`, async (t) => {
    await useBackend('wasm');
    const quantization = paperQuantization(parsePrecision(bits)), real = toTensors(values);
    const found = calibrate([batch.images], (pixels, observe: Observer) => detector(real, images(pixels), tinyModel, undefined, { observe }), quantization, method, options);
    t.is(Object.keys(found).some((name) => name.includes('unsigned_')), unsigned);
    t.is(Object.keys(found).some((name) => name.endsWith('.offset')), method !== 'LSQ');
    const state = { ...values, ...found }, scales = Object.keys(found).filter(isScale);
    const objective = detectionObjective(tinyModel, quantization, { batchStatistics: false });
    const differentiate = (parameters: Record<string, Tensor>, inputs: Record<string, Tensor>): Record<string, Tensor> => {
      const loss = (...ts: Tensor[]): Tensor => objective({ ...parameters, ...Object.fromEntries(scales.map((name, i) => [name, ts[i]])) }, inputs).loss;
      const { value, grads } = tf.valueAndGrads(loss as never)(scales.map((name) => parameters[name]));
      return { loss: value, ...Object.fromEntries(scales.map((name, i) => [name, grads[i]])) };
    };
    const eager = differentiate(toTensors(state), { images: images(batch.images), labels: tf.tensor2d(batch.labels, [2, 6], 'int32'), boxes: tf.tensor3d(batch.boxes, [2, 6, 4]) });
    const step = await compileStep((parameters, inputs) => ({ outputs: differentiate(parameters, inputs) }), { state, inputs: detectionInputs(tinyModel, 2), threads: 1 });
    const compiled = await step.run({ images: normalizedPixels(batch.images), labels: batch.labels, boxes: batch.boxes });
    await step.dispose();
    // a value at the border between two levels may fall on either side: one such step moves the loss a little
    const [wanted] = eager.loss.dataSync();
    t.true(Math.abs(compiled.loss[0] / wanted - 1) < 0.02, `${compiled.loss[0]} instead of ${wanted}`);
    const learning = scales.filter((name) => compiled[name].some((g) => g !== 0)), idle = /decoder\.layers\.0\.self_attn/; // its values are 0
    t.true(scales.every((name) => compiled[name].every(Number.isFinite)));
    t.deepEqual(scales.filter((name) => !learning.includes(name) && !idle.test(name)), [], 'scales without a gradient');
    if (unsigned) t.true(learning.some((name) => name.includes('unsigned_input_quantizer')) && learning.some((name) => name.includes('unsigned_a_quantizer')));
  });
}
