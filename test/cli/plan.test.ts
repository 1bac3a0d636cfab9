import test from 'ava';
import { inUnits } from '../../src/cli/plan.js';
import { qdetr } from './command-line.js';

test('numbers have three digits and a unit', (t) => {
  t.deepEqual([0, 7, 999, 1000, 12_345, 123_456, 999_960, 2.9e12, 1e15].map((n) => inUnits(n, 'B')), ['0 B', '7 B', '999 B', '1.00 kB', '12.3 kB', '123 kB', '1000 kB', '2.90 TB', '1000 TB']);
});

test('a step at scale smoke: kernels, operations, bytes, memory, an estimate that says that it is one; lines fit 100 columns', async (t) => {
  const { code, stdout, stderr } = await qdetr(['plan', '--scale', 'smoke', '--bits', '4-4-8', '--distill', '--kernels']);
  t.is(code, 0, stderr);
  t.regex(stdout, /^One training step of DETR 4-4-8, scale smoke, on 2 images of 64 x 64, with teacher, DA, FQM and DRD\nPlanned for .+ \(\d+ buffers a kernel\)\n/);
  const [, kernels] = /kernels +([\d,]+), of [\d,]+ operations of the traced step; [\d,]+ programs differ/.exec(stdout)!;
  t.regex(stdout, /arithmetic +\d+\.\d+ M operations in matrix products/);
  t.regex(stdout, /time, estimated +\d+\.\d+ ms on one NVIDIA H100/);
  t.regex(stdout, /An estimate, not a measurement/);
  const rows = stdout.split('\n').filter((line) => /^ +\d+ {2}(map|reduction|product|stack|whole) /.test(line));
  t.regex(stdout, /\n +1 named kernels taken whole\n/);
  t.is(rows.filter((line) => / whole +LinearAssignment \[/.test(line)).length, 1, 'all decoder layers\' matchings are one');
  t.is(rows.length, Number(kernels.replace(',', '')));
  t.deepEqual(stdout.split('\n').filter((line) => line.length > 100), []);
  t.notRegex(stdout, /NaN|undefined|Infinity/);
});

test('JSON: one object; twice the images are twice the products of the forward pass, and more memory', async (t) => {
  const plan = async (...args: string[]): Promise<Record<string, number>> => {
    const { code, stdout, stderr } = await qdetr(['plan', '--scale', 'smoke', '--json', ...args]);
    t.is(code, 0, stderr);
    return JSON.parse(stdout) as Record<string, number>;
  };
  const two = await plan(), four = await plan('--batch', '4');
  t.deepEqual([two.batch, four.batch, two.list], [2, 4, undefined]);
  t.true(four.products > 1.9 * two.products && four.products < 2.1 * two.products, `${two.products}, ${four.products}`);
  t.true(four.memory > two.memory && two.memory <= two.memoryWithoutReuse);
  t.is(two.trained, four.trained);
  t.true(two.seconds > 0 && two.kernels > 100 && two.programs <= two.kernels);
});

test('mistakes are answered by a sentence', async (t) => {
  for (const [args, message] of [
    [['--batch', '0'], '--batch 0: should be a whole number of at least 1'],
    [['--bits', '4-9-8'], "--bits 4-9-8: bit-width 9 can't be quantized to: choose 2 to 8, or 32 for real-valued"],
    [['--distill'], '--distill: 32-32-32 quantizes nothing: give low bits, such as --bits 4-4-8, or leave it out'],
  ] as [string[], string][]) {
    const { code, stderr } = await qdetr(['plan', '--scale', 'smoke', ...args]);
    t.is(code, 1);
    t.is(stderr, `error: ${message}\n`);
  }
});
