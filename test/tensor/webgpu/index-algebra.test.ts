import test from 'ava';
import fc from 'fast-check';
import { Emitter } from '../../../src/tensor/webgpu/emitter.js';
import { constantIndex, flatten, plus, quotient, remainder, times, unflatten, variableIndex, type Index } from '../../../src/tensor/webgpu/index-algebra.js';

/** Values of the variables. */
type Values = Record<string, number>;

/** What an index prints, computed as the GPU does: i32 outside, u32 within divisions. */
function printed(index: Index, values: Values): { value: number; text: string } {
  const emitter = new Emitter(() => undefined), text = emitter.index(index), known = { ...values };
  const compute = (expression: string): number => (Function(...Object.keys(known), `return (${expression}) | 0`) as (...n: number[]) => number)(...Object.values(known));
  for (const line of emitter.lines) {
    const [, name, of, operator, by] = /^let (\w+) = i32\(u32\((.*)\) ([/%]) (\d+)u\);$/.exec(line)!;
    const n = compute(of) >>> 0;
    known[name] = operator === '/' ? Math.floor(n / Number(by)) : n % Number(by);
  }
  return { value: compute(text), text };
}
const text = (index: Index): string => printed(index, { i: 0, j: 0, k: 0 }).text;

const i = variableIndex('i', 24), j = variableIndex('j', 5), k = variableIndex('k', 3);

test('by hand: sums of like terms, constants, products with a number', (t) => {
  t.is(text(plus(plus(i, i), 3)), 'i * 2 + 3');
  t.is(text(plus(i, times(i, -1))), '0');
  t.is(text(plus(times(plus(j, 2), 4), -8)), 'j * 4');
  t.is(text(times(i, 0)), '0');
  t.is(text(plus(times(j, -1), 4)), 'j * (-1) + 4');
  t.is(plus(i, j).key, plus(j, i).key);
  t.not(plus(i, j).key, plus(i, k).key);
  t.deepEqual([i.low, i.high, plus(times(j, -2), 1).low, plus(times(j, -2), 1).high], [0, 23, -7, 1]);
});

test('by hand: quotients and remainders that need no division', (t) => {
  t.is(text(quotient(plus(times(i, 5), j), 5)), 'i', '(5 i + j) / 5 with j below 5');
  t.is(text(remainder(plus(times(i, 5), j), 5)), 'j');
  t.is(text(quotient(plus(times(i, 10), times(j, 5)), 5)), 'i * 2 + j');
  t.is(text(quotient(j, 5)), '0');
  t.is(text(remainder(j, 5)), 'j');
  t.is(text(remainder(times(i, 6), 3)), '0');
  t.is(text(quotient(i, 1)), 'i');
  t.is(text(remainder(i, 1)), '0');
  t.is(text(plus(times(quotient(i, 6), 6), remainder(i, 6))), 'i', '6 (i / 6) + i % 6');
  t.is(text(plus(times(quotient(i, 6), 18), times(remainder(i, 6), 3))), 'i * 3');
});

test('by hand: what has to be divided is divided once', (t) => {
  const emitter = new Emitter(() => undefined);
  const [row, column] = unflatten(i, [4, 6]);
  t.is(emitter.index(row), 'v0');
  t.is(emitter.index(plus(row, column)), 'v0 + v1');
  t.deepEqual(emitter.lines, ['let v0 = i32(u32(i) / 6u);', 'let v1 = i32(u32(i) % 6u);']);
  t.deepEqual([row.low, row.high, column.low, column.high], [0, 3, 0, 5]);
});

test('by hand: axes of one element, and a position that may lie outside', (t) => {
  t.is(text(flatten([constantIndex(0), j, constantIndex(0)], [1, 5, 1])), 'j');
  t.deepEqual(unflatten(j, [1, 5, 1]).map(text), ['0', 'j', '0']);
  t.is(text(remainder(plus(j, -2), 5)), 'v0', 'j - 2 may be negative: it is not taken for its own remainder');
});

const shape = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 });
const size = (d: readonly number[]): number => d.reduce((a, b) => a * b, 1);
const coordinatesOf = (d: readonly number[]): Index[] => d.map((n, at) => (n === 1 ? constantIndex(0) : variableIndex(`c${at}`, n)));

