import type { RunSummary } from '../training/run-record.js';
import { datasetName, quantizedName, runsOf } from './groups.js';
import { BASELINE, type PairedGain } from './paired-gains.js';
import type { PaperValues } from './paper-values.js';
import type { Origin } from './run-summaries.js';
import type { Interval } from './statistics.js';
import type { ConditionTable, Measured, OwnTable, Shown, Table22 } from './table-2.2.js';

/** '61.2 ± 1.3 (3 seeds)', or '61.2 (1 seed)': percent. */
export function measuredText({ mean, n, high }: Interval): string {
  const interval = high === null ? '' : ` ± ${(high - mean).toFixed(1)}`;
  return `${mean.toFixed(1)}${interval} (${n} ${n === 1 ? 'seed' : 'seeds'})`;
}

/** Table 2.2 as GitHub markdown: the 13 cells, one a line; the runs with only the transformer at low bits; where each number comes from. */
export function table22Markdown(table: Table22): string {
  const head = ['Bits', 'Method', 'Paper: AP50 on VOC 2007 test', ...columnHeads('Recorded', table.recorded), ...columnHeads('Fresh', table.fresh)];
  const lines = table.cells.map((cell) => row([cell.bits, cell.method, cell.paper.toFixed(1), ...numbers(cell.recorded), ...numbers(cell.fresh)]));
  return `${[
    '# Table 2.2: what each part of Q-DETR brings',
    '',
    'AP50 in percent; bits are weights-activations-attention. **The columns are measured on different data and models:** the paper',
    'on VOC 2007 test with DETR-R50, this kit on MiniVOC with a small DETR. Compare the order of the methods and the gaps between',
    'them, not the levels. *no run*: this cell has not been trained in this column (what trains it stands below). ± is the half width of the 95 % t-interval over seeds; a single run has none.',
    '`test` shows new scenes with the sprites that training showed, `test-unseen` sprites that it never showed. A number of this kit leads to its record (of several seeds, the first one\'s).',
    '',
    row(head),
    row(head.map((_, i) => (i < 2 ? '---' : '---:'))),
    ...lines,
    '',
    '![Table 2.2 as a chart](table-2.2.png)',
    '',
    ...gainSection(table),
    ...table.conditions.flatMap(conditionSection),
    ...transformerSection(table.transformerOnly),
    ...(hasOtherTables(table) ? ['![The tables beside Table 2.2 as a chart](table-2.2-conditions.png)', ''] : []),
    '## Where the numbers come from',
    '',
    '* **Paper**: the values that it prints ([source and contradictions](../data-manifests/paper/README.md)); it gives no intervals.',
    `* **Recorded**: ${provenance(table.recorded, 'the kit comes without runs of the whole detector (`figures/recorded/`).', notTrained(table, 'recorded'))}`,
    `* **Fresh**: ${provenance(table.fresh, freshRemedy(table), notTrained(table, 'fresh'))}`,
    ...table.conditions.flatMap((block) => ORIGINS.filter((origin) => block[origin] !== null).map((origin) => `* **${ORIGIN_NAMES[origin]}, ${lowerFirst(conditionTitle(block))}**: ${provenance(block[origin], '')}`)),
    ...transformerProvenance(table.transformerOnly),
    ...runTable(table),
  ].join('\n')}\n`;
}

/** What stands in for fresh runs of the whole detector. */
const freshRemedy = ({ transformerOnly }: Table22): string =>
  `no run of the whole detector on this machine yet: \`npx qdetr experiment table-2.2 --scale minutes\` makes them; ${transformerOnly.fresh === null ? '`npm start` makes others, of the transformer alone.' : 'those of the transformer only stand below the table.'}`;

/** Whether anything stands beside the main table. */
export const hasOtherTables = ({ conditions, transformerOnly }: Table22): boolean => conditions.length > 0 || transformerOnly.cells.length > 0;

/** '+0.5 ± 0.3 (3 seeds)': AP50 points. */
export function gainText(gain: PairedGain | null): string {
  if (gain === null) return 'no pair';
  const { mean, n, high } = gain;
  return `${signed(mean)}${high === null ? '' : ` ± ${(high - mean).toFixed(1)}`} (${n} ${n === 1 ? 'seed' : 'seeds'})`;
}

/** '+0.5', '−1.2'. */
export const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;

/** What each method gains over the baseline. */
function gainSection(table: Table22): string[] {
  const rows = table.cells.filter(({ method, bits }) => bits !== '32-32-32' && method !== BASELINE);
  const baseline = (bits: string): number => table.cells.find((cell) => cell.method === BASELINE && cell.bits === bits)!.paper;
  const head = ['Bits', 'Method', 'Paper', ...ORIGINS.map((origin) => `${ORIGIN_NAMES[origin]}: gain on test`)];
  return [
    '## What each method gains over the baseline', '',
    'AP50 points at the same bits. This kit\'s are differences of runs of the same seed (same data, same order, same start), their mean ± the half width of the 95 % t-interval; one seed has',
    'no interval. *no pair*: no seed has both runs, or they were trained for different numbers of steps. The paper prints no intervals.', '',
    row(head), row(head.map((_, i) => (i < 2 ? '---' : '---:'))),
    ...rows.map((cell) => row([cell.bits, cell.method, signed(cell.paper - baseline(cell.bits)), ...ORIGINS.map((origin) => gainText(cell[origin]?.gain ?? null))])), '',
  ];
}

