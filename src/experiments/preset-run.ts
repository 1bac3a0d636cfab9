import { brokenItems } from '../data/broken-items.js';
import { evaluationBatches, paddedBatches } from '../data/padded-batches.js';
import { canvasGrid, canvasOf, type Canvas } from '../data/canvas.js';
import { decodeAndTransform, type DecodedImage } from '../data/decode-image.js';
import type { ImageDataset } from '../data/image-dataset.js';
import { DETR_EVALUATION, DETR_TRAINING, evaluationPlan, scaledTransforms, type TransformSettings } from '../data/transforms.js';
import { UserError } from '../errors.js';
import { checkTeacher } from '../distillation/teacher.js';
import { realValued, type Quantization } from '../models/forward.js';
import { MODULE_GROUPS, quantizationPolicy, type ModuleGroup } from '../models/quantization-policy.js';
import { modelOf, teacherModelOf, withRprelu, type DetectorSettings, type ModelScale } from '../models/settings.js';
import { formatPrecision, parsePrecision, REAL } from '../quantizer/precision.js';
import { RandomStream } from '../tensor/random.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import { createImageEvaluator } from '../training/evaluate-images.js';
import { imageDetectionTask } from '../training/image-detection-task.js';
import { isBuffer, isFrozenInDetr } from '../training/parameter-groups.js';
import { resolveSettings, type TrainingSettings } from '../training/settings.js';
import type { ShapedTrainingTask } from '../training/train.js';
import { compiledCalibrationPass, observedDetector, type CalibrationImages } from './compiled-calibration.js';
import { quantizedWords } from './detector-run.js';
import { startFrom, type NamedWeights } from './detector-weights.js';
import type { BrokenChoice, ImageData } from './image-data.js';
import type { Preset } from './presets.js';
import type { ExperimentRun, FinishedRun } from './run.js';
import { studentParameters } from './start-parameters.js';

/** What is chosen for a preset's training. */
export interface PresetChoice {
  /** `paper`, or a small model in the place of the preset's, on images that are smaller by as much. */
  scale: 'paper' | ModelScale;
  data: ImageData;
  /** Weights that the training starts from; random ones where there are none. */
  from?: NamedWeights;
  teacher?: NamedWeights;
  /** Changes of training settings. */
  changes: Readonly<Record<string, unknown>>;
  /** Images that are computed at once; a divisor of the batch size. */
  microBatch: number;
  /** Side lengths of the canvases (see `canvasGrid`). */
  canvasSides: number;
  broken: BrokenChoice;
  /** Threads that decode images. */
  workers?: number;
  /** Threads of the engine. */
  threads?: number;
  /** Images of the test set that are evaluated, from the first one; all where it is left out. */
  evaluated?: number;
}

/** A preset's training, all of it settled. */
export interface PresetTraining extends PresetChoice {
  preset: Preset;
  model: DetectorSettings;
  training: TrainingSettings;
  stepsPerEpoch: number;
  transforms: { training: TransformSettings; evaluation: TransformSettings };
  canvases: { training: readonly Canvas[]; evaluation: readonly Canvas[] };
  isFrozen(name: string): boolean;
}

/** Epochs between evaluations at full size. */
const EVALUATED_EPOCHS = 10;

/**
 * Settles a preset's training: the paper's schedule on as many images as the data set has, DETR's transforms, parameters that DETR freezes where the backbone is pretrained.
 * @throws UserError for settings that do not go together
 */
export function presetTraining(preset: Preset, choice: PresetChoice): PresetTraining {
  const { scale, data, from, changes, microBatch, teacher } = choice, classes = data.train.classes.length;
  const full = preset.model(classes), isTeacher = preset.name.endsWith('-r101'), isQuantized = preset.bits !== formatPrecision(REAL);
  const small = (of: ModelScale): DetectorSettings => ({ ...(isTeacher ? teacherModelOf(of, full.family) : modelOf(of, full.family)), classes });
  const model = scale === 'paper' ? full : isQuantized ? withRprelu(small(scale)) : small(scale);
  const { batchSize } = resolveSettings(scale, changes, '--set'), perEpoch = Math.floor(data.train.length / batchSize);
  if (perEpoch < 1) throw new UserError(`${data.train.name} has ${data.train.length} images, fewer than a step's ${batchSize}: give more images, or --set batchSize=${data.train.length}`);
  const { epochs, dropAfter } = preset;
  const schedule = scale === 'paper' ? { steps: epochs * perEpoch, dropAt: dropAfter / epochs, evaluationInterval: Math.min(EVALUATED_EPOCHS, epochs) * perEpoch, checkpointInterval: perEpoch } : {};
  const training = resolveSettings(scale, { ...schedule, ...changes }, '--set');
  if (!Number.isInteger(microBatch) || microBatch < 1 || training.batchSize % microBatch !== 0) throw new UserError(`--micro-batch ${microBatch}: should be a divisor of batchSize, ${training.batchSize}`);
  if (training.jitter) throw new UserError(`--set jitter=${training.jitter}: the transforms of DETR have no colour jitter: leave it out`);
  if (!preset.distillation && teacher) throw new UserError(`--teacher has no meaning with --preset ${preset.name}, which learns from none: leave it out`);
  if (preset.distillation && teacher) checkTeacher(model, teacherModel(teacher), preset.distillation);
  if (preset.distillation && !teacher) throw new UserError(`--preset ${preset.name} learns from a teacher: give its weights with --teacher; npx qdetr train --preset ${preset.teacher} trains one`);
  const factor = scale === 'paper' ? 1 : model.imageSize / DETR_EVALUATION.sizes[0];
  const transforms = { training: scaledTransforms(DETR_TRAINING, factor), evaluation: scaledTransforms(DETR_EVALUATION, factor) };
  return {
    ...choice, evaluated: choice.evaluated !== undefined && choice.evaluated < data.test.length ? choice.evaluated : undefined, preset, model, training, stepsPerEpoch: perEpoch, transforms,
    canvases: { training: canvasGrid(transforms.training, choice.canvasSides), evaluation: canvasGrid(transforms.evaluation, choice.canvasSides) },
    isFrozen: from ? isFrozenInDetr : isBuffer,
  };
}

