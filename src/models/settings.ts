import { UserError } from '../errors.js';

/**
 * A residual backbone (He et al., CVPR 2016): a stem of one convolution with stride 2, then stages `layer1`, `layer2`, ... of blocks.
 * What is left out is the small backbones' form: basic blocks, a 3x3 stem, no pooling, ReLU.
 */
export interface BackboneSettings {
  /** Channels of the stem. */
  stem: number;
  /** Channels of each stage; of a bottleneck's 3x3 convolution, whose block gives 4 times as many. */
  widths: readonly number[];
  /** Blocks in each stage. */
  blocks: readonly number[];
  /** Stride of each stage's first block; with the stem's 2, and the pooling's 2, their product is the total stride. */
  strides: readonly number[];
  /** `basic`: two 3x3 convolutions. `bottleneck`: 1x1, 3x3 and 1x1, the stride on the 3x3 one, as torchvision has it. */
  block?: 'basic' | 'bottleneck';
  /** Side of the stem's kernel; its padding keeps the size before the stride. */
  stemKernel?: 3 | 7;
  /** 3x3 max pooling with stride 2 after the stem. */
  pool?: boolean;
  /**
   * `rprelu`: the paper's pre-activation structure with RPReLU (PAPER.md 2.6, 3.3): one before each convolution of a block, its first
   * included, and one after the sum; the stem has a plain PReLU. Equal to `relu` at slopes and biases of 0 (decision A21). A
   * pre-activation with ReLU would change nothing, a block's input being above 0 already: hence one setting for both.
   */
  activation?: 'relu' | 'rprelu';
}

/** ResNet-50 as torchvision has it (its stride on the 3x3 convolution), without its classifier. */
export const RESNET_50: BackboneSettings = { stem: 64, widths: [64, 128, 256, 512], blocks: [3, 4, 6, 3], strides: [1, 2, 2, 2], block: 'bottleneck', stemKernel: 7, pool: true };

/** ResNet-101 as torchvision has it, without its classifier. */
export const RESNET_101: BackboneSettings = { ...RESNET_50, blocks: [3, 4, 23, 3] };

/** The detection transformers of the paper. */
export const FAMILIES = ['detr', 'smca-detr'] as const;
/** See `FAMILIES`. */
export type Family = (typeof FAMILIES)[number];
/** What the families are called. */
export const familyTitles: Readonly<Record<Family, string>> = { detr: 'DETR', 'smca-detr': 'SMCA-DETR' };

/** Sizes of a detection transformer behind a residual backbone. */
export interface DetectorSettings {
  family: Family;
  /** Side of the square input that it is trained on and its costs are stated for, pixels; images of any size can be given. */
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

/** Backbones of the teachers, larger than their students'; the transformer is the same, since D is compared (decision A16). */
const teacherBackbones: Readonly<Record<ModelScale, BackboneSettings>> = {
  smoke: { stem: 8, widths: [16, 16, 32], blocks: [1, 1, 1], strides: [2, 2, 2] },
  minutes: { stem: 24, widths: [32, 64, 128], blocks: [2, 2, 2], strides: [1, 2, 2] },
  gpu: { stem: 32, widths: [64, 128, 256], blocks: [2, 3, 3], strides: [2, 2, 2] },
};

/** The teacher of a scale and family: the student with a larger backbone (the paper: R101 for R50). */
export const teacherModelOf = (scale: ModelScale, family: Family = 'detr'): DetectorSettings => ({ ...modelOf(scale, family), backbone: teacherBackbones[scale] });

/** DETR's transformer at full size (PAPER.md 4.4) on VOC's 20 classes; COCO's are 91, by its highest label. Images are squares here. */
const fullSize = { imageSize: 800, modelWidth: 256, heads: 8, feedForward: 2048, encoderLayers: 6, decoderLayers: 6, classes: 20 } as const;

/** The full-size models as their own repositories have them, published weights fitting by name: the paper's real-valued models and teachers. */
export const fullSizeDetectors = {
  'detr-r50': { ...fullSize, family: 'detr', backbone: RESNET_50, queries: 100 },
  'detr-r101': { ...fullSize, family: 'detr', backbone: RESNET_101, queries: 100 },
  'smca-detr-r50': { ...fullSize, family: 'smca-detr', backbone: RESNET_50, queries: 300 },
  'smca-detr-r101': { ...fullSize, family: 'smca-detr', backbone: RESNET_101, queries: 300 },
} as const satisfies Record<string, DetectorSettings>;

/** The same detector with the paper's backbone: pre-activation and RPReLU. */
export const withRprelu = (settings: DetectorSettings): DetectorSettings => ({ ...settings, backbone: { ...settings.backbone, activation: 'rprelu' } });

/** The paper's quantized student: ResNet-50 with pre-activation and RPReLU (PAPER.md 2.6). */
export const paperStudent = (family: Family): DetectorSettings => withRprelu(fullSizeDetectors[`${family}-r50`]);

/** The paper's real-valued teacher: ResNet-101. Whether its backbone has RPReLU the paper doesn't say: published weights have not. */
export const paperTeacher = (family: Family): DetectorSettings => fullSizeDetectors[`${family}-r101`];

/** Pixels of the input to one cell of the backbone's last feature map, along a side. */
export const totalStride = ({ strides, pool }: BackboneSettings): number => strides.reduce((product, s) => product * s, pool ? 4 : 2);

/** Channels that a block gives for each of its stage's width. */
export const blockExpansion = ({ block }: BackboneSettings): number => (block === 'bottleneck' ? 4 : 1);

/** Channels of the backbone's last feature map. */
export const featureChannels = (backbone: BackboneSettings): number => blockExpansion(backbone) * backbone.widths[backbone.widths.length - 1];

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
