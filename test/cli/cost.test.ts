import test from 'ava';
import { compareCosts, costModels, TABLE_BITS, type CostComparison } from '../../src/experiments/cost-comparison.js';
import { EXPLAINED_ABOVE, matchingImage, PAPER_IMAGE } from '../../src/experiments/cost-explanations.js';
import { costMarkdown } from '../../src/experiments/cost-table.js';
import { paperValues } from '../../src/figures/paper-values.js';
import { paperCost } from '../../src/models/cost-rules.js';
import { REAL } from '../../src/quantizer/precision.js';
import { qdetr } from './command-line.js';

const values = paperValues();

test('every row of CVPR Table 3 has its costs beside it, and a sentence for each deviation above 3 %', (t) => {
  let found = 0;
  for (const name of ['detr-r50', 'smca-detr-r50']) {
    const { rows, title } = compareCosts(costModels.get(name)!, TABLE_BITS, values);
    for (const { model, method, bits, sizeMB, opsG } of values.cvpr_table_3_coco.filter((row) => row.model === title)) {
      const row = rows.find((candidate) => candidate.bits === bits)!;
      t.true(row.methods.includes(method), `${model} ${method} ${bits}`);
      t.deepEqual(row.paper, { size: sizeMB, operations: opsG });
      found++;
    }
    for (const { bits, rule, paper, deviation, explanations } of rows) {
      t.is(deviation!.size, rule.size / paper!.size - 1);
      t.is(deviation!.operations, rule.operations! / paper!.operations - 1);
      const large = (['size', 'operations'] as const).filter((column) => Math.abs(deviation![column]!) > EXPLAINED_ABOVE);
      t.deepEqual(explanations.map((text) => text.split(':')[0]), large, `${name} ${bits}`);
      t.true(explanations.every((text) => !/NaN|undefined|,$/.test(text)), explanations.join());
    }
  }
  t.is(found, values.cvpr_table_3_coco.length);
});

test('DETR-R50 by the paper\'s rule: sizes within 1 %; operations within 1 % at an image whose real-valued count is the paper\'s', (t) => {
  const model = costModels.get('detr-r50')!, image = matchingImage(model.real, 85.51);
  t.is(image.height, PAPER_IMAGE.height);
  t.true(Math.abs(paperCost(model.real, REAL, image).operations! / 85.51e9 - 1) < 0.006);
  for (const { bits, deviation } of compareCosts(model, TABLE_BITS, values, image).rows) {
    t.true(Math.abs(deviation!.size) < 0.01, bits);
    if (bits !== '3-3-8') t.true(Math.abs(deviation!.operations!) < 0.01, bits);
  }
});

