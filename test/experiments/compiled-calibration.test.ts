import test from 'ava';
import { compiledCalibrationPass, observedDetector } from '../../src/experiments/compiled-calibration.js';
import { detector } from '../../src/models/detector.js';
import { realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { paperQuantization } from '../../src/models/quantization-policy.js';
import { FAMILIES, modelOf } from '../../src/models/settings.js';
import { createCalibration } from '../../src/quantizer/calibration.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { useBackend } from '../../src/tensor/backend.js';
import { toTensors } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf } from '../../src/tensor/tf.js';

for (const family of FAMILIES) {
  test.serial(`${family}: scales and offsets of the compiled pass are those of the eager one, on images that are no squares`, async (t) => {
    const model = modelOf('smoke', family), parameters = initialDetectorParameters(model, new RandomStream(4)), random = new RandomStream(5);
    const images = { height: 40, width: 56, pixels: Array.from({ length: 3 }, () => Uint8Array.from({ length: 40 * 56 * 3 }, () => random.integer(256))) };
    const quantization = paperQuantization(parsePrecision('4-4-8'));
    const compiled = createCalibration(), eager = createCalibration();
    await compiledCalibrationPass(observedDetector(model), images, 1)(parameters, realValued, compiled.observe);
    await useBackend('wasm');
    const tensors = toTensors(parameters);
    for (const pixels of images.pixels) tf.tidy(() => void detector(tensors, tf.tensor4d(normalizedPixels(pixels), [1, 40, 56, 3]), model, realValued, { observe: eager.observe }));
    const found = compiled.quantizerParameters(quantization), wanted = eager.quantizerParameters(quantization);
    t.deepEqual(Object.keys(found).sort(), Object.keys(wanted).sort());
    const off = Object.entries(wanted).filter(([name, { data }]) => data.some((v, i) => Math.abs(found[name].data[i] - v) > 1e-3 * Math.max(...data.map(Math.abs))));
    t.deepEqual(off.map(([name]) => name), [], 'within a thousandth of a quantizer\'s largest');
  });
}
