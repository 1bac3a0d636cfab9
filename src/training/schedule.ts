import type { TrainingSettings } from './settings.js';

/** The settings that the learning rate's course depends on. */
export type ScheduleSettings = Pick<TrainingSettings, 'steps' | 'warmUpSteps' | 'schedule' | 'dropAt' | 'dropFactor'>;

/**
 * What the learning rate is multiplied by in a step: a straight rise over the warm-up, then
 * `constant`: 1; `step`: 1, and `dropFactor` from `dropAt` of all steps on (DETR's StepLR with one drop);
 * `cosine`: from 1 towards 0 at the end (Loshchilov and Hutter, SGDR, without restarts).
 * @param step counted from 0
 */
export function learningRateFactor(step: number, { steps, warmUpSteps, schedule, dropAt, dropFactor }: ScheduleSettings): number {
  if (step < warmUpSteps) return (step + 1) / (warmUpSteps + 1);
  if (schedule === 'step') return step < Math.round(dropAt * steps) ? 1 : dropFactor;
  if (schedule === 'cosine') return 0.5 * (1 + Math.cos((Math.PI * (step - warmUpSteps)) / (steps - warmUpSteps)));
  return 1;
}
