import type { Command } from 'commander';
import { Option } from 'commander';
import { UserError } from '../errors.js';
import { compareCosts, costModels, TABLE_BITS, type CostComparison, type CostModel, type CostRow } from '../experiments/cost-comparison.js';
import { costMarkdown } from '../experiments/cost-table.js';
import { EXPLAINED_ABOVE, signedPercent } from '../experiments/cost-explanations.js';
import { paperValues } from '../figures/paper-values.js';
import type { ImageSides } from '../models/cost.js';
import { MEBIBYTE } from '../models/cost-rules.js';
import { parameterBreakdown } from '../models/parameter-breakdown.js';
import { isReal, parsePrecision } from '../quantizer/precision.js';
import { parseBitsOption } from './bits-option.js';

interface CostCommandOptions {
  model?: string;
  bits?: string;
  image?: string;
  table?: boolean;
  json?: boolean;
}

/** `qdetr cost`: size and operations of a model, beside the size and operations columns of CVPR Table 3. */
export function costCommand(program: Command): void {
  program
    .command('cost')
    .description("parameters, size and operations of a model by the paper's rule and as stored, beside the paper's columns (CVPR Table 3)")
    .addOption(new Option('--model <name>', 'default: the two models of the table').choices([...costModels.keys()]))
    .option('--bits <w-a-attention>', 'bits of weights, activations and attention, e.g. 4-4-8, with a breakdown; default: all of the table')
    .option('--image <height>x<width>', "pixels of the image that operations are counted for; default: 800x1066, the small models' own")
    .option('--table', 'all rows as one table, Markdown, with the explanations below it')
    .option('--json', 'print one JSON object')
    .action(({ model, bits, image, table, json }: CostCommandOptions) => {
      if (bits !== undefined) parseBitsOption(bits);
      const sides = image === undefined ? undefined : parseImage(image), values = paperValues();
      const wanted = model === undefined ? ['detr-r50', 'smca-detr-r50'] : [model];
      const comparisons = wanted.map((name) => compareCosts(costModels.get(name)!, bits === undefined ? TABLE_BITS : [bits], values, sides));
      if (json) console.log(JSON.stringify({ models: comparisons.map((comparison, i) => ({ model: wanted[i], ...comparison })) }));
      else if (table) console.log(costMarkdown(comparisons, values));
      else console.log(comparisons.map((comparison, i) => costText(comparison, bits === undefined ? undefined : costModels.get(wanted[i]))).join('\n\n\n'));
    });
}

