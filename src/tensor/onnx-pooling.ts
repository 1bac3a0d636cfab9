import type { RewriteRule } from './graph-builder.js';
import { channelsFirst, channelsLast } from './onnx-convolution.js';
import { poolingInfo } from './shape-rules.js';

const spec = (shape: number[]) => [{ shape, dtype: 'float32' as const }];

/**
 * tfjs's pooling (NHWC) as onnxruntime computes it (NCHW), and its gradients. The gradient of an average is a transposed
 * convolution with a filter of ones, each channel as an image of its own.
 * @throws for the gradient of a padded average: tfjs divides by the whole window there, its forward pass by the pixels inside.
 */
export const poolingChannelsFirst: RewriteRule = ({ op, inputs, attributes, outputs: [out] }, b) => {
  if (!['MaxPool', 'AvgPool', 'MaxPoolGrad', 'AvgPoolGrad'].includes(op)) return undefined;
  const gradient = op.endsWith('Grad'), x = gradient ? inputs.input : inputs.x;
  const info = poolingInfo(x.shape, attributes);
  const { top, left, bottom, right } = info.padInfo;
  const geometry = { strides: [info.strideHeight, info.strideWidth], pads: [top, left, bottom, right], kernel: [info.filterHeight, info.filterWidth] };
  const [B, H, W, C] = out.shape;
  if (!gradient) return [channelsLast(b, b.one(op === 'MaxPool' ? 'OnnxMaxPool' : 'OnnxAveragePool', { x: channelsFirst(b, x) }, geometry, spec([B, C, H, W])))];
  if (op === 'MaxPoolGrad') return [channelsLast(b, b.one('OnnxMaxPoolGrad', { x: channelsFirst(b, x), dy: channelsFirst(b, inputs.dy) }, geometry, spec([B, C, H, W])))];
  if (top + left + bottom + right > 0) throw new Error(`the gradient of padded average pooling is wrong in tfjs and is not lowered: pad the input before, or use 'valid'`);
  const outputPadding = [H - ((info.outHeight - 1) * info.strideHeight + info.filterHeight), W - ((info.outWidth - 1) * info.strideWidth + info.filterWidth)];
  const images = b.reshape(channelsFirst(b, inputs.dy), [B * C, 1, info.outHeight, info.outWidth]);
  const mean = b.uniform(1 / (info.filterHeight * info.filterWidth), [1, 1, info.filterHeight, info.filterWidth]);
  const dx = b.one('OnnxConvTranspose', { x: images, filter: mean }, { ...geometry, outputPadding }, spec([B * C, 1, H, W]));
  return [channelsLast(b, b.reshape(dx, [B, C, H, W]))];
};
