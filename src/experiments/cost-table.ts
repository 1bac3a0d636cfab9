import type { PaperValues } from '../figures/paper-values.js';
import { MEBIBYTE } from '../models/cost-rules.js';
import { costModels, type CostComparison, type CostRow } from './cost-comparison.js';
import { EXPLAINED_ABOVE, realSizesTogether, signedPercent } from './cost-explanations.js';

const number = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(value < 1 ? 4 : 2));
const off = (fraction: number | undefined): string => (fraction === undefined ? '-' : Math.abs(fraction) > EXPLAINED_ABOVE ? `**${signedPercent(fraction)}**` : signedPercent(fraction));
const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

/** The costs of several models as one Markdown table: the paper's columns, those by its rule, and what is really stored; below it a sentence for each deviation above 3 %. */
export function costMarkdown(comparisons: readonly CostComparison[], values: PaperValues): string {
  const explained = comparisons.flatMap(({ title, rows }) => rows.flatMap(({ bits, explanations }) => explanations.map((text) => `* ${title}, ${bits}, ${text}.`)));
  return [
    line(['Model', 'Bits', 'Methods', 'Parameters', 'Size, MB: paper', 'rule', 'off', 'stored', 'Operations, G: paper', 'rule', 'off', 'placed']),
    line(['---', '---', '---', ...Array<string>(9).fill('---:')]),
    ...comparisons.flatMap(({ title, rows }) => rows.map((row) => line([title, row.bits, row.methods.join(', ') || '-', row.parameters.toLocaleString('en'), ...costCells(row)]))),
    '',
    `Images of ${[...new Set(comparisons.map(({ image }) => `${image.height} x ${image.width}`))].join(', ')}; MB of 2^20 bytes; operations in 10^9 multiply-adds.`,
    "rule: the paper's, computed from the model: all parameters at the weights' bits; the first convolution",
    'real-valued, other multiplications at 1/32, 1/16, 1/8 and 1/4 for 2, 3, 4 and 8 bits. stored: what this kit keeps, first convolution at 8 bits, input',
    'projection, heads and point layers real-valued, biases, normalizations, queries and quantizers included; placed: operations under the same placement.',
    ...(explained.length > 0 ? ['', `More than ${100 * EXPLAINED_ABOVE} % off (bold):`, '', ...explained] : []),
    ...bothSizes(comparisons, values),
  ].join('\n');
}

/** Size and operations of a row: the paper's, by its rule, the deviation, and honestly. */
export const costCells = ({ paper, rule, deviation, stored }: CostRow): string[] => [
  number(paper?.size), number(rule.size), off(deviation?.size), number(stored.bytes / MEBIBYTE),
  number(paper?.operations), number(rule.operations), off(deviation?.operations), number(stored.operations === undefined ? undefined : stored.operations / 1e9),
];

/** What both real-valued sizes say together, where both models are shown. */
function bothSizes(comparisons: readonly CostComparison[], values: PaperValues): string[] {
  const [detr, smca] = ['DETR-R50', 'SMCA-DETR-R50'].map((title) => (comparisons.some((one) => one.title === title) ? values.cvpr_table_3_coco.find(({ model }) => model === title)?.sizeMB : undefined));
  if (detr === undefined || smca === undefined) return [];
  return ['', 'The real-valued sizes:', '', ...realSizesTogether(costModels.get('detr-r50')!.real, costModels.get('smca-detr-r50')!.real, { detr, smca }).map((text) => `* ${text}`)];
}
