import test from 'ava';
import fc from 'fast-check';
import { alternatingSearch, type Factors } from '../../src/quantizer/vt-ptq-search.js';
import { vtPtqSettings } from '../../src/quantizer/vt-ptq-settings.js';

const settings = { lowest: 0.5, highest: 1.2, candidates: 15, iterations: 20 };
const both = { weight: true, input: true };
const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-9;

test('by hand: two groups, each to its own best factors', (t) => {
  const best = [{ weight: 0.8, input: 1.1 }, { weight: 1, input: 0.5 }];
  const objective = ({ weight, input }: Factors): number[] => best.map((b, i) => -((weight[i] - b.weight) ** 2) - (input[i] - b.input) ** 2);
  const found = alternatingSearch({ groups: 2, quantized: both, objective }, settings);
  best.forEach((b, i) => t.true(near(found.weight[i], b.weight) && near(found.input[i], b.input)));
  t.true(near(found.history[0][0], -0.05) && near(found.history[0][1], -0.25), 'the start has factors 1');
  t.is(found.history.length, 3, 'one iteration finds it, one gains nothing');
});

test('operands that depend on each other take several iterations, weights first', (t) => {
  const tried: string[] = [];
  const objective = ({ weight: [w], input: [x] }: Factors): number[] => (tried.push(`${w.toFixed(2)} ${x.toFixed(2)}`), [-Math.abs(w * x - 0.3) - 0.01 * Math.abs(w - x)]);
  const found = alternatingSearch({ groups: 1, quantized: both, objective }, settings);
  t.true(found.history.length >= 3);
  t.deepEqual(tried.slice(0, 3), ['1.00 1.00', '0.50 1.00', '0.55 1.00']);
  t.true(near(found.weight[0], 0.5) && near(found.input[0], 0.6));
});

test('a real-valued operand keeps its factor, and ties keep the start', (t) => {
  const found = alternatingSearch({ groups: 1, quantized: { weight: false, input: true }, objective: ({ weight: [w], input: [x] }) => [-w - x] }, settings);
  t.deepEqual([found.weight[0], found.input[0]], [1, 0.5]);
  const flat = alternatingSearch({ groups: 3, quantized: both, objective: () => [0, 0, 0] }, settings);
  t.deepEqual([flat.weight, flat.input], [[1, 1, 1], [1, 1, 1]]);
});

test('the correction belongs to the factors found and is a part of the objective from the next iteration on', (t) => {
  const seen: (number | null)[] = [];
  const found = alternatingSearch<number>({
    groups: 1, quantized: both,
    objective: ({ weight: [w] }, correction) => (seen.push(correction), [-((w - 0.7) ** 2) + (correction ?? 0)]),
    correct: ({ weight: [w] }) => w * 10,
  }, settings);
  t.true(near(found.correction!, 7));
  t.true(seen.slice(0, 31).every((c) => c === null) && seen.slice(31).every((c) => near(c!, 7)));
});

test('without a correction no iteration lowers an objective, and the iterations are bounded', (t) => {
  const table = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 30, maxLength: 30 });
  t.notThrows(() => fc.assert(fc.property(table, fc.integer({ min: 1, max: 6 }), (values, iterations) => {
    const at = (w: number, x: number, group: number): number => values[Math.round(Math.abs(Math.sin(37 * w + 91 * x + group)) * 29)];
    const found = alternatingSearch({ groups: 2, quantized: both, objective: ({ weight, input }) => [0, 1].map((g) => at(weight[g], input[g], g)) }, { ...settings, iterations });
    const rising = found.history.every((now, i) => i === 0 || now.every((v, g) => v >= found.history[i - 1][g]));
    const last = found.history[found.history.length - 1];
    return rising && found.history.length <= iterations + 1 && last.every((v, g) => v === at(found.weight[g], found.input[g], g));
  }), { numRuns: 200, seed: 5 }));
});

test("settings are those of the paper's section 4.1", (t) => {
  const { lowest, highest, iterations, rankingWeight, threshold } = vtPtqSettings;
  t.deepEqual([lowest, highest, iterations, rankingWeight, threshold], [0.5, 1.2, 20, 0.1, 0.2]);
});