/** Columns of a table of runs alone: AP50, and gains over the baseline. */
const ownHeads = (shown: Origin, own: Shown | null): string[] => [...columnHeads(ORIGIN_NAMES[shown], own), `${ORIGIN_NAMES[shown]}: gain over the baseline, test`];
const ownNumbers = (cell: OwnTable['cells'][number], shown: readonly Origin[]): string[] => shown.flatMap((origin) => [...numbers(cell[origin]), hasGain(cell) ? gainText(cell[origin]?.gain ?? null) : '']);
const hasGain = ({ method, bits }: { method: string; bits: string }): boolean => bits !== '32-32-32' && method !== BASELINE;

/** How the runs of a table beside the main one differ from the paper's protocol at their scale, in a sentence. */
export const conditionText = ({ conditions }: Pick<ConditionTable, 'conditions'>): string => (conditions.length === 0 ? "The paper's protocol as it is at this scale." : `Other than the paper's protocol as it is at this scale: ${conditions.join('; ')}.`);

/** What a table beside the main one is called. */
export const conditionTitle = ({ isBest, conditions, scale }: ConditionTable): string => (isBest ? `Best conditions found, scale ${scale}` : conditions.length === 0 ? `Scale ${scale}` : `Other conditions, scale ${scale}`);

/** Table 2.2 under other conditions, or at a scale that the main table does not show. */
function conditionSection(block: ConditionTable): string[] {
  const shown = ORIGINS.filter((origin) => block[origin] !== null);
  const head = ['Bits', 'Method', ...shown.flatMap((origin) => ownHeads(origin, block[origin]))];
  return [
    `## ${conditionTitle(block)}`, '',
    `${conditionText(block)}${block.isBest ? ' Chosen on the validation split; tested once.' : ''} These rows are no cells of the table above, and are not averaged with them.`, '',
    row(head), row(head.map((_, i) => (i < 2 ? '---' : '---:'))),
    ...block.cells.map((cell) => row([cell.bits, cell.method, ...ownNumbers(cell, shown)])), '',
  ];
}

/** The last table: runs with a real-valued, fixed backbone. Empty where there are none. */
function transformerSection({ cells, ...origins }: OwnTable): string[] {
  const shown = ORIGINS.filter((origin) => origins[origin] !== null);
  if (shown.length === 0) return [];
  const head = ['Bits', 'Method', 'Quantized', ...shown.flatMap((origin) => ownHeads(origin, origins[origin]))];
  const quantized = (method: string, bits: string): string => escapeCell([...new Set(shown.flatMap((origin) => runsOf(origins[origin], method, bits).map(quantizedName)))].join('; '));
  return [
    `## ${shown.map((origin) => ORIGIN_NAMES[origin]).join(' and ')}: transformer only, ${describeBits(cells)}${shown.map((origin) => `, scale ${origins[origin]!.scale}`).filter(isFirst).join('')}`,
    '',
    'A quicker experiment than the paper\'s, and another one: the backbone stays real-valued and fixed (its features are computed once), and only the',
    'transformer is trained at low bits. The paper has no such cells, and these rows are not compared with those above. *Q-DETR, same slot* distils each',
    'query against the teacher\'s query of the same slot, where the paper selects queries near an object and matches them by their boxes (FQM).',
    '',
    row(head),
    row(head.map((_, i) => (i < 3 ? '---' : '---:'))),
    ...cells.map((cell) => row([cell.bits, cell.method, quantized(cell.method, cell.bits), ...ownNumbers(cell, shown)])),
    '',
  ];
}

const ORIGINS = ['recorded', 'fresh'] as const;
const ORIGIN_NAMES = { recorded: 'Recorded', fresh: 'Fresh' } as const;

const lowerFirst = (text: string): string => text[0].toLowerCase() + text.slice(1);

const isFirst = (value: string, i: number, all: readonly string[]): boolean => all.indexOf(value) === i;

const describeBits = (cells: readonly { bits: string }[]): string => cells.map(({ bits }) => bits).filter((bits) => bits !== '32-32-32').filter(isFirst).join(', ') || '32-32-32';

const transformerProvenance = (only: OwnTable): string[] =>
  ORIGINS.filter((origin) => only[origin] !== null).map((origin) => `* **${ORIGIN_NAMES[origin]}, transformer only**: ${provenance(only[origin], '')}`);

