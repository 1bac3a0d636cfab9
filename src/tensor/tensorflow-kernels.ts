import { tf, type Tensor } from './tf.js';
import { LOWEST, callKernel, region, replaceKernel, type Attrs, type Kernel, type Tensors } from './replace-kernel.js';
import { convolutionInfo, poolingInfo } from './shape-rules.js';

type WindowInfo = ReturnType<typeof convolutionInfo> | ReturnType<typeof poolingInfo>;

/** Whether a kernel of TensorFlow takes the padding as it is: its gradients and its pooling know 'same' and 'valid' alone. */
const takes = ({ padInfo }: WindowInfo): boolean => padInfo.type === 'VALID' || padInfo.type === 'SAME';
const valid = (attributes: Attrs): Attrs => ({ ...attributes, pad: 'valid' });

/** x [B, H, W, C] with the padding of a convolution or pooling as a part of it. */
function padded(x: Tensor, { padInfo: { top, bottom, left, right } }: WindowInfo, fill = 0): Tensor {
  return region(x, [-top, -left], [x.shape[1]! + top + bottom, x.shape[2]! + left + right], fill);
}

/** The part of a padded dx that belongs to x of a shape. */
const unpadded = (dx: Tensor, { padInfo: { top, left } }: WindowInfo, shape: readonly number[]): Tensor => region(dx, [top, left], [shape[1], shape[2]]);

const convolution = (original: Kernel) => ({ x, filter }: Tensors, attributes: Attrs): Tensor => {
  const info = convolutionInfo(x.shape, filter.shape, attributes);
  return takes(info) ? callKernel(original, { x, filter }, attributes) : callKernel(original, { x: padded(x, info), filter }, valid(attributes));
};

const convolutionInputGradient = (original: Kernel) => ({ dy, filter }: Tensors, attributes: Attrs): Tensor => {
  const shape = attributes.inputShape as number[], info = convolutionInfo(shape, filter.shape, attributes);
  if (takes(info)) return callKernel(original, { dy, filter }, attributes);
  const { top, bottom, left, right } = info.padInfo;
  const inputShape = [shape[0], shape[1] + top + bottom, shape[2] + left + right, shape[3]];
  return unpadded(callKernel(original, { dy, filter }, { ...valid(attributes), inputShape }), info, shape);
};

const convolutionFilterGradient = (original: Kernel) => ({ x, dy }: Tensors, attributes: Attrs): Tensor => {
  const info = convolutionInfo(x.shape, attributes.filterShape as number[], attributes);
  return takes(info) ? callKernel(original, { x, dy }, attributes) : callKernel(original, { x: padded(x, info), dy }, valid(attributes));
};

const maxPool = (original: Kernel) => ({ x }: Tensors, attributes: Attrs): Tensor => {
  const info = poolingInfo(x.shape, attributes);
  return takes(info) ? callKernel(original, { x }, attributes) : callKernel(original, { x: padded(x, info, LOWEST) }, valid(attributes));
};

const maxPoolGradient = (original: Kernel) => ({ dy, input, output }: Tensors, attributes: Attrs): Tensor => {
  const info = poolingInfo(input.shape, attributes);
  if (takes(info)) return callKernel(original, { dy, input, output }, attributes);
  return unpadded(callKernel(original, { dy, input: padded(input, info, LOWEST), output }, valid(attributes)), info, input.shape);
};

/** The mean of a window's pixels, padding not counted. */
const averagePool = (original: Kernel) => ({ x }: Tensors, attributes: Attrs): Tensor => {
  const info = poolingInfo(x.shape, attributes);
  if (takes(info)) return callKernel(original, { x }, attributes);
  const [sum, share] = [x, tf.onesLike(x)].map((t) => callKernel(original, { x: padded(t, info) }, valid(attributes)));
  return tf.div(sum, share);
};

/** TensorFlow's own kernel counts axes from the end; tfjs-node's check before it does not. */
const gather = (original: Kernel) => ({ x, indices }: Tensors, attributes: Attrs): Tensor =>
  callKernel(original, { x, indices }, { ...attributes, axis: tf.util.parseAxisParam(attributes.axis as number, x.shape)[0] });

/** What tfjs-node 4.22 refuses although the other backends do it: explicit padding, and gathering along an axis counted from the end. Call it once. */
export function registerTensorFlowKernels(): void {
  const replace = (name: string, make: Parameters<typeof replaceKernel>[2]): void => replaceKernel('tensorflow', name, make);
  replace('Conv2D', convolution);
  replace('Conv2DBackpropInput', convolutionInputGradient);
  replace('Conv2DBackpropFilter', convolutionFilterGradient);
  replace('MaxPool', maxPool);
  replace('MaxPoolGrad', maxPoolGradient);
  replace('AvgPool', averagePool);
  replace('GatherV2', gather);
}