function parseImage(text: string): ImageSides {
  const [, height, width] = (/^(\d{1,5})x(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (!(height >= 32 && width >= 32)) throw new UserError(`--image ${text}: should be height x width in pixels, each at least 32, such as 800x1066`);
  return { height, width };
}

const number = (value: number | undefined, digits = 2): string => (value === undefined ? '-' : value.toFixed(digits));
const megabytes = (bytes: number): string => number(bytes / MEBIBYTE);
const percent = (fraction: number | undefined): string => (fraction === undefined ? '-' : signedPercent(fraction));
const line = (...[bits, ...cells]: string[]): string => `${bits.padEnd(11)}${cells.map((cell, i) => cell.padStart(i === 4 ? 12 : 9)).join('')}`;
/** Operations of the small models are no giga-operations: as many digits as say something. */
const giga = (value: number | undefined): string => number(value, value !== undefined && value < 1 ? 4 : 2);

function costText({ title, classes, image, rows, realSize }: CostComparison, detailed?: CostModel): string {
  const explained = rows.filter((row) => row.explanations.length > 0), hasPaper = rows.some((row) => row.paper);
  return [
    `${title}, ${classes} classes, an image of ${image.height} x ${image.width}; ${rows.map(({ parameters }) => parameters).filter((n, i, all) => all.indexOf(n) === i).map((n) => n.toLocaleString('en')).join(' or ')} trained parameters`,
    '',
    `${''.padEnd(11)}${'size, MB of 2^20 bytes'.padStart(36)}${'operations, 10^9 multiply-adds'.padStart(39)}`,
    line('bits', 'paper', 'rule', 'off', 'stored', 'paper', 'rule', 'off', 'placed'),
    ...rows.map(({ bits, paper, rule, deviation, stored }) => line(
      bits, number(paper?.size), number(rule.size), percent(deviation?.size), megabytes(stored.bytes),
      number(paper?.operations), giga(rule.operations), percent(deviation?.operations), giga(stored.operations === undefined ? undefined : stored.operations / 1e9),
    )),
    '',
    "paper   CVPR Table 3" + (hasPaper ? '' : ', which has no such row'),
    "rule    the paper's, for this model. Size: all parameters at the weights' bits. Operations:",
    '        the first convolution real-valued, others at 1/32, 1/16, 1/8 for 2, 3, 4 bits; at 1/4 for 8,',
    "        as the paper's 8-8-8 rows have it; products inside of attention at attention's bits",
    'stored  what this kit keeps: first convolution at 8 bits, input projection, heads and point layers',
    '        real-valued, biases, normalizations with their statistics, queries, quantizers included',
    'placed  operations under the same placement',
    ...(rows.some(({ rule }) => rule.operations === undefined) ? ['-       the paper has no factor for 5, 6 or 7 bits'] : []),
    ...(detailed ? rows.flatMap((row) => details(row, detailed)) : []),
    ...(explained.length > 0 ? ['', `More than ${100 * EXPLAINED_ABOVE} % off:`, ...explained.flatMap(({ bits, explanations }) => explanations.flatMap((text) => wrapped(`${bits}  ${text}`)))] : []),
    ...(realSize ? countingsText(realSize) : []),
  ].join('\n');
}

/** The real-valued size by several countings. */
function countingsText({ paper, countings }: NonNullable<CostComparison['realSize']>): string[] {
  const agreeing = countings.filter(({ size }) => Math.abs(size / paper - 1) < 1e-4).length;
  return [
    '', `Real-valued size by several countings; the paper prints ${number(paper)}:`,
    ...countings.map(({ counting, size }) => `  ${counting.padEnd(50)}${number(size).padStart(9)}${percent(size / paper - 1).padStart(9)}`),
    ...(agreeing > 0 ? ['One agrees to the last digit, with parts that the released code has. It has others that could be', 'counted too, so this may be chance: the paper does not say what it counts.'] : ['None explains it.']),
    `${number(paper)} MB are ${number((paper * MEBIBYTE) / 4e6)} million numbers of 4 bytes, or ${number(paper / 4)} million if 10^6 bytes are meant.`,
  ];
}

/** What a row's stored size and placed operations consist of. */
function details({ bits, stored }: CostRow, { real, quantized }: CostModel): string[] {
  const { quantizedWeights, realWeights, others, quantizers, multiplyAdds } = stored;
  const row = (label: string, value: string): string => `  ${label.padEnd(48)}${value.padStart(11)}`;
  const byBits = (amounts: Record<number, number>): [bits: string, amount: number][] => Object.entries(amounts).map(([bits, amount]) => [bits === '32' ? 'real-valued' : `${bits} bits`, amount]);
  return [
    '', 'Trained parameters:',
    ...parameterBreakdown(Object.values(parsePrecision(bits)).every(isReal) ? real : quantized).map(({ group, parameters }) => row(group, parameters.toLocaleString('en'))),
    '', 'Stored, MB of 2^20 bytes:',
    ...byBits(quantizedWeights).map(([bits, bytes]) => row(`weights at ${bits}`, megabytes(bytes))),
    row('weights, real-valued', megabytes(realWeights)), row('biases, normalizations, activations, queries', megabytes(others)), row('scales and offsets of the quantizers', megabytes(quantizers)),
    '', 'Multiply-adds, 10^9, unweighted, by the wider operand:',
    ...byBits(multiplyAdds).map(([bits, n]) => row(bits, giga(n / 1e9))),
  ];
}

/** A sentence in lines of at most 100 characters, those after the first indented. */
function wrapped(sentence: string): string[] {
  const lines = [''];
  for (const word of sentence.split(/ (?! )/)) {
    if (lines[lines.length - 1].length + word.length > 96) lines.push('         ');
    lines[lines.length - 1] += `${/\S$/.test(lines[lines.length - 1]) ? ' ' : ''}${word}`;
  }
  return lines.map((text) => `  ${text}`);
}
