import { readFileSync } from 'node:fs';
import test from 'ava';
import { isBuffer } from '../../src/models/batch-normalization.js';
import { detectorCost, parameterCount } from '../../src/models/cost.js';
import { detector } from '../../src/models/detector.js';
import { initialActivations, initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { BACKBONE } from '../../src/models/residual-backbone.js';
import { detrSettings, fullSizeDetectors, paperStudent, paperTeacher, RESNET_50, withRprelu, type DetectorSettings } from '../../src/models/settings.js';
import { compileStep } from '../../src/tensor/compile-step.js';
import { sizeOf, type ParameterValues } from '../../src/tensor/parameters.js';
import { RandomStream } from '../../src/tensor/random.js';
import { QuickStream } from '../quick-stream.js';

const { counts } = JSON.parse(readFileSync('test/fixtures/transformers-detr.json', 'utf8')) as { counts: Record<'detr-r50' | 'detr-r101', { parameters: number; frozenBatchNormalization: number }> };
const elements = (values: ParameterValues): number => Object.entries(values).filter(([name]) => !isBuffer(name)).reduce((n, [, { shape }]) => n + sizeOf(shape), 0);

test('DETR-R50 and -R101 have as many parameters as Hugging Face\'s, which counts frozen batch normalization as buffers', (t) => {
  for (const name of ['detr-r50', 'detr-r101'] as const) {
    const { parameters, frozenBatchNormalization } = counts[name];
    t.is(parameterCount({ ...fullSizeDetectors[name], classes: 91 }), parameters + frozenBatchNormalization, name);
  }
  t.is(counts['detr-r50'].parameters, 41_524_768); // "41.5 M", PAPER.md 2.3
  t.is(parameterCount({ ...fullSizeDetectors['detr-r50'], classes: 20 }), 41_577_888 - 71 * 257, '20 classes of VOC: 71 rows fewer in class_embed');
});

test('RPReLU adds what it is initialized with, which the cost table counts too', (t) => {
  for (const family of ['detr', 'smca-detr'] as const) {
    const plain = fullSizeDetectors[`${family}-r50`], student = paperStudent(family);
    t.is(parameterCount(student) - parameterCount(plain), elements(initialActivations(BACKBONE, student.backbone)));
  }
  // stem 64; a stage of width w and n blocks: before the convolutions of its first block inputs + 2 w, of the others 4 w + 2 w, after each sum 4 w; three numbers for each channel
  const stage = (inputs: number, w: number, n: number): number => inputs + 2 * w + (n - 1) * 6 * w + n * 4 * w;
  t.is(elements(initialActivations(BACKBONE, paperStudent('detr').backbone)), 64 + 3 * (stage(64, 64, 3) + stage(256, 128, 4) + stage(512, 256, 6) + stage(1024, 512, 3)));
});

test('initial parameters agree with the cost table for bottlenecks and RPReLU', (t) => {
  const backbone = { ...RESNET_50, stem: 4, widths: [2, 3, 4, 5] };
  for (const settings of [{ ...detrSettings.smoke, backbone }, withRprelu({ ...detrSettings.smoke, backbone }), withRprelu(detrSettings.smoke)])
    t.is(elements(initialDetectorParameters(settings, new RandomStream(1))), parameterCount(settings));
});

test('costs of ResNet-50 by hand, at 800 x 800: stem, a stride on the 3x3 convolution, a shortcut', (t) => {
  const costs = new Map(detectorCost(fullSizeDetectors['detr-r50']).map((cost) => [cost.name.replace(`${BACKBONE}.`, ''), cost]));
  t.is(costs.get('conv1')!.multiplyAdds, 400 ** 2 * 49 * 3 * 64);
  t.is(costs.get('layer1.0.conv1')!.multiplyAdds, 200 ** 2 * 64 * 64);
  t.is(costs.get('layer2.0.conv1')!.multiplyAdds, 200 ** 2 * 256 * 128); // before the stride
  t.is(costs.get('layer2.0.conv2')!.multiplyAdds, 100 ** 2 * 9 * 128 * 128);
  t.is(costs.get('layer2.0.downsample.0')!.multiplyAdds, 100 ** 2 * 256 * 512);
  t.is(costs.get('layer4.2.conv3')!.multiplyAdds, 25 ** 2 * 512 * 2048);
  t.is(costs.get('transformer.encoder.layers.0.self_attn.qk')!.multiplyAdds, 625 * 625 * 256);
});

test('the paper\'s student and teacher', (t) => {
  t.is(paperStudent('detr').backbone.activation, 'rprelu');
  t.deepEqual(paperStudent('smca-detr').backbone.blocks, [3, 4, 6, 3]);
  t.deepEqual(paperTeacher('detr').backbone.blocks, [3, 4, 23, 3]);
  t.is(paperTeacher('smca-detr').queries, paperStudent('smca-detr').queries);
});

test('an image size that ResNet-50 can\'t halve five times is refused', (t) => {
  t.throws(() => initialDetectorParameters({ ...paperStudent('detr'), imageSize: 816 }, new RandomStream(1)), { message: /imageSize is 816: give a multiple of the backbone's total stride, 32/ });
});

test.serial('DETR-R50 at full size runs compiled, and the paper\'s student with the same weights gives the same', async (t) => {
  const small = (settings: DetectorSettings): DetectorSettings => ({ ...settings, imageSize: 64 });
  const plain = small(fullSizeDetectors['detr-r50']), student = small(paperStudent('detr'));
  const values = initialDetectorParameters(plain, new QuickStream(0)), images = Float32Array.from({ length: 64 * 64 * 3 }, (_, i) => Math.sin(i * 12.9));
  t.is(elements(values), parameterCount(plain));
  const run = async (settings: DetectorSettings, state: ParameterValues): Promise<Record<'logits' | 'boxes', Float32Array>> => {
    const step = await compileStep((parameters, batch) => {
      const { logits, boxes } = detector(parameters, batch.images, settings);
      return { outputs: { logits, boxes } };
    }, { state, inputs: { images: { shape: [1, 64, 64, 3], dtype: 'float32' } } });
    const { logits, boxes } = await step.run({ images });
    const result = { logits: Float32Array.from(logits), boxes: Float32Array.from(boxes) };
    await step.dispose();
    return result;
  };
  const wanted = await run(plain, values), got = await run(student, { ...values, ...initialActivations(BACKBONE, student.backbone) });
  t.is(wanted.logits.length, 6 * 100 * 21);
  t.true(wanted.boxes.every((v) => v > 0 && v < 1));
  t.true(new Set(wanted.logits).size > wanted.logits.length / 2);
  for (const key of ['logits', 'boxes'] as const) t.true(wanted[key].every((v, i) => Math.abs(v - got[key][i]) < 1e-5), key);
});