test('the table on the terminal: rows, sentences, countings; lines fit 100 columns', async (t) => {
  const { code, stdout, stderr } = await qdetr(['cost']);
  t.is(code, 0, stderr);
  t.regex(stdout, /^DETR-R50, 91 classes, an image of 800 x 1066; 41,577,888 or 41,685,280 trained parameters\n/);
  t.regex(stdout, /\n32-32-32 +159\.32 +158\.61 +-0\.4 % +158\.81 +85\.51 +81\.25 +-5\.0 % +81\.25\n/);
  t.regex(stdout, /\nSMCA-DETR-R50, 91 classes/);
  for (const bits of TABLE_BITS) t.is(stdout.match(new RegExp(`^${bits} +[\\d.]+ `, 'gm'))?.length, 2, bits);
  t.regex(stdout, /\n {2}32-32-32 size: not explained: no counting gives the paper's real-valued 164\.75/);
  t.is(stdout.match(/the paper prints (159\.32|164\.75):/g)?.length, 2);
  t.is(stdout.match(/^None explains it\.$/gm)?.length, 1);
  t.deepEqual(stdout.split('\n').filter((line) => line.length > 100), []);
  t.notRegex(stdout, /NaN|undefined|Infinity/);
});

test('one row has its parts; bits, model and image that the paper has not are dashes', async (t) => {
  const one = await qdetr(['cost', '--model', 'detr-r50', '--bits', '4-4-8']);
  t.is(one.code, 0, one.stderr);
  t.regex(one.stdout, /\n4-4-8 +19\.92 +19\.88 [\s\S]*\nTrained parameters:\n {2}first convolution +9,408\n[\s\S]*\nStored, MB of 2\^20 bytes:\n {2}weights at 4 bits +\d+\.\d\d\n {2}weights at 8 bits +0\.01\n[\s\S]*by the wider operand:\n {2}4 bits +/);
  const none = await qdetr(['cost', '--model', 'smca-detr-gpu', '--bits', '5-5-8', '--image', '64x100']);
  t.is(none.code, 0, none.stderr);
  t.regex(none.stdout, /^SMCA-DETR, scale gpu, 20 classes, an image of 64 x 100; [\s\S]*\n5-5-8 +- +[\d.]+ +- +[\d.]+ +- +- +- +-\n[\s\S]*which has no such row[\s\S]*no factor for 5, 6 or 7 bits/);
});

test('--table: every row in one table, what is off by more than 3 % bold, and as many sentences', async (t) => {
  const { code, stdout, stderr } = await qdetr(['cost', '--table']);
  t.is(code, 0, stderr);
  t.is(stdout.match(/^\| (SMCA-)?DETR-R50 \|/gm)?.length, 10);
  t.true(stdout.includes('| DETR-R50 | 4-4-8 | LSQ, Baseline, Q-DETR | 41,685,280 | 19.92 | 19.88 | -0.2 % | 23.47 | 13.02 | 12.22 | **-6.1 %** | 11.19 |\n'));
  t.is(stdout.match(/\*\*[+-][\d.]+ %\*\*/g)?.length, stdout.match(/^\* (SMCA-)?DETR-R50, [\d-]+, (size|operations): /gm)?.length);
  t.regex(stdout, /\n\* The two sizes differ by 5\.43 MB/);
  t.notRegex(stdout, /NaN|undefined|Infinity/);
  const one = costMarkdown([compareCosts(costModels.get('detr-gpu')!, ['5-5-8'], values)], values);
  t.true(one.includes('| DETR, scale gpu | 5-5-8 | - |') && one.includes('| - | - |'));
  t.notRegex(one, /The real-valued sizes|More than/);
});

test('JSON: one object, with the numbers of the functions', async (t) => {
  const { code, stdout, stderr } = await qdetr(['cost', '--model', 'detr-r101', '--json']);
  t.is(code, 0, stderr);
  const { models: [{ model, ...comparison }] } = JSON.parse(stdout) as { models: [CostComparison & { model: string }] };
  t.is(model, 'detr-r101');
  t.deepEqual(comparison, JSON.parse(JSON.stringify(compareCosts(costModels.get('detr-r101')!, TABLE_BITS, values))) as CostComparison);
  t.is(comparison.realSize, undefined);
});

test('mistakes are answered by a sentence', async (t) => {
  for (const [args, message] of [
    [['--model', 'yolo'], /^error: option '--model <name>' argument 'yolo' is invalid\. Allowed choices are detr-r50, .*: see 'npx qdetr cost --help'\n$/],
    [['--bits', '4-9-8'], /^error: --bits 4-9-8: bit-width 9 can't be quantized to: choose 2 to 8, or 32 for real-valued\n$/],
    [['--bits', '4'], /^error: --bits 4: should be weights-activations-attention, such as 4-4-8 or 32-32-32\n$/],
    [['--image', '800'], /^error: --image 800: should be height x width in pixels, each at least 32, such as 800x1066\n$/],
    [['--image', '16x1066'], /^error: --image 16x1066: should be height x width/],
  ] as [string[], RegExp][]) {
    const { code, stdout, stderr } = await qdetr(['cost', ...args]);
    t.is(code, 1);
    t.is(stdout, '');
    t.regex(stderr, message);
  }
});
