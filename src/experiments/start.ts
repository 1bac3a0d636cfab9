import { resolveSettings, type TrainingSettings } from '../training/settings.js';
import { modelOf, type DetectorSettings } from '../models/settings.js';
import { backboneRun, detectorRun, openData, splitSizes, type SplitSizes } from './detector-run.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { performRun, type ExperimentRun, type FinishedRun, type PerformOptions, type RunListener } from './run.js';
import { startingWeights } from './starting-weights.js';

/** Sizes of `npm start`: `minutes` is the real thing, `smoke` shows that everything runs. */
export type StartScale = 'smoke' | 'minutes';

/** What `npm start` trains: a real-valued DETR and a quantized one, from the same weights and with the same budget. */
export interface StartRecipe {
  model: DetectorSettings;
  sizes: SplitSizes;
  realValued: TrainingSettings;
  quantized: TrainingSettings;
  /** Bits of the quantized run. */
  bits: string;
  /** Where both start: the weights that come with the project, or a real-valued run from nothing, whose backbone is trained on sprites first. */
  from: 'shipped' | { backbone: TrainingSettings; realValued: TrainingSettings };
}

/** The recipe of a scale, with what the user changes in the settings of all its runs. */
export function startRecipe(scale: StartScale, changes: Readonly<Record<string, unknown>> = {}, fromScratch = scale === 'smoke'): StartRecipe {
  const of = (own: Partial<TrainingSettings>): TrainingSettings => resolveSettings(scale, { ...own, ...changes }, '--set');
  if (scale === 'smoke') {
    return { model: modelOf('smoke'), sizes: splitSizes.smoke, bits: '2-2-8', realValued: of({}), quantized: of({}), from: fromScratch ? { backbone: of({ steps: 4 }), realValued: of({}) } : 'shipped' };
  }
  return {
    model: modelOf('minutes'), sizes: splitSizes.minutes, bits: '2-2-8',
    realValued: of({ learningRate: 3e-4 }), // it has little left to learn
    quantized: of({}),
    from: fromScratch
      ? {
          backbone: of({ steps: 900, batchSize: 64, learningRate: 2e-3, schedule: 'cosine', warmUpSteps: 50, evaluationInterval: 900 }),
          realValued: of({ steps: 24_000, batchSize: 16, learningRate: 4e-4, backboneFactor: 0.5, schedule: 'cosine', warmUpSteps: 500, evaluationInterval: 2000, checkpointInterval: 500 }),
        }
      : 'shipped',
  };
}

/** Options of {@link runStart}. */
export interface StartOptions extends Omit<PerformOptions, 'listener'> {
  /** A listener for each run, made before it begins. */
  listen?(name: string, training: TrainingSettings): RunListener;
}

/** The finished runs of `npm start`. */
export interface StartRuns {
  realValued: FinishedRun;
  quantized: FinishedRun;
}

/** Names of the runs of a recipe, in order. */
export const startRunNames = ({ from, bits }: StartRecipe): string[] => [...(from === 'shipped' ? [] : ['backbone on sprites', 'real-valued DETR from nothing']), 'real-valued DETR', `${bits} baseline`];

/** A quantized step takes about as long as so many real-valued ones (measured: 1.7 on one core). */
const QUANTIZED_COST = 1.7;

/** What the runs of a recipe cost, in order, in real-valued steps of a detector: for estimates of the time left. */
export const startCosts = ({ from, realValued, quantized }: StartRecipe): number[] => [...(from === 'shipped' ? [] : [from.backbone.steps, from.realValued.steps]), realValued.steps, QUANTIZED_COST * quantized.steps];

/** The runs of `npm start`, in order; each goes on where it was stopped and is used again where nothing changed. */
export async function runStart(scale: StartScale, recipe: StartRecipe, { listen, ...options }: StartOptions): Promise<StartRuns> {
  const { model, sizes, bits, from } = recipe;
  const data = openData(model, sizes);
  const names = startRunNames(recipe);
  const perform = (run: ExperimentRun): Promise<FinishedRun> => performRun(run, { ...options, listener: listen?.(names.shift()!, run.training) });
  const detector = (experiment: string, method: string, runBits: string, training: TrainingSettings, artefact: string[], start: { id: string; parameters: ParameterValues }): ExperimentRun =>
    detectorRun({ experiment, method, bits: runBits, scale, artefact, model, training, data, batchStatistics: true, from: start });
  let start: { id: string; parameters: ParameterValues };
  if (from === 'shipped') start = startingWeights('shipped', model, scale);
  else {
    const backbone = await perform(backboneRun('start/backbone', scale, model, data, from.backbone));
    start = await perform(detector('start/from-nothing', 'Real-valued from nothing', '32-32-32', from.realValued, [], backbone));
  }
  const realValued = await perform(detector('start/real-valued', 'Real-valued', '32-32-32', recipe.realValued, ['table-2.2'], start));
  const quantized = await perform(detector(`start/baseline-${bits}`, 'Baseline', bits, recipe.quantized, ['table-2.2'], start));
  return { realValued, quantized };
}
