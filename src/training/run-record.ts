import { z } from 'zod';
import { UserError } from '../errors.js';
import type { ModuleGroup, PolicyPreset } from '../models/quantization-policy.js';

const fraction = z.number().min(0).max(1);

/** Average precision of one checkpoint on one split, as fractions 0..1. */
export const evaluationSchema = z
  .object({
    split: z.enum(['test', 'test-unseen', 'val']),
    step: z.number().int().nonnegative(),
    epoch: z.number().nonnegative(),
    ap: fraction,
    ap50: fraction,
    ap75: fraction,
    /** Of objects up to 32 x 32 pixels, up to 96 x 96, and larger: for runs on VOC and COCO. */
    apSmall: fraction.optional(),
    apMedium: fraction.optional(),
    apLarge: fraction.optional(),
  })
  .strict();

/** One checkpoint on the information plane (Eq. 2.27): x = information about the image kept, y = AP50 as a fraction. */
export const informationPointSchema = z
  .object({ epoch: z.number().nonnegative(), informationX: z.number().finite(), informationY: fraction })
  .strict();

/** How much the distillation loss weighs in one epoch: lambda L_DRD / L_GT (Eq. 2.38), averaged over its steps. */
export const distillationRatioSchema = z.object({ epoch: z.number().nonnegative(), ratio: z.number().nonnegative() }).strict();

/**
 * What a run quantizes: `detector`, all of it (a record that says nothing means this); `transformer`, only the transformer, the backbone
 * being real-valued and fixed; `post-training`, all of it, by calibration alone. Runs of different scopes are never averaged.
 */
export const runScopeSchema = z.enum(['detector', 'transformer', 'post-training']);

/** The module groups of Fig. 2.11, in its order; written out here because records are read without the models. */
export const MODULE_GROUPS = ['backbone', 'encoder', 'decoder-attention', 'feed-forward'] as const satisfies readonly ModuleGroup[];
const PRESETS = ['paper', 'release'] as const satisfies readonly PolicyPreset[];

/** What a finished run says about itself: `summary.json` of a run folder, or one line of figures/recorded/*.jsonl. */
export const runSummarySchema = z
  .object({
    schemaVersion: z.literal(1),
    id: z.string().min(1),
    experiment: z.string().min(1),
    artefact: z.array(z.string().min(1)),
    method: z.string().min(1),
    bits: z.string().regex(/^\d+-\d+-\d+$/, 'must be weights-activations-attention, like 4-4-8'),
    /** What is quantized, in words; without it, figures say what `bits` implies. */
    quantized: z.string().min(1).optional(),
    model: z.string().min(1),
    scale: z.enum(['smoke', 'minutes', 'gpu', 'paper']),
    dataset: z.string().min(1),
    seed: z.number().int(),
    /** First digits of the SHA-256 of all settings but the seed: runs of one recipe may be averaged over seeds. */
    recipe: z.string().regex(/^[0-9a-f]{12}$/, 'must be 12 hexadecimal digits').optional(),
    /** null: nothing is distilled, or every query, or those that are matched through the ground truth: tau selects none. */
    tau: z.number().min(0).max(1).nullable(),
    lambda: z.number().nonnegative().nullable(),
    /** See `runScopeSchema`; missing: `detector`. */
    scope: runScopeSchema.optional(),
    /** The groups of Fig. 2.11 that are quantized; missing: all. */
    groups: z.array(z.enum(MODULE_GROUPS)).optional(),
    /** How quantizers get their scales: `LSQ`, `LSQ+`, `Percentile`, `VT-PTQ`. */
    quantizer: z.string().min(1).optional(),
    preset: z.enum(PRESETS).optional(),
    /** Where distribution alignment is on; null: nowhere. */
    alignment: z.array(z.string().min(1)).nullable().optional(),
    /** The settings of the distillation; null: none. */
    distillation: z.record(z.unknown()).nullable().optional(),
    /** Whom the student was distilled against: a run's id, a file, `shipped`, `own`. */
    teacher: z.string().min(1).nullable().optional(),
    /** Where the student's transformer started: `fresh`, `own`, `teacher`. */
    studentStart: z.enum(['fresh', 'own', 'teacher']).optional(),
    /** Steps of warm-up before stage 1, real-valued and on L_GT alone; missing: none. */
    warmUp: z.number().int().positive().optional(),
    distillationRatio: z.array(distillationRatioSchema).optional(),
    evaluations: z.array(evaluationSchema),
    informationPlane: z.array(informationPointSchema),
    command: z.string(),
    engine: z.string(),
    machine: z.string(),
    seconds: z.number().nonnegative(),
    finishedAt: z.string().datetime({ offset: true, message: 'must be an ISO 8601 time' }),
  })
  .strict();

/** See `evaluationSchema`. */
export type Evaluation = z.infer<typeof evaluationSchema>;
/** See `informationPointSchema`. */
export type InformationPoint = z.infer<typeof informationPointSchema>;
/** See `runSummarySchema`. */
export type RunSummary = z.infer<typeof runSummarySchema>;
/** See `runScopeSchema`. */
export type RunScope = z.infer<typeof runScopeSchema>;
/** See `distillationRatioSchema`. */
export type DistillationRatio = z.infer<typeof distillationRatioSchema>;
/** Size of an experiment. */
export type Scale = RunSummary['scale'];
/** The images that an evaluation is over. */
export type Split = Evaluation['split'];

/**
 * Checks a run summary. `where` is the file, or file:line, that it came from.
 * @throws UserError naming `where`, the first wrong key and what is wrong with it.
 */
export function parseRunSummary(value: unknown, where: string): RunSummary {
  const result = runSummarySchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]] : issue.path;
  const what = issue.code === 'unrecognized_keys' ? 'is unknown' : issue.message;
  throw new UserError(
    `${where}: ${key.length > 0 ? `key ${key.join('.')}` : 'the run summary'}: ${what}; correct the record, or remove it and run the experiment again`,
  );
}

/**
 * The evaluation that a run is judged by: its last one on `split`. Never the best one: choosing a checkpoint by its
 * test score would flatter it.
 */
export function finalEvaluation(run: RunSummary, split: Split): Evaluation | undefined {
  let last: Evaluation | undefined;
  for (const evaluation of run.evaluations) {
    if (evaluation.split === split && (last === undefined || evaluation.step >= last.step)) last = evaluation;
  }
  return last;
}
