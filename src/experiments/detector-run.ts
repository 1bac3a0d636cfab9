import { cachedDataset } from '../data/cached-dataset.js';
import { limitedDataset } from '../data/limited-dataset.js';
import { openMiniVoc, type MiniVoc } from '../data/minivoc/minivoc.js';
import { batchAt, stepsPerEpoch } from '../data/batches.js';
import { detector } from '../models/detector.js';
import { normalizedPixels } from '../models/normalize-images.js';
import { paperQuantization } from '../models/quantization-policy.js';
import type { DetectorSettings, ModelScale } from '../models/settings.js';
import { initialDetectorParameters } from '../models/initial-parameters.js';
import { calibrate } from '../quantizer/calibration.js';
import { formatPrecision, parsePrecision, REAL } from '../quantizer/precision.js';
import { useBackend } from '../tensor/backend.js';
import { RandomStream } from '../tensor/random.js';
import { tf } from '../tensor/tf.js';
import { toTensors, type ParameterValues } from '../tensor/parameters.js';
import { classificationTask } from '../training/classification-task.js';
import { createDetectorEvaluator } from '../training/evaluate-detector.js';
import { detectionTask } from '../training/detection-task.js';
import type { Metrics } from '../training/metrics-log.js';
import type { TrainingSettings } from '../training/settings.js';
import type { TrainingTask } from '../training/train.js';
import type { ExperimentRun } from './run.js';

/** Images of each split that a run sees. */
export interface SplitSizes {
  train: number;
  /** Evaluated while training goes on. */
  val: number;
  /** Evaluated at the end, as is `test-unseen`. */
  test: number;
}

/** Images of MiniVOC that a detector of a scale is trained and evaluated on. */
export const splitSizes: Readonly<Record<ModelScale, SplitSizes>> = {
  smoke: { train: 64, val: 40, test: 40 },
  minutes: { train: 16_000, val: 400, test: 2000 },
  gpu: { train: 16_000, val: 1000, test: 2000 },
};

/** The data of a run. */
export interface DetectorData {
  train: MiniVoc;
  val: MiniVoc;
  test: MiniVoc;
  unseen: MiniVoc;
}

/** MiniVOC at a model's image size. Training images are kept in memory once composed. */
export function openData(model: DetectorSettings, sizes: SplitSizes): DetectorData {
  const open = (split: 'train' | 'val' | 'test' | 'test-unseen', count: number): MiniVoc => limitedDataset(openMiniVoc({ size: model.imageSize as 64, split }), count);
  return { train: cachedDataset(open('train', sizes.train)), val: cachedDataset(open('val', sizes.val)), test: open('test', sizes.test), unseen: open('test-unseen', sizes.test) };
}

/** Stream of the initial weights. */
const INITIAL = 1;
/** Batches that quantizers are calibrated on (decision A4). */
const CALIBRATION_BATCHES = 8;

/** The pre-training of a backbone on single sprites. */
export function backboneRun(experiment: string, scale: TrainingSettings['scale'], model: DetectorSettings, data: DetectorData, training: TrainingSettings): ExperimentRun {
  return {
    experiment, training,
    label: { artefact: [], method: 'Backbone pre-training', bits: '32-32-32', model: 'classifier', scale, dataset: `minivoc-${model.imageSize} sprites`, tau: null, lambda: null },
    protocol: { backbone: model.backbone },
    dataHashes: [data.train.dataHash],
    task: () => classificationTask(model.backbone, data.train, training),
  };
}

/** What a detector run is made of. */
export interface DetectorRunOptions {
  experiment: string;
  method: string;
  /** `32-32-32`, `2-2-8`, … */
  bits: string;
  scale: TrainingSettings['scale'];
  artefact: string[];
  model: DetectorSettings;
  training: TrainingSettings;
  data: DetectorData;
  /** Batch normalization by the statistics of the batch, or frozen running averages. */
  batchStatistics: boolean;
  /** The run whose parameters are taken over where names and shapes agree. */
  from?: { id: string; parameters: ParameterValues };
}

