import { z } from 'zod';
import { keyValues } from '../assignments.js';
import { parseStrictly } from '../schema.js';

/** What tau = 0 means (decision A14). `literal`: Eq. 2.34, queries with GIoU above 0. `full-imitation`: the paper's words for its ablation, every query. */
export const TAU_ZERO = ['literal', 'full-imitation'] as const;
/** See `TAU_ZERO`. */
export type TauZero = (typeof TAU_ZERO)[number];

/**
 * Which teacher query a student query learns from; matchQueries says how.
 * `literal`: Eq. 2.35. `same-slot`: the one at its own place. `one-to-one`: Eq. 2.35 without using a teacher query twice. `mutual`: Eq. 2.35, kept
 * where the teacher query would choose it too. `hungarian`: through the ground truth. All but `literal` are controls that the paper lacks.
 */
export const MATCHINGS = ['literal', 'same-slot', 'one-to-one', 'mutual', 'hungarian'] as const;
/** See `MATCHINGS`. */
export type Matching = (typeof MATCHINGS)[number];

/** Which student queries learn: `foreground` those that Eq. 2.34 keeps, `all` every one. `hungarian` keeps what it matches, whatever this says. */
export const SELECTIONS = ['foreground', 'all'] as const;
/** See `SELECTIONS`. */
export type Selection = (typeof SELECTIONS)[number];

/**
 * What is distilled; distilledFeatures says how. `before-projection`: D of Eq. 2.26, the paper's (decision A16). `after-projection`: after the output
 * projection. `normalized`: D of unit length. `linear-map`: the student's D through a learned matrix. `attention-maps`: A, averaged over the heads.
 */
export const FEATURES = ['before-projection', 'after-projection', 'normalized', 'linear-map', 'attention-maps'] as const;
/** See `FEATURES`. */
export type DistilledFeature = (typeof FEATURES)[number];

/** Decoder layers whose features are distilled (decision A17): the mean over all of them, or the last. */
export const DISTILLED_LAYERS = ['all', 'last'] as const;

/** Settings of the distillation, Eq. 2.33-2.38. */
export const distillationSettingsSchema = z.object({
  /** Threshold of Eq. 2.34. */
  tau: z.number().min(0).max(1).describe('a number from 0 to 1'),
  tauZero: z.enum(TAU_ZERO).describe(`one of ${TAU_ZERO.join(', ')}`),
  matching: z.enum(MATCHINGS).describe(`one of ${MATCHINGS.join(', ')}`),
  selection: z.enum(SELECTIONS).describe(`one of ${SELECTIONS.join(', ')}`),
  feature: z.enum(FEATURES).describe(`one of ${FEATURES.join(', ')}`),
  layers: z.enum(DISTILLED_LAYERS).describe(`one of ${DISTILLED_LAYERS.join(', ')}`),
  /** Weight of L_DRD in Eq. 2.38. */
  lambda: z.number().min(0).finite().describe('a number of at least 0'),
  /** Steps over which lambda rises from 0; the paper has no such warm-up. */
  warmUpSteps: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).describe('a whole number of at least 0'),
}).strict();

/** See `distillationSettingsSchema`. */
export type DistillationSettings = z.infer<typeof distillationSettingsSchema>;

/** The paper's distillation: tau = 0.6 and lambda = 2.5 (its section 5.1, figure 2.12a), the rest by decisions A12-A18. */
export const PAPER_DISTILLATION: DistillationSettings = {
  tau: 0.6, tauZero: 'literal', matching: 'literal', selection: 'foreground', feature: 'before-projection', layers: 'all', lambda: 2.5, warmUpSteps: 0,
};

/**
 * The paper's settings and what the user changes in them.
 * @param origin what errors call the place that `changes` come from
 * @throws UserError that names the key and what it should be
 */
export function resolveDistillation(changes: Readonly<Record<string, unknown>> = {}, origin = 'distillation settings'): DistillationSettings {
  return parseStrictly(distillationSettingsSchema, { ...PAPER_DISTILLATION, ...changes }, origin, 'change it and start again');
}

/** Whether tau has an effect: `all` keeps every query, and `hungarian` those that it matches. */
export const selectsByTau = ({ matching, selection }: Pick<DistillationSettings, 'matching' | 'selection'>): boolean => selection === 'foreground' && matching !== 'hungarian';

/** What the command line's `--distillation key=value` options say. @throws UserError as `keyValues` does */
export const parseDistillation = (words: readonly string[]): Record<string, unknown> => keyValues(words, '--distillation', Object.keys(distillationSettingsSchema.shape), 'tau=0.4');

/** The part of lambda that acts in a step: a straight rise over the warm-up, then 1, as the learning rate's (learningRateFactor). @param step counted from 0 */
export function lambdaFactor(step: number, { warmUpSteps }: Pick<DistillationSettings, 'warmUpSteps'>): number {
  return step < warmUpSteps ? (step + 1) / (warmUpSteps + 1) : 1;
}
