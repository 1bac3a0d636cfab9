import { classificationBatches, classificationEvaluationBatches } from '../data/classification-batches.js';
import { IMAGENET_TRANSFORMS, type ClassificationTransforms } from '../data/classification-transforms.js';
import type { ClassificationDataset } from '../data/imagenet-reader.js';
import { UserError } from '../errors.js';
import { classifier } from '../models/classifier.js';
import { realValued } from '../models/forward.js';
import { backboneParameterShapes, initialClassifierParameters } from '../models/initial-parameters.js';
import { quantizationPolicy } from '../models/quantization-policy.js';
import { BACKBONE } from '../models/residual-backbone.js';
import type { BackboneSettings } from '../models/settings.js';
import { createCalibration } from '../quantizer/calibration.js';
import { formatPrecision, parsePrecision, REAL } from '../quantizer/precision.js';
import { isQuantizerParameter } from '../quantizer/scales.js';
import type { ParameterValues } from '../tensor/parameters.js';
import { RandomStream } from '../tensor/random.js';
import { createClassifierEvaluator, imageClassificationTask } from '../training/image-classification-task.js';
import { isBuffer } from '../training/parameter-groups.js';
import type { TrainingSettings } from '../training/settings.js';
import type { ShapedTrainingTask } from '../training/train.js';
import { compiledCalibrationPass, type ObservedModel } from './compiled-calibration.js';
import type { NamedWeights } from './detector-weights.js';
import type { BrokenChoice } from './image-data.js';
import type { ExperimentRun } from './run.js';

/** The pre-training of a backbone, real-valued or quantized, as a classifier of ImageNet (decision A21). */
export interface Pretraining {
  /** What records call the backbone: `resnet50`. */
  name: string;
  /** With RPReLU where it is quantized. */
  backbone: BackboneSettings;
  bits: string;
  scale: TrainingSettings['scale'];
  data: { train: ClassificationDataset; test: ClassificationDataset };
  /** Where it starts: a torchvision ResNet, whose function the quantized backbone has before its quantizers act; random weights where it is left out. */
  from?: NamedWeights;
  training: TrainingSettings;
  microBatch: number;
  transforms: ClassificationTransforms;
  broken: BrokenChoice;
  workers?: number;
  threads?: number;
  /** Images of the test set that are evaluated, from the first one. */
  evaluated?: number;
}

/** Images that quantizers are calibrated on. */
const CALIBRATION_IMAGES = 64;
/** Stream of the initial weights. */
const INITIAL = 1;

/** Transforms for smaller images: torchvision's in proportion. */
export const classificationTransforms = (side: number): ClassificationTransforms => ({ side, resizedTo: Math.round((side * IMAGENET_TRANSFORMS.resizedTo) / IMAGENET_TRANSFORMS.side) });

/**
 * Weights of a classifier with those that are given in place of random ones: the backbone, and `fc` where it has as many classes. RPReLU's start where it is ReLU, so that
 * before quantization the function is the given one's, exactly.
 * @throws UserError that names the first key that does not fit
 */
export function classifierStart(backbone: BackboneSettings, classes: number, seed: number, weights: NamedWeights | undefined): ParameterValues {
  const own = initialClassifierParameters(backbone, classes, new RandomStream(seed, INITIAL));
  if (!weights) return own;
  const plain = backboneParameterShapes({ ...backbone, activation: 'relu' });
  const wrong = Object.keys(plain).find((name) => weights.parameters[name]?.shape.join() !== plain[name].join());
  if (wrong !== undefined) throw new UserError(`${weights.origin} does not fit: '${wrong}' ${weights.parameters[wrong] ? `has the shape [${weights.parameters[wrong].shape.join(', ')}]` : 'is missing'}, this backbone's has [${plain[wrong].join(', ')}]: give weights of this backbone`);
  const fits = (name: string): boolean => weights.parameters[name]?.shape.join() === own[name].shape.join();
  return Object.fromEntries(Object.entries(own).map(([name, value]) => [name, fits(name) ? weights.parameters[name] : value]));
}

/** The run of a pre-training. */
export function pretrainingRun(of: Pretraining): ExperimentRun {
  const { name, backbone, bits, scale, data, from, training, microBatch, transforms, evaluated, broken } = of;
  if (training.batchSize % microBatch !== 0) throw new UserError(`--micro-batch ${microBatch}: should be a divisor of batchSize, ${training.batchSize}`);
  return {
    experiment: `pretrain/${name}-${bits}`, training,
    label: { artefact: [], method: 'Backbone pre-training', bits, model: 'classifier', scale, dataset: data.train.name, tau: null, lambda: null },
    protocol: { backbone, startsFrom: from?.id ?? null, transforms, microBatch, onBroken: broken.onBroken ?? 'stop', evaluated: evaluated ?? data.test.length },
    dataHashes: [data.train.dataHash, data.test.dataHash],
    task: () => pretrainingTask(of),
  };
}

async function pretrainingTask({ backbone, bits, data, from, training, microBatch, transforms, broken, workers, threads, evaluated }: Pretraining): Promise<ShapedTrainingTask> {
  const isQuantized = bits !== formatPrecision(REAL), quantization = isQuantized ? quantizationPolicy({ precision: parsePrecision(bits) }) : realValued;
  const loading = { transforms, workers, ...broken }, classes = data.train.classes.length;
  const batches = classificationBatches({ dataset: data.train, batchSize: microBatch, seed: training.seed, ...loading });
  const testBatches = classificationEvaluationBatches({ dataset: data.test, batchSize: microBatch, count: evaluated, ...loading });
  const evaluator = createClassifierEvaluator(backbone, quantization, transforms.side, threads);
  const observed: ObservedModel = (parameters, images, precision, observe) => classifier(parameters, images, backbone, precision, { observe });
  const stepsPerEpoch = Math.floor(data.train.length / training.batchSize);
  return imageClassificationTask({
    backbone, quantization, batches, accumulated: training.batchSize / microBatch, side: transforms.side, stepsPerEpoch, isFrozen: isBuffer,
    start: async () => {
      const weights = classifierStart(backbone, classes, training.seed, from);
      if (!isQuantized) return weights;
      const { observe, quantizerParameters } = createCalibration(), size = transforms.side ** 2 * 3, images: Uint8Array[] = [];
      for (let n = 0; images.length < CALIBRATION_IMAGES && n < batches.length; n++) {
        const { pixels } = await batches.batch(n);
        for (let at = 0; at < pixels.length && images.length < CALIBRATION_IMAGES; at += size) images.push(pixels.subarray(at, at + size));
      }
      await compiledCalibrationPass(observed, { height: transforms.side, width: transforms.side, pixels: images }, threads)(weights, realValued, observe);
      return { ...quantizerParameters(quantization, 'LSQ+'), ...weights };
    },
    evaluate: async (parameters, step) => [{ kind: 'accuracy', step, epoch: step / stepsPerEpoch, ...(await evaluator.evaluate(parameters, testBatches)) }],
    dispose: async () => void (await Promise.all([batches.close(), testBatches.close(), evaluator.dispose()])),
  });
}

/** The backbone of a pre-training's parameters, without its classifier's head: what a detector starts from. */
export const pretrainedBackbone = (parameters: ParameterValues): ParameterValues => Object.fromEntries(Object.entries(parameters).filter(([name]) => name.startsWith(`${BACKBONE}.`) && !isQuantizerParameter(name)));
