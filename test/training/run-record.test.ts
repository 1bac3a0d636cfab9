import test from 'ava';
import { UserError } from '../../src/errors.js';
import { finalEvaluation, parseRunSummary, type RunSummary } from '../../src/training/run-record.js';

const summary: RunSummary = {
  schemaVersion: 1, id: 'a', experiment: 'table-2.2', artefact: ['table-2.2'], method: 'Baseline', bits: '2-2-8', model: 'detr',
  scale: 'smoke', dataset: 'minivoc-64', seed: 1, tau: null, lambda: null,
  evaluations: [
    { split: 'test', step: 20, epoch: 2, ap: 0.1, ap50: 0.2, ap75: 0.05 },
    { split: 'test', step: 10, epoch: 1, ap: 0.3, ap50: 0.5, ap75: 0.2 },
    { split: 'test-unseen', step: 30, epoch: 3, ap: 0.1, ap50: 0.1, ap75: 0.1 },
  ],
  informationPlane: [], command: 'npx qdetr start', engine: 'onnxruntime-node', machine: '2 cores', seconds: 1, finishedAt: '2026-11-23T08:00:00Z',
};

test('a right summary passes unchanged', (t) => {
  t.deepEqual(parseRunSummary(JSON.parse(JSON.stringify(summary)), 'x.jsonl:1'), summary);
});

test('what a cell of an experiment adds is optional, and passes unchanged', (t) => {
  const cell: RunSummary = {
    ...summary, scope: 'transformer', groups: ['encoder', 'feed-forward'], quantizer: 'LSQ+', preset: 'paper', alignment: ['decoder.co-attention.q'],
    distillation: { matching: 'literal', lambda: 2.5 }, teacher: 'shipped', studentStart: 'own', distillationRatio: [{ epoch: 1, ratio: 2.4 }],
  };
  t.deepEqual(parseRunSummary(JSON.parse(JSON.stringify(cell)), 'x.jsonl:1'), cell);
  t.is(parseRunSummary({ ...summary, distillation: null, alignment: null, teacher: null }, 'x.jsonl:1').alignment, null);
});

test('the last evaluation of the split counts, not the best and not the last line', (t) => {
  t.is(finalEvaluation(summary, 'test')?.ap50, 0.2);
  t.is(finalEvaluation(summary, 'test-unseen')?.step, 30);
  t.is(finalEvaluation(summary, 'val'), undefined);
});

const wrong: [string, object, RegExp][] = [
  ['missing key', { ...summary, seed: undefined }, /^x\.jsonl:3: key seed: /],
  ['wrong type', { ...summary, seconds: 'long' }, /^x\.jsonl:3: key seconds: /],
  ['unknown key', { ...summary, colour: 'red' }, /^x\.jsonl:3: key colour: is unknown/],
  ['percent instead of a fraction', { ...summary, evaluations: [{ ...summary.evaluations[0], ap50: 78.8 }] }, /key evaluations\.0\.ap50: /],
  ['bits', { ...summary, bits: '4bit' }, /key bits: must be weights-activations-attention/],
  ['schema version', { ...summary, schemaVersion: 2 }, /key schemaVersion: /],
  ['scope', { ...summary, scope: 'everything' }, /key scope: /],
  ['module group', { ...summary, groups: ['heads'] }, /key groups\.0: /],
  ['time', { ...summary, finishedAt: 'today' }, /key finishedAt: must be an ISO 8601 time/],
];
for (const [name, value, message] of wrong) {
  test(`refuses: ${name}`, (t) => {
    t.throws(() => parseRunSummary(value, 'x.jsonl:3'), { instanceOf: UserError, message });
  });
}
