import { UserError } from '../errors.js';

/**
 * Packs integers into `bits` bits each, one after the other from the lowest bit of the first byte, in two's complement.
 * @param integers from -2^(bits-1) to 2^(bits-1) - 1
 * @returns ceil(count * bits / 8) bytes
 * @throws RangeError when an integer doesn't fit.
 */
export function packBits(integers: ArrayLike<number>, bits: number): Uint8Array {
  const packed = new Uint8Array(Math.ceil((integers.length * bits) / 8));
  const half = 2 ** (bits - 1), mask = 2 ** bits - 1;
  for (let i = 0; i < integers.length; i++) {
    const v = integers[i];
    if (!Number.isInteger(v) || v < -half || v >= half) throw new RangeError(`${v} at position ${i} doesn't fit into ${bits} bits`);
    const at = i * bits, field = (v & mask) << (at & 7); // at most 8 bits, shifted by at most 7: two bytes
    packed[at >> 3] |= field & 255;
    if (field > 255) packed[(at >> 3) + 1] |= field >> 8;
  }
  return packed;
}

/**
 * The inverse of `packBits`.
 * @param count how many integers
 * @throws UserError when the bytes are not as many as `count` integers take.
 */
export function unpackBits(packed: Uint8Array, bits: number, count: number): Int8Array {
  const size = Math.ceil((count * bits) / 8);
  if (packed.length !== size) throw new UserError(`packed weights hold ${packed.length} bytes where ${count} integers of ${bits} bits take ${size}: write the file again`);
  return Int8Array.from({ length: count }, (_, i) => {
    const at = i * bits, both = packed[at >> 3] | ((packed[(at >> 3) + 1] ?? 0) << 8);
    return ((both >> (at & 7)) << (32 - bits)) >> (32 - bits);
  });
}

/**
 * Size of a model in bytes by the rule of BiDet (Wang et al., CVPR 2020), which the paper's Size columns follow: 32 bits for each
 * real-valued weight, b bits for each quantized one. Scales and offsets are real-valued weights.
 * @param groups how many weights have how many bits
 */
export const sizeInBytes = (groups: readonly { count: number; bits: number }[]): number => groups.reduce((sum, { count, bits }) => sum + (count * bits) / 8, 0);
