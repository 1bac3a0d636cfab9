import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../../src/errors.js';
import { detector } from '../../../src/models/detector.js';
import { detectorParameterShapes, initialDetectorParameters } from '../../../src/models/initial-parameters.js';
import { detrSettings, fullSizeDetectors, modelOf, RESNET_101, RESNET_50, type DetectorSettings } from '../../../src/models/settings.js';
import { importWeights, writeImported } from '../../../src/models/weights/import-weights.js';
import { arrayHere, findLayout, shapeHere, shapeThere } from '../../../src/models/weights/kernel-layout.js';
import { checkKeys, emptyReport, isComplete, reportLines } from '../../../src/models/weights/key-report.js';
import { loadDetectorWeights, loadWeights } from '../../../src/models/weights/load-weights.js';
import { KNOWN_DETECTORS, recognizeModel } from '../../../src/models/weights/recognize-model.js';
import { findNaming, nameHere, unpackedShapes, type Naming } from '../../../src/models/weights/weight-names.js';
import { useBackend } from '../../../src/tensor/backend.js';
import { writeParameters } from '../../../src/tensor/parameter-file.js';
import { toTensors, type ParameterValues } from '../../../src/tensor/parameters.js';
import { RandomStream } from '../../../src/tensor/random.js';
import { readSafetensors, writeSafetensors, type Safetensors } from '../../../src/tensor/safetensors.js';
import { countedImages, countedValues } from '../counted-weights.js';
import { worstDifference, type FixtureArray } from '../fixture.js';

const FOLDER = 'test/fixtures/weights', TRANSFORMERS = `${FOLDER}/transformers`;
const fixture = JSON.parse(readFileSync(`${FOLDER}/keys.json`, 'utf8')) as { settings: DetectorSettings; logits: FixtureArray; boxes: FixtureArray; keys: Record<'timm' | 'native', string[]> };
const { settings } = fixture;
const counted = countedValues(initialDetectorParameters(settings, new RandomStream(1)));
const scratch = mkdtempSync(path.join(tmpdir(), 'qdetr-weights-'));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

/** The largest difference from the wanted parameters; names and shapes must be theirs. */
function farthest(got: ParameterValues, wanted: ParameterValues): number {
  if (Object.keys(got).sort().join() !== Object.keys(wanted).sort().join()) return Infinity;
  return Math.max(...Object.entries(wanted).map(([name, { shape, data }]) => (got[name].shape.join() === shape.join() ? data.reduce((most, v, i) => Math.max(most, Math.abs(v - got[name].data[i])), 0) : Infinity)));
}

test.serial('a model that transformers saved loads and agrees: heads and class names from its config.json, all else from its shapes', async (t) => {
  for (const given of [TRANSFORMERS, `${TRANSFORMERS}/model.safetensors`]) {
    const weights = loadDetectorWeights(given);
    t.deepEqual(weights.settings, settings);
    t.is(farthest(weights.parameters, counted), 0);
    t.deepEqual(weights.classNames, ['N/A', 'cat', 'dog', 'bird']);
    t.is(weights.form, 'safetensors, names of transformers');
    t.deepEqual(weights.report, emptyReport());
  }
  await useBackend('wasm');
  const { logits, boxes } = detector(toTensors(loadWeights(TRANSFORMERS).parameters), countedImages(1, 32, 48), settings);
  t.true(worstDifference(logits, fixture.logits) < 1e-5);
  t.true(worstDifference(boxes, fixture.boxes) < 1e-5);
});

test('16-bit safetensors are widened', (t) => {
  cpSync(`${FOLDER}/half.safetensors`, path.join(scratch, 'half', 'model.safetensors'));
  cpSync(`${TRANSFORMERS}/config.json`, path.join(scratch, 'half', 'config.json'));
  const difference = farthest(loadDetectorWeights(path.join(scratch, 'half')).parameters, counted);
  t.true(difference > 0 && difference < 1e-3, String(difference));
});

test('a checkpoint of facebookresearch/detr: its args say the heads, its training state is left out', (t) => {
  const { settings: found, parameters, report, form } = loadDetectorWeights(`${FOLDER}/detr.pth`);
  t.is(form, 'PyTorch checkpoint, names of facebookresearch/detr');
  t.deepEqual(found, settings);
  t.is(farthest(parameters, counted), 0);
  t.deepEqual(report.harmless, [{ name: 'optimizer.state.0.step', why: 'beside the model (training state)' }, { name: 'optimizer.state.0.exp_avg', why: 'beside the model (training state)' }]);
});

