import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { recordPlaces } from '../../src/figures/record-places.js';
import { recordedSummaries } from '../../src/figures/run-summaries.js';

test('every recorded run has a place, and the line there is its record', (t) => {
  const places = recordPlaces(), runs = recordedSummaries();
  t.is(places.size, new Set(runs.map(({ id }) => id)).size);
  for (const { id, seed, method } of runs) {
    const [, file, line] = /^(.*):(\d+)$/.exec(places.get(id)!)!;
    t.like(JSON.parse(readFileSync(file, 'utf8').split('\n')[Number(line) - 1]), { id, seed, method });
  }
});

test('lines are counted from 1, empty and damaged ones too; no folder, no places', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-places-'));
  writeFileSync(path.join(folder, 'b.jsonl'), '{"id":"one"}\n\n{damaged\n{"id":"two"}\n{"id":3}\nnull\n');
  writeFileSync(path.join(folder, 'a.json'), '{"id":"no record"}');
  t.deepEqual([...recordPlaces(folder)], [['one', `${folder}/b.jsonl:1`], ['two', `${folder}/b.jsonl:4`]]);
  t.is(recordPlaces(path.join(folder, 'nowhere')).size, 0);
});