/** A detector, real-valued or quantized: trained on MiniVOC, evaluated on `val` while it goes on and on `test` and `test-unseen` at the end. */
export function detectorRun(options: DetectorRunOptions): ExperimentRun {
  const { experiment, method, bits, scale, artefact, model, training, data, batchStatistics, from } = options;
  return {
    experiment, training,
    label: { artefact, method, bits, model: 'detr', scale, dataset: `minivoc-${model.imageSize}`, tau: null, lambda: null, quantized: whatIsQuantized(bits, from?.id) },
    protocol: { model, batchStatistics, startsFrom: from?.id ?? null, sizes: Object.fromEntries(Object.entries(data).map(([split, d]) => [split, (d as MiniVoc).length])) },
    dataHashes: Object.values(data).map((d: MiniVoc) => d.dataHash),
    task: () => detectorTask(options),
  };
}

/** What is quantized and where the run starts, in words, for tables. */
function whatIsQuantized(bits: string, startsFrom = 'random weights'): string {
  const { weightBits, activationBits, attentionBits } = parsePrecision(bits);
  const what = bits === formatPrecision(REAL) ? 'nothing' : `weights ${weightBits} bit, activations ${activationBits} bit, attention ${attentionBits} bit; first convolution 8 bit; input projection and heads real-valued`;
  return `${what}; starts from ${/^[0-9a-f]{12}$/.test(startsFrom) ? `run ${startsFrom}` : startsFrom}`;
}

function detectorTask({ bits, model, training, data, batchStatistics, from }: DetectorRunOptions): TrainingTask {
  const quantization = paperQuantization(parsePrecision(bits));
  const evaluator = createDetectorEvaluator(model, quantization);
  const perEpoch = stepsPerEpoch(data.train.length, training.batchSize);
  const line = async (parameters: ParameterValues, split: 'val' | 'test' | 'test-unseen', dataset: MiniVoc, step: number): Promise<Metrics> => {
    const { ap, ap50, ap75 } = await evaluator.evaluate(parameters, dataset);
    const [share, share50, share75] = [ap, ap50, ap75].map((v) => Math.max(0, v)); // -1 where a split has no object at all
    return { kind: 'evaluation', split, step, epoch: step / perEpoch, ap: share, ap50: share50, ap75: share75 };
  };
  return detectionTask({
    model, quantization, dataset: data.train, settings: training, batchStatistics,
    start: async () => {
      const fresh = initialDetectorParameters(model, new RandomStream(training.seed, INITIAL));
      const values = takeOver(fresh, from?.parameters);
      return { ...values, ...(await quantizerParameters(values, bits, model, data.train, training)) };
    },
    evaluate: async (parameters, step) => {
      const lines = [await line(parameters, 'val', data.val, step)];
      if (step === training.steps) lines.push(await line(parameters, 'test', data.test, step), await line(parameters, 'test-unseen', data.unseen, step));
      return lines;
    },
    dispose: () => evaluator.dispose(),
  });
}

/** Parameters, with those of another run in place of their own where name and shape agree. */
function takeOver(own: ParameterValues, others: ParameterValues = {}): ParameterValues {
  return Object.fromEntries(Object.entries(own).map(([name, v]) => [name, others[name]?.shape.join() === v.shape.join() ? others[name] : v]));
}

/** Initial scales and offsets from the first batches (decision A4); none for a real-valued model. */
async function quantizerParameters(values: ParameterValues, bits: string, model: DetectorSettings, dataset: MiniVoc, training: TrainingSettings): Promise<ParameterValues> {
  const precision = parsePrecision(bits);
  if (formatPrecision(precision) === formatPrecision(REAL)) return {};
  await useBackend('wasm');
  const parameters = toTensors(values), side = model.imageSize;
  const batches = Array.from({ length: CALIBRATION_BATCHES }, (_, step) => batchAt(dataset, { batchSize: training.batchSize, seed: training.seed, flip: false, step }).images);
  try {
    return calibrate(batches, (pixels, observe) => detector(parameters, tf.tensor4d(normalizedPixels(pixels), [training.batchSize, side, side, 3]), model, undefined, { observe }), paperQuantization(precision));
  } finally {
    tf.dispose(parameters);
  }
}
