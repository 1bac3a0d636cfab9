import test from 'ava';
import fc from 'fast-check';
import { meanInterval, studentQuantile, studentWithin } from '../../src/figures/statistics.js';

const close = (a: number, b: number, tolerance = 5e-4): boolean => Math.abs(a - b) <= tolerance;

test("quantiles of Student's t are those of printed tables", (t) => {
  // scipy 1.17.1: scipy.stats.t.ppf(0.975, df)
  const printed: [number, number][] = [[1, 12.706205], [2, 4.302653], [3, 3.182446], [4, 2.776445], [5, 2.570582], [9, 2.262157], [30, 2.042272], [101, 1.983731]];
  for (const [df, quantile] of printed) t.true(close(studentQuantile(df), quantile, 1e-5), `df ${df}: ${studentQuantile(df)}`);
});

test('one degree of freedom is the Cauchy distribution', (t) => {
  t.true(close(studentWithin(1, 1), 0.5, 1e-12));
});

test('mean and interval of 80, 82, 87, by hand', (t) => {
  // mean 83; deviations -3, -1, 4; variance 26/2 = 13; half width 4.302653 * sqrt(13/3) = 8.9567
  const { mean, n, low, high } = meanInterval([80, 82, 87]);
  t.is(mean, 83);
  t.is(n, 3);
  t.true(close(low!, 74.0433) && close(high!, 91.9567));
});

test('a single value has no interval', (t) => {
  t.deepEqual(meanInterval([41]), { mean: 41, n: 1, low: null, high: null });
});

test('no value is refused', (t) => {
  t.throws(() => meanInterval([]), { instanceOf: RangeError });
});

test('the interval holds the mean, and shifts and scales with the values', (t) => {
  const values = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(values, fc.double({ min: -50, max: 50, noNaN: true }), fc.double({ min: 0.1, max: 10, noNaN: true }), (sample, shift, factor) => {
      const a = meanInterval(sample);
      const b = meanInterval(sample.map((value) => value * factor + shift));
      return a.low! <= a.mean && a.mean <= a.high! && close(b.low!, a.low! * factor + shift, 1e-6) && close(b.high!, a.high! * factor + shift, 1e-6);
    }),
  );
  t.pass();
});
