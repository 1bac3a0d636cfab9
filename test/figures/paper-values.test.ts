import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { paperValues } from '../../src/figures/paper-values.js';

const paper = paperValues();
const cell = (method: string, bits: string): number => paper.table_2_2.find((row) => row.method === method && row.bits === bits)!.ap50;

test("the prose's differences hold in Table 2.2", (t) => {
  // book, p. 35-36: the baseline loses 13.6/6.5/5.3 at 2/3/4 bits; at 2 bits DA +1.9, FQM +5.2, both +6.7
  const loss = (bits: string): number => Number((cell('Real-valued', '32-32-32') - cell('Baseline', bits)).toFixed(1));
  t.deepEqual([loss('2-2-8'), loss('3-3-8'), loss('4-4-8')], [13.6, 6.5, 5.3]);
  const gain = (method: string): number => Number((cell(method, '2-2-8') - cell('Baseline', '2-2-8')).toFixed(1));
  t.deepEqual([gain('+ DA'), gain('+ FQM'), gain('+ DA + FQM (Q-DETR)')], [1.9, 5.2, 6.7]);
});

test('Table 2.2 and CVPR Table 2 agree where both give a value', (t) => {
  const both: [string, string][] = [['Baseline', 'Baseline'], ['Q-DETR', '+ DA + FQM (Q-DETR)'], ['Real-valued', 'Real-valued']];
  let compared = 0;
  for (const { model, method, bits, ap50 } of paper.cvpr_table_2_voc) {
    const name = both.find(([voc]) => voc === method)?.[1];
    if (model !== 'DETR-R50' || name === undefined) continue;
    t.is(cell(name, bits), ap50, `${method} ${bits}`);
    compared++;
  }
  t.is(compared, 7);
});

test('Fig. 2.12(a) holds the two printed points only', (t) => {
  t.deepEqual(paper.figure_2_12a.points.map(({ tau, lambda, ap50 }) => [tau, lambda, ap50]), [[1, null, 78.8], [0.6, 2.5, 82.7]]);
});

test('damaged values are named with file and key', (t) => {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'qdetr-paper-')), 'paper-tables.json');
  const values = JSON.parse(readFileSync('data-manifests/paper/paper-tables.json', 'utf8')) as { table_2_2: { ap50: unknown }[] };
  values.table_2_2[4].ap50 = '78.8';
  writeFileSync(file, JSON.stringify(values));
  t.throws(() => paperValues(file), { instanceOf: UserError, message: /paper-tables\.json: key table_2_2\.4\.ap50: / });
  writeFileSync(file, '[');
  t.throws(() => paperValues(file), { instanceOf: UserError, message: /paper-tables\.json is no JSON/ });
  t.throws(() => paperValues('/nowhere.json'), { instanceOf: UserError, message: /^\/nowhere\.json can't be read/ });
});
