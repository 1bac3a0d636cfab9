import test from 'ava';
import { presetOf, presets } from '../../src/experiments/presets.js';
import { parameterCount } from '../../src/models/cost.js';

test('for each data set and family: student and teacher, and five methods at three bit-widths', (t) => {
  t.is(presets.size, 2 * 2 * (2 + 5 * 3));
  for (const name of ['voc-detr-r50', 'coco-smca-detr-r101', 'voc-q-detr-r50-4bit', 'coco-q-smca-detr-r50-2bit', 'voc-lsq-detr-r50-3bit', 'coco-baseline-detr-r50-4bit', 'voc-da-detr-r50-2bit', 'voc-fqm-detr-r50-2bit']) t.is(presetOf(name).name, name);
});

test('the paper\'s schedules, methods and teachers (PAPER.md 2.6)', (t) => {
  const of = (name: string) => {
    const { epochs, dropAfter, bits, method, teacher, quantizer, alignment, distillation } = presetOf(name);
    return [epochs, dropAfter, bits, method, teacher, quantizer, alignment !== null, distillation && [distillation.tau, distillation.lambda]];
  };
  t.deepEqual(of('voc-q-detr-r50-4bit'), [300, 200, '4-4-8', '+ DA + FQM (Q-DETR)', 'voc-detr-r101', 'LSQ+', true, [0.6, 2.5]]);
  t.deepEqual(of('coco-q-detr-r50-2bit'), [500, 400, '2-2-8', '+ DA + FQM (Q-DETR)', 'coco-detr-r101', 'LSQ+', true, [0.6, 2.5]]);
  t.deepEqual(of('coco-lsq-smca-detr-r50-3bit'), [50, 40, '3-3-8', 'LSQ', null, 'LSQ', false, null]);
  t.deepEqual(of('voc-detr-r101'), [300, 200, '32-32-32', 'Real-valued', null, 'LSQ+', false, null]);
  t.true([...presets.values()].every(({ teacher }) => teacher === null || presets.get(teacher)?.bits === '32-32-32'));
});

test('models: of the data set\'s classes; the quantized backbone has RPReLU, the real-valued one is torchvision\'s', (t) => {
  const { backbone, classes, queries } = presetOf('voc-q-smca-detr-r50-2bit').model(20);
  t.deepEqual([backbone.activation, classes, queries], ['rprelu', 20, 300]);
  t.is(presetOf('coco-detr-r50').model(91).backbone.activation, undefined);
  t.is(parameterCount(presetOf('coco-detr-r50').model(91)), 41_524_768 + 53_120, 'those of facebook/detr-resnet-50 and the weights and biases of its batch normalization, buffers there');
});

test('a name that there is none of: the nearest one, and where all are', (t) => {
  t.throws(() => presetOf('voc-qdetr-r50-4bit'), { message: '--preset voc-qdetr-r50-4bit: there is no such preset, did you mean voc-q-detr-r50-4bit: npx qdetr train --list-presets shows all' });
  t.throws(() => presetOf('something else'), { message: '--preset something else: there is no such preset: npx qdetr train --list-presets shows all' });
});
