import type { CaptureSettings } from './vt-ptq-capture.js';
import type { SearchSettings } from './vt-ptq-search.js';

/** Settings of VT-PTQ. */
export interface VtPtqSettings extends CaptureSettings, SearchSettings {
  /** gamma: the weight of the ranking loss. */
  rankingWeight: number;
  /** theta: the margin of the ranking loss. */
  threshold: number;
  /** Rows of attention scores that the ranking loss looks at, of each image and head. */
  rankingRows: number;
  /** Whether expected errors of outputs are subtracted from biases. */
  biasCorrection: boolean;
  /** `offset`: LSQ+'s grid, which Percentile uses too; `symmetric`: theirs (Eq. 8), signed without offset. */
  grid: 'offset' | 'symmetric';
}

/**
 * alpha, beta, gamma, theta and the iterations are theirs (section 4.1). They calibrate on 1,000 images; C, and whether outputs are subsampled, is not said: 15 factors
 * make steps of 0.05 and contain 1.
 */
export const vtPtqSettings: Readonly<VtPtqSettings> = {
  images: 16, positions: 64, lowest: 0.5, highest: 1.2, candidates: 15, iterations: 20,
  rankingWeight: 0.1, threshold: 0.2, rankingRows: 16, biasCorrection: true, grid: 'offset',
};