/** A stage of a preset: which groups it quantizes, and the finished stage that it goes on from. */
export interface PresetStage {
  groups: readonly ModuleGroup[];
  before?: Pick<FinishedRun, 'id' | 'parameters'> & { groups: readonly ModuleGroup[] };
}

/** The stages of a preset, in order: of a real-valued model one; of a quantized one the backbone alone, then everything (PAPER.md 2.6, decision A20). */
export const stagesOfPreset = ({ bits }: Preset): readonly (readonly ModuleGroup[])[] => (bits === formatPrecision(REAL) ? [[]] : [['backbone'], MODULE_GROUPS]);

/** Whether a training is the paper's own, so that its numbers may stand in the paper's tables: schedule, all images, a pretrained start. */
const isThePapers = ({ evaluated, broken, changes, from }: PresetTraining): boolean => evaluated === undefined && broken.onBroken !== 'skip' && Object.keys(changes).every((key) => key === 'seed') && from !== undefined;

/** One stage's run. */
export function presetRun(of: PresetTraining, stage: PresetStage): ExperimentRun {
  const { preset, model, training, data, from, teacher, scale, transforms, canvases, microBatch, evaluated, broken } = of, { groups, before } = stage;
  const { name, method, bits, quantizer, alignment, distillation } = preset;
  const isQuantized = groups.length > 0, isLast = !isQuantized || groups.length === MODULE_GROUPS.length;
  const startsFrom = before?.id ?? from?.id ?? null;
  return {
    experiment: `preset/${name}${isLast ? '' : '/stage-1'}`, training,
    label: {
      artefact: isLast && isThePapers(of) ? [preset.dataset === 'voc' ? 'cvpr-table-2' : 'cvpr-table-3'] : [], method, bits, model: `${model.family}${name.endsWith('-r101') ? '-r101' : ''}`, scale, dataset: data.name,
      tau: distillation?.tau ?? null, lambda: distillation?.lambda ?? null, quantized: quantizedWords(bits, groups, 'paper', startsFrom ?? undefined), scope: 'detector',
      ...(isQuantized ? { groups: [...groups], quantizer, preset: 'paper' as const, alignment: alignment && [...alignment.places], distillation: distillation && { ...distillation }, teacher: distillation ? teacher!.id : null, studentStart: from?.model ? 'own' as const : 'fresh' as const } : {}),
    },
    protocol: {
      model, classes: data.train.classes, startsFrom, trainedGroups: before?.groups ?? [], groups, quantizer, weightStart: 'LSQ', preset: 'paper', alignment, distillation, scope: 'detector',
      teacher: distillation ? teacher!.id : null, teacherModel: distillation ? teacher!.model ?? null : null, transforms, canvases, microBatch, frozen: from ? 'as DETR' : 'buffers', onBroken: broken.onBroken ?? 'stop', evaluated: evaluated ?? data.test.length,
    },
    dataHashes: [data.train.dataHash, data.test.dataHash],
    task: () => presetTask(of, stage),
  };
}

/** The precision of a stage's modules. */
export const stageQuantization = ({ bits }: Preset, groups: readonly ModuleGroup[]): Quantization => (groups.length === 0 ? realValued : quantizationPolicy({ precision: parsePrecision(bits), preset: 'paper', groups }));

