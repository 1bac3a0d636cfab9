import { lastLayer, type DetectorOutput } from '../models/detector-output.js';
import type { Tensor } from '../tensor/tf.js';
import { featuresToDistil } from './distillation-loss.js';
import type { DistillationSettings } from './settings.js';

/** What a student is taught for a batch: all that the distillation reads of a teacher's output. */
export interface Taught {
  /** Boxes of the last decoder layer, `cxcywh` [1, B, Qt, 4]. */
  boxes: Tensor;
  /** Logits of the last decoder layer [1, B, Qt, K + 1 or K]; `matching: 'hungarian'` alone reads them. */
  logits?: Tensor;
  /** The distilled feature of each decoder layer that is distilled: see `distilledFeatures`. [B, Qt, Ct] each. */
  features: Tensor[];
}

/** What these settings read of a teacher's output. */
export function taughtBy({ boxes, logits, coAttention }: DetectorOutput, settings: Pick<DistillationSettings, 'matching' | 'feature' | 'layers'>): Taught {
  return { boxes: lastLayer(boxes), ...(settings.matching === 'hungarian' && { logits: lastLayer(logits) }), features: featuresToDistil(coAttention, settings) };
}
