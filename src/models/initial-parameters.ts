import type { ArrayValue, ParameterValues } from '../tensor/parameters.js';
import { sizeOf } from '../tensor/parameters.js';
import type { RandomStream } from '../tensor/random.js';
import { BACKBONE } from './residual-backbone.js';
import { residualBlocks, sumActivation } from './residual-layout.js';
import { rpreluParameters } from './rprelu.js';
import { checkDetectorSettings, featureChannels, type BackboneSettings, type DetectorSettings } from './settings.js';

/** Fills parameters with what PyTorch's modules and DETR start from; without random numbers, lists their shapes only. */
class Initializer {
  readonly values: ParameterValues = {};
  readonly #random?: RandomStream;

  constructor(random?: RandomStream) {
    this.#random = random;
  }

  /** @param draw gives the next element */
  #fill(name: string, shape: readonly number[], draw: (random: RandomStream) => number): void {
    const random = this.#random;
    const value: ArrayValue = { shape, data: random ? Float32Array.from({ length: sizeOf(shape) }, () => draw(random)) : new Float32Array(0) };
    this.values[name] = value;
  }

  constant(name: string, shape: readonly number[], value: number): void {
    this.#fill(name, shape, () => value);
  }

  normal(name: string, shape: readonly number[], deviation: number): void {
    this.#fill(name, shape, (random) => deviation * random.normal());
  }

  uniform(name: string, shape: readonly number[], bound: number): void {
    this.#fill(name, shape, (random) => random.uniform(-bound, bound));
  }

  /** Kernel HWIO without bias, He's normal by the fan out (torchvision's ResNet), and its batch normalization. */
  convolution(name: string, normalization: string, size: number, inputs: number, outputs: number): void {
    this.normal(`${name}.weight`, [size, size, inputs, outputs], Math.sqrt(2 / (outputs * size * size)));
    for (const [key, value] of [['weight', 1], ['bias', 0], ['running_mean', 0], ['running_var', 1]] as const) this.constant(`${normalization}.${key}`, [outputs], value);
  }

  /** torch.nn.Linear's own start: weight and bias uniform within 1/sqrt(in). */
  linear(name: string, inputs: number, outputs: number): void {
    this.uniform(`${name}.weight`, [outputs, inputs], 1 / Math.sqrt(inputs));
    this.uniform(`${name}.bias`, [outputs], 1 / Math.sqrt(inputs));
  }

  /** Xavier's uniform weight (DETR's transformer) and a bias uniform within `biasBound`. */
  xavier(weight: string, bias: string, inputs: number, outputs: number, biasBound: number): void {
    this.uniform(weight, [outputs, inputs], Math.sqrt(6 / (inputs + outputs)));
    this.uniform(bias, [outputs], biasBound);
  }

  attention(name: string, width: number): void {
    this.xavier(`${name}.in_proj_weight`, `${name}.in_proj_bias`, width, 3 * width, 0);
    this.xavier(`${name}.out_proj.weight`, `${name}.out_proj.bias`, width, width, 0);
  }

  layerNorm(name: string, width: number): void {
    this.constant(`${name}.weight`, [width], 1);
    this.constant(`${name}.bias`, [width], 0);
  }

  feedForward(name: string, width: number, hidden: number): void {
    this.xavier(`${name}.linear1.weight`, `${name}.linear1.bias`, width, hidden, 1 / Math.sqrt(width));
    this.xavier(`${name}.linear2.weight`, `${name}.linear2.bias`, hidden, width, 1 / Math.sqrt(hidden));
  }

  /** Three linear layers `<name>.layers.0` to `.2` of width `width` with `outputs` at the end. */
  mlp3(name: string, width: number, outputs: number, linear: (name: string, inputs: number, outputs: number) => void): void {
    [width, width, outputs].forEach((out, i) => linear(`${name}.layers.${i}`, width, out));
  }

  /** SMCA's part of a decoder layer: norm4, reference points (first layer only), head offsets, head scales that begin at 1. */
  modulation(name: string, width: number, heads: number, isFirst: boolean): void {
    const xavier = (at: string, inputs: number, outputs: number): void => this.xavier(`${at}.weight`, `${at}.bias`, inputs, outputs, 1 / Math.sqrt(inputs));
    this.layerNorm(`${name}.norm4`, width);
    if (isFirst) this.mlp3(`${name}.point1`, width, 2, xavier);
    xavier(`${name}.point2`, width, 2 * heads);
    this.constant(`${name}.point3.weight`, [2 * heads, width], 0);
    this.constant(`${name}.point3.bias`, [2 * heads], 1);
  }

  backbone(name: string, settings: BackboneSettings): void {
    this.convolution(`${name}.conv1`, `${name}.bn1`, settings.stemKernel ?? 3, 3, settings.stem);
    for (const { name: block, convolutions, shortcut, inputs, outputs } of residualBlocks(settings)) {
      const at = `${name}.${block}`;
      convolutions.forEach((c, i) => this.convolution(`${at}.conv${i + 1}`, `${at}.bn${i + 1}`, c.kernel, c.inputs, c.outputs));
      if (shortcut) this.convolution(`${at}.downsample.0`, `${at}.downsample.1`, 1, inputs, outputs);
    }
    Object.assign(this.values, initialActivations(name, settings));
  }
}

