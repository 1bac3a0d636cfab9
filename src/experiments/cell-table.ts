import { datasetName, modelName } from '../figures/groups.js';
import type { PaperValues } from '../figures/paper-values.js';
import { meanInterval } from '../figures/statistics.js';
import { measuredText } from '../figures/table-2.2-text.js';
import { finalEvaluation, type RunSummary, type Split } from '../training/run-record.js';
import type { Cell } from './cell.js';
import { cellTitle, type Experiment, type Metric } from './grid.js';

const NAMES: Readonly<Record<Metric, string>> = { ap: 'AP', ap50: 'AP50', ap75: 'AP75' };
/** What stands where there is nothing. */
const NOTHING = '-';

/**
 * An experiment's table in plain text: a line for each cell, its seeds averaged, beside what the paper prints.
 * @param runs the cells that are finished
 */
export function cellTable(experiment: Experiment, cells: readonly Cell[], runs: ReadonlyMap<Cell, RunSummary>, paper: PaperValues): string {
  const titles = [...new Set(cells.map(cellTitle))];
  const { metrics } = experiment;
  const head = ['', ...metrics.map((metric) => `paper ${NAMES[metric]}`), ...metrics.map((metric) => `test ${NAMES[metric]}`), 'test-unseen AP50'];
  const rows = titles.map((title) => {
    const own = cells.filter((cell) => cellTitle(cell) === title);
    const summaries = own.flatMap((cell) => runs.get(cell) ?? []);
    const printed = experiment.paper(paper, own[0]) ?? {};
    return [title, ...metrics.map((metric) => printed[metric]?.toFixed(1) ?? NOTHING), ...metrics.map((metric) => averaged(summaries, 'test', metric)), averaged(summaries, 'test-unseen', 'ap50')];
  });
  const [first] = runs.values();
  return [...(first ? [`Percent, on ${datasetName(first.dataset)} with a ${modelName(first)}, scale ${first.scale}; ± 95 % over seeds. The paper's are of other data and models: compare order and gaps.`] : []), ...aligned([head, ...rows])].join('\n');
}

/** A mean over runs with its interval, in percent. */
function averaged(runs: readonly RunSummary[], split: Split, metric: Metric): string {
  const values = runs.flatMap((run) => finalEvaluation(run, split)?.[metric] ?? []).map((share) => 100 * share);
  return values.length > 0 ? measuredText(meanInterval(values)) : NOTHING;
}

/** Lines of columns as wide as they need to be, the first to the left and the others to the right. */
function aligned(rows: readonly string[][]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]))).join('   ').trimEnd());
}
