import { UserError } from '../errors.js';

/** Bit-widths of a module: weights, activations and the four operands of attention (the paper's W-A-Attention); 32 = real-valued. */
export interface Precision {
  weightBits: number;
  activationBits: number;
  attentionBits: number;
}

/** 32-32-32. */
export const REAL: Precision = { weightBits: 32, activationBits: 32, attentionBits: 32 };

/** True for 32, false for a bit-width that can be quantized to, 2 to 8.
 * @throws UserError for any other number. */
export function isReal(bits: number): boolean {
  if (bits === 32) return true;
  if (!Number.isInteger(bits) || bits < 2 || bits > 8) throw new UserError(`bit-width ${bits} can't be quantized to: choose 2 to 8, or 32 for real-valued`);
  return false;
}

/**
 * Reads a bit-width setting as the paper prints it, `weights-activations-attention`: `4-4-8`, or `32-32-32`.
 * @throws UserError for anything else.
 */
export function parsePrecision(text: string): Precision {
  const parts = /^(\d+)-(\d+)-(\d+)$/.exec(text);
  if (!parts) throw new UserError(`bits '${text}' can't be read: write weights-activations-attention, such as 4-4-8 or 32-32-32`);
  const [weightBits, activationBits, attentionBits] = parts.slice(1).map(Number);
  [weightBits, activationBits, attentionBits].forEach(isReal);
  return { weightBits, activationBits, attentionBits };
}

/** The paper's notation of a precision, `4-4-8`. */
export const formatPrecision = ({ weightBits, activationBits, attentionBits }: Precision): string => `${weightBits}-${activationBits}-${attentionBits}`;
