import type { Tensor } from '../tensor/tf.js';

/**
 * Called with the real-valued operand of every quantizer that the forward pass meets, before quantization, whether the
 * quantizer is on or not: `<module>.weight_quantizer`, `<module>.input_quantizer`, in attention `<module>.q_quantizer`,
 * `k_`, `v_`, `a_`. Calibration and histograms listen through it. It may keep values that it reads, not the tensor.
 */
export type Observer = (quantizer: string, values: Tensor) => void;
