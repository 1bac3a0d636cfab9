import { isReal } from './precision.js';
import { UserError } from '../errors.js';

/** The integers that a quantizer may produce: lowest (Qn), ..., highest (Qp). */
export interface Levels {
  lowest: number;
  highest: number;
}

/**
 * Q_n and Q_p of Eq. 2.24: -2^(b-1) and 2^(b-1) - 1 on the signed grid, which weights and all LSQ+ activations use; 0 and
 * 2^b - 1 on the unsigned one, which LSQ uses for activations that are never negative (decision A1).
 * @throws UserError when `bits` is none of 2 to 8: 32 (real-valued) has no levels.
 */
export function levels(bits: number, signed = true): Levels {
  if (isReal(bits)) throw new UserError('bit-width 32 is real-valued and has no levels: choose 2 to 8');
  return signed ? { lowest: -(2 ** (bits - 1)), highest: 2 ** (bits - 1) - 1 } : { lowest: 0, highest: 2 ** bits - 1 };
}
