import type { Family } from '../models/settings.js';
import type { Tensor } from '../tensor/tf.js';
import { focalCriterion, focalMatch } from './focal-criterion.js';
import { match, type Targets } from './matcher.js';
import { setCriterion, type SetLoss } from './set-criterion.js';

/**
 * L_GT of Eq. 2.38, each family's own (decision A24): {@link setCriterion} of DETR, {@link focalCriterion} of SMCA-DETR.
 * @param logits [L, B, Q, K + 1]; SMCA-DETR [L, B, Q, K]
 * @param boxes `cxcywh` [L, B, Q, 4]
 */
export function detectionLoss(family: Family, logits: Tensor, boxes: Tensor, targets: Targets): SetLoss {
  return family === 'smca-detr' ? focalCriterion(logits, boxes, targets) : setCriterion(logits, boxes, targets);
}

/** The bipartite matching of a family: logits and boxes of L layers and targets -> [L * B, G, Q], one-hot rows, zero rows for padding. */
export function detectionMatcher(family: Family): (logits: Tensor, boxes: Tensor, targets: Targets) => Tensor {
  return family === 'smca-detr' ? focalMatch : match;
}
