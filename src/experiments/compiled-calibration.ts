import { detector } from '../models/detector.js';
import type { Quantization } from '../models/forward.js';
import type { DetectorSettings } from '../models/settings.js';
import { normalizedPixels } from '../models/normalize-images.js';
import type { Observer } from '../quantizer/observer.js';
import { useBackend } from '../tensor/backend.js';
import { compileStep } from '../tensor/compile-step.js';
import type { Parameters } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import type { CalibrationPass } from './start-parameters.js';

/** Images of one size, for calibration. */
export interface CalibrationImages {
  height: number;
  width: number;
  /** RGB [height, width, 3] of each. */
  pixels: readonly Uint8Array[];
}

/** The forward pass that quantizers are calibrated in. @param images normalized, [1, H, W, 3] */
export type ObservedModel = (parameters: Parameters, images: Tensor, quantization: Quantization, observe: Observer) => unknown;

/** A detector's forward pass. */
export const observedDetector = (model: DetectorSettings): ObservedModel => (parameters, images, quantization, observe) => detector(parameters, images, model, quantization, { observe });

/**
 * A calibration pass for models of full size: the forward pass is compiled, gives the operands of all quantizers as its outputs, one image at a time, and the observer
 * reads them. The eager pass ({@link calibrationPass}) takes minutes an image there.
 */
export function compiledCalibrationPass(model: ObservedModel, { height, width, pixels }: CalibrationImages, threads?: number): CalibrationPass {
  return async (values, quantization, observe) => {
    const shapes: Record<string, number[]> = {};
    const step = await compileStep(
      (state, { images }) => {
        const outputs: Record<string, Tensor> = {};
        model(state, images, quantization, (quantizer, operand) => {
          outputs[quantizer] = operand;
          shapes[quantizer] = [...operand.shape];
        });
        return { outputs };
      },
      { state: values, inputs: { images: { shape: [1, height, width, 3], dtype: 'float32' } }, threads, keepsMemory: false },
    );
    try {
      await useBackend('cpu'); // its tensors are the arrays themselves
      for (const image of pixels) {
        const operands = await step.run({ images: normalizedPixels(image) });
        for (const [quantizer, operand] of Object.entries(operands)) tf.tidy(() => observe(quantizer, tf.tensor(operand as Float32Array, shapes[quantizer], 'float32')));
      }
    } finally {
      await step.dispose();
    }
  };
}
