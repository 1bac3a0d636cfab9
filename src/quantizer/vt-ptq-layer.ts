import type { ArrayValue } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { fakeQuantizeWeight } from './fake-quantize.js';
import { levels } from './levels.js';
import { symmetricScale } from './percentile.js';
import { isReal } from './precision.js';
import type { Captured } from './vt-ptq-capture.js';
import { toTensor, type Operand } from './vt-ptq-operand.js';
import { remembering, tidily } from './vt-ptq-remember.js';
import { alternatingSearch, type SearchResult } from './vt-ptq-search.js';
import type { VtPtqSettings } from './vt-ptq-settings.js';
import { centre, pearsonCorrelation } from './vt-ptq-similarity.js';

/** A linear layer, or a convolution as one of its windows. */
export interface Layer {
  /** W [in, out]. */
  weight: ArrayValue;
  weightBits: number;
  /** X [I, P, in]. */
  input: Captured;
  inputOperand: Operand;
  /** The ranking loss for an error of the layer's outputs [I * P, out]: of a projection to queries or keys. */
  ranking?: (error: Tensor) => number;
}

/** Scales of a layer, and how its mean outputs have moved. */
export interface LayerResult extends SearchResult<Float32Array> {
  /** [out]: one factor for all channels on max|w| of each; empty where weights are real-valued. */
  weightScale: Float32Array;
}

/**
 * Similarity-aware quantization of a layer (Eq. 10 of VT-PTQ): the scales of X and W whose outputs Q(X) Q(W) correlate best with X W, on average over
 * images, less gamma times the ranking loss (Eq. 12) where there is one. Weights have one scale for each output channel here (decision A3), one factor on all.
 * After each iteration the expected error of each output (Eq. 16) is subtracted: `correction` [out].
 */
export function searchLayer({ weight, weightBits, input, inputOperand, ranking }: Layer, settings: VtPtqSettings): LayerResult {
  return tidily(() => {
    const x = tf.reshape(toTensor(input), [-1, weight.shape[0]]), w = tf.tensor(weight.data, [...weight.shape]);
    const product = tf.matMul(x, w), real = centre(tf.reshape(product, [input.images, -1]));
    const quantizesWeight = !isReal(weightBits);
    const start = quantizesWeight ? channelScales(weight, weightBits) : new Float32Array(0);
    const scales = ([factor]: readonly number[]): Float32Array => start.map((scale) => scale * factor);
    const xq = remembering((factors) => inputOperand.quantize(x, factors));
    const wq = remembering((factors) => (quantizesWeight ? fakeQuantizeWeight(w, tf.tensor1d(scales(factors)), { ...levels(weightBits), axis: 1, gradientScale: 1 }) : w));
    const found = alternatingSearch<Float32Array>({
      groups: 1,
      quantized: { weight: quantizesWeight, input: inputOperand.quantized },
      objective: (factors, correction) => tidily(() => {
        const plain = tf.matMul(xq.at(factors.input), wq.at(factors.weight));
        const outputs = correction ? tf.add(plain, tf.tensor1d(correction)) : plain;
        const [similarity] = tf.mean(pearsonCorrelation(real, tf.reshape(outputs, [input.images, -1]))).dataSync();
        return [ranking ? similarity - settings.rankingWeight * ranking(tf.sub(outputs, product)) : similarity];
      }),
      correct: settings.biasCorrection ? (factors) => tidily(() => Float32Array.from(tf.mean(tf.sub(product, tf.matMul(xq.at(factors.input), wq.at(factors.weight))), 0).dataSync())) : undefined,
    }, settings);
    [xq, wq].forEach((kept) => kept.dispose());
    return { ...found, weightScale: scales(found.weight) };
  });
}

/** max|w| of each output channel as a scale; a channel of zeros takes the largest of the others, so that none is degenerate. */
function channelScales({ shape: [inputs, outputs], data }: ArrayValue, bits: number): Float32Array {
  const largest = new Float32Array(outputs);
  for (let i = 0; i < inputs * outputs; i++) largest[i % outputs] = Math.max(largest[i % outputs], Math.abs(data[i]));
  const overall = largest.reduce((a, b) => Math.max(a, b), 0);
  return largest.map((magnitude) => symmetricScale(magnitude || overall, levels(bits)));
}
