import { conv2d } from '../quantizer/quantized-convolution.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { batchNormalization } from './batch-normalization.js';
import type { Forward } from './forward.js';
import type { BackboneSettings } from './settings.js';

/** Where the backbone lies in DETR's state dict. */
export const BACKBONE = 'backbone.0.body';

/** A convolution without bias and the batch normalization after it. */
function convolve(forward: Forward, name: string, normalization: string, x: Tensor, stride: number, padding: number): Tensor {
  const y = conv2d(forward.parameters, name, x, { stride, padding }, forward.quantization(name), forward.observe);
  return batchNormalization(forward, normalization, y);
}

/** ResNet's basic block `name` (He et al., CVPR 2016): two 3x3 convolutions, and a 1x1 one on the shortcut where the shape changes. */
function basicBlock(forward: Forward, name: string, x: Tensor, stride: number): Tensor {
  const hidden = tf.relu(convolve(forward, `${name}.conv1`, `${name}.bn1`, x, stride, 1));
  const residual = convolve(forward, `${name}.conv2`, `${name}.bn2`, hidden, 1, 1);
  const shortcut = `${name}.downsample.0.weight` in forward.parameters ? convolve(forward, `${name}.downsample.0`, `${name}.downsample.1`, x, stride, 0) : x;
  return tf.relu(tf.add(residual, shortcut));
}

/**
 * Residual backbone: 3x3 stem with stride 2, then stages of basic blocks; names as torchvision's ResNet under `name`
 * (`conv1`, `bn1`, `layer1.0.conv1`, `layer2.0.downsample.0`, ...).
 * @param images [B, H, W, 3], normalized
 * @returns [B, H / stride, W / stride, last width]
 */
export function residualBackbone(forward: Forward, name: string, images: Tensor, { blocks, strides }: BackboneSettings): Tensor {
  let x = tf.relu(convolve(forward, `${name}.conv1`, `${name}.bn1`, images, 2, 1));
  blocks.forEach((count, stage) => {
    for (let block = 0; block < count; block++) x = basicBlock(forward, `${name}.layer${stage + 1}.${block}`, x, block === 0 ? strides[stage] : 1);
  });
  return x;
}