test("a ResNet of torchvision: a backbone, its head and counts of batches left out by rule", (t) => {
  const { model, parameters, report } = loadWeights(`${FOLDER}/resnet.pth`);
  t.deepEqual(model, { kind: 'backbone', title: 'a residual backbone', backbone: settings.backbone });
  t.is(farthest(parameters, Object.fromEntries(Object.entries(counted).filter(([name]) => name.startsWith('backbone.')))), 0);
  t.deepEqual(report.harmless.filter(({ name }) => name.startsWith('fc.')).map(({ name }) => name), ['fc.weight', 'fc.bias']);
  t.is(report.harmless.filter(({ name }) => name.endsWith('num_batches_tracked')).length, Object.keys(parameters).filter((name) => name.endsWith('running_mean')).length);
  t.true(isComplete(report));
  t.throws(() => loadDetectorWeights(`${FOLDER}/resnet.pth`), { instanceOf: UserError, message: /resnet\.pth holds the weights of a residual backbone, a backbone or classifier, which detects nothing: give a detector's, or train one/ });
});

test("SMCA-DETR's release has a class more than it uses: its row is left out, and the report says so", (t) => {
  const { settings: found, parameters, report, form, model } = loadDetectorWeights(`${FOLDER}/smca.pth`);
  t.is(form, 'PyTorch checkpoint, names of SMCA-DETR');
  t.is(model.title, 'smca-detr-smoke');
  t.deepEqual(found, { ...modelOf('smoke', 'smca-detr'), classes: 4 });
  const wanted = countedValues(initialDetectorParameters(found, new RandomStream(1)));
  t.true(farthest(Object.fromEntries(Object.entries(parameters).filter(([name]) => !name.startsWith('class_embed'))), Object.fromEntries(Object.entries(wanted).filter(([name]) => !name.startsWith('class_embed')))) < 1e-3);
  t.deepEqual(parameters['class_embed.weight'].shape, [4, 32]);
  t.false(parameters['class_embed.weight'].data.includes(9));
  t.true(report.harmless.some(({ name }) => name === "class_embed's last row"));
});

test('what is converted loads again, with its settings and class names', (t) => {
  const file = path.join(scratch, 'converted.safetensors'), from = importWeights(TRANSFORMERS);
  writeImported(file, from);
  const again = loadDetectorWeights(file);
  t.deepEqual(again.parameters, from.parameters);
  t.deepEqual(again.settings, settings); // strides of its own: from the file's note
  t.deepEqual(again.classNames, from.classNames);
  t.is(again.form, 'safetensors, names of qdetr');
  writeParameters(file, from.parameters, { settings: '{"family":"detr"}' });
  t.throws(() => loadWeights(file), { instanceOf: UserError, message: /note 'settings': 'imageSize' should be a positive whole number, but is missing: make the file again/ });
  writeParameters(file, from.parameters, { settings: '{' });
  t.throws(() => loadWeights(file), { instanceOf: UserError, message: /note 'settings' is no JSON/ });
});

test('weights that come with the project are known by their shapes', (t) => {
  for (const [name, title] of [['minutes', 'detr-minutes'], ['minutes-smca', 'smca-detr-minutes'], ['minutes-teacher', 'detr-minutes-teacher'], ['minutes-smca-teacher', 'smca-detr-minutes-teacher']]) {
    const { model, settings: found } = loadDetectorWeights(`data-manifests/weights/minivoc-${name}.safetensors`);
    t.is(model.title, title);
    t.deepEqual(found, KNOWN_DETECTORS[title]);
  }
});

for (const backbone of ['timm', 'native'] as const) {
  test(`every key of detr-resnet-50 as transformers saves it has its parameter here (${backbone} backbone)`, (t) => {
    const keys = fixture.keys[backbone].map((line) => line.split(' ')).map(([name, shape]) => [name, shape.split('x').map(Number)] as const);
    t.deepEqual(findNaming(keys.map(([name]) => name)), { naming: 'transformers', prefix: '' });
    const shapes = new Map(keys.map(([name, shape]) => [nameHere('transformers', name), shapeHere(shape, 'OIHW')]));
    const model = recognizeModel('a file', shapes, false);
    t.deepEqual(model, { kind: 'detector', title: 'detr-r50', settings: { ...fullSizeDetectors['detr-r50'], classes: 91 } });
    t.deepEqual(Object.fromEntries(shapes), unpackedShapes('transformers', detectorParameterShapes({ ...fullSizeDetectors['detr-r50'], classes: 91 })));
  });
}

test('full-size models are told apart by their shapes; torchvision\'s by their names', (t) => {
  for (const [name, of] of Object.entries(fullSizeDetectors)) {
    const shapes = new Map(Object.entries(detectorParameterShapes({ ...of, classes: 91 })));
    t.deepEqual(recognizeModel('a file', shapes, false), { kind: 'detector', title: name, settings: { ...of, classes: 91 } });
  }
  const { names } = JSON.parse(readFileSync('test/fixtures/resnet.json', 'utf8')) as { names: Record<'resnet50' | 'resnet101', string[]> };
  for (const [which, backbone, title] of [['resnet50', RESNET_50, 'ResNet-50'], ['resnet101', RESNET_101, 'ResNet-101']] as const) {
    const shapes = new Map(names[which].map((line) => line.split(' ')).map(([name, shape]) => [nameHere('torchvision', name), shapeHere(shape.split('x').map(Number), 'OIHW')]));
    t.deepEqual(recognizeModel('a file', shapes, false), { kind: 'backbone', title, backbone });
  }
});

test('a dilated backbone has the same shapes, so config.json is asked', (t) => {
  const folder = path.join(scratch, 'dilated');
  cpSync(TRANSFORMERS, folder, { recursive: true });
  const config = path.join(folder, 'config.json');
  writeFileSync(config, readFileSync(config, 'utf8').replace('"dilation": false', '"dilation": true'));
  t.throws(() => loadWeights(folder), { instanceOf: UserError, message: /config\.json: 'dilation' is true, and no model here has a dilated backbone \(DC5\)/ });
  writeFileSync(config, '{"encoder_attention_heads": "many"}');
  t.throws(() => loadWeights(folder), { instanceOf: UserError, message: /config\.json: 'encoder_attention_heads' should be a positive whole number, but is "many"/ });
  rmSync(config);
  t.throws(() => loadWeights(folder), { instanceOf: UserError, message: /model\.safetensors doesn't say which model its weights are of: no shape says its number of attention heads .*; name it with --model/ });
});

/** The fixture of transformers, changed. */
function changed(name: string, change: (content: Safetensors) => void): string {
  const content = readSafetensors(`${TRANSFORMERS}/model.safetensors`), folder = path.join(scratch, name);
  cpSync(TRANSFORMERS, folder, { recursive: true });
  change(content);
  writeSafetensors(path.join(folder, 'model.safetensors'), content);
  return folder;
}

test('every key that is missing, strange or of another shape is reported, not the first only', (t) => {
  const file = changed('damaged', ({ tensors }) => {
    for (const name of ['model.encoder.layers.1.self_attn.k_proj.bias', 'class_labels_classifier.bias', 'model.backbone.conv_encoder.model.embedder.embedder.normalization.running_var']) tensors.delete(name);
    tensors.set('model.input_projection.weight', { dtype: 'F32', shape: [16, 12, 1, 1], data: new Float32Array(192) });
    tensors.set('model.decoder.layers.0.fc1.bias', { dtype: 'F32', shape: [23], data: new Float32Array(23) });
    tensors.set('model.decoder.layers.0.strange.weight', { dtype: 'F32', shape: [2], data: new Float32Array(2) });
    tensors.set('model.counts', { dtype: 'I64', shape: [1], data: BigInt64Array.of(1n) });
    tensors.set('mask_head.lay1.weight', { dtype: 'F32', shape: [1], data: new Float32Array(1) });
    tensors.set('model.backbone.conv_encoder.model.embedder.embedder.normalization.num_batches_tracked', { dtype: 'I64', shape: [], data: BigInt64Array.of(3n) });
  });
  const { report } = importWeights(file);
  t.deepEqual(report.missing.map(({ name }) => name).sort(), ['backbone.0.body.bn1.running_var', 'class_embed.bias', 'transformer.encoder.layers.1.self_attn.k_proj.bias']);
  t.deepEqual(report.misShaped.map(({ name, found, wanted }) => [name, found, wanted]).sort(), [['model.decoder.layers.0.fc1.bias', [23], [24]], ['model.input_projection.weight', [16, 12, 1, 1], [16, 24, 1, 1]]]);
  t.deepEqual(report.unexpected, [{ name: 'model.decoder.layers.0.strange.weight', shape: [2] }, { name: 'model.counts', shape: undefined }]);
  t.is(report.harmless.length, 2);
  t.is(reportLines(report).length, 3 + 2 + 2 + 2);
  const error = t.throws(() => loadWeights(file), { instanceOf: UserError });
  t.regex(error.message, /is not a whole DETR: of its keys 3 missing \(.*'class_embed\.bias'.*\), 2 of another shape \(.*\[16, 12, 1, 1\] instead of \[16, 24, 1, 1\].*\), 2 unexpected \('model\.decoder\.layers\.0\.strange\.weight', 'model\.counts'\)/);
});

test('weights with a NaN, of no known model, and files that hold none are refused by name', (t) => {
  const broken = changed('broken', ({ tensors }) => tensors.set('class_labels_classifier.bias', { dtype: 'F32', shape: [5], data: Float32Array.of(0, 0, NaN, 0, 0) }));
  t.throws(() => loadWeights(broken), { instanceOf: UserError, message: /'class_embed\.bias' has values that are no numbers/ });
  const other = path.join(scratch, 'other.safetensors');
  writeParameters(other, { 'encoder.embed.weight': { shape: [2], data: new Float32Array(2) } });
  t.throws(() => loadWeights(other), { instanceOf: UserError, message: /other\.safetensors holds weights of no model that is known here \(1 arrays, such as 'encoder\.embed\.weight'\)/ });
  t.throws(() => loadWeights('README.md'), { instanceOf: UserError, message: /README\.md holds no weights \(it is neither a safetensors file nor a PyTorch checkpoint\)/ });
  t.throws(() => loadWeights('no-such.pth'), { instanceOf: UserError, message: /no-such\.pth can't be read .*npx qdetr weights fetch/ });
  t.throws(() => loadWeights('test/models'), { instanceOf: UserError, message: /test\/models is a folder without model\.safetensors and pytorch_model\.bin/ });
  t.throws(() => loadWeights(TRANSFORMERS, 'detr-r51'), { instanceOf: UserError, message: /--model detr-r51: should be one of detr-r50, detr-r101/ });
  t.throws(() => loadWeights(TRANSFORMERS, 'detr-r50'), { instanceOf: UserError, message: /is not a whole detr-r50: of its keys \d+ missing/ });
});

test('an error names a few keys of each kind and counts the others', (t) => {
  const report = { ...emptyReport(), missing: Array.from({ length: 9 }, (_, i) => ({ name: `m${i}`, shape: [1] })) };
  t.throws(() => checkKeys('f', 'detr-r50', report), { message: /f is not a whole detr-r50: of its keys 9 missing \('m0', 'm1', 'm2', 'm3', …\);/ });
  t.notThrows(() => checkKeys('f', 'detr-r50', { ...emptyReport(), harmless: [{ name: 'n', why: 'w' }] }));
});

test('prefixes of checkpoints and wrappers are taken off; the naming that fits most names is found', (t) => {
  const names: Record<Naming, string[]> = {
    detr: ['backbone.0.body.conv1.weight', 'transformer.encoder.layers.0.norm1.weight', 'class_embed.bias'],
    transformers: ['model.encoder.layers.0.fc1.weight', 'class_labels_classifier.bias', 'model.backbone.model.embedder.embedder.convolution.weight'],
    torchvision: ['conv1.weight', 'layer1.0.bn1.weight', 'fc.bias'],
  };
  for (const [naming, own] of Object.entries(names)) {
    for (const prefix of ['', 'model.', 'state_dict.module.', 'module.', 'detr.']) t.deepEqual(findNaming([...own.map((name) => prefix + name), 'epoch', 'optimizer.state.0.exp_avg']), { naming: naming as Naming, prefix }, `${naming} ${prefix}`);
  }
  t.is(findNaming(['a.b', 'c']), undefined);
});

test('kernels: OIHW and HWIO are told apart, and turned from one into the other', (t) => {
  t.deepEqual(arrayHere({ shape: [2, 3, 1, 2], data: Float32Array.from({ length: 12 }, (_, i) => i) }, 'OIHW'), { shape: [1, 2, 3, 2], data: Float32Array.of(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11) });
  const size = fc.integer({ min: 1, max: 40 });
  fc.assert(fc.property(size, size, fc.constantFrom(1, 3, 7), (o, i, k) => {
    const shape = [o, i, k, k];
    return shapeThere(shapeHere(shape, 'OIHW'), 'OIHW').join() === shape.join() && shapeHere(shape, 'HWIO') === shape;
  }));
  for (const of of [detrSettings.smoke, settings, fullSizeDetectors['detr-r50'], { ...detrSettings.smoke, backbone: { ...detrSettings.smoke.backbone, stem: 3 } }]) {
    const shapes = Object.values(detectorParameterShapes(of));
    t.is(findLayout(shapes), 'HWIO');
    t.is(findLayout(shapes.map((shape) => shapeThere(shape, 'OIHW'))), 'OIHW');
  }
});
