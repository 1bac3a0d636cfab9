import { resolveSettings, type TrainingSettings } from '../training/settings.js';
import type { DetrSettings } from '../models/settings.js';
import { backboneRun, detectorRun, modelOf, openData, type SplitSizes } from './detector-run.js';
import { performRun, type FinishedRun, type PerformOptions, type RunListener } from './run.js';

/** Sizes of `npm start`: `minutes` is the real thing, `smoke` shows that everything runs. */
export type StartScale = 'smoke' | 'minutes';

/** What `npm start` trains: a backbone on sprites, a real-valued DETR from it, a quantized DETR from that. */
export interface StartRecipe {
  model: DetrSettings;
  sizes: SplitSizes;
  backbone: TrainingSettings;
  realValued: TrainingSettings;
  quantized: TrainingSettings;
  /** Bits of the quantized run. */
  bits: string;
}

/** The recipe of a scale, with what the user changes in the settings of all its runs. */
export function startRecipe(scale: StartScale, changes: Readonly<Record<string, unknown>> = {}): StartRecipe {
  const of = (own: Partial<TrainingSettings>): TrainingSettings => resolveSettings(scale, { ...own, ...changes }, '--set');
  if (scale === 'smoke') {
    return {
      model: modelOf('smoke'), sizes: { train: 64, val: 40, test: 40 }, bits: '2-2-8',
      backbone: of({ steps: 4 }), realValued: of({}), quantized: of({}),
    };
  }
  return {
    model: modelOf('minutes'), sizes: { train: 16_000, val: 400, test: 2000 }, bits: '2-2-8',
    backbone: of({ steps: 600, batchSize: 64, learningRate: 2e-3, schedule: 'cosine', warmUpSteps: 50, evaluationInterval: 600 }),
    realValued: of({ steps: 3000, batchSize: 16, learningRate: 1e-3, schedule: 'cosine', warmUpSteps: 200, evaluationInterval: 1000 }),
    quantized: of({ steps: 1200, batchSize: 16, learningRate: 5e-4, quantizerFactor: 1, schedule: 'cosine', warmUpSteps: 100, evaluationInterval: 600 }),
  };
}

/** Options of {@link runStart}. */
export interface StartOptions extends Omit<PerformOptions, 'listener'> {
  /** A listener for each run, made before it begins. */
  listen?(name: string, training: TrainingSettings): RunListener;
}

/** The runs of `npm start`, in order; each goes on where it was stopped and is used again where nothing changed. */
export async function runStart(scale: StartScale, recipe: StartRecipe, { listen, ...options }: StartOptions): Promise<{ backbone: FinishedRun; realValued: FinishedRun; quantized: FinishedRun }> {
  const { model, sizes, bits } = recipe;
  const data = openData(model, sizes);
  const artefact = ['table-2.2'];
  const backbone = await performRun(backboneRun('start/backbone', scale, model, data, recipe.backbone), { ...options, listener: listen?.('backbone on sprites', recipe.backbone) });
  const realValued = await performRun(
    detectorRun({ experiment: 'start/real-valued', method: 'Real-valued', bits: '32-32-32', scale, artefact, model, training: recipe.realValued, data, batchStatistics: true, from: backbone }),
    { ...options, listener: listen?.('real-valued DETR', recipe.realValued) },
  );
  const quantized = await performRun(
    detectorRun({ experiment: `start/baseline-${bits}`, method: 'Baseline', bits, scale, artefact, model, training: recipe.quantized, data, batchStatistics: true, from: realValued }),
    { ...options, listener: listen?.(`${bits} baseline`, recipe.quantized) },
  );
  return { backbone, realValued, quantized };
}