async function presetTask(of: PresetTraining, { groups, before }: PresetStage): Promise<ShapedTrainingTask> {
  const { preset, model, training, data, from, teacher, transforms, canvases, microBatch, stepsPerEpoch, broken, workers, threads, evaluated, isFrozen } = of;
  const quantization = stageQuantization(preset, groups), loading = { workers, mostObjects: model.queries, ...broken };
  const batches = paddedBatches({ dataset: data.train, batchSize: microBatch, transforms: transforms.training, canvases: canvases.training, seed: training.seed, prefetch: 2 * (training.batchSize / microBatch), ...loading });
  const testBatches = evaluationBatches({ dataset: data.test, batchSize: microBatch, transforms: transforms.evaluation, canvases: canvases.evaluation, count: evaluated, ...loading });
  const evaluator = createImageEvaluator(model, quantization, threads);
  const design = { model, quantization, quantizer: preset.quantizer, weightStart: 'LSQ' as const, alignment: preset.alignment, distillation: preset.distillation && teacher ? { settings: preset.distillation, teacher: { model: teacherModel(teacher) } } : null };
  const start = async (): Promise<ParameterValues> => {
    const weights = before ? { id: before.id, origin: `run ${before.id}`, parameters: before.parameters, model } : from;
    const parameters = startFrom(model, training.seed, weights);
    const stage = before && { parameters: before.parameters, groups: before.groups, quantization: stageQuantization(preset, before.groups) };
    const calibration: CalibrationImages = groups.length === 0 && !preset.alignment ? { height: 0, width: 0, pixels: [] } : await calibrationImages(data.train, transforms.evaluation, training.seed, broken);
    return studentParameters(parameters, design, compiledCalibrationPass(observedDetector(model), calibration, threads), training.seed, stage);
  };
  return imageDetectionTask({
    model, quantization, batches, accumulated: training.batchSize / microBatch, stepsPerEpoch, isFrozen, start,
    distillation: preset.distillation && teacher ? { settings: preset.distillation, teacher: { model: teacherModel(teacher), parameters: teacher.parameters } } : undefined,
    evaluate: async (parameters, step) => {
      const { ap, ap50, ap75, apSmall, apMedium, apLarge } = await evaluator.evaluate(parameters, data.test, testBatches, { images: evaluated });
      const share = (value: number): number => Math.max(0, value);
      return [{ kind: 'evaluation', split: 'test', step, epoch: step / stepsPerEpoch, ap: share(ap), ap50: share(ap50), ap75: share(ap75), apSmall: share(apSmall), apMedium: share(apMedium), apLarge: share(apLarge) }];
    },
    dispose: async () => void (await Promise.all([batches.close(), testBatches.close(), evaluator.dispose()])),
  });
}

function teacherModel({ model, origin, parameters }: NamedWeights): DetectorSettings {
  if (Object.keys(parameters).some(isQuantizerParameter)) throw new UserError(`--teacher: ${origin} is quantized, and a teacher is real-valued (decision A25): give the weights of a real-valued detector`);
  if (!model) throw new UserError(`--teacher: ${origin} holds a backbone alone: give the weights of a whole detector`);
  return model;
}

/** Images that quantizers are calibrated on (decision A4: some batches), and how much smaller than in evaluation they are. */
const CALIBRATION_IMAGES = 16, CALIBRATION_FACTOR = 0.6;

/** The first images, in the order of a seed, of those that have the commonest size after resizing: of one size, so that the calibration is compiled once. */
export async function calibrationImages(dataset: ImageDataset, transforms: TransformSettings, seed: number, { onBroken = 'stop', told }: BrokenChoice = {}, most = CALIBRATION_IMAGES): Promise<CalibrationImages> {
  const broken = brokenItems(onBroken, told);
  const smaller = scaledTransforms(transforms, CALIBRATION_FACTOR), bySize = new Map<string, number[]>();
  const order = new RandomStream(seed, CALIBRATION).permutation(dataset.length);
  for (const index of order) {
    const { width, height } = evaluationPlan(dataset.entry(index), smaller).size, key = `${width} ${height}`;
    bySize.set(key, [...(bySize.get(key) ?? []), index]);
  }
  const commonest = [...bySize.values()].reduce((best, indices) => (indices.length > best.length ? indices : best));
  const decoded: DecodedImage[] = [];
  for (const index of commonest) {
    if (decoded.length === most) break;
    const { id, file, width, height } = dataset.entry(index);
    try {
      decoded.push(await decodeAndTransform({ file, width, height, plan: evaluationPlan({ width, height }, smaller) }));
    } catch (error) {
      broken.report(id, error);
    }
  }
  if (decoded.length === 0) throw new UserError(`${dataset.name}: none of the ${commonest.length} images for calibration can be decoded: unpack the images again`);
  return { height: decoded[0].height, width: decoded[0].width, pixels: decoded.map(({ pixels }) => pixels) };
}

/** Stream of the order of the calibration images. */
const CALIBRATION = 103;

/** The canvas of the commonest image in evaluation: what estimates of time are made for. */
export function commonCanvas({ data, transforms, canvases }: PresetTraining): Canvas {
  const sizes = new Map<string, { count: number; canvas: Canvas }>();
  for (let index = 0; index < data.train.length; index++) {
    const { size } = evaluationPlan(data.train.entry(index), transforms.evaluation), key = `${size.width} ${size.height}`;
    const known = sizes.get(key) ?? { count: 0, canvas: size };
    known.count++;
    sizes.set(key, known);
  }
  const { canvas } = [...sizes.values()].reduce((best, one) => (one.count > best.count ? one : best));
  return canvasOf([canvas], canvases.evaluation);
}