/**
 * Slopes and biases of the activations of the backbone `name`, all 0: what turns the parameters of a plain backbone into those of the
 * same network with RPReLU (decision A21). Nothing where the activation is ReLU.
 */
export function initialActivations(name: string, settings: BackboneSettings): ParameterValues {
  if (settings.activation !== 'rprelu') return {};
  const values: ParameterValues = {};
  const zeros = (parameters: readonly string[], channels: number): void => parameters.forEach((p) => (values[p] = { shape: [channels], data: new Float32Array(channels) }));
  zeros([`${name}.prelu.weight`], settings.stem);
  for (const block of residualBlocks(settings)) {
    const at = `${name}.${block.name}`;
    block.convolutions.forEach(({ inputs }, i) => zeros(rpreluParameters(at, i + 1), inputs));
    zeros(rpreluParameters(at, sumActivation(block)), block.outputs);
  }
  return values;
}

/** What the class scores of SMCA-DETR begin at, as a probability (focal loss, Lin et al., ICCV 2017). */
export const CLASS_PRIOR = 0.01;

/**
 * Parameters of `detector` as facebookresearch/detr and gaopengcuhk/SMCA-DETR start them: He's normal in the backbone, Xavier's uniform
 * in the transformer (packed `in_proj_weight` [3C, C] as one matrix), normal query positions, PyTorch's own start in `input_proj` and
 * the heads. SMCA-DETR: Xavier's uniform in `point1` and `point2`, head scales of 1, class probabilities of `CLASS_PRIOR`.
 * @throws UserError when no model can have these settings: see `checkDetectorSettings`
 */
export const initialDetectorParameters = (settings: DetectorSettings, random: RandomStream): ParameterValues => fillDetector(new Initializer(random), settings);

function fillDetector(to: Initializer, settings: DetectorSettings): ParameterValues {
  const { family, backbone, modelWidth, heads, feedForward, encoderLayers, decoderLayers, queries, classes } = checkDetectorSettings(settings);
  const isSmca = family === 'smca-detr';
  to.backbone(BACKBONE, backbone);
  const features = featureChannels(backbone);
  to.uniform('input_proj.weight', [1, 1, features, modelWidth], 1 / Math.sqrt(features));
  to.uniform('input_proj.bias', [modelWidth], 1 / Math.sqrt(features));
  for (let layer = 0; layer < encoderLayers; layer++) {
    const at = `transformer.encoder.layers.${layer}`;
    to.attention(`${at}.self_attn`, modelWidth);
    to.feedForward(at, modelWidth, feedForward);
    for (const norm of ['norm1', 'norm2']) to.layerNorm(`${at}.${norm}`, modelWidth);
  }
  for (let layer = 0; layer < decoderLayers; layer++) {
    const at = `transformer.decoder.layers.${layer}`;
    to.attention(`${at}.self_attn`, modelWidth);
    to.attention(`${at}.multihead_attn`, modelWidth);
    to.feedForward(at, modelWidth, feedForward);
    for (const norm of ['norm1', 'norm2', 'norm3']) to.layerNorm(`${at}.${norm}`, modelWidth);
    if (isSmca) to.modulation(at, modelWidth, heads, layer === 0);
  }
  to.layerNorm('transformer.decoder.norm', modelWidth);
  to.normal('query_embed.weight', [queries, modelWidth], 1);
  to.linear('class_embed', modelWidth, isSmca ? classes : classes + 1);
  if (isSmca) to.constant('class_embed.bias', [classes], -Math.log(1 / CLASS_PRIOR - 1));
  to.mlp3('bbox_embed', modelWidth, 4, (name, inputs, outputs) => to.linear(name, inputs, outputs));
  return to.values;
}

/** Parameters of `classifier`: the backbone as in DETR, and `fc` as torch.nn.Linear starts. */
export function initialClassifierParameters(settings: BackboneSettings, classes: number, random: RandomStream): ParameterValues {
  const to = new Initializer(random);
  to.backbone(BACKBONE, settings);
  to.linear('fc', featureChannels(settings), classes);
  return to.values;
}

const shapesOf = (values: ParameterValues): Record<string, readonly number[]> => Object.fromEntries(Object.entries(values).map(([name, { shape }]) => [name, shape]));

/** Names and shapes of the parameters of `detector`, without their numbers. @throws UserError when no model can have these settings */
export const detectorParameterShapes = (settings: DetectorSettings): Record<string, readonly number[]> => shapesOf(fillDetector(new Initializer(), settings));

/** Names and shapes of the backbone's parameters, with the names that they have in DETR. */
export function backboneParameterShapes(settings: BackboneSettings): Record<string, readonly number[]> {
  const to = new Initializer();
  to.backbone(BACKBONE, settings);
  return shapesOf(to.values);
}
