import { resolveSettings, type TrainingSettings } from '../training/settings.js';
import type { Cell } from './cell.js';

/** The settings of one stage of a cell. Both stages have the same length (decision A20). */
export const stageSettings = ({ scale, seed, changes }: Pick<Cell, 'scale' | 'seed' | 'changes'>): TrainingSettings => resolveSettings(scale, { ...STAGE[scale], ...changes, seed }, '--set');

/** What a stage differs in from the scale's preset. */
const STAGE: Readonly<Record<Cell['scale'], Partial<TrainingSettings>>> = {
  smoke: {},
  minutes: { steps: 500, learningRate: 1e-3, evaluationInterval: 500 },
  // With 4,000 steps of warm-up 14,000 in all, about as many images as the pilot's students saw from a fresh transformer on.
  gpu: { steps: 5000, batchSize: 32, learningRate: 5e-4, warmUpSteps: 200, evaluationInterval: 2500, checkpointInterval: 2500 },
};

/** Stages of a cell: two of a detector (a real-valued one takes the steps of both in one run), none without training. */
export const stagesOf = ({ scope }: Pick<Cell, 'scope'>): 0 | 1 | 2 => (scope === 'detector' ? 2 : scope === 'transformer' ? 1 : 0);
