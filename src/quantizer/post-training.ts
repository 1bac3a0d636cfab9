import type { ParameterValues } from '../tensor/parameters.js';
import { calibrate, type QuantizerMethod } from './calibration.js';
import type { Observer } from './observer.js';
import type { Precision } from './precision.js';
import { vtPtq } from './vt-ptq.js';

/** Ways to quantize a trained model without training: the rules of a calibration, or VT-PTQ's search. */
export type PostTrainingMethod = QuantizerMethod | 'VT-PTQ';

/**
 * What quantizing a trained model adds to its parameters or replaces in them: scales and offsets; biases too with VT-PTQ. `{ ...parameters, ...result }` runs in the ordinary
 * quantized forward pass. Needs an eager backend.
 * @param parameters of the real-valued model
 * @param batches calibration batches
 * @param forward the real-valued model on one batch; it hands `observe` to its layers. What it returns is disposed.
 * @param policy the precision of each module, the one that the quantized model will run with
 */
export function postTrainingQuantize<Batch>(method: PostTrainingMethod, parameters: ParameterValues, batches: Iterable<Batch>, forward: (batch: Batch, observe: Observer) => unknown, policy: (module: string) => Precision): ParameterValues {
  return method === 'VT-PTQ' ? vtPtq(parameters, batches, forward, policy) : calibrate(batches, forward, policy, method);
}
