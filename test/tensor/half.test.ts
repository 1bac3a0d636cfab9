import test from 'ava';
import fc from 'fast-check';
import { narrowHalf, widenHalf } from '../../src/tensor/half.js';

const narrowed = (value: number): number => narrowHalf(Float32Array.of(value))[0];

test('by hand: ones, the largest, ties to even, multiples of 2^-24, infinity, what is no number', (t) => {
  const cases: readonly [number, number][] = [
    [0, 0], [-0, 0x8000], [1, 0x3c00], [-2, 0xc000], [65504, 0x7bff], [65519, 0x7bff], [65520, 0x7c00], [Infinity, 0x7c00], [-Infinity, 0xfc00],
    [1 + 2 ** -11, 0x3c00], [1 + 3 * 2 ** -11, 0x3c02], [1 + 2 ** -11 + 2 ** -20, 0x3c01],
    [2 ** -14, 0x0400], [2 ** -24, 1], [2 ** -25, 0], [2 ** -25 + 2 ** -40, 1], [3 * 2 ** -25, 2], [2 ** -26, 0], [2 ** -14 - 2 ** -25, 0x0400],
  ];
  for (const [value, bits] of cases) t.is(narrowed(value), bits, String(value));
  t.true(Number.isNaN(widenHalf(Uint16Array.of(narrowed(NaN)))[0]));
});

test('every number of f16 stays what it is', (t) => {
  const bits = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter((b) => (b & 0x7c00) !== 0x7c00 || (b & 1023) === 0);
  t.deepEqual(narrowHalf(widenHalf(bits)), bits);
});

test('no number of f16 is nearer', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.float({ noNaN: true, min: Math.fround(-65504), max: Math.fround(65504) }), (value) => {
    const bits = narrowed(value), [got] = widenHalf(Uint16Array.of(bits)), magnitude = bits & 0x7fff;
    const others = [magnitude - 1, magnitude + 1].filter((b) => b >= 0 && b < 0x7c00).map((b) => widenHalf(Uint16Array.of(b | (bits & 0x8000)))[0]);
    return others.every((other) => Math.abs(got - value) <= Math.abs(other - value));
  }), { numRuns: 3000 }));
});