test('unflatten is the inverse of flatten, and the other way round, without a division left', (t) => {
  fc.assert(fc.property(shape, (d) => {
    const coordinates = coordinatesOf(d), whole = variableIndex('i', size(d));
    t.deepEqual(unflatten(flatten(coordinates, d), d).map((c) => c.key), coordinates.map((c) => c.key));
    t.is(flatten(unflatten(whole, d), d).key, size(d) === 1 ? constantIndex(0).key : whole.key);
  }));
});

test('a reshape there and back cancels: the element is where it was', (t) => {
  fc.assert(fc.property(shape, fc.integer({ min: 1, max: 12 }), (d, cut) => {
    const n = size(d), rows = cut <= n && n % cut === 0 ? cut : 1, other = [rows, n / rows];
    const coordinates = coordinatesOf(d);
    const back = unflatten(flatten(unflatten(flatten(coordinates, d), other), other), d);
    const values = Object.fromEntries(d.map((m, at) => [`c${at}`, m - 1]));
    back.forEach((c, at) => t.is(printed(c, values).value, d[at] - 1));
    t.is(flatten(unflatten(flatten(coordinates, d), other), other).key, flatten(coordinates, d).key);
  }));
});

/** An expression that is never negative: how the algebra writes it, and what it is. */
interface Expression { index: Index; value: (v: Values) => number; text: string }
const SIZES: Values = { a: 2, b: 3, c: 4, d: 7, e: 30 };
const leaf: fc.Arbitrary<Expression> = fc.oneof(
  fc.constantFrom(...Object.keys(SIZES)).map((name) => ({ index: variableIndex(name, SIZES[name]), value: (v: Values) => v[name], text: name })),
  fc.integer({ min: 0, max: 9 }).map((n) => ({ index: constantIndex(n), value: () => n, text: String(n) })),
);
const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    leaf,
    fc.tuple(tie('expression'), tie('expression')).map(([x, y]) => ({ index: plus(x.index, y.index), value: (v: Values) => x.value(v) + y.value(v), text: `(${x.text} + ${y.text})` })),
    fc.tuple(tie('expression'), tie('expression')).map(([x, y]) => ({ index: plus(plus(x.index, times(y.index, -1)), y.index.high), value: (v: Values) => x.value(v) - y.value(v) + y.index.high, text: `(${x.text} - ${y.text} + ${y.index.high})` })),
    fc.tuple(tie('expression'), fc.integer({ min: 0, max: 7 })).map(([x, n]) => ({ index: times(x.index, n), value: (v: Values) => n * x.value(v), text: `${n} ${x.text}` })),
    fc.tuple(tie('expression'), fc.integer({ min: 1, max: 9 })).map(([x, n]) => ({ index: quotient(x.index, n), value: (v: Values) => Math.floor(x.value(v) / n), text: `(${x.text} / ${n})` })),
    fc.tuple(tie('expression'), fc.integer({ min: 1, max: 9 })).map(([x, n]) => ({ index: remainder(x.index, n), value: (v: Values) => x.value(v) % n, text: `(${x.text} % ${n})` })),
  ),
}));
const values: fc.Arbitrary<Values> = fc.record(Object.fromEntries(Object.entries(SIZES).map(([name, n]) => [name, fc.integer({ min: 0, max: n - 1 })])));

test('what an expression prints is what it is, and lies within its bounds', (t) => {
  fc.assert(fc.property(expression, values, (x, v) => {
    const wanted = x.value(v), got = printed(x.index, v);
    if (got.value !== wanted) throw new Error(`${x.text} is ${wanted}, and its form '${got.text}' ${got.value}`);
    if (wanted < x.index.low || wanted > x.index.high) throw new Error(`${x.text} is ${wanted}, outside of its bounds ${x.index.low} and ${x.index.high}`);
  }), { numRuns: 3000 });
  t.pass();
});

test('x = n (x / n) + x % n, symbolically, for everything that is not negative', (t) => {
  fc.assert(fc.property(expression, fc.integer({ min: 1, max: 9 }), values, (x, n, v) => {
    const whole = plus(times(quotient(x.index, n), n), remainder(x.index, n));
    t.is(printed(whole, v).value, x.value(v));
    t.true(remainder(x.index, n).low >= 0 && remainder(x.index, n).high < n);
  }));
});

test('equal keys mean equal values', (t) => {
  fc.assert(fc.property(expression, expression, values, (x, y, v) => {
    if (x.index.key === y.index.key) t.is(x.value(v), y.value(v));
    t.is(printed(plus(x.index, times(x.index, -1)), v).text, '0');
  }));
});
