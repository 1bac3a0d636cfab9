import { detectionInputs, detectionObjective } from '../training/detection-task.js';
import { paperQuantization, type PolicyPreset } from '../models/quantization-policy.js';
import { initialDetectorParameters } from '../models/initial-parameters.js';
import { realValued } from '../models/forward.js';
import { modelOf, type DetectorSettings, type Family, type ModelScale } from '../models/settings.js';
import { isReal, parsePrecision } from '../quantizer/precision.js';
import type { TensorSpec } from '../tensor/graph.js';
import { sizeOf, type ParameterValues } from '../tensor/parameters.js';
import { peakBytes } from '../tensor/peak-memory.js';
import { RandomStream } from '../tensor/random.js';
import { trace } from '../tensor/trace.js';
import { isBuffer, packLayout } from '../training/parameter-groups.js';
import type { TrainingSettings } from '../training/settings.js';
import { HYPERPARAMETERS, initialState, packState, trainingStep } from '../training/training-step.js';
import { detectorRun, openData, splitSizes } from './detector-run.js';
import type { ExperimentRun } from './run.js';
import type { StartingWeights } from './starting-weights.js';

/** What one detector is trained with, beside its settings. */
export interface SingleDetectorOptions {
  from?: StartingWeights;
  /** Where quantizers are; default `paper`. */
  policy?: PolicyPreset;
}

/** One detector: a scale's model of a family on MiniVOC, real-valued or quantized: the paper's Baseline, LSQ+, where the policy has quantizers. */
export function singleDetectorRun(scale: ModelScale, family: Family, bits: string, training: TrainingSettings, { from, policy = 'paper' }: SingleDetectorOptions = {}): ExperimentRun {
  const isRealValued = Object.values(parsePrecision(bits)).every(isReal), isRelease = policy === 'release' && !isRealValued;
  const model = modelOf(scale, family), name = isRealValued ? 'real-valued' : `baseline-${isRelease ? 'policy-release-' : ''}${bits}`;
  return detectorRun({
    experiment: `train/${family === 'detr' ? '' : `${family}/`}${name}`, method: isRealValued ? 'Real-valued' : isRelease ? 'Baseline (policy release)' : 'Baseline',
    bits, scale, artefact: [], model, training, data: openData(model, splitSizes[scale]), batchStatistics: true, from, preset: isRealValued ? 'paper' : policy,
  });
}

/** Bytes of Node.js with tfjs and onnxruntime before any model is made, about. */
const PROGRAM_BYTES = 450e6;

/**
 * What training at these settings needs, without training: elements that are trained, and bytes of memory. The step is traced (shapes
 * only), real-valued; quantizers keep what they were given beside what they gave, and so take about twice as much. All
 * images are kept once composed.
 */
export function estimatedNeeds(model: DetectorSettings, bits: string, training: TrainingSettings, images: number): { trained: number; bytes: number } {
  const state = initialState(initialDetectorParameters(model, new RandomStream(0)), isBuffer);
  const layouts = packLayout(state.parameters, training);
  const packed = packState(layouts, state);
  const { batchSize } = training, { imageSize } = model;
  const scalar: TensorSpec = { shape: [], dtype: 'float32' };
  const inputs: Record<string, TensorSpec> = {
    ...detectionInputs(model, batchSize),
    ...Object.fromEntries(HYPERPARAMETERS.map((name) => [name, scalar])),
  };
  const step = trainingStep(layouts, training, detectionObjective(model, realValued, { batchStatistics: true }));
  const graph = trace(
    (all) => {
      const { state: next = {}, outputs } = step(Object.fromEntries(Object.keys(packed).map((name) => [name, all[name]])), Object.fromEntries(Object.keys(inputs).map((name) => [name, all[name]])));
      return { ...next, ...outputs };
    },
    { ...Object.fromEntries(Object.entries(packed).map(([name, { shape }]) => [name, { shape, dtype: 'float32' as const }])), ...inputs },
  );
  const stateBytes = 2 * bytesOf(packed); // the state before a step and after it
  const factor = paperQuantization(parsePrecision(bits)) === realValued ? 1 : 2;
  return { trained: layouts.reduce((sum, { size }) => sum + size, 0), bytes: PROGRAM_BYTES + stateBytes + factor * peakBytes(graph) + images * imageSize * imageSize * 3 };
}

const bytesOf = (values: ParameterValues): number => Object.values(values).reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);

/** Images of a scale that a run keeps in memory: those of all splits. */
export function keptImages(scale: ModelScale): number {
  const { train, val, test } = splitSizes[scale];
  return train + val + 2 * test;
}