/** Table 2.2 for programs: what the columns are, the cells, and the ids of the runs behind them. */
export function table22Json(table: Table22, paper: PaperValues): string {
  const column = (shown: Shown | null): object | null =>
    shown === null
      ? null
      : { dataset: shown.dataset, splits: ['test', 'test-unseen'], metric: 'AP50 (%)', scale: shown.scale, model: shown.model, runs: shown.runs.map((run) => run.id).sort() };
  const own = ({ cells, recorded, fresh }: OwnTable): object => ({
    columns: { recorded: column(recorded), fresh: column(fresh) }, cells: cells.map((cell) => ({ ...cell, recorded: rounded(cell.recorded), fresh: rounded(cell.fresh) })),
  });
  const content = {
    artefact: 'table-2.2',
    columns: {
      paper: { dataset: 'VOC 2007 test', metric: 'AP50 (%)', model: 'DETR-R50', source: paper.source },
      recorded: column(table.recorded),
      fresh: column(table.fresh),
    },
    cells: table.cells.map((cell) => ({ ...cell, recorded: rounded(cell.recorded), fresh: rounded(cell.fresh) })),
    conditions: table.conditions.map((block) => ({ title: conditionTitle(block), conditions: block.conditions, scale: block.scale, ...own(block) })),
    transformerOnly: own(table.transformerOnly),
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function columnHeads(name: string, shown: Shown | null): string[] {
  const where = shown === null ? 'MiniVOC' : `${datasetName(shown.dataset)}, scale ${shown.scale}`;
  return [`${name}: AP50 on ${where}, test`, `${name}: test-unseen`];
}

function numbers(measured: Measured | null): string[] {
  if (measured === null) return ['no run', 'no run'];
  const [first] = measured.records, text = measuredText(measured.test);
  return [`**${first === undefined ? text : `[${text}](${first.link})`}**`, measured.testUnseen === null ? 'not evaluated' : measuredText(measured.testUnseen)];
}

/** The cells of a column without a run, and the command that trains them. */
function notTrained({ cells }: Table22, origin: Origin): string {
  const missing = cells.filter((cell) => cell[origin] === null).map(({ method, bits }) => (bits === '32-32-32' ? method : `${method} ${bits}`));
  return missing.length === 0 ? '' : ` Without a run: ${missing.join(', ')} (\`npx qdetr experiment table-2.2 --scale minutes\` trains what is missing on this machine).`;
}

function provenance(shown: Shown | null, none: string, missing = ''): string {
  if (shown === null) return none;
  const { length } = shown.runs;
  return `${length} ${length === 1 ? 'run' : 'runs'} on ${datasetName(shown.dataset)}, scale \`${shown.scale}\`, model \`${shown.model}\`, listed below.${missing}`;
}

function runTable(table: Table22): string[] {
  const parts: [string, OwnTable][] = [['', table], ...table.conditions.map((block): [string, OwnTable] => [`, ${lowerFirst(conditionTitle(block))}${block.conditions.length > 0 ? `: ${block.conditions.join('; ')}` : ''}`, block]), [', transformer only', table.transformerOnly]];
  const lines = parts.flatMap(([name, part]) => ORIGINS.flatMap((origin) => runLines(origin, name, part)));
  if (lines.length === 0) return [];
  const head = ['Column', 'Bits', 'Method', 'Quantized', 'Data set', 'Scale', 'Seeds', 'Engine', 'Machine', 'Minutes a run', 'Records', 'Command'];
  return ['', row(head), row(head.map(() => '---')), ...lines];
}

function runLines(origin: Origin, name: string, part: OwnTable): string[] {
  const shown = part[origin];
  if (shown === null) return [];
  return part.cells.flatMap(({ method, bits, [origin]: measured }) => {
    const runs = runsOf(shown, method, bits).sort((a, b) => a.seed - b.seed);
    if (runs.length === 0) return [];
    const records = (measured?.records ?? []).map(({ id, link }) => `[${id}](${link})`).join(', ');
    const minutes = runs.reduce((sum, run) => sum + run.seconds / 60, 0) / runs.length;
    const each = (text: (run: RunSummary) => string): string => [...new Set(runs.map(text))].join(', ');
    const columns = [
      `${origin}${name}`, bits, method, each(quantizedName), shown.dataset, shown.scale, runs.map((run) => run.seed).join(', '),
      each((run) => run.engine), each((run) => run.machine), minutes.toFixed(1), records, each((run) => `\`${run.command}\``),
    ];
    return [row(columns.map(escapeCell))];
  });
}

const escapeCell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function rounded(measured: Measured | null): object | null {
  if (measured === null) return null;
  const round = (value: number): number => Number(value.toFixed(3));
  const interval = ({ mean, n, low, high }: Interval): Interval => ({
    mean: round(mean),
    n,
    low: low === null ? null : round(low),
    high: high === null ? null : round(high),
  });
  return { test: interval(measured.test), testUnseen: measured.testUnseen === null ? null : interval(measured.testUnseen), seeds: measured.seeds, gain: measured.gain && { ...interval(measured.gain), seeds: measured.gain.seeds }, records: measured.records.map(({ place }) => place), commands: measured.commands };
}
