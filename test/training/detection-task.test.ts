import test from 'ava';
import { batchAt } from '../../src/data/batches.js';
import { setCriterion } from '../../src/detection/set-criterion.js';
import { detector } from '../../src/models/detector.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { realValued } from '../../src/models/forward.js';
import { normalizedPixels } from '../../src/models/normalize-images.js';
import { sizeOf, toTensors } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { tf, type Tensor } from '../../src/tensor/tf.js';
import { useBackend } from '../../src/tensor/backend.js';
import { detectionObjective } from '../../src/training/detection-task.js';
import { squares, tinyModel, tinySettings, tinyTask } from './tiny-detector.js';

const task = tinyTask('32-32-32');
const model = { ...tinyModel, decoderLayers: 2 };

test('a batch fits the inputs that the task declares, and is a function of the step', (t) => {
  for (const step of [0, 5, 3, 5]) {
    const batch = task.batch(step);
    t.deepEqual(Object.keys(batch).sort(), Object.keys(task.inputs).sort());
    for (const [name, { shape }] of Object.entries(task.inputs)) t.is(batch[name].length, sizeOf(shape), name);
    const { images, labels, boxes } = batchAt(squares, { batchSize: 2, seed: 0, flip: true, step });
    t.deepEqual(batch, { images: normalizedPixels(images), labels, boxes });
  }
  t.notDeepEqual(task.batch(0), task.batch(1));
  t.is(task.stepsPerEpoch, 3, '7 images, 2 at a time');
  t.notDeepEqual(tinyTask('32-32-32', tinySettings({ seed: 1 })).batch(0), task.batch(0));
});

test.serial("the objective is the set criterion's total over all decoder layers; the log shows the last layer's terms", async (t) => {
  await useBackend('wasm');
  const parameters = toTensors(initialDetectorParameters(model, new RandomStream(2)));
  const batch = task.batch(1);
  const inputs = Object.fromEntries(Object.entries(task.inputs).map(([name, { shape, dtype }]) => [name, tf.tensor(batch[name], [...shape], dtype)]));
  const value = (x: Tensor): number => x.dataSync()[0];
  for (const batchStatistics of [true, false]) {
    const { loss, logged, buffers } = detectionObjective(model, realValued, { batchStatistics })(parameters, inputs);
    const output = detector(parameters, inputs.images, model, realValued, { batchStatistics });
    const wanted = setCriterion(output.logits, output.boxes, { labels: inputs.labels, boxes: inputs.boxes });
    t.is(value(loss), value(wanted.total));
    t.deepEqual(Object.keys(logged), ['classification', 'l1', 'giou']);
    for (const key of ['classification', 'l1', 'giou'] as const) t.is(value(logged[key]), wanted[key].dataSync()[1], key);
    const terms = (layer: number): number => wanted.classification.dataSync()[layer] + 5 * wanted.l1.dataSync()[layer] + 2 * wanted.giou.dataSync()[layer];
    t.true(Math.abs(value(loss) - terms(0) - terms(1)) < 1e-4);
    t.is(Object.keys(buffers).length, batchStatistics ? Object.keys(parameters).filter((name) => name.includes('.running_')).length : 0);
  }
});
