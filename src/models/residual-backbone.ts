import { conv2d } from '../quantizer/quantized-convolution.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { batchNormalization } from './batch-normalization.js';
import type { Forward } from './forward.js';
import { residualBlocks, sumActivation, type ResidualBlock } from './residual-layout.js';
import { blockActivation, stemActivation } from './rprelu.js';
import type { BackboneSettings } from './settings.js';

/** Where the backbone lies in DETR's state dict. */
export const BACKBONE = 'backbone.0.body';

/** A convolution without bias, padded to keep its size before the stride, and the batch normalization after it. */
function convolve(forward: Forward, name: string, normalization: string, x: Tensor, kernel: number, stride: number): Tensor {
  const y = conv2d(forward.parameters, name, x, { stride, padding: (kernel - 1) / 2 }, forward.quantization(name), forward.observe);
  return batchNormalization(forward, normalization, y);
}

/** A basic block or a bottleneck `name`, with a 1x1 convolution on the shortcut where the shape changes. x [B, H, W, inputs] -> [B, H / stride, W / stride, outputs] */
function residualBlock(forward: Forward, name: string, x: Tensor, block: ResidualBlock, settings: BackboneSettings): Tensor {
  let residual = x;
  block.convolutions.forEach(({ kernel, stride }, i) => {
    const number = i + 1;
    if (number > 1 || settings.activation === 'rprelu') residual = blockActivation(forward, name, number, residual, settings);
    residual = convolve(forward, `${name}.conv${number}`, `${name}.bn${number}`, residual, kernel, stride);
  });
  const shortcut = block.shortcut ? convolve(forward, `${name}.downsample.0`, `${name}.downsample.1`, x, 1, block.stride) : x;
  return blockActivation(forward, name, sumActivation(block), tf.add(residual, shortcut), settings);
}

/**
 * Residual backbone, small or ResNet-50 and -101, in the paper's form with RPReLU too: see `BackboneSettings`. Names are those of torchvision's
 * ResNet under `name` (`conv1`, `bn1`, `layer1.0.conv1`, `layer2.0.downsample.0`, ...) and, for RPReLU, of the released code.
 * The released code gives the quantized convolutions biases too; batch normalization, which follows, has them already: left out.
 * @param images [B, H, W, 3], normalized
 * @returns [B, H / stride, W / stride, channels of the last stage]
 */
export function residualBackbone(forward: Forward, name: string, images: Tensor, settings: BackboneSettings): Tensor {
  const { stemKernel = 3, pool = false } = settings;
  let x = stemActivation(forward, name, convolve(forward, `${name}.conv1`, `${name}.bn1`, images, stemKernel, 2), settings);
  if (pool) x = tf.maxPool(x as tf.Tensor4D, 3, 2, 1);
  for (const block of residualBlocks(settings)) x = residualBlock(forward, `${name}.${block.name}`, x, block, settings);
  return x;
}
