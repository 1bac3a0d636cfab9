import type { ParameterValues } from '../tensor/parameters.js';
import { tf, type Tensor } from '../tensor/tf.js';
import { toTensor, type Operand } from './vt-ptq-operand.js';
import { samplePositions, type Captured } from './vt-ptq-capture.js';
import { rankingLoss } from './vt-ptq-ranking.js';
import { remembering, tidily } from './vt-ptq-remember.js';
import { alternatingSearch } from './vt-ptq-search.js';
import type { VtPtqSettings } from './vt-ptq-settings.js';
import { centre, pearsonCorrelation } from './vt-ptq-similarity.js';

/** The ranking loss of some rows of attention scores, for quantized queries or keys. */
export type ScoreRanking = (q: Tensor, k: Tensor) => Float64Array;

/**
 * Ranking loss of each head, the mean over images (Eq. 13), of q k^T against the real-valued operands' q k^T.
 * @param q [I, N, P, D], real-valued
 * @param k [I, N, S, D], real-valued
 * @returns a function of operands of the same shapes; gives [N]
 */
export function scoreRanking(q: Tensor, k: Tensor, { rankingRows, threshold }: Pick<VtPtqSettings, 'rankingRows' | 'threshold'>): ScoreRanking {
  const [images, heads, positions] = q.shape as [number, number, number];
  const rows = samplePositions(positions, rankingRows), columns = k.shape[2]!, size = rows.length * columns;
  const scores = (a: Tensor, b: Tensor): Float32Array => tidily(() => tf.matMul(tf.gather(a, tf.tensor1d(rows, 'int32'), 2), b, false, true).dataSync() as Float32Array);
  const of = (values: Float32Array, i: number): Float32Array => values.subarray(i * size, (i + 1) * size);
  const real = scores(q, k), lossOf = Array.from({ length: images * heads }, (_, i) => rankingLoss(of(real, i), columns, threshold));
  return (a, b) => {
    const quantized = scores(a, b), losses = new Float64Array(heads);
    lossOf.forEach((loss, i) => (losses[i % heads] += loss(of(quantized, i)) / images));
    return losses;
  };
}

/** Two attention operands and their quantizers, with a scale for each head. */
export interface AttentionProduct {
  /** [I, N, P, D or S]: q, or the attention weights. */
  left: Captured;
  /** [I, N, S, D]: k, or v. */
  right: Captured;
  leftOperand: Operand;
  rightOperand: Operand;
  /** Whether these are q and k, whose product is q k^T and is ranked, or the attention weights and v. */
  scores: boolean;
}

/**
 * Scales of the operands of one product of attention, q k^T or A v, for each head. The right operand takes the part of the weights in the search.
 * @returns parameters of both quantizers
 */
export function searchAttention({ left, right, leftOperand, rightOperand, scores }: AttentionProduct, settings: VtPtqSettings): ParameterValues {
  return tidily(() => {
    const a = toTensor(left), b = toTensor(right);
    const [images, heads] = a.shape as [number, number];
    const outputs = (l: Tensor, r: Tensor): Tensor => tf.reshape(tf.matMul(l, r, false, scores), [images * heads, -1]);
    const real = centre(outputs(a, b));
    const ranking = scores && settings.rankingWeight > 0 ? scoreRanking(a, b, settings) : undefined;
    const l = remembering((factors) => leftOperand.quantize(a, factors)), r = remembering((factors) => rightOperand.quantize(b, factors));
    const found = alternatingSearch({
      groups: heads,
      quantized: { weight: rightOperand.quantized, input: leftOperand.quantized },
      objective: ({ weight, input }) => tidily(() => {
        const lq = l.at(input), rq = r.at(weight);
        const similarity = tf.mean(tf.reshape(pearsonCorrelation(real, outputs(lq, rq)), [images, heads]), 0).dataSync();
        const losses = ranking?.(lq, rq);
        return Array.from(similarity, (value, head) => value - (losses ? settings.rankingWeight * losses[head] : 0));
      }),
    }, settings);
    [l, r].forEach((kept) => kept.dispose());
    return { ...leftOperand.parameters(found.input), ...rightOperand.parameters(found.weight) };
  });
}
