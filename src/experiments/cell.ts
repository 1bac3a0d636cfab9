import type { DistillationSettings } from '../distillation/settings.js';
import type { AlignmentSettings } from '../models/distribution-alignment.js';
import type { ModuleGroup, PolicyPreset } from '../models/quantization-policy.js';
import type { Family, ModelScale } from '../models/settings.js';
import type { WeightStart } from '../quantizer/calibration.js';
import type { PostTrainingMethod } from '../quantizer/post-training.js';

/** Where the student's transformer starts: fresh (the paper's), its own trained real-valued weights, the teacher's. */
export const STUDENT_STARTS = ['fresh', 'own', 'teacher'] as const;
/** See `STUDENT_STARTS`. */
export type StudentStart = (typeof STUDENT_STARTS)[number];

/**
 * What a cell trains. `detector`: all of it, in the paper's two stages (decisions A19, A20). `transformer`: only the transformer and the
 * heads, in one stage, on features of the real-valued backbone that are computed once. `post-training`: nothing; quantizers are set by calibration.
 */
export const SCOPES = ['detector', 'transformer', 'post-training'] as const;
/** See `SCOPES`. */
export type Scope = (typeof SCOPES)[number];

/** One cell of an experiment's grid: a detector trained in one way, with one seed. */
export interface Cell {
  /** The experiment that it belongs to, e.g. `table-2.2`. */
  experiment: string;
  /** Artefacts of the paper that it answers; tables and figures look for these. */
  artefact: string[];
  /** As tables call it: `Real-valued`, `Baseline`, `+ DA`, `+ FQM`, `+ DA + FQM (Q-DETR)`, or a name of its own for what the paper lacks. */
  method: string;
  /** `32-32-32`, `2-2-8`, ... */
  bits: string;
  family: Family;
  scale: ModelScale;
  scope: Scope;
  seed: number;
  /** Weights and activations at their start, and whether activations have an offset (LSQ+, the paper's Baseline) or not (LSQ); Percentile and VT-PTQ are post-training. */
  quantizer: PostTrainingMethod;
  /** Where learned weight scales start: LSQ's rule (decision A4), or the least squared error. */
  weightStart: WeightStart;
  preset: PolicyPreset;
  /** Groups of Fig. 2.11 that are quantized. */
  groups: readonly ModuleGroup[];
  /** Distribution alignment; null: none. */
  alignment: AlignmentSettings | null;
  /** Distillation; null: none. */
  distillation: DistillationSettings | null;
  /** The teacher: `shipped` (the project's teacher of this scale), a run's id or a safetensors file, `own`: the student's real-valued weights. */
  teacher: string;
  /** Where the student's transformer starts. */
  studentStart: StudentStart;
  /**
   * Steps of a warm-up before stage 1: real-valued, on L_GT alone, the same for all methods of a seed (hypothesis H1). 0, the paper's: none, so that
   * a fresh transformer is distilled while its boxes are still random.
   */
  warmUp: number;
  /** Points on the information plane while it trains; 0: none. */
  informationPoints: number;
  /** Changes of training settings, for all of its stages. */
  changes: Readonly<Record<string, unknown>>;
}
