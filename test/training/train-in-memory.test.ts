import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { trainInMemory } from '../../src/training/train-in-memory.js';
import { tinyRun, tinySettings, tinyTask } from './tiny-detector.js';

for (const bits of ['32-32-32', '2-2-8'] as const) {
  test.serial(`${bits}: the same weights, bit for bit, as a run in a folder`, async (t) => {
    const { parameters, steps } = await trainInMemory(tinyTask(bits), tinySettings(), 1);
    t.deepEqual(parameters, await tinyRun(mkdtempSync(path.join(tmpdir(), 'qdetr-memory-')), bits));
    t.is(steps.length, 12);
    t.true(steps.every(({ loss, gradientNorm, l1 }) => [loss, gradientNorm, l1].every(Number.isFinite)));
  });
}

test.serial('frozen parameters stay, the others move', async (t) => {
  const task = tinyTask('32-32-32'), before = await task.start();
  const { parameters } = await trainInMemory({ ...task, isFrozen: (name) => name.startsWith('backbone.') }, tinySettings({ steps: 2 }), 1);
  t.deepEqual(parameters['backbone.0.body.conv1.weight'], before['backbone.0.body.conv1.weight']);
  t.notDeepEqual(parameters['transformer.decoder.norm.weight'], before['transformer.decoder.norm.weight']);
});
