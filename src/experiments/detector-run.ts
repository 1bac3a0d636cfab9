import { cachedDataset } from '../data/cached-dataset.js';
import { limitedDataset } from '../data/limited-dataset.js';
import type { DetectionDataset } from '../data/dataset.js';
import { openMiniVoc, type MiniVoc } from '../data/minivoc/minivoc.js';
import type { MiniVocSize } from '../data/minivoc/settings.js';
import { spriteDataset } from '../data/minivoc/sprite-dataset.js';
import { stepsPerEpoch } from '../data/batches.js';
import { selectsByTau, type DistillationSettings } from '../distillation/settings.js';
import type { AlignmentSettings } from '../models/distribution-alignment.js';
import type { Quantization } from '../models/forward.js';
import { initialDetectorParameters } from '../models/initial-parameters.js';
import { MODULE_GROUPS, quantizationPolicy, type ModuleGroup, type PolicyPreset } from '../models/quantization-policy.js';
import type { DetectorSettings, ModelScale } from '../models/settings.js';
import type { QuantizerMethod, WeightStart } from '../quantizer/calibration.js';
import { formatPrecision, parsePrecision, REAL } from '../quantizer/precision.js';
import { chooseEngine, residentBytes } from '../tensor/engine.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { classificationTask, pooledClassificationTask } from '../training/classification-task.js';
import { createDetectorEvaluator, type DetectorEvaluator } from '../training/evaluate-detector.js';
import { detectionTask, refuseJitter } from '../training/detection-task.js';
import type { Metrics } from '../training/metrics-log.js';
import type { RunSummary, Split } from '../training/run-record.js';
import type { TrainingSettings } from '../training/settings.js';
import type { TrainingTask } from '../training/train.js';
import { informationPoint } from './information-point.js';
import type { ExperimentRun } from './run.js';
import { calibrationPass, studentParameters } from './start-parameters.js';
import { teacherFeatures, teacherOutputs, trainingFeatures } from './training-features.js';

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
  gpu: { train: 32_000, val: 1000, test: 2000 },
};

/**
 * Images of MiniVOC that a scope sees. Features of all training images and their mirror images are kept in memory (at scale `minutes` 32 kB for
 * each image), so that the scope `transformer` trains on fewer.
 */
export function sizesOf(scale: ModelScale, scope: 'detector' | 'transformer' | 'post-training'): SplitSizes {
  const sizes = splitSizes[scale];
  return scope === 'transformer' ? { ...sizes, train: Math.min(sizes.train, TRANSFORMER_IMAGES) } : sizes;
}

/** Training images of the scope `transformer`, at most. */
const TRANSFORMER_IMAGES = 6000;

/** The data of a run. */
export interface DetectorData {
  train: MiniVoc;
  val: MiniVoc;
  test: MiniVoc;
  unseen: MiniVoc;
}

/** MiniVOC at a model's image size. Images are kept in memory once composed: composing 4,000 again for each run's last evaluation would take 11 s of a core. */
export function openData(model: DetectorSettings, sizes: SplitSizes): DetectorData {
  const open = (split: 'train' | 'val' | 'test' | 'test-unseen', count: number): MiniVoc => limitedDataset(openMiniVoc({ size: model.imageSize as 64, split }), count);
  return { train: cachedDataset(open('train', sizes.train)), val: cachedDataset(open('val', sizes.val)), test: cachedDataset(open('test', sizes.test)), unseen: cachedDataset(open('test-unseen', sizes.test)) };
}

/** Stream of the initial weights. */
const INITIAL = 1;

/** Sprites that a backbone's pre-training composes once and then goes through in epochs. */
export interface SpritePool {
  /** Side of their images in pixels. */
  size: MiniVocSize;
  count: number;
}

/** The pre-training of a backbone on single sprites: of a pool, or each composed for one step and of the size of the detector's images. */
export function backboneRun(experiment: string, scale: TrainingSettings['scale'], model: DetectorSettings, data: DetectorData, training: TrainingSettings, pool?: SpritePool): ExperimentRun {
  const sprites = pool && spritesOf(pool);
  return {
    experiment, training,
    label: { artefact: [], method: 'Backbone pre-training', bits: '32-32-32', model: 'classifier', scale, dataset: `minivoc-${pool?.size ?? model.imageSize} sprites`, tau: null, lambda: null },
    protocol: { backbone: model.backbone, ...(pool && { sprites: { ...pool } }) },
    dataHashes: [sprites?.dataHash ?? data.train.dataHash],
    task: async () => (sprites ? pooledClassificationTask(model.backbone, sprites, training, residentBytes(await chooseEngine())) : classificationTask(model.backbone, data.train, training)),
  };
}

