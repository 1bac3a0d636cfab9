/** IEEE 754 binary16 numbers from their bits, widened exactly. */
export function widenHalf(bits: Uint16Array): Float32Array {
  const table = bits.length > 65_536 ? Float32Array.from({ length: 65_536 }, (_, i) => halfToFloat(i)) : undefined; // a model's weights in a moment
  const wide = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = table ? table[bits[i]] : halfToFloat(bits[i]);
  return wide;
}

/** bfloat16 numbers (the upper half of a binary32) from their bits, widened exactly. */
export const widenBrainFloat = (bits: Uint16Array): Float32Array => new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);

const single = new Float32Array(1), word = new Uint32Array(single.buffer);

/** The bits of the nearest IEEE 754 binary16 numbers, ties to even; what is too large becomes infinite. */
export function narrowHalf(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, (value) => {
    single[0] = value;
    const bits = word[0], sign = (bits >>> 16) & 0x8000, exponent = ((bits >>> 23) & 255) - 112, fraction = bits & 0x7fffff;
    if (exponent === 143) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
    if (exponent >= 31) return sign | 0x7c00;
    if (exponent < -10) return sign;
    const [kept, shift] = exponent > 0 ? [(exponent << 23) | fraction, 13] : [0x800000 | fraction, 14 - exponent]; // below 2^-14 numbers are multiples of 2^-24
    const down = kept >>> shift, rest = kept & ((1 << shift) - 1), half = 1 << (shift - 1);
    return sign | (down + Number(rest > half || (rest === half && (down & 1) === 1))); // a carry goes into the exponent, as it should
  });
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
