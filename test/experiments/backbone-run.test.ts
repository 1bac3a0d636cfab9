import test from 'ava';
import { backboneRun, openData } from '../../src/experiments/detector-run.js';
import { modelOf } from '../../src/models/settings.js';
import { resolveSettings } from '../../src/training/settings.js';

const model = modelOf('smoke'), data = openData(model, { train: 40, val: 1, test: 1 });
const run = (size?: 64 | 96, count = 8) => backboneRun('b', 'smoke', model, data, resolveSettings('smoke', { batchSize: 4 }), size && { size, count });

test('sprites of a pool, their size and number, are part of what a run is; without a pool, a run is what it was', (t) => {
  t.deepEqual(run().protocol, { backbone: model.backbone });
  t.deepEqual(run().dataHashes, [data.train.dataHash]);
  t.deepEqual(run(64).protocol, { backbone: model.backbone, sprites: { size: 64, count: 8 } });
  t.is(new Set([run(), run(64), run(96), run(64, 9)].map(({ dataHashes }) => dataHashes.join())).size, 4);
  t.is(run(96).label.dataset, 'minivoc-96 sprites');
});

test('a pool is trained on at its own size, an epoch being all of it', async (t) => {
  const task = await run(96).task!();
  t.true('inputs' in task && task.inputs.images.shape.join() === '4,96,96,3');
  t.is(task.stepsPerEpoch, 2);
});
