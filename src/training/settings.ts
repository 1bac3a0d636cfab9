import { z } from 'zod';
import { keyValues } from '../assignments.js';
import { UserError } from '../errors.js';
import { parseStrictly } from '../schema.js';
import { runSummarySchema, type Scale } from './run-record.js';

/** Sizes that an experiment comes in, from seconds on a laptop to the paper's own. */
export const SCALES = runSummarySchema.shape.scale.options;

const positive = () => z.number().positive().finite().describe('a number above 0');
const fraction = () => z.number().min(0).max(1).describe('a number from 0 to 1');
const count = (least: number) => z.number().int().min(least).max(Number.MAX_SAFE_INTEGER).describe(`a whole number of at least ${least}`);

/** Training settings: everything that a run's course depends on besides data, model and code. */
export const trainingSettingsSchema = z.object({
  /** Which of the scales these settings belong to. */
  scale: z.enum(SCALES).describe(`one of ${SCALES.join(', ')}`),
  /** Start of every random stream: initial weights, order of the images, augmentation. */
  seed: count(0),
  /** Optimizer steps in all. */
  steps: count(1),
  /** Images in a step. */
  batchSize: count(1),
  /** Peak learning rate of the transformer. */
  learningRate: positive(),
  /** Learning rate of the backbone over that of the transformer. */
  backboneFactor: fraction(),
  /** Learning rate of quantizer scales and offsets over that of the transformer. */
  quantizerFactor: fraction(),
  /** AdamW's decoupled weight decay, on everything but quantizer scales and offsets. */
  weightDecay: z.number().min(0).finite().describe('a number of at least 0'),
  /** Largest global norm of a step's gradient. */
  clipNorm: positive(),
  /** Steps over which the learning rate rises from 0 to its peak. */
  warmUpSteps: count(0),
  /** Course of the learning rate after the warm-up. */
  schedule: z.enum(['constant', 'step', 'cosine']).describe('one of constant, step, cosine'),
  /** `step`: the part of all steps after which the learning rate drops. */
  dropAt: fraction(),
  /** `step`: what the learning rate is multiplied by then. */
  dropFactor: fraction(),
  /** Strength of the colour jitter of the detector's training images (brightness, contrast, saturation). Left out: none; 0 is the same, and is left out of records. */
  jitter: fraction().optional(),
  /** Steps between evaluations; there is always one at the end. */
  evaluationInterval: count(1),
  /** Steps between checkpoints; there is always one at the end. */
  checkpointInterval: count(1),
}).strict();

/** See `trainingSettingsSchema`. */
export type TrainingSettings = z.infer<typeof trainingSettingsSchema>;

const shared = {
  seed: 0,
  backboneFactor: 0.1, // DETR: 1e-5 against 1e-4, its backbone being pretrained
  quantizerFactor: 0.1, // A5: AdamW moves a scale of 1e-3 by up to the learning rate in a step, which is 10 % of it at 1e-4
  weightDecay: 1e-4, // DETR
  clipNorm: 0.1, // DETR
  schedule: 'step', // DETR and the paper
  dropAt: 2 / 3, // the paper: 200 of 300 epochs (4/5 for SMCA: 40 of 50)
  dropFactor: 0.1, // DETR and the paper
} as const;

/** Each scale's settings. */
export const PRESETS: Record<Scale, TrainingSettings> = {
  // Seconds: shows that everything runs, and learns nothing worth a figure.
  smoke: { ...shared, scale: 'smoke', steps: 8, batchSize: 2, learningRate: 5e-4, backboneFactor: 1, warmUpSteps: 2, evaluationInterval: 4, checkpointInterval: 4 },
  // Two cores, some minutes a run, from weights that have learned: `npm start` and `npx qdetr train`. Scales and offsets learn at the full rate, ten times
  // that of decision A5, since 1,200 steps are few.
  minutes: { ...shared, scale: 'minutes', steps: 1200, batchSize: 16, learningRate: 5e-4, backboneFactor: 1, quantizerFactor: 1, warmUpSteps: 50, schedule: 'cosine', evaluationInterval: 400, checkpointInterval: 100 },
  // One GPU, minutes a run: a real-valued detector from a backbone that was trained on sprites, 28 epochs. On the first 16,000 training images alone (57 epochs) AP50 on val was
  // 66.9 (student) and 83.3 (teacher), hardly higher than after 34 of these epochs; with a schedule of 34 epochs it was 59.2 and 81.0.
  gpu: { ...shared, scale: 'gpu', steps: 14_250, batchSize: 64, learningRate: 1e-3, backboneFactor: 0.5, warmUpSteps: 500, schedule: 'cosine', evaluationInterval: 2850, checkpointInterval: 2850 },
  // The paper's protocol on VOC: 300 epochs of 16,551 images (trainval 07 + 12) at 16 a step, which makes 1,035 steps an epoch.
  paper: { ...shared, scale: 'paper', steps: 310_500, batchSize: 16, learningRate: 1e-4, warmUpSteps: 0, evaluationInterval: 10_350, checkpointInterval: 1035 },
};

/**
 * Settings from a scale's preset and what the user changes in it.
 * @param origin what errors call the place that `changes` come from, e.g. `--set` or a file's name
 * @throws UserError for an unknown key (with the nearest known one) or a wrong value (with what was expected)
 */
export function resolveSettings(scale: Scale, changes: Readonly<Record<string, unknown>> = {}, origin = 'settings'): TrainingSettings {
  const { jitter, ...others } = parseStrictly(trainingSettingsSchema, { ...PRESETS[scale], ...changes }, origin, 'change it and start again');
  const settings = jitter ? { ...others, jitter } : others; // without it, a run is the run that it was before there was such a setting
  if (settings.warmUpSteps > settings.steps) {
    throw new UserError(`${origin}: 'warmUpSteps' should be at most 'steps' (${settings.steps}), but is ${settings.warmUpSteps}: change one of them and start again`);
  }
  return settings;
}

/**
 * What the command line's `--set key=value` options say.
 * @throws UserError as `keyValues` does, and for the scale, which has an option of its own
 */
export function parseAssignments(words: readonly string[]): Record<string, unknown> {
  const changes = keyValues(words, '--set', Object.keys(trainingSettingsSchema.shape), 'steps=100');
  if (Object.hasOwn(changes, 'scale')) throw new UserError(`--set scale=${String(changes.scale)}: the scale is chosen with --scale ${String(changes.scale)}, model and settings together`);
  return changes;
}
