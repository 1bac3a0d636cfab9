import { UserError } from '../errors.js';

/** A residual backbone of basic blocks: 3x3 stem with stride 2, then stages `layer1`, `layer2`, ... */
export interface BackboneSettings {
  /** Channels of the stem. */
  stem: number;
  /** Channels of each stage. */
  widths: readonly number[];
  /** Basic blocks in each stage. */
  blocks: readonly number[];
  /** Stride of each stage's first block; with the stem's 2 their product is the total stride. */
  strides: readonly number[];
}

/** The detection transformers of the paper. */
export const FAMILIES = ['detr', 'smca-detr'] as const;
/** See `FAMILIES`. */
export type Family = (typeof FAMILIES)[number];

/** Sizes of a detection transformer behind a residual backbone. */
export interface DetectorSettings {
  family: Family;
  /** Side of the square input, pixels. */
  imageSize: number;
  backbone: BackboneSettings;
  /** C: width of the transformer's tokens. */
  modelWidth: number;
  /** N: attention heads. */
  heads: number;
  /** Width of the hidden layer of the feed-forward networks. */
  feedForward: number;
  encoderLayers: number;
  decoderLayers: number;
  /** Q: object queries. */
  queries: number;
  /** K: object classes, without "no object". */
  classes: number;
}

/** `smoke` runs in seconds (tests), `minutes` trains on a laptop's CPU, `gpu` is the student of the recorded runs. */
export type ModelScale = 'smoke' | 'minutes' | 'gpu';

/** The small DETRs of this kit, by scale. MiniVOC has VOC's 20 classes and at most 6 objects an image. */
export const detrSettings: Readonly<Record<ModelScale, DetectorSettings>> = {
  smoke: {
    family: 'detr', imageSize: 64, backbone: { stem: 8, widths: [8, 16, 32], blocks: [1, 1, 1], strides: [2, 2, 2] },
    modelWidth: 32, heads: 4, feedForward: 64, encoderLayers: 1, decoderLayers: 2, queries: 10, classes: 20,
  },
  minutes: {
    family: 'detr', imageSize: 64, backbone: { stem: 16, widths: [16, 32, 64], blocks: [1, 1, 1], strides: [1, 2, 2] },
    modelWidth: 64, heads: 4, feedForward: 256, encoderLayers: 2, decoderLayers: 2, queries: 15, classes: 20,
  },
  gpu: {
    family: 'detr', imageSize: 128, backbone: { stem: 24, widths: [32, 64, 128], blocks: [2, 2, 2], strides: [2, 2, 2] },
    modelWidth: 128, heads: 4, feedForward: 512, encoderLayers: 3, decoderLayers: 3, queries: 25, classes: 20,
  },
};

/** The model of a scale in one of the two families; their sizes are the same. */
export const modelOf = (scale: ModelScale, family: Family = 'detr'): DetectorSettings => ({ ...detrSettings[scale], family });

/** Pixels of the input to one cell of the backbone's last feature map, along a side. */
export const totalStride = ({ strides }: BackboneSettings): number => strides.reduce((product, s) => product * s, 2);

/** Side of the backbone's last feature map. */
export const featureSize = ({ imageSize, backbone }: DetectorSettings): number => imageSize / totalStride(backbone);

/**
 * Checks that a model of these sizes can be built.
 * @throws UserError that names the key.
 */
export function checkDetectorSettings(settings: DetectorSettings): DetectorSettings {
  const { backbone, imageSize, modelWidth, heads } = settings;
  const positive = (key: string, value: number): void => {
    if (!Number.isInteger(value) || value < 1) throw new UserError(`model setting ${key} is ${value}: give a positive whole number`);
  };
  for (const key of ['imageSize', 'modelWidth', 'heads', 'feedForward', 'encoderLayers', 'decoderLayers', 'queries', 'classes'] as const) positive(key, settings[key]);
  positive('backbone.stem', backbone.stem);
  for (const key of ['widths', 'blocks', 'strides'] as const) {
    if (backbone[key].length !== backbone.widths.length || backbone.widths.length === 0) {
      throw new UserError(`model setting backbone.${key} has ${backbone[key].length} stages where backbone.widths has ${backbone.widths.length}: give one number for each stage`);
    }
    backbone[key].forEach((value, i) => positive(`backbone.${key}[${i}]`, value));
  }
  if (imageSize % totalStride(backbone) !== 0) throw new UserError(`model setting imageSize is ${imageSize}: give a multiple of the backbone's total stride, ${totalStride(backbone)}`);
  if (modelWidth % heads !== 0) throw new UserError(`model setting heads is ${heads}: give a divisor of modelWidth, ${modelWidth}`);
  if (modelWidth % 4 !== 0) throw new UserError(`model setting modelWidth is ${modelWidth}: give a multiple of 4, for the sines and cosines of two directions`);
  return settings;
}
