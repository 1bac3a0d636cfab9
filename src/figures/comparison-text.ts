import { datasetName, modelName, seedsText } from './groups.js';
import type { CocoComparison, Compared, ComparisonTable } from './comparison-table.js';
import type { PaperValues } from './paper-values.js';
import type { Origin } from './run-summaries.js';
import type { Interval } from './statistics.js';

const ORIGINS = ['recorded', 'fresh'] as const;
const NAMES = { recorded: 'Recorded', fresh: 'Fresh' } as const;
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], texts: number, lines: readonly string[]): string[] => [row(head), row(head.map((_, i) => (i < texts ? '---' : '---:'))), ...lines];

/** '61.2 ± 1.3', or '61.2' of a single run: percent. */
const numberText = ({ mean, high }: Interval): string => `${mean.toFixed(1)}${high === null ? '' : ` ± ${(high - mean).toFixed(1)}`}`;

/** CVPR Table 2 as GitHub markdown: the paper's 24 rows and, in columns of their own, the runs that answer them. */
export function comparisonMarkdown(comparison: ComparisonTable): string {
  const shown = ORIGINS.filter((origin) => comparison.groups[origin].length > 0);
  const head = ['Model', 'Bits', 'Method', ...['AP', 'AP50', 'AP75'].map((metric) => `Paper: ${metric}`), ...shown.flatMap((origin) => ['AP', 'AP50', 'AP75', 'test-unseen AP50'].map((metric) => `${NAMES[origin]}: ${metric}`))];
  const lines = comparison.rows.map(({ model, bits, method, paper, ...measured }) =>
    row([model, bits, method, paper.ap.toFixed(1), paper.ap50.toFixed(1), paper.ap75.toFixed(1), ...shown.flatMap((origin) => numbers(measured[origin]))]),
  );
  return `${[
    '# CVPR Table 2: comparison on VOC',
    '',
    'Percent; bits are weights-activations-attention. **The columns are measured on different data and models:** the paper on VOC 2007 test with a',
    'ResNet-50, this kit on MiniVOC with small models. Compare the order of the methods and the gaps between them, not the levels. ± is the half width',
    'of the 95 % t-interval over seeds. LSQ, Baseline (LSQ+) and Q-DETR are trained; Percentile and VT-PTQ only calibrate the real-valued model.',
    '',
    ...table(head, 3, lines),
    '',
    '## Where the numbers come from',
    '',
    '* **Paper**: the values that it prints ([source and contradictions](../data-manifests/paper/README.md)); it gives no intervals. Its row Percentile of',
    '  SMCA-DETR-R50 equals that of DETR-R50 digit for digit: one of them is probably a copy.',
    ...ORIGINS.map((origin) => `* **${NAMES[origin]}**: ${provenance(comparison, origin)}`),
  ].join('\n')}\n`;
}

function numbers(compared: Compared | null): string[] {
  if (compared === null) return ['', '', '', ''];
  return [numberText(compared.ap), `**${numberText(compared.ap50)}**`, numberText(compared.ap75), compared.unseenAp50 === null ? '' : numberText(compared.unseenAp50)];
}

function provenance({ groups }: Pick<ComparisonTable, 'groups'>, origin: Origin): string {
  if (groups[origin].length === 0) return origin === 'recorded' ? 'no runs are recorded yet (figures/recorded/).' : 'no run on this machine yet; `npx qdetr experiment voc-comparison` makes some.';
  const parts = groups[origin].map((group) => {
    const how = group.scope === 'post-training' ? 'by calibration alone' : 'trained';
    return `${modelName(group)} on ${datasetName(group.dataset)}, scale \`${group.scale}\`, ${how}: ${group.runs.length} ${group.runs.length === 1 ? 'run' : 'runs'}, ${seedsText(group.runs)}`;
  });
  return `${parts.join('; ')}.`;
}

