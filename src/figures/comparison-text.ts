import { ANSWERS, originOf, type Answer, type Answered, type AnsweredTable, type CocoComparison, type Compared, type ComparisonTable } from './comparison-table.js';
import { datasetName, modelName, seedsText, type RunGroup } from './groups.js';
import type { PaperValues } from './paper-values.js';
import type { Interval } from './statistics.js';

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], texts: number, lines: readonly string[]): string[] => [row(head), row(head.map((_, i) => (i < texts ? '---' : '---:'))), ...lines];
const METRICS = ['AP', 'AP50', 'AP75'];

/** '61.2 ± 1.3', or '61.2' of a single run: percent. */
const numberText = ({ mean, high }: Interval): string => `${mean.toFixed(1)}${high === null ? '' : ` ± ${(high - mean).toFixed(1)}`}`;

/** Columns that are shown: runs on the paper's data always, for they are what fills the table; others where there are some. */
const shownOf = ({ groups }: Pick<AnsweredTable<unknown>, 'groups'>): Answer[] => ANSWERS.filter((answer) => answer === 'full' || groups[answer].length > 0);

/** What the columns of an answer are called. */
const headOf = (answer: Answer, data: string): string => ({ full: `This kit, ${data}`, fullFresh: `This kit, ${data}, fresh`, recorded: 'Recorded (MiniVOC)', fresh: 'Fresh (MiniVOC)' })[answer];

/** Costs of a row, in MB and 10^9: by the paper's rule and as really stored; between them what the paper prints comes first where it prints any. */
const COST_COLUMNS = ['rule', 'stored'] as const;
const costCells = ({ cost }: Pick<Answered<unknown>, 'cost'>, key: 'size' | 'operations'): string[] => COST_COLUMNS.map((column) => (cost === undefined ? '' : cost[column][key].toFixed(2)));

/** CVPR Table 2 as GitHub markdown: the paper's 24 rows, costs and, in columns of their own, the runs that answer them. */
export function comparisonMarkdown(comparison: ComparisonTable): string {
  const shown = shownOf(comparison);
  const head = [
    'Model', 'Bits', 'Method', ...METRICS.map((metric) => `Paper: ${metric}`), 'Size (MB), rule', 'stored', 'Operations (G), rule', 'placed',
    ...shown.flatMap((answer) => [...METRICS, ...(answer.startsWith('full') ? [] : ['test-unseen AP50'])].map((metric) => `${headOf(answer, 'VOC 2007 test')}: ${metric}`)),
  ];
  const lines = comparison.rows.map((one) => row([
    one.model, one.bits, one.method, one.paper.ap.toFixed(1), one.paper.ap50.toFixed(1), one.paper.ap75.toFixed(1), ...costCells(one, 'size'), ...costCells(one, 'operations'),
    ...shown.flatMap((answer) => numbers(one[answer]).slice(0, answer.startsWith('full') ? 3 : 4)),
  ]));
  return `${[
    '# CVPR Table 2: comparison on VOC',
    '',
    'Percent; bits are weights-activations-attention. **The columns are measured on different data and models.** Paper and *This kit, VOC 2007 test*: DETR-R50 and',
    'SMCA-DETR-R50 on VOC 2007 test (runs at scale `paper`; empty until there are some). *(MiniVOC)*: small models on MiniVOC; of those compare the order of the methods and the gaps between them, not the',
    'levels. ± is the half width of the 95 % t-interval over seeds. LSQ, Baseline (LSQ+) and Q-DETR are trained; Percentile and VT-PTQ only calibrate the real-valued model.',
    '',
    ...table(head, 3, lines),
    '',
    ...COST_NOTE, 'The paper has no costs in this table; those of [CVPR Table 3](cvpr-table-3.md) are of models with 91 classes, these have 20.',
    '',
    '![CVPR Table 2 as a chart](cvpr-table-2.png)',
    '',
    '## Where the numbers come from',
    '',
    '* **Paper**: the values that it prints ([source and contradictions](../data-manifests/paper/README.md)); it gives no intervals. Its row Percentile of',
    '  SMCA-DETR-R50 equals that of DETR-R50 digit for digit: one of them is probably a copy.',
    ...sources(comparison, 'VOC 2007 test'),
  ].join('\n')}\n`;
}

const COST_NOTE = [
  'Costs are computed from the models, for an image of 800 x 1066; MB of 2^20 bytes, 10^9 multiply-adds. *rule*: the paper\'s, all parameters at the weights\' bits, and the first convolution',
  'real-valued, other multiplications at 1/32, 1/16, 1/8, 1/4 for 2, 3, 4, 8 bits. *stored*, *placed*: honest accounting, with what stays at 8 bits or real-valued (`npx qdetr cost`).',
];

function numbers(compared: Compared | null): string[] {
  if (compared === null) return ['', '', '', ''];
  return [numberText(compared.ap), `**${numberText(compared.ap50)}**`, numberText(compared.ap75), compared.unseenAp50 === null ? '' : numberText(compared.unseenAp50)];
}

/** Where the runs of each kind of column come from, a line each. */
const sources = ({ groups }: Pick<AnsweredTable<unknown>, 'groups'>, data: string): string[] =>
  ANSWERS.filter((answer) => answer !== 'fullFresh' || groups.fullFresh.length > 0).map((answer) => `* **${headOf(answer, data)}**: ${provenance(groups[answer], answer)}`);

