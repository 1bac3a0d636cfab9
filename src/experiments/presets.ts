import { fullSizeDetectors, withRprelu, type DetectorSettings, type Family } from '../models/settings.js';
import type { AlignmentSettings } from '../models/distribution-alignment.js';
import { PAPER_ALIGNMENT } from '../models/distribution-alignment.js';
import { PAPER_DISTILLATION, type DistillationSettings } from '../distillation/settings.js';
import { REAL, formatPrecision } from '../quantizer/precision.js';
import { UserError } from '../errors.js';
import { nearestName } from '../schema.js';

/** The data sets of the paper. `voc`: trained on trainval 2007 and 2012, evaluated on test 2007. `coco`: train2017 and val2017. */
export const PAPER_DATASETS = ['voc', 'coco'] as const;
/** See `PAPER_DATASETS`. */
export type PaperDataset = (typeof PAPER_DATASETS)[number];

/** One of the paper's trainings at full size: what its tables have a row for, or the teacher of such a row. */
export interface Preset {
  /** `voc-detr-r50`, `voc-q-detr-r50-4bit`, … */
  name: string;
  dataset: PaperDataset;
  /** As the paper's tables call the method. */
  method: string;
  bits: string;
  /** For as many classes as the data set has. */
  model(classes: number): DetectorSettings;
  quantizer: 'LSQ' | 'LSQ+';
  alignment: AlignmentSettings | null;
  distillation: DistillationSettings | null;
  /** The preset that trains its teacher. */
  teacher: string | null;
  /** Epochs of a stage, and those after which the learning rate drops to a tenth (PAPER.md 2.6). A quantized model has two stages of this length (decision A20). */
  epochs: number;
  dropAfter: number;
}

/** The paper's schedules (PAPER.md 2.6). */
const schedules: Readonly<Record<Family, Readonly<Record<PaperDataset, Pick<Preset, 'epochs' | 'dropAfter'>>>>> = {
  detr: { voc: { epochs: 300, dropAfter: 200 }, coco: { epochs: 500, dropAfter: 400 } },
  'smca-detr': { voc: { epochs: 50, dropAfter: 40 }, coco: { epochs: 50, dropAfter: 40 } },
};

/** The quantized methods, by what their presets are called. */
const methods: Readonly<Record<string, Pick<Preset, 'method' | 'quantizer' | 'alignment' | 'distillation'>>> = {
  lsq: { method: 'LSQ', quantizer: 'LSQ', alignment: null, distillation: null },
  baseline: { method: 'Baseline', quantizer: 'LSQ+', alignment: null, distillation: null },
  da: { method: '+ DA', quantizer: 'LSQ+', alignment: PAPER_ALIGNMENT, distillation: null },
  fqm: { method: '+ FQM', quantizer: 'LSQ+', alignment: null, distillation: PAPER_DISTILLATION },
  q: { method: '+ DA + FQM (Q-DETR)', quantizer: 'LSQ+', alignment: PAPER_ALIGNMENT, distillation: PAPER_DISTILLATION },
};

const bitWidths = { '4bit': '4-4-8', '3bit': '3-3-8', '2bit': '2-2-8' } as const;

function presetsOf(dataset: PaperDataset, family: Family): Preset[] {
  const schedule = schedules[family][dataset];
  const real = (depth: 'r50' | 'r101'): Preset => ({
    name: `${dataset}-${family}-${depth}`, dataset, method: 'Real-valued', bits: formatPrecision(REAL), model: (classes) => ({ ...fullSizeDetectors[`${family}-${depth}`], classes }),
    quantizer: 'LSQ+', alignment: null, distillation: null, teacher: null, ...schedule,
  });
  const quantized = Object.entries(methods).flatMap(([word, parts]) => Object.entries(bitWidths).map(([width, bits]): Preset => ({
    name: `${dataset}-${word}-${family}-r50-${width}`, dataset, bits, model: (classes) => withRprelu({ ...fullSizeDetectors[`${family}-r50`], classes }),
    ...parts, teacher: parts.distillation ? `${dataset}-${family}-r101` : null, ...schedule,
  })));
  return [real('r50'), real('r101'), ...quantized];
}

/** All presets by name: for each data set and family the real-valued student and teacher, and LSQ, Baseline, + DA, + FQM and Q-DETR at 4, 3 and 2 bits. */
export const presets: ReadonlyMap<string, Preset> = new Map(PAPER_DATASETS.flatMap((dataset) => (['detr', 'smca-detr'] as const).flatMap((family) => presetsOf(dataset, family))).map((preset) => [preset.name, preset]));

/** @throws UserError for a name that no preset has, with the nearest one */
export function presetOf(name: string): Preset {
  const preset = presets.get(name);
  if (preset) return preset;
  const close = nearestName(name, [...presets.keys()]);
  throw new UserError(`--preset ${name}: there is no such preset${close === undefined ? '' : `, did you mean ${close}`}: npx qdetr train --list-presets shows all`);
}