let lastSprites: { key: string; sprites: DetectionDataset } | undefined;

/** A pool's sprites; the last one is kept: students and teachers see the same, and so do the seeds of a cell that are trained together. */
function spritesOf({ size, count }: SpritePool): DetectionDataset {
  const key = `${size} ${count}`;
  if (lastSprites?.key !== key) lastSprites = { key, sprites: cachedDataset(spriteDataset(openMiniVoc({ size, split: 'train' }), count)) };
  return lastSprites.sprites;
}

/** Parameters that a run begins with. */
export interface RunStart {
  /** A run's id, or what its record says about the weights. */
  id: string;
  /** Taken over where names and shapes agree. */
  parameters: ParameterValues;
  /** The module groups whose quantizers are taken over too, instead of being calibrated anew: those that the first stage has trained. */
  trainedGroups?: readonly ModuleGroup[];
}

/** A teacher and where it comes from. */
export interface RunTeacher {
  id: string;
  model: DetectorSettings;
  parameters: ParameterValues;
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
  /** The run whose parameters are taken over; random weights where it is left out. */
  from?: RunStart;
  /** `transformer`: the backbone stays real-valued and as it is, and its features are computed once. Default `detector`. */
  scope?: 'detector' | 'transformer';
  /** Groups that are quantized; default all (with `transformer`: all but the backbone). */
  groups?: readonly ModuleGroup[];
  preset?: PolicyPreset;
  quantizer?: QuantizerMethod;
  /** Where weight scales start; default `LSQ` (decision A4). */
  weightStart?: WeightStart;
  alignment?: AlignmentSettings | null;
  distillation?: { settings: DistillationSettings; teacher: RunTeacher } | null;
  /** Where the transformer starts, for the record. */
  studentStart?: RunSummary['studentStart'];
  /** Steps of the warm-up that `from` has behind it, for the record. */
  warmUp?: number;
  /** Points on the information plane along the training; 0: none. */
  informationPoints?: number;
}

/** A run whose batches have one shape. */
export interface DetectorRun extends ExperimentRun {
  task(): Promise<TrainingTask>;
}

/** A detector, real-valued or quantized: trained on MiniVOC, evaluated on `val` while it goes on and on `test` and `test-unseen` at the end. */
export function detectorRun(options: DetectorRunOptions): DetectorRun {
  const { experiment, method, bits, scale, artefact, model, training, data, batchStatistics, from, quantizer = 'LSQ+', weightStart = 'LSQ', preset = 'paper', alignment = null, distillation = null, studentStart, warmUp = 0, informationPoints = 0 } = options;
  const scope = options.scope ?? 'detector', groups = quantizedGroups(options);
  const isQuantized = groups.length > 0;
  return {
    experiment, training,
    label: {
      artefact, method, bits, model: model.family, scale, dataset: `minivoc-${model.imageSize}`,
      tau: distillation && selectsByTau(distillation.settings) ? distillation.settings.tau : null, lambda: distillation?.settings.lambda ?? null,
      quantized: quantizedWords(bits, groups, preset, from?.id), scope,
      ...(isQuantized ? { groups: [...groups], quantizer, preset, alignment: alignment && [...alignment.places], distillation: distillation && { ...distillation.settings }, teacher: distillation?.teacher.id ?? null, studentStart } : {}),
      ...(warmUp > 0 ? { warmUp } : {}),
    },
    protocol: {
      model, batchStatistics, startsFrom: from?.id ?? null, trainedGroups: from?.trainedGroups ?? [], sizes: Object.fromEntries(Object.entries(data).map(([split, d]) => [split, (d as MiniVoc).length])),
      scope, groups, quantizer, weightStart, preset, alignment, distillation: distillation?.settings ?? null, teacher: distillation?.teacher.id ?? null, teacherModel: distillation?.teacher.model ?? null, informationPoints, ...(warmUp > 0 ? { warmUp } : {}),
    },
    dataHashes: Object.values(data).map((d: MiniVoc) => d.dataHash),
    task: () => detectorTask(options),
  };
}

/** The groups of Fig. 2.11 that a run quantizes. */
function quantizedGroups({ bits, scope, groups = MODULE_GROUPS }: DetectorRunOptions): readonly ModuleGroup[] {
  if (bits === formatPrecision(REAL)) return [];
  return scope === 'transformer' ? groups.filter((group) => group !== 'backbone') : groups;
}

/** The precision of a run's modules. */
export const quantizationOf = (options: DetectorRunOptions): Quantization => quantizationPolicy({ precision: parsePrecision(options.bits), preset: options.preset, groups: quantizedGroups(options) });

