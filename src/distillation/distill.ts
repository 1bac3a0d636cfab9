import { match, type Targets } from '../detection/matcher.js';
import type { DetectorOutput } from '../models/detector-output.js';
import type { Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { distributionRectificationLoss, featuresToDistil } from './distillation-loss.js';
import type { QueryMatching } from './foreground-query-matching.js';
import { matchQueries, type DetectionMatcher } from './query-matching.js';
import type { DistillationSettings } from './settings.js';
import { taughtBy, type Taught } from './taught.js';

/** The distillation's part of a step: scalars, and the matching that they come from. */
export interface Distillation {
  /** lambda L_DRD: what Eq. 2.38 adds to L_GT. */
  loss: Tensor;
  /** L_DRD alone. */
  distance: Tensor;
  /** Student queries that learn, as a part of all of the batch. */
  keptShare: Tensor;
  /** Their number. */
  pairs: Tensor;
  /** Which queries learn, and from which of the teacher's. */
  matching: QueryMatching;
}

/** What the distillation of a step depends on besides the two outputs. */
export interface DistillationOptions {
  /** The part of lambda that acts now, a scalar (lambdaFactor); 1 where it is left out. */
  factor?: Tensor;
  /** The detection matching of the family, for `matching: 'hungarian'`; DETR's where it is left out. */
  matcher?: DetectionMatcher;
}

/**
 * The second term of Eq. 2.38, lambda L_DRD: match the queries (Eq. 2.33-2.35), then compare their co-attended features (Eq. 2.36, 2.37).
 * Gradients go into the student's features alone: matching and teacher are constants.
 * @param student output of the student for a batch
 * @param teacher output of the teacher, in evaluation mode, for the same batch (decision A25)
 * @param parameters the student's
 */
export function distillationLoss(student: DetectorOutput, teacher: DetectorOutput, targets: Targets, settings: DistillationSettings, parameters: Parameters, options: DistillationOptions = {}): Distillation {
  return imitationLoss(student, taughtBy(teacher, settings), targets, settings, parameters, options);
}

/** {@link distillationLoss} from what it reads of the teacher's output, which may have been computed before. */
export function imitationLoss(student: DetectorOutput, taught: Taught, targets: Targets, settings: DistillationSettings, parameters: Parameters, { factor, matcher = match }: DistillationOptions = {}): Distillation {
  const matching = matchQueries(student, taught, targets, settings, matcher);
  const distance = distributionRectificationLoss(featuresToDistil(student.coAttention, settings, parameters), taught.features, matching);
  const weighted = tf.mul(distance, settings.lambda);
  return { loss: factor ? tf.mul(weighted, factor) : weighted, distance, keptShare: tf.mean(matching.kept), pairs: tf.sum(matching.kept), matching };
}
