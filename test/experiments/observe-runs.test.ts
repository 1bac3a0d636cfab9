import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../src/errors.js';
import { needsObservations, observeRuns } from '../../src/experiments/observe-runs.js';
import { observationRecords } from '../../src/figures/observation-records.js';
import { initialDetectorParameters } from '../../src/models/initial-parameters.js';
import { modelOf } from '../../src/models/settings.js';
import { RandomStream } from '../../src/tensor/random.js';
import { saveCheckpoint } from '../../src/training/checkpoint.js';
import { madeUpRun } from '../figures/summaries.js';

const seen = madeUpRun({ id: '0123456789ab', artefact: ['table-2.2', 'figure-2.8'], method: 'Real-valued', bits: '32-32-32', scale: 'smoke', dataset: 'minivoc-64', scope: 'detector' });
const other = madeUpRun({ id: 'abcdef012345', artefact: ['table-2.2'], scale: 'smoke' });

test('finished runs that answer Fig. 2.8 or 2.9 are observed from their checkpoint, once', async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'qdetr-observe-'));
  for (const { id } of [seen, other]) mkdirSync(path.join(root, id));
  const parameters = initialDetectorParameters(modelOf('smoke'), new RandomStream(1));
  saveCheckpoint(path.join(root, seen.id), { runId: seen.id, counters: { seed: 0, step: 1, epoch: 0, positionInEpoch: 0, metricsBytes: 0 }, parameters, firstMoments: {}, secondMoments: {}, buffers: {} });
  const files = await observeRuns([seen, other], root);
  t.deepEqual(files, [path.join(root, seen.id, 'observations.json')]);
  const { fresh } = observationRecords({ recorded: '/nowhere', fresh: root });
  t.deepEqual([fresh.length, fresh[0].id, fresh[0].queries.map(({ layer }) => layer), fresh[0].attention.length], [1, seen.id, [0, 1], 2]);
  const before = readFileSync(files[0], 'utf8');
  t.deepEqual(await observeRuns([seen], root), []);
  t.is(readFileSync(files[0], 'utf8'), before);
});

test('a run without a checkpoint is named', async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'qdetr-observe-'));
  mkdirSync(path.join(root, seen.id));
  await t.throwsAsync(observeRuns([seen], root), { instanceOf: UserError, message: /0123456789ab has no checkpoint to observe: delete the folder/ });
});

test('which experiments need observations', (t) => {
  t.deepEqual(['figure-2.8', 'figure-2.9', 'table-2.2'].map((artefact) => needsObservations({ artefact })), [true, true, false]);
});