/** What is quantized and where the run starts, in words, for tables. */
export function quantizedWords(bits: string, groups: readonly ModuleGroup[], preset: PolicyPreset, startsFrom = 'random weights'): string {
  const { weightBits, activationBits, attentionBits } = parsePrecision(bits);
  const numbers = `weights ${weightBits} bit, activations ${activationBits} bit, attention ${attentionBits} bit`;
  const backbone = groups.includes('backbone') ? '; first convolution 8 bit' : '; backbone real-valued';
  const where = groups.length === MODULE_GROUPS.length ? '' : ` in ${groups.join(', ')}`;
  const what = groups.length === 0 ? 'nothing' : `${numbers}${where}${backbone}; input projection and heads real-valued${preset === 'release' ? '; as the released code places quantizers' : ''}`;
  return `${what}; starts from ${/^[0-9a-f]{12}$/.test(startsFrom) ? `run ${startsFrom}` : startsFrom}`;
}

async function detectorTask(options: DetectorRunOptions): Promise<TrainingTask> {
  const { model, training, data, batchStatistics, from, scope, distillation, informationPoints = 0 } = options;
  const quantization = quantizationOf(options);
  const evaluator = createDetectorEvaluator(model, quantization);
  const perEpoch = stepsPerEpoch(data.train.length, training.batchSize);
  const fromFeatures = scope === 'transformer';
  if (fromFeatures) refuseJitter(training);
  const start = takeOver(initialDetectorParameters(model, new RandomStream(training.seed, INITIAL)), from?.parameters);
  const features = fromFeatures ? await trainingFeatures(model, start, data.train) : undefined;
  const bytes = residentBytes(await chooseEngine());
  const teacher = distillation && {
    ...distillation.teacher,
    features: fromFeatures ? await teacherFeatures(start, distillation.teacher, data.train) : undefined,
    outputs: bytes > 0 && !fromFeatures && data.train.packed ? teacherOutputs(distillation.teacher, distillation.settings, { ...data.train, packed: data.train.packed }) : undefined,
  };
  const pointInterval = informationPoints > 0 ? Math.max(1, Math.floor(training.steps / informationPoints)) : Infinity;
  return detectionTask({
    model, quantization, dataset: data.train, settings: training, batchStatistics: batchStatistics && !fromFeatures, features, residentBytes: bytes,
    distillation: distillation && teacher ? { settings: distillation.settings, teacher } : undefined,
    start: () => startParameters(start, options),
    evaluate: async (parameters, step) => {
      const at = { step, epoch: step / perEpoch };
      const line = (split: Split, dataset: MiniVoc): Promise<Metrics> => evaluationLine(evaluator, parameters, split, dataset, at);
      const isLast = step === training.steps;
      const lines = [await line('val', data.val)];
      if (isLast) lines.push(await line('test', data.test), await line('test-unseen', data.unseen));
      if (informationPoints > 0 && (isLast || step % pointInterval === 0)) {
        const { ap50 } = lines[1] ?? (await line('test', data.test));
        lines.push({ kind: 'information', ...at, ...(await informationPoint(parameters, model, quantization, data, Number(ap50))) });
      }
      return lines;
    },
    dispose: () => evaluator.dispose(),
  });
}

/** COCO's numbers of a detector on a split, as a line of the log; -1, where a split has no object at all, is 0. */
export async function evaluationLine(evaluator: DetectorEvaluator, parameters: ParameterValues, split: Split, dataset: MiniVoc, at: { step: number; epoch: number }): Promise<Metrics> {
  const { ap, ap50, ap75 } = await evaluator.evaluate(parameters, dataset);
  const share = (value: number): number => Math.max(0, value);
  return { kind: 'evaluation', split, ...at, ap: share(ap), ap50: share(ap50), ap75: share(ap75) };
}

/** Parameters, with those of another run in place of their own where name and shape agree. */
function takeOver(own: ParameterValues, others: ParameterValues = {}): ParameterValues {
  return Object.fromEntries(Object.entries(own).map(([name, v]) => [name, others[name]?.shape.join() === v.shape.join() ? others[name] : v]));
}

/** Everything that the training starts with: see `studentParameters`. */
function startParameters(weights: ParameterValues, options: DetectorRunOptions): Promise<ParameterValues> {
  const { model, training, data, from, quantizer = 'LSQ+', weightStart = 'LSQ', alignment = null, distillation = null, preset, bits } = options;
  const precision = parsePrecision(bits);
  const before = from?.trainedGroups && { parameters: from.parameters, groups: from.trainedGroups, quantization: quantizationPolicy({ precision, preset, groups: from.trainedGroups }) };
  const design = { model, quantization: quantizationOf(options), quantizer, weightStart, alignment, distillation };
  return studentParameters(weights, design, calibrationPass(model, data.train, training.seed), training.seed, before);
}
