import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { Command } from 'commander';
import sharp from 'sharp';
import { dataCommand } from '../../src/cli/data.js';
import { UserError } from '../../src/errors.js';

async function run(...args: string[]): Promise<void> {
  const program = new Command('qdetr');
  dataCommand(program);
  await program.parseAsync(['data', ...args], { from: 'user' });
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-data-'));
test.after.always(() => rmSync(folder, { recursive: true }));
const out = (name: string): string => path.join(folder, name);

test('wrong values are named with what is allowed, and nothing is written', async (t) => {
  const wrong: [string[], RegExp][] = [
    [['export', '--split', 'all', '--out', out('a')], /split is "all": choose one of train, val, test, test-unseen/],
    [['export', '--size', '127', '--out', out('a')], /size is 127: choose one of 64, 96, 128, 256/],
    [['export', '--size', 'big', '--out', out('a')], /size is NaN/],
    [['export', '--seed', '-3', '--out', out('a')], /--seed is "-3": give a whole number/],
    [['export', '--count', '1001', '--out', out('a')], /--count is "1001": give a whole number from 1 to 1000/],
    [['export', '--count', '', '--out', out('a')], /--count is ""/],
    [['export', '--format', 'yolo', '--out', out('a')], /--format is "yolo": choose voc or coco/],
    [['export', '--count', '3', '--out', 'src'], /--out src is not an empty folder/],
    [['contact-sheet', '--class', 'zebra', '--out', out('a')], /--class names "zebra": choose from aeroplane/],
    [['contact-sheet', '--images', '1e9', '--out', out('a')], /--images is "1e9"/],
    [['build-sprites', '--sources', out('b')], /holds no Scopia\.sh3f/],
  ];
  for (const [args, message] of wrong) await t.throwsAsync(run(...args), { instanceOf: UserError, message }, args.join(' '));
  t.false(existsSync(out('a')));
});

test('export writes what was asked for', async (t) => {
  await run('export', '--split', 'test-unseen', '--size', '64', '--count', '3', '--out', out('voc'));
  t.deepEqual(readdirSync(path.join(out('voc'), 'JPEGImages')).sort(), ['test-unseen-000000.jpg', 'test-unseen-000001.jpg', 'test-unseen-000002.jpg']);
  t.like(await sharp(path.join(out('voc'), 'JPEGImages', 'test-unseen-000000.jpg')).metadata(), { width: 64, height: 64, format: 'jpeg' });
});

test('export in COCO\'s layout', async (t) => {
  await run('export', '--format', 'coco', '--split', 'test', '--size', '64', '--count', '2', '--out', out('coco'));
  t.deepEqual(readdirSync(out('coco')).sort(), ['annotations', 'test']);
  t.deepEqual(readdirSync(path.join(out('coco'), 'annotations')), ['instances_test.json']);
  t.deepEqual(readdirSync(path.join(out('coco'), 'test')).sort(), ['test-000000.jpg', 'test-000001.jpg']);
});

test('contact sheets show every sprite of a class, or images with their boxes', async (t) => {
  await run('contact-sheet', '--class', 'sheep', '--out', out('sheets'));
  await run('contact-sheet', '--split', 'val', '--size', '64', '--images', '7', '--out', out('sheets'));
  t.deepEqual(readdirSync(out('sheets')).sort(), ['images-val-64.png', 'sheep.png']);
  t.is((await sharp(path.join(out('sheets'), 'images-val-64.png')).metadata()).height, 2 * (256 + 11 + 6));
  const { channels } = await sharp(path.join(out('sheets'), 'sheep.png')).stats();
  t.true(channels[0].stdev > 20);
});
