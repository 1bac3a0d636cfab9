import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { readJson } from '../../src/files.js';
import { qdetr } from './command-line.js';

const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-weights-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

test.serial('a teacher is trained, its backbone first, and packed by the command that the training names; trained again it is there already', async (t) => {
  const runs = path.join(folder, 'runs'), to = path.join(folder, 'weights');
  const train = (): ReturnType<typeof qdetr> => qdetr(['weights', 'train', '--role', 'teacher', '--scale', 'smoke', '--set', 'steps=2', 'warmUpSteps=1', '--runs', runs]);
  const first = await train();
  t.is(first.code, 0, first.stderr);
  const id = /DETR, teacher, run ([0-9a-f]{12}): AP50 val [\d.]+, test [\d.]+, test-unseen [\d.]+/.exec(first.stdout)?.[1];
  t.truthy(id, first.stdout);
  t.true(first.stdout.includes(`npx qdetr weights pack ${id} --as smoke-teacher --runs ${runs}`));
  const again = await train();
  t.regex(again.stdout, new RegExp(`run ${id}`));
  const packed = await qdetr(['weights', 'pack', id!, '--as', 'smoke-teacher', '--runs', runs, '--to', to]);
  t.is(packed.code, 0, packed.stderr);
  t.regex(packed.stdout, /minivoc-smoke-teacher\.safetensors: [\d.]+ MB, AP50 [\d.]+ on test and [\d.]+ on test-unseen/);
  const manifest = readJson(path.join(to, 'minivoc-smoke-teacher.json'), '') as { madeBy: { run: string; command: string } };
  t.is(manifest.madeBy.run, id!);
  t.regex(manifest.madeBy.command, /^npx qdetr weights train --role teacher --scale smoke/);
});

for (const [args, message] of [
  [['train', '--set', 'stepz=2'], /stepz/],
  [['train', '--seed', 'one'], /--seed one: should be a whole number/],
  [['pack', '0123456789ab', '--as', 'gpu', '--runs', folder], /there is no such run/],
] as const) {
  test.serial(`weights ${args.join(' ').replace(folder, 'DIR')}: one line, exit code 1`, async (t) => {
    const { code, stderr: err } = await qdetr(['weights', ...args]);
    t.is(code, 1);
    t.regex(err, message);
    t.is(err.trim().split('\n').length, 1);
    t.false(existsSync(path.join(folder, '0123456789ab')));
  });
}
