import { PAPER_DISTILLATION, selectsByTau, type DistillationSettings } from '../distillation/settings.js';
import { PAPER_ALIGNMENT, RELEASE_ALIGNMENT, type AlignmentSettings } from '../models/distribution-alignment.js';
import { MODULE_GROUPS, type PolicyPreset } from '../models/quantization-policy.js';
import type { Family, ModelScale } from '../models/settings.js';
import type { WeightStart } from '../quantizer/calibration.js';
import { formatPrecision, REAL } from '../quantizer/precision.js';
import type { PaperValues } from '../figures/paper-values.js';
import type { Cell, StudentStart } from './cell.js';

/** What a user chooses of an experiment's grid. */
export interface GridOptions {
  family: Family;
  scale: ModelScale;
  seeds: readonly number[];
  /** Bit-widths of the quantized cells; left out: the experiment's own. */
  bits?: readonly string[];
  /** `transformer`: cells that would train a whole detector train the transformer alone (see `SCOPES`); default `detector`. */
  scope?: 'detector' | 'transformer';
  /** Where students start; default {@link studentStartOf} the scale. */
  studentStart?: StudentStart;
  /** Steps on L_GT alone before stage 1; default {@link warmUpOf} the scale and the start. */
  warmUp?: number;
  /** Where quantizers are, and with `release` DA too: as the paper says (default), or as its released code has them (PAPER.md 3.3, 3.4). */
  policy?: PolicyPreset;
  /** Changes of training settings in all cells. */
  changes?: Readonly<Record<string, unknown>>;
}

/** The numbers of an evaluation that a table prints. */
export type Metric = 'ap' | 'ap50' | 'ap75';

/** How long an experiment took, in a run that was timed. */
export interface MeasuredTime {
  scale: ModelScale;
  cells: number;
  seconds: number;
  /** Processor, processes side by side. */
  where: string;
}

/** An experiment: the grid of cells behind one table or figure of the paper, or behind what the paper lacks. */
export interface Experiment {
  /** As the command line calls it. */
  name: string;
  /** The table or figure, and the question, in one line. */
  answers: string;
  /** What `artefact` of its runs holds. */
  artefact: string;
  /** What is trained and what is held equal, in words. */
  protocol: readonly string[];
  /** The command that makes it. */
  command: string;
  /** Timed runs; empty until there are some. */
  measured: readonly MeasuredTime[];
  /** What `--scale smoke` means. */
  smoke: string;
  /** The numbers that its table prints. */
  metrics: readonly Metric[];
  /** All cells, those of the first seed first. */
  grid(options: GridOptions): Cell[];
  /** What the paper prints for a cell, in percent; undefined where it prints nothing. */
  paper(values: PaperValues, cell: Cell): Partial<Record<Metric, number>> | undefined;
}

/** The methods of Table 2.2, as it prints them. */
export const PAPER_METHODS = ['Real-valued', 'Baseline', '+ DA', '+ FQM', '+ DA + FQM (Q-DETR)'] as const;
/** See `PAPER_METHODS`. */
export type PaperMethod = (typeof PAPER_METHODS)[number];
/** What the tables of CVPR call Q-DETR, in full. */
export const Q_DETR: PaperMethod = '+ DA + FQM (Q-DETR)';
/** 32-32-32. */
export const REAL_BITS = formatPrecision(REAL);

/**
 * Where students start at a scale. The paper: fresh. At `minutes`, the student's own real-valued weights: in its few steps a fresh
 * transformer learns next to nothing.
 */
export const studentStartOf = (scale: ModelScale): StudentStart => (scale === 'minutes' ? 'own' : 'fresh');

/**
 * Steps on L_GT alone before stage 1 (hypothesis H1), at scale `gpu` for students whose transformer is fresh: without them, queries whose boxes are still random
 * would nearly all be kept by Eq. 2.34 and all be sent to the same few teacher queries by Eq. 2.35.
 */
export const warmUpOf = (scale: ModelScale, studentStart: StudentStart = studentStartOf(scale)): number => (scale === 'gpu' && studentStart === 'fresh' ? 4000 : 0);

/**
 * Where weight scales start at a scale. Decision A4 is LSQ's rule, 2 mean|w| / sqrt(Qp), which at 2 bits lies about 1.6 times above the least squared
 * error; scales that are learned for long forget it. At `minutes` they are not: weights start at the least error there, in every method.
 */
