import { BACKBONE } from './residual-backbone.js';
import { residualBlocks } from './residual-layout.js';
import { featureChannels, type BackboneSettings, type DetectorSettings } from './settings.js';

/** Sides of an image, pixels. */
export interface ImageSides {
  height: number;
  width: number;
}

/** One matrix product or convolution of the model. */
export interface ModuleCost {
  /** Name in the state dict; for the two products of an attention `<name>.qk` and `<name>.av`. */
  name: string;
  /** Whether the product's second operand is a weight (Q-FC, convolution) or an activation (attention). */
  kind: 'weights' | 'attention';
  /** Elements of the weight; 0 for attention. */
  weights: number;
  /** Output channels or features, each with a scale where the weight is quantized; 0 for attention. */
  outputs: number;
  /** Elements that stay real-valued: bias, and after a convolution batch normalization's weight and bias, with RPReLU its slopes and biases. */
  others: number;
  /** Multiply-accumulate operations for one image, in every decoder layer that the module reads. */
  multiplyAdds: number;
}

/** The square image of a detector's settings. */
const squareOf = ({ imageSize }: DetectorSettings): ImageSides => ({ height: imageSize, width: imageSize });

/**
 * Every product of `detector` for one image, by default the square of `settings.imageSize`, in the order of the forward pass. The heads share their weights over the
 * decoder layers and run for each of them, in evaluation too. Layer norms and query positions: `parameterCount`. SMCA's Gaussians are
 * no products of matrices and are left out: 5 operations for a cell, query and head at most.
 */
export function detectorCost(settings: DetectorSettings, image = squareOf(settings)): ModuleCost[] {
  const { family, modelWidth: width, heads, feedForward, encoderLayers, decoderLayers, queries, classes, backbone } = settings;
  const { costs: convolutions, cells: memory } = backboneProducts(BACKBONE, backbone, image);
  const linear = (name: string, inputs: number, outputs: number, rows: number): ModuleCost => ({ name, kind: 'weights', weights: inputs * outputs, outputs, others: outputs, multiplyAdds: inputs * outputs * rows });
  const attention = (name: string, rows: number, keys: number): ModuleCost[] => [
    ...(['q_proj', 'k_proj', 'v_proj'] as const).map((part) => linear(`${name}.${part}`, width, width, part === 'q_proj' ? rows : keys)),
    ...['qk', 'av'].map((part): ModuleCost => ({ name: `${name}.${part}`, kind: 'attention', weights: 0, outputs: 0, others: 0, multiplyAdds: rows * keys * width })),
    linear(`${name}.out_proj`, width, width, rows),
  ];
  const mlp3 = (name: string, outputs: number, rows: number): ModuleCost[] => [width, width, outputs].map((out, i) => linear(`${name}.layers.${i}`, width, out, rows));
  const modulation = (at: string, isFirst: boolean): ModuleCost[] => [
    ...(isFirst ? mlp3(`${at}.point1`, 2, queries) : []), ...['point2', 'point3'].map((part) => linear(`${at}.${part}`, width, 2 * heads, queries)),
  ];
  const isSmca = family === 'smca-detr';
  const hidden = (name: string, rows: number): ModuleCost[] => [linear(`${name}.linear1`, width, feedForward, rows), linear(`${name}.linear2`, feedForward, width, rows)];
  const costs = [...convolutions, linear('input_proj', featureChannels(backbone), width, memory)];
  for (let layer = 0; layer < encoderLayers; layer++) {
    const at = `transformer.encoder.layers.${layer}`;
    costs.push(...attention(`${at}.self_attn`, memory, memory), ...hidden(at, memory));
  }
  for (let layer = 0; layer < decoderLayers; layer++) {
    const at = `transformer.decoder.layers.${layer}`;
    if (isSmca) costs.push(...modulation(at, layer === 0));
    costs.push(...attention(`${at}.self_attn`, queries, queries), ...attention(`${at}.multihead_attn`, queries, memory), ...hidden(at, queries));
  }
  const rows = decoderLayers * queries;
  return [...costs, linear('class_embed', width, isSmca ? classes : classes + 1, rows), ...mlp3('bbox_embed', 4, rows)];
}

/**
 * Every convolution of the residual backbone for one image, whose sides a stride halves upwards, and the cells of the last feature map.
 * Elements of an activation count with the convolution after it; those after the stem and after a block's sum with the convolution before.
 */
function backboneProducts(name: string, settings: BackboneSettings, image: ImageSides): { costs: ModuleCost[]; cells: number } {
  const { stem, stemKernel = 3, pool, activation } = settings;
  const [slopes, rprelus] = activation === 'rprelu' ? [1, 3] : [0, 0];
  let { height, width } = image;
  const stride = (by: number): void => void ([height, width] = [Math.ceil(height / by), Math.ceil(width / by)]);
  const convolution = (at: string, kernel: number, inputs: number, outputs: number, activations: number): ModuleCost => {
    const weights = kernel * kernel * inputs * outputs;
    return { name: at, kind: 'weights', weights, outputs, others: 2 * outputs + activations, multiplyAdds: weights * height * width };
  };
  stride(2);
  const costs = [convolution(`${name}.conv1`, stemKernel, 3, stem, slopes * stem)];
  if (pool) stride(2);
  for (const { name: block, convolutions, shortcut, inputs, outputs } of residualBlocks(settings)) {
    const at = `${name}.${block}`, last = convolutions.length - 1;
    convolutions.forEach((c, i) => {
      stride(c.stride);
      costs.push(convolution(`${at}.conv${i + 1}`, c.kernel, c.inputs, c.outputs, rprelus * (c.inputs + (i === last ? outputs : 0))));
    });
    if (shortcut) costs.push(convolution(`${at}.downsample.0`, 1, inputs, outputs, 0));
  }
  return { costs, cells: height * width };
}

/** Trained elements of `detector`: those of its products, of the layer norms and of the query positions. */
export function parameterCount(settings: DetectorSettings): number {
  const { family, modelWidth, encoderLayers, decoderLayers, queries } = settings;
  const layerNorms = 2 * modelWidth * (2 * encoderLayers + (family === 'smca-detr' ? 4 : 3) * decoderLayers + 1);
  return detectorCost(settings).reduce((sum, { weights, others }) => sum + weights + others, layerNorms + queries * modelWidth);
}
