/** PyTorch's defaults, which DETR and the paper keep. */
export const BETA1 = 0.9, BETA2 = 0.999, EPSILON = 1e-8;

/**
 * AdamW's bias corrections in a step: 1 - beta1^t and 1 - beta2^t.
 * @param t optimizer steps including this one, from 1
 */
export function adamWCorrections(t: number, beta1 = BETA1, beta2 = BETA2): { correction1: number; correction2: number } {
  return { correction1: 1 - beta1 ** t, correction2: 1 - beta2 ** t };
}