export const weightStartOf = (scale: ModelScale): WeightStart => (scale === 'minutes' ? 'least-error' : 'LSQ');

/**
 * A cell of the paper's protocol but for `own`: the Baseline, that is LSQ+ in all groups of modules, placed by decisions A6-A8; two stages (of a
 * detector), the same for every method (A20); the teacher that comes with the project.
 */
export function paperCell({ family, scale, scope = 'detector', studentStart = studentStartOf(scale), warmUp = warmUpOf(scale, studentStart), policy = 'paper', changes = {} }: GridOptions, seed: number, own: Partial<Cell> & Pick<Cell, 'experiment' | 'artefact' | 'method' | 'bits'>): Cell {
  return {
    family, scale, scope, seed, quantizer: 'LSQ+', weightStart: weightStartOf(scale), preset: own.bits === REAL_BITS ? 'paper' : policy, groups: MODULE_GROUPS, alignment: null, distillation: null,
    teacher: 'shipped', studentStart, warmUp, informationPoints: 0, changes, ...own,
  };
}

/**
 * DA as the paper has it (A10, A11), or where the policy's released code has it. A fresh student starts with gamma 1 and beta 0; one that starts from trained weights with those that
 * change least of what it computes.
 */
export function paperAlignment({ scale, studentStart = studentStartOf(scale), policy = 'paper' }: GridOptions, changes: Partial<AlignmentSettings> = {}): AlignmentSettings {
  return { ...(policy === 'release' ? RELEASE_ALIGNMENT : PAPER_ALIGNMENT), start: studentStart === 'fresh' ? 'ones' : 'measured', ...changes };
}

/** The paper's distillation (tau 0.6, lambda 2.5, decisions A12-A18) with changes. */
export const paperDistillation = (changes: Partial<DistillationSettings> = {}): DistillationSettings => ({ ...PAPER_DISTILLATION, ...changes });

/** What makes one of Table 2.2's methods. */
export function methodParts(options: GridOptions, method: PaperMethod): Pick<Cell, 'method' | 'alignment' | 'distillation'> {
  return {
    method,
    alignment: method === '+ DA' || method === Q_DETR ? paperAlignment(options) : null,
    distillation: method === '+ FQM' || method === Q_DETR ? paperDistillation() : null,
  };
}

/**
 * A cell of Table 2.2. Other experiments that need the same detector take this very cell, so that it is trained once: `artefact` names
 * all of them, whoever asks.
 */
export function table22Cell(options: GridOptions, method: PaperMethod, bits: string, seed: number): Cell {
  const isCompared = method === 'Real-valued' || method === 'Baseline' || method === Q_DETR;
  const artefact = [
    'table-2.2',
    ...(isCompared ? ['figure-2.8', 'figure-2.9', 'voc-comparison', 'coco-comparison'] : []),
    ...(method === 'Real-valued' || method === 'Baseline' ? ['figure-2.11'] : []),
    ...(method === 'Real-valued' ? [] : ['controls']),
  ];
  return paperCell(options, seed, { experiment: 'table-2.2', artefact, bits, ...methodParts(options, method) });
}

/**
 * A cell's name without its seed: method, bits and, where it distils, tau (where it selects queries) and lambda, unless the method's name says them.
 * Runs of one name are averaged over seeds.
 */
export function cellTitle({ method, bits, distillation }: Cell): string {
  const isSaid = (key: string): boolean => new RegExp(`\\b${key} [\\d.]`).test(method);
  const parts = distillation ? [...(selectsByTau(distillation) && !isSaid('tau') ? [`tau ${distillation.tau}`] : []), ...(isSaid('lambda') ? [] : [`lambda ${distillation.lambda}`])] : [];
  return [method, bits, ...(parts.length > 0 ? [parts.join(', ')] : [])].join(', ');
}

/** A cell's name, unique in its experiment's grid. */
export const cellName = (cell: Cell): string => `${cellTitle(cell)}, seed ${cell.seed}`;

/** What `build` gives for each seed, those of the first seed first. */
export const forSeeds = ({ seeds }: GridOptions, build: (seed: number) => Cell[]): Cell[] => seeds.flatMap(build);

/** The paper's AP50 of a cell of Table 2.2, which is about DETR. */
export function table22Paper(values: PaperValues, { family, method, bits }: Cell): { ap50: number } | undefined {
  const printed = family === 'detr' ? values.table_2_2.find((row) => row.method === method && row.bits === bits) : undefined;
  return printed && { ap50: printed.ap50 };
}
