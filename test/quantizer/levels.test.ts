import test from 'ava';
import { levels } from '../../src/quantizer/levels.js';
import { REAL, formatPrecision, isReal, parsePrecision } from '../../src/quantizer/precision.js';
import { UserError } from '../../src/errors.js';

test('the grids of the paper', (t) => {
  t.deepEqual(levels(4), { lowest: -8, highest: 7 });
  t.deepEqual(levels(3), { lowest: -4, highest: 3 });
  t.deepEqual(levels(2), { lowest: -2, highest: 1 });
  t.deepEqual(levels(8), { lowest: -128, highest: 127 });
  t.deepEqual(levels(4, false), { lowest: 0, highest: 15 });
});

test('a bit-width that no quantizer has is an error that says which there are', (t) => {
  for (const bits of [0, 1, 9, 16, 2.5, -4, NaN]) {
    t.throws(() => levels(bits), { instanceOf: UserError, message: /choose 2 to 8/ });
    t.throws(() => isReal(bits), { instanceOf: UserError, message: /choose 2 to 8, or 32/ });
  }
  t.throws(() => levels(32), { instanceOf: UserError, message: /real-valued/ });
  t.true(isReal(32));
  t.false(isReal(2));
});

test('precision is written as the paper prints it', (t) => {
  t.deepEqual(parsePrecision('4-3-8'), { weightBits: 4, activationBits: 3, attentionBits: 8 });
  t.deepEqual(parsePrecision('32-32-32'), REAL);
  t.is(formatPrecision(parsePrecision('2-2-8')), '2-2-8');
  for (const text of ['4-4', '4-4-8-8', '4-4-9', 'four', '']) t.throws(() => parsePrecision(text), { instanceOf: UserError });
});
