import { blockExpansion, type BackboneSettings } from './settings.js';

/** One convolution of a residual block; its padding is (kernel - 1) / 2. */
export interface BlockConvolution {
  kernel: 1 | 3;
  inputs: number;
  outputs: number;
  stride: number;
}

/** One block of a residual backbone. */
export interface ResidualBlock {
  /** Name under the backbone, such as `layer2.0`. */
  name: string;
  stride: number;
  inputs: number;
  outputs: number;
  /** `conv1`, `conv2`, ... with `bn1`, `bn2`, ... */
  convolutions: readonly BlockConvolution[];
  /** Whether the shortcut has a 1x1 convolution, `downsample.0`, with `downsample.1`: where the shape changes. */
  shortcut: boolean;
}

/** The blocks of a residual backbone in the order of its forward pass, with torchvision's names. */
export function residualBlocks(settings: BackboneSettings): ResidualBlock[] {
  const { stem, widths, blocks, strides, block } = settings;
  const result: ResidualBlock[] = [];
  let inputs = stem;
  widths.forEach((width, stage) => {
    for (let number = 0; number < blocks[stage]; number++) {
      const stride = number === 0 ? strides[stage] : 1, outputs = width * blockExpansion(settings);
      const convolutions: BlockConvolution[] = block === 'bottleneck'
        ? [{ kernel: 1, inputs, outputs: width, stride: 1 }, { kernel: 3, inputs: width, outputs: width, stride }, { kernel: 1, inputs: width, outputs, stride: 1 }]
        : [{ kernel: 3, inputs, outputs: width, stride }, { kernel: 3, inputs: width, outputs, stride: 1 }];
      result.push({ name: `layer${stage + 1}.${number}`, stride, inputs, outputs, convolutions, shortcut: inputs !== outputs || stride !== 1 });
      inputs = outputs;
    }
  });
  return result;
}

/**
 * Number of the activation after a block's sum, in the released code's names: 0 in a bottleneck (`bias01`, `prelu0`, `bias02`), the one after
 * the last convolution's, 3, in a basic block. The one before `conv<n>` has the number n.
 */
export const sumActivation = ({ convolutions }: ResidualBlock): number => (convolutions.length === 3 ? 0 : 3);