function provenance(groups: readonly RunGroup[], answer: Answer): string {
  if (groups.length === 0) {
    if (answer === 'full') return 'no runs at scale `paper` yet: they need the data, a GPU and days; [notebook 08](../notebooks/08-voc-coco-and-cost.ipynb) walks through one.';
    return originOf[answer] === 'recorded' ? 'no runs are recorded yet (figures/recorded/).' : 'no run on this machine yet; `npx qdetr experiment voc-comparison` makes some.';
  }
  const parts = groups.map((group) => {
    const how = group.scope === 'post-training' ? 'by calibration alone' : 'trained';
    return `${modelName(group)} on ${datasetName(group.dataset)}, scale \`${group.scale}\`, ${how}: ${group.runs.length} ${group.runs.length === 1 ? 'run' : 'runs'}, ${seedsText(group.runs)}`;
  });
  return `${parts.join('; ')}.`;
}

/** CVPR Table 2 for programs: rows, and the ids of the runs behind each column. */
export const comparisonJson = (comparison: ComparisonTable, paper: PaperValues): string => json('cvpr-table-2', 'VOC 2007 test', comparison, paper);

const columnOf = (groups: readonly RunGroup[], answer: Answer): object[] =>
  groups.map(({ scope, scale, dataset, model, runs }) => ({ scope, scale, dataset, model, splits: answer.startsWith('full') ? ['test'] : ['test', 'test-unseen'], runs: runs.map(({ id }) => id).sort() }));

function json<Paper>(artefact: string, dataset: string, { rows, groups }: AnsweredTable<Paper>, { source }: PaperValues): string {
  const text = (key: string, value: unknown): unknown => (typeof value === 'number' && !['n', 'seeds'].includes(key) ? Number(value.toFixed(3)) : value);
  const costs = (cost: Answered<Paper>['cost']): object | null => (cost === undefined ? null : { rule: cost.rule, stored: cost.stored });
  const columns = { paper: { dataset, source }, ...Object.fromEntries(ANSWERS.map((answer) => [answer, columnOf(groups[answer], answer)])) };
  return `${JSON.stringify({ artefact, columns, rows: rows.map((one) => ({ ...one, cost: costs(one.cost) })) }, text, 2)}\n`;
}

const COCO = ['ap', 'ap50', 'ap75', 'apS', 'apM', 'apL'] as const;
const COCO_NAMES = ['AP', 'AP50', 'AP75', 'AP small', 'AP medium', 'AP large'];

/** CVPR Table 3 as GitHub markdown: the paper's values on COCO and, in columns of their own, this kit's costs and runs, those on MiniVOC named so. */
export function cocoComparisonMarkdown(comparison: CocoComparison): string {
  const shown = shownOf(comparison);
  const lines = comparison.rows.map((one) => {
    const value = (key: (typeof COCO)[number]): string => {
      const printed = one.paper[key];
      return printed === null ? '-' : `${printed.toFixed(1)}${one.paper.uncertain?.includes(key) === true ? ' (?)' : ''}`;
    };
    const costs = (printed: number, key: 'size' | 'operations'): string[] => [printed.toFixed(2), ...costCells(one, key)];
    return row([one.model, one.bits, one.method, ...COCO.map(value), ...costs(one.paper.sizeMB, 'size'), ...costs(one.paper.opsG, 'operations'), ...shown.flatMap((answer) => numbers(one[answer]).slice(0, 3))]);
  });
  const head = [
    'Model', 'Bits', 'Method', ...COCO_NAMES.map((name) => `Paper: ${name}`), 'Paper: Size (MB)', 'rule', 'stored', 'Paper: Operations (G)', 'rule', 'placed',
    ...shown.flatMap((answer) => METRICS.map((metric) => `${headOf(answer, 'COCO val2017')}: ${metric}`)),
  ];
  return `${[
    '# CVPR Table 3: comparison on COCO',
    '',
    'Percent; bits are weights-activations-attention. **The columns are measured on different data and models.** Paper and *This kit, COCO val2017*: DETR-R50 and',
    'SMCA-DETR-R50 on COCO val2017 (runs at scale `paper`; empty until there are some). *(MiniVOC)*: small models on MiniVOC, the runs of [CVPR Table 2](cvpr-table-2.md); of those compare the order of the',
    'methods, not the levels.',
    '',
    ...table(head, 3, lines),
    '',
    '`-`: not printed, or (SMCA-DETR-R50, Q-DETR, 2-2-8) lost in the text copy that the values were read from. (?): hard to read there.',
    ...COST_NOTE, '`npx qdetr cost --table` explains where they are more than 3 % off the paper\'s.',
    '',
    '![CVPR Table 3 as a chart](cvpr-table-3.png)',
    '',
    '* **Paper**: the values that it prints ([source and contradictions](../data-manifests/paper/README.md)).',
    ...sources(comparison, 'COCO val2017'),
  ].join('\n')}\n`;
}

/** CVPR Table 3 for programs: the paper's rows, each with its costs and the runs that answer it, and the ids of those runs. */
export const cocoComparisonJson = (comparison: CocoComparison, paper: PaperValues): string => json('cvpr-table-3', 'COCO val2017', comparison, paper);
