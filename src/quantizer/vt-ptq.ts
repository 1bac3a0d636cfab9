/**
 * VT-PTQ: Liu et al., "Post-Training Quantization for Vision Transformer" (NeurIPS 2021), at bit-widths that are given. What of theirs is here: scales of weights and
 * inputs searched in turn for outputs that correlate with the real-valued ones (similarity-aware, Eq. 10 and 11), for queries and keys with a ranking
 * loss on the attention scores (ranking-aware, Eq. 12 and 13), and bias correction (Eq. 16). Their mixed precision (section 3.3) is left out: the paper's table
 * compares at 8-8-8. Where it differs: weights have a scale for each output channel and attention operands one for each head (decision A3); activations have
 * an offset, as Percentile's (`grid: 'symmetric'` is theirs); the ranking loss is a mean.
 */
import type { ParameterValues } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { createCalibration } from './calibration.js';
import type { Observer } from './observer.js';
import { isReal, type Precision } from './precision.js';
import { scoreRanking, searchAttention } from './vt-ptq-attention.js';
import { correctedBias } from './vt-ptq-bias-correction.js';
import { createCapture, type Capture } from './vt-ptq-capture.js';
import { searchLayer } from './vt-ptq-layer.js';
import { activationOperand, toTensor, vector, type Operand } from './vt-ptq-operand.js';
import { tidily } from './vt-ptq-remember.js';
import { vtPtqSettings, type VtPtqSettings } from './vt-ptq-settings.js';

/**
 * Quantizer parameters and corrected biases of a trained model, to be merged over its parameters. All layers are searched on what the real-valued model computes, so
 * that their order doesn't matter. Runs on an eager backend.
 * @param parameters of the real-valued model; its biases are read
 * @param batches the ranges of activations come from all of them, the search sees the first `settings.images` images
 * @param forward the real-valued model on one batch; it hands `observe` to its layers. What it returns is disposed.
 * @param precision of each module
 */
export function vtPtq<Batch>(parameters: ParameterValues, batches: Iterable<Batch>, forward: (batch: Batch, observe: Observer) => unknown, precision: (module: string) => Precision, settings: VtPtqSettings = vtPtqSettings): ParameterValues {
  const calibration = createCalibration(), capture = createCapture(settings);
  const observe: Observer = (quantizer, values) => {
    calibration.observe(quantizer, values);
    capture.observe(quantizer, values);
  };
  for (const batch of batches) tf.tidy(() => void forward(batch, observe));

  const operand = (quantizer: string, bits: number, axis: number): Operand => activationOperand(quantizer, calibration.histograms.get(quantizer)!, bits, axis, settings.grid);
  const found: ParameterValues = {};
  for (const [module, weight] of capture.weights) {
    const { weightBits, activationBits } = precision(module);
    const input = capture.inputs.get(module);
    if (!input || (isReal(weightBits) && isReal(activationBits))) continue;
    const inputOperand = operand(`${module}.input_quantizer`, activationBits, 0);
    const { weightScale, input: factors, correction } = withRanking(capture, module, settings, (ranking) => searchLayer({ weight, weightBits, input, inputOperand, ranking }, settings));
    if (weightScale.length > 0) found[`${module}.weight_quantizer.scale`] = vector(weightScale);
    Object.assign(found, inputOperand.parameters(factors));
    if (correction) Object.assign(found, correctedBias({ ...parameters, ...found }, module, correction));
  }
  for (const [quantizer, left] of capture.operands) {
    const [, attention, letter] = /^(.*)\.([qa])_quantizer$/.exec(quantizer) ?? [];
    if (!letter) continue;
    const { attentionBits } = precision(attention), other = `${attention}.${letter === 'q' ? 'k' : 'v'}_quantizer`;
    if (isReal(attentionBits)) continue;
    const [leftOperand, rightOperand] = [quantizer, other].map((name) => operand(name, attentionBits, 1));
    Object.assign(found, searchAttention({ left, right: capture.operands.get(other)!, leftOperand, rightOperand, scores: letter === 'q' }, settings));
  }
  return found;
}

/** Runs a search with the ranking loss of a projection to queries or keys: an error of its outputs is one of q, or k, while the other is real-valued. */
function withRanking<T>(capture: Capture, module: string, settings: VtPtqSettings, search: (ranking?: (error: Tensor) => number) => T): T {
  const [, attention, letter] = /^(.*)\.([qk])_proj$/.exec(module) ?? [];
  const q = capture.operands.get(`${attention}.q_quantizer`), k = capture.operands.get(`${attention}.k_quantizer`);
  if (!letter || !q || !k || settings.rankingWeight === 0) return search();
  return tidily(() => {
    const queries = toTensor(q), keys = toTensor(k);
    const rank = scoreRanking(queries, keys, settings);
    return search((error) => {
      const [images, heads, positions, width] = (letter === 'q' ? queries : keys).shape as [number, number, number, number];
      const ofHeads = tf.transpose(tf.reshape(error, [images, positions, heads, width]), [0, 2, 1, 3]);
      const losses = letter === 'q' ? rank(tf.add(queries, ofHeads), keys) : rank(queries, tf.add(keys, ofHeads));
      return losses.reduce((sum, loss) => sum + loss, 0) / heads;
    });
  });
}