/** CVPR Table 2 for programs: rows, and the ids of the runs behind each column. */
export function comparisonJson({ rows, groups }: ComparisonTable, paper: PaperValues): string {
  const content = {
    artefact: 'cvpr-table-2',
    columns: { paper: { dataset: 'VOC 2007 test', source: paper.source }, recorded: columnOf(groups.recorded), fresh: columnOf(groups.fresh) },
    rows: rows.map((one) => ({ ...one, recorded: rounded(one.recorded), fresh: rounded(one.fresh) })),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

const columnOf = (groups: ComparisonTable['groups'][Origin]): object[] =>
  groups.map(({ scope, scale, dataset, model, runs }) => ({ scope, scale, dataset, model, splits: ['test', 'test-unseen'], runs: runs.map(({ id }) => id).sort() }));

function rounded(compared: Compared | null): object | null {
  const text = (key: string, value: unknown): unknown => (typeof value === 'number' && key !== 'n' ? Number(value.toFixed(3)) : value);
  return compared === null ? null : (JSON.parse(JSON.stringify(compared, text)) as object);
}

const COCO = ['ap', 'ap50', 'ap75', 'apS', 'apM', 'apL'] as const;
const COCO_NAMES = ['AP', 'AP50', 'AP75', 'AP small', 'AP medium', 'AP large'];

/** CVPR Table 3 as GitHub markdown: the paper's values on COCO and, in columns of their own, the runs of the same methods on MiniVOC. */
export function cocoComparisonMarkdown(comparison: CocoComparison): string {
  const shown = ORIGINS.filter((origin) => comparison.groups[origin].length > 0);
  const lines = comparison.rows.map(({ paper: one, ...measured }) => {
    const value = (key: (typeof COCO)[number]): string => {
      const printed = one[key];
      return printed === null ? '-' : `${printed.toFixed(1)}${one.uncertain?.includes(key) === true ? ' (?)' : ''}`;
    };
    return row([one.model, one.bits, one.method, one.sizeMB.toFixed(2), one.opsG.toFixed(2), ...COCO.map(value), ...shown.flatMap((origin) => numbers(measured[origin]).slice(0, 3))]);
  });
  const head = ['Model', 'Bits', 'Method', ...['Size (MB)', 'Operations (G)', ...COCO_NAMES].map((name) => `Paper: ${name}`), ...shown.flatMap((origin) => ['AP', 'AP50', 'AP75'].map((metric) => `${NAMES[origin]} (MiniVOC): ${metric}`))];
  return `${[
    '# CVPR Table 3: comparison on COCO',
    '',
    'Percent; bits are weights-activations-attention. **The columns are measured on different data and models:** the paper on COCO val2017 with a ResNet-50, this kit',
    'on MiniVOC with small models, by the runs of [CVPR Table 2](cvpr-table-2.md): this kit has not trained on COCO. Compare the order of the methods, not the levels.',
    'Sizes and operations are the paper\'s, of its models.',
    '',
    ...table(head, 3, lines),
    '',
    '`-`: not printed, or (SMCA-DETR-R50, Q-DETR, 2-2-8) lost in the text copy that the values were read from. (?): hard to read there.',
    '[Source and contradictions](../data-manifests/paper/README.md).',
    '',
    ...ORIGINS.map((origin) => `* **${NAMES[origin]}**: ${provenance(comparison, origin)}`),
  ].join('\n')}\n`;
}

/** CVPR Table 3 for programs: the paper's rows, each with the runs on MiniVOC that answer it, and the ids of those runs. */
export const cocoComparisonJson = ({ rows, groups }: CocoComparison, paper: PaperValues): string =>
  `${JSON.stringify({
    artefact: 'cvpr-table-3',
    columns: { paper: { dataset: 'COCO val2017', source: paper.source }, recorded: columnOf(groups.recorded), fresh: columnOf(groups.fresh) },
    rows: rows.map(({ paper: one, recorded, fresh }) => ({ ...one, recorded: rounded(recorded), fresh: rounded(fresh) })),
  }, null, 2)}\n`;
