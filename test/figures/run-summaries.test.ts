import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { freshSummaries, recordedSummaries } from '../../src/figures/run-summaries.js';
import { madeUpRun } from './summaries.js';

const folder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-runs-'));

test('recorded runs are the lines of all .jsonl files, in order of file name; blank lines and other files are skipped', (t) => {
  const at = folder();
  writeFileSync(path.join(at, 'b.jsonl'), `${JSON.stringify(madeUpRun({ seed: 3 }))}\n`);
  writeFileSync(path.join(at, 'a.jsonl'), `${JSON.stringify(madeUpRun({ seed: 1 }))}\n\n${JSON.stringify(madeUpRun({ seed: 2 }))}`);
  writeFileSync(path.join(at, 'README.md'), 'no record');
  t.deepEqual(recordedSummaries(at).map((run) => run.seed), [1, 2, 3]);
});

test('no folder is no run', (t) => {
  t.deepEqual(recordedSummaries('/nowhere'), []);
  t.deepEqual(freshSummaries('/nowhere'), []);
});

test('a line that is no JSON is named with its number', (t) => {
  const at = folder();
  writeFileSync(path.join(at, 'a.jsonl'), `${JSON.stringify(madeUpRun())}\n{"schemaVersion": 1,\n`);
  t.throws(() => recordedSummaries(at), { instanceOf: UserError, message: /a\.jsonl:2: the line is no JSON/ });
});

test('a wrong value is named with file, line and key', (t) => {
  const at = folder();
  writeFileSync(path.join(at, 'a.jsonl'), `${JSON.stringify(madeUpRun())}\n${JSON.stringify({ ...madeUpRun(), tau: '0.6' })}\n`);
  t.throws(() => recordedSummaries(at), { instanceOf: UserError, message: /a\.jsonl:2: key tau: / });
});

test('fresh runs are finished run folders; one that still runs is skipped, a damaged one named', (t) => {
  const at = folder();
  for (const name of ['finished', 'running']) mkdirSync(path.join(at, name));
  writeFileSync(path.join(at, 'finished/summary.json'), JSON.stringify(madeUpRun({ seed: 7 })));
  writeFileSync(path.join(at, 'running/run.json'), '{}');
  t.deepEqual(freshSummaries(at).map((run) => run.seed), [7]);
  mkdirSync(path.join(at, 'zz'));
  writeFileSync(path.join(at, 'zz/summary.json'), JSON.stringify({ ...madeUpRun(), bits: 2 }));
  t.throws(() => freshSummaries(at), { instanceOf: UserError, message: /zz\/summary\.json: key bits: / });
  writeFileSync(path.join(at, 'zz/summary.json'), '{');
  t.throws(() => freshSummaries(at), { instanceOf: UserError, message: /zz\/summary\.json is no JSON/ });
});
