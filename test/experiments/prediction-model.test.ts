import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { COCO_CLASSES } from '../../src/data/coco-classes.js';
import { VOC_CLASSES } from '../../src/data/voc-classes.js';
import { UserError } from '../../src/errors.js';
import { predictionModel } from '../../src/experiments/prediction-model.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { modelOf } from '../../src/models/settings.js';
import { REAL, parsePrecision } from '../../src/quantizer/precision.js';
import { writeParameters } from '../../src/tensor/parameter-file.js';
import { RandomStream } from '../../src/tensor/random.js';

const MINUTES = 'data-manifests/weights/minivoc-minutes.safetensors';
const scratch = mkdtempSync(path.join(tmpdir(), 'qdetr-model-'));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(path.join(scratch, name), text);
  return path.join(scratch, name);
};

test('names of classes: the file\'s own, VOC\'s 20, COCO\'s 91, numbers, or those that are given', (t) => {
  t.deepEqual(predictionModel('test/fixtures/weights/transformers', {}).classes, ['N/A', 'cat', 'dog', 'bird']);
  t.is(predictionModel(MINUTES, {}).classes, VOC_CLASSES);
  t.is(predictionModel(MINUTES, {}).title, 'detr-minutes (DETR)');
  for (const [classes, wanted] of [[91, COCO_CLASSES], [3, ['class 0', 'class 1', 'class 2']]] as const) {
    const settings = { ...modelOf('smoke'), classes }, weights = path.join(scratch, `${classes}.safetensors`);
    writeParameters(weights, initialDetectorParameters(settings, new RandomStream(1)));
    t.deepEqual(predictionModel(weights, {}).classes, wanted);
  }
  t.is(COCO_CLASSES.length, 91);
  t.is(COCO_CLASSES.filter((name) => name === 'N/A').length, 11);
  t.deepEqual([COCO_CLASSES[1], COCO_CLASSES[18], COCO_CLASSES[90]], ['person', 'dog', 'toothbrush']);
  const letters = Array.from({ length: 20 }, (_, i) => String.fromCharCode(97 + i));
  t.deepEqual(predictionModel(MINUTES, { classes: file('lines.txt', `${letters.join('\n')}\n`) }).classes, letters);
  t.deepEqual(predictionModel(MINUTES, { classes: file('list.json', JSON.stringify(letters)) }).classes, letters);
});

test('a list of classes that doesn\'t fit is refused', (t) => {
  const wrong = (text: string): string => t.throws(() => predictionModel(MINUTES, { classes: file('wrong', text) }), { instanceOf: UserError }).message;
  t.regex(wrong('a\nb'), /--classes .*wrong: has 2 names, and the detector 20 classes: give 20 names, one a line or as a JSON list/);
  t.regex(wrong('["a", 2]'), /should be a list of names/);
  t.regex(wrong('["a"'), /is no JSON list/);
  t.throws(() => predictionModel(MINUTES, { classes: 'no-such.txt' }), { instanceOf: UserError, message: /no-such\.txt can't be read/ });
});

test('bits: those of the quantizers that the weights have', (t) => {
  t.is(predictionModel(MINUTES, {}).bits, '32-32-32');
  t.throws(() => predictionModel(MINUTES, { precision: parsePrecision('4-4-8') }), { instanceOf: UserError, message: /--bits 4-4-8: .*minivoc-minutes\.safetensors .* has no quantizers, so it is real-valued: leave --bits out, or train/ });
  const values = { ...initialDetectorParameters(modelOf('smoke'), new RandomStream(1)), 'transformer.encoder.layers.0.linear1.input_quantizer.scale': { shape: [1], data: Float32Array.of(0.1) } };
  const silent = path.join(scratch, 'silent.safetensors'), says = path.join(scratch, 'says.safetensors');
  writeParameters(silent, values);
  writeParameters(says, values, { model: 'detr smoke', bits: '4-4-8', run: '0123456789ab' }); // as npx qdetr train --export
  t.throws(() => predictionModel(silent, {}), { instanceOf: UserError, message: /has quantizers and doesn't say for how many bits: say it with --bits/ });
  t.is(predictionModel(silent, { precision: REAL }).bits, '32-32-32');
  const { bits, quantization } = predictionModel(says, {});
  t.is(bits, '4-4-8');
  t.is(quantization('transformer.encoder.layers.0.linear1').weightBits, 4);
});

test('runs and files that are none are refused', (t) => {
  t.throws(() => predictionModel('0123456789ab', { root: scratch }), { instanceOf: UserError, message: /--weights 0123456789ab: there is no such run in/ });
  t.throws(() => predictionModel('test/fixtures/weights/resnet.pth', {}), { instanceOf: UserError, message: /a backbone or classifier, which detects nothing/ });
  t.throws(() => predictionModel('test/fixtures/pytorch/malicious.pth', {}), { instanceOf: UserError, message: /is refused: .*nothing of it was run/ });
  t.throws(() => predictionModel('test/fixtures/weights/transformers', { model: 'detr-r50' }), { instanceOf: UserError, message: /is not a whole detr-r50: of its keys \d+ missing/ });
  cpSync('README.md', path.join(scratch, 'fake.pth'));
  t.throws(() => predictionModel(path.join(scratch, 'fake.pth'), {}), { instanceOf: UserError, message: /fake\.pth holds no weights/ });
});
