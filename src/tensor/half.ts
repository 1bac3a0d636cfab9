/** IEEE 754 binary16 numbers from their bits, widened exactly. */
export function widenHalf(bits: Uint16Array): Float32Array {
  const table = bits.length > 65_536 ? Float32Array.from({ length: 65_536 }, (_, i) => halfToFloat(i)) : undefined; // a model's weights in a moment
  const wide = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = table ? table[bits[i]] : halfToFloat(bits[i]);
  return wide;
}

/** bfloat16 numbers (the upper half of a binary32) from their bits, widened exactly. */
export const widenBrainFloat = (bits: Uint16Array): Float32Array => new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
