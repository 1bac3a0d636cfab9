import test from 'ava';
import { breakdownDifference, explainOperations, matchingImage, omissionsThatFit, operationsReadings, realSizesTogether } from '../../src/experiments/cost-explanations.js';
import { compareCosts, costModels, TABLE_BITS } from '../../src/experiments/cost-comparison.js';
import { paperValues } from '../../src/figures/paper-values.js';
import { detectorCost, parameterCount } from '../../src/models/cost.js';
import { parameterBreakdown } from '../../src/models/parameter-breakdown.js';
import { parsePrecision, REAL } from '../../src/quantizer/precision.js';

const [detr, smca] = ['detr-r50', 'smca-detr-r50'].map((name) => costModels.get(name)!);

test('what SMCA-DETR has more than DETR, by hand; the paper\'s sizes differ by several times that', (t) => {
  const difference = breakdownDifference(detr.real, smca.real);
  // point1 is a perceptron of three layers in the first decoder layer, point2 and point3 are linear layers of 16 outputs in all six
  const points = 2 * (256 * 256 + 256) + 2 * 257 + 6 * 2 * 16 * 257;
  t.deepEqual(difference, [
    { group: "SMCA's point layers", parameters: points }, { group: 'class head', parameters: -257 }, { group: 'layer normalizations', parameters: 6 * 512 }, { group: 'query embeddings', parameters: 200 * 256 },
  ]);
  const sum = difference.reduce((n, { parameters }) => n + parameters, 0);
  t.is(sum, parameterCount(smca.real) - parameterCount(detr.real));
  t.true(((164.75 - 159.32 - 0.01) * 1e6) / 4 > 5 * sum);
  const [first] = realSizesTogether(detr.real, smca.real, { detr: 159.32, smca: 164.75 });
  t.regex(first, /differ by 5\.43 MB: 1\.42 million numbers, or 1\.36 million if 10\^6 bytes are meant\. The models differ by 235,457: SMCA's point layers 181,442, class head -257,/);
});

test('the image at which operations match is the one that trying every width finds', (t) => {
  const widths = Array.from({ length: 534 }, (_, i) => 800 + i), counts = widths.map((width) => detectorCost(detr.real, { height: 800, width }).reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0) / 1e9);
  for (const operations of [85.51, 60, 61, 75.3, 101.6, 130, counts[321]]) {
    const off = counts.map((count) => Math.abs(count - operations)), best = widths[off.indexOf(Math.min(...off))];
    t.deepEqual(matchingImage(detr.real, operations), { height: 800, width: best }, String(operations));
  }
});

test('sets of groups that make up a difference are found, and only those', (t) => {
  const groups = parameterBreakdown(detr.real), without = (names: readonly string[]): number => (4 * groups.reduce((sum, { group, parameters }) => (names.includes(group) ? sum : sum + parameters), 0)) / 1e6;
  for (const names of [[], ['input projection', 'class head'], ['first convolution', "encoder's self-attention", 'query embeddings']]) t.true(omissionsThatFit(detr.real, without(names)).some((set) => set.join() === names.join()), names.join());
  for (const size of [159.32, without(['box head']), 120]) {
    const all = Array.from({ length: 2 ** groups.length }, (_, bits) => groups.filter((__, i) => (bits >> i) & 1).map(({ group }) => group));
    t.deepEqual(omissionsThatFit(detr.real, size).map(String).sort(), all.filter((set) => Math.abs(without(set) - size) <= 0.005).map(String).sort());
  }
});

test('the text\'s 39.8 million: nothing that could be left out of both models makes it up', (t) => {
  t.deepEqual(omissionsThatFit(detr.real, 159.32), []);
  const [, second] = realSizesTogether(detr.real, smca.real, { detr: 159.32, smca: 164.75 });
  t.regex(second, /1,747,888 fewer than it has\. No set of whole groups/);
  t.is(parameterCount(detr.real) - 39_830_000, 1_747_888);
  t.regex(realSizesTogether(detr.real, detr.real, { detr: 166.21669, smca: 166.21669 })[1], /Left out of both models, class head make up the difference/);
});

test('readings of the rule for operations, from the multiply-adds of the modules', (t) => {
  const image = { height: 800, width: 1103 }, costs = detectorCost(smca.quantized, image);
  const giga = (share: (name: string, kind: string) => number): number => costs.reduce((sum, { name, kind, multiplyAdds }) => sum + share(name, kind) * multiplyAdds, 0) / 1e9;
  const isFirst = (name: string): boolean => name === 'backbone.0.body.conv1', isEnd = (name: string): boolean => /^(input_proj|class_embed|bbox_embed)|point/.test(name);
  const expected = [
    giga((name, kind) => (isFirst(name) ? 1 : kind === 'attention' ? 1 / 4 : 1 / 8)), giga((name) => (isFirst(name) ? 1 : 1 / 8)),
    giga((name, kind) => (isFirst(name) || isEnd(name) ? 1 : kind === 'attention' ? 1 / 4 : 1 / 8)), giga((name) => (isFirst(name) || isEnd(name) ? 1 : 1 / 8)),
  ];
  const readings = operationsReadings(smca.quantized, parsePrecision('4-4-8'), image);
  t.is(readings.length, 4);
  readings.forEach(({ operations }, i) => t.true(Math.abs(operations - expected[i]) < 1e-9));
  t.is(operationsReadings(smca.quantized, parsePrecision('8-8-8'), image).length, 2);
});

test('what a sentence says of operations is so: at the image that it names, and explained only within 3 %', (t) => {
  let explained = 0, open = 0;
  for (const model of [detr, smca]) {
    const { rows } = compareCosts(model, TABLE_BITS, paperValues()), printed = rows[0].paper!.operations, image = matchingImage(model.real, printed);
    for (const { bits, paper } of rows.slice(1)) {
      const text = explainOperations(model.real, model.quantized, parsePrecision(bits), paper!.operations, printed);
      const offs = operationsReadings(model.quantized, parsePrecision(bits), image).map(({ operations }) => Math.abs(operations / paper!.operations - 1));
      t.true(text.includes(`at ${image.height}x${image.width}, where`), text);
      t.is(text.includes('not explained'), Math.min(...offs) > 0.03, text);
      if (text.includes('not explained')) open++;
      else explained++;
    }
    t.true(explainOperations(model.real, model.real, REAL, printed, printed).includes(`at ${image.height}x${image.width}`));
  }
  // Open: SMCA-DETR-R50 at 2-2-8, whose count is below DETR-R50's; and DETR-R50 at 3-3-8, which is within 3 % at the usual image but not at this one.
  t.deepEqual([explained, open], [6, 2]);
});
