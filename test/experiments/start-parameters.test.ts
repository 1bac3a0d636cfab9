import test from 'ava';
import { MAP_PARAMETER } from '../../src/distillation/distillation-loss.js';
import { resolveDistillation } from '../../src/distillation/settings.js';
import { calibrationPass, studentParameters, type StudentDesign } from '../../src/experiments/start-parameters.js';
import { isAlignmentParameter, PAPER_ALIGNMENT } from '../../src/models/distribution-alignment.js';
import { realValued } from '../../src/models/forward.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { moduleGroup, quantizationPolicy, type ModuleGroup } from '../../src/models/quantization-policy.js';
import { parsePrecision } from '../../src/quantizer/precision.js';
import { isQuantizerParameter } from '../../src/quantizer/scales.js';
import { RandomStream } from '../../src/tensor/random.js';
import { squares, tinyModel } from '../training/tiny-detector.js';

const weights = initialDetectorParameters(tinyModel, new RandomStream(3)), precision = parsePrecision('4-4-8');
const calibration = calibrationPass(tinyModel, squares, 0);
const design = (changes: Partial<StudentDesign> = {}): StudentDesign => ({ model: tinyModel, quantization: quantizationPolicy({ precision }), quantizer: 'LSQ+', weightStart: 'LSQ', alignment: null, distillation: null, ...changes });
const quantizersOf = (values: object): string[] => Object.keys(values).filter(isQuantizerParameter);

test.serial('a real-valued student is its weights', async (t) => {
  t.deepEqual(await studentParameters(weights, design({ quantization: realValued }), calibration, 0), weights);
});

test.serial('decision A19: the second stage keeps what the first has trained and calibrates the rest on the model as it was left', async (t) => {
  const groups: ModuleGroup[] = ['backbone'], backboneOnly = quantizationPolicy({ precision, groups });
  const first = await studentParameters(weights, design({ quantization: backboneOnly, alignment: PAPER_ALIGNMENT }), calibration, 0);
  t.true(quantizersOf(first).length > 0 && quantizersOf(first).every((name) => moduleGroup(name) === 'backbone'));
  // as if the stage had trained them
  const trained = Object.fromEntries(Object.entries(first).map(([name, v]) => [name, isQuantizerParameter(name) || isAlignmentParameter(name) ? { shape: v.shape, data: v.data.map((x) => 1.5 * x + 0.01) } : v]));
  const second = await studentParameters(weights, design({ alignment: PAPER_ALIGNMENT }), calibration, 0, { parameters: trained, groups, quantization: backboneOnly });
  for (const name of Object.keys(trained).filter((name) => isQuantizerParameter(name) || isAlignmentParameter(name))) t.deepEqual(second[name], trained[name], name);
  const groupsOfNew = new Set(quantizersOf(second).filter((name) => !(name in trained)).map((name) => moduleGroup(name)));
  t.deepEqual([...groupsOfNew].sort(), ['decoder-attention', 'encoder', 'feed-forward']);
  const alone = await studentParameters(weights, design({ alignment: PAPER_ALIGNMENT }), calibration, 0);
  t.notDeepEqual(second['transformer.encoder.layers.0.linear1.input_quantizer.scale'], alone['transformer.encoder.layers.0.linear1.input_quantizer.scale'], 'calibrated behind the quantized backbone');
});

test.serial('alignment and linear map come with the settings that ask for them, and quantizers are calibrated on aligned queries', async (t) => {
  const plain = await studentParameters(weights, design(), calibration, 0);
  t.false(Object.keys(plain).some((name) => isAlignmentParameter(name) || name === MAP_PARAMETER));
  const distillation = { settings: resolveDistillation({ feature: 'linear-map' }), teacher: { model: tinyModel } };
  const rich = await studentParameters(weights, design({ alignment: PAPER_ALIGNMENT, distillation }), calibration, 0);
  t.deepEqual(rich[MAP_PARAMETER].shape, [tinyModel.modelWidth, tinyModel.modelWidth]);
  const name = 'transformer.decoder.layers.0.multihead_attn.q_quantizer.scale';
  t.notDeepEqual(rich[name], plain[name]);
});
