import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { packBits, sizeInBytes, unpackBits } from '../../src/quantizer/pack.js';

test('2-bit integers, four a byte, lowest bits first', (t) => {
  // -2 = 10, -1 = 11, 0 = 00, 1 = 01: the byte 01 00 11 10, then 01 alone
  t.deepEqual([...packBits([-2, -1, 0, 1, 1], 2)], [0b01001110, 0b01]);
});

test('3-bit integers cross byte borders', (t) => {
  // 3 = 011, -4 = 100, -1 = 111, written from the right: 11|100|011, then the rest of -1
  t.deepEqual([...packBits([3, -4, -1], 3)], [0b11100011, 0b1]);
});

test('unpacking undoes packing, in ceil(count * bits / 8) bytes', (t) => {
  t.notThrows(() => fc.assert(fc.property(fc.integer({ min: 2, max: 8 }).chain((bits) => fc.tuple(fc.constant(bits), fc.array(fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 }), { maxLength: 100 }))), ([bits, integers]) => {
    const packed = packBits(integers, bits);
    const back = unpackBits(packed, bits, integers.length);
    return packed.length === Math.ceil((integers.length * bits) / 8) && integers.every((v, i) => v === back[i]);
  }), { numRuns: 500, seed: 5 }));
});

test('an integer that does not fit and bytes that are too few are errors', (t) => {
  t.throws(() => packBits([0, 2], 2), { instanceOf: RangeError, message: /2 at position 1/ });
  t.throws(() => packBits([0.5], 2), { instanceOf: RangeError });
  t.throws(() => unpackBits(new Uint8Array(3), 4, 8), { instanceOf: UserError, message: /hold 3 bytes where 8 integers of 4 bits take 4/ });
});

test("the paper's sizes: 39.83 M weights, all of them quantized", (t) => {
  const megabytes = (bits: number) => sizeInBytes([{ count: 39.83e6, bits }]) / 1e6;
  t.true(Math.abs(megabytes(32) - 159.32) < 0.01);
  t.true(Math.abs(megabytes(8) - 39.83) < 0.01);
  t.true(Math.abs(megabytes(4) - 19.92) < 0.01);
  t.is(sizeInBytes([{ count: 10, bits: 32 }, { count: 100, bits: 2 }]), 65);
});
