import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { methodParts, paperCell, Q_DETR, type GridOptions } from '../../src/experiments/grid.js';
import { packWeights } from '../../src/experiments/pack-weights.js';
import { performCell } from '../../src/experiments/perform-cell.js';
import { predictionModel } from '../../src/experiments/prediction-model.js';
import { shippedWeights } from '../../src/experiments/shipped-weights.js';
import { UserError } from '../../src/errors.js';
import { sizeOf } from '../../src/tensor/parameters.js';

const root = mkdtempSync(path.join(tmpdir(), 'qdetr-pack-')), folder = path.join(root, 'weights');
test.after.always(() => rmSync(root, { recursive: true, force: true }));
const options: GridOptions = { family: 'detr', scale: 'smoke', seeds: [0], changes: { steps: 2, warmUpSteps: 1, evaluationInterval: 2 } };

test.serial('a quantized run packed: read back by name with its manifest; large arrays rounded to f16, small ones and quantizers as they were; AP50 is measured on the file', async (t) => {
  const cell = paperCell(options, 0, { experiment: 'test', artefact: [], bits: '4-4-8', ...methodParts(options, Q_DETR) });
  const run = await performCell(cell, { command: 'a command', root, threads: 1 });
  const { file, bytes, manifest } = await packWeights({ run: run.id, name: 'smoke-q-detr', root, folder, images: 8 });
  const { parameters, ap50, id } = shippedWeights('smoke-q-detr', folder);
  t.deepEqual(Object.keys(parameters).sort(), Object.keys(run.parameters).sort());
  let halved = 0;
  for (const [name, { shape, data }] of Object.entries(run.parameters)) {
    const isHalf = sizeOf(shape) >= 1024, packed = parameters[name].data;
    if (isHalf) halved++;
    t.true(data.every((value, i) => (isHalf ? Math.abs(packed[i] - value) <= Math.max(Math.abs(value) * 2 ** -11, 2 ** -25) : packed[i] === value)), name);
  }
  t.true(halved > 10);
  t.true(bytes < 0.75 * Object.values(run.parameters).reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0));
  t.deepEqual(manifest.ap50, ap50);
  t.like(manifest.madeBy, { command: 'a command', run: run.id, bits: '4-4-8', steps: 2 });
  t.true(id.includes(manifest.sha256.slice(0, 12)));
  const model = predictionModel(file, {});
  t.is(model.bits, '4-4-8');
});

for (const [title, own, message] of [
  ['no such run', { run: '0123456789ab', name: 'x' }, /there is no such run/],
  ['a name with a slash', { run: '0123456789ab', name: '../x' }, /--as \.\.\/x: should be small letters/],
] as const) {
  test.serial(`refused: ${title}; nothing is written`, async (t) => {
    const to = path.join(root, title);
    const error = await t.throwsAsync(packWeights({ ...own, root, folder: to }), { instanceOf: UserError });
    t.regex(error!.message, message);
    t.false(existsSync(to));
  });
}
