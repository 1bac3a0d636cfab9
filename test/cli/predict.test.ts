import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync, cpSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import test from 'ava';
import { qdetr } from './command-line.js';

const MINUTES = 'data-manifests/weights/minivoc-minutes.safetensors';
const scratch = mkdtempSync(path.join(tmpdir(), 'qdetr-predict-'));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

test.serial('a MiniVOC image that was exported: a table, JSON and a drawing', async (t) => {
  const folder = path.join(scratch, 'voc'), images = ['test-000000', 'test-000005'].map((name) => path.join(folder, 'JPEGImages', `${name}.jpg`));
  t.is((await qdetr(['data', 'export', '--split', 'test', '--size', '64', '--count', '6', '--out', folder])).code, 0);
  const out = path.join(scratch, 'drawn');
  const { stdout, stderr, code } = await qdetr(['predict', '--weights', MINUTES, '--image', ...images, '--draw', out, '--threshold', '0.5']);
  t.is(stderr, '');
  t.is(code, 0);
  t.regex(stdout, /^detr-minutes \(DETR\), 32-32-32, from data-manifests\/weights\/minivoc-minutes\.safetensors \(safetensors, names of qdetr\); on \S+/);
  t.regex(stdout, /test-000005\.jpg \(64x64, seen at 64x64, [\d.]+ s\): \d+ objects? of score 0\.5 or more\n {2}class +score +left +top +right +bottom\n {2}\w+ +[01]\.\d{3}( +-?\d+\.\d){4}\n/);
  for (const name of ['test-000000', 'test-000005']) t.is((await sharp(path.join(out, `${name}.png`)).metadata()).width, 640);

  const json = JSON.parse((await qdetr(['predict', '--weights', MINUTES, '--image', images[1], '--json', '--threshold', '0'])).stdout) as { model: string; images: { file: string; detections: { class: string; score: number; box: number[] }[] }[] };
  t.is(json.images[0].file, images[1]);
  t.is(json.images[0].detections.length, 15);
  t.true(json.images[0].detections.every(({ class: name, score, box }) => name.length > 2 && score >= 0 && score <= 1 && box.length === 4));
  const none = await qdetr(['predict', '--weights', MINUTES, '--image', images[1], '--threshold', '1']);
  t.regex(none.stdout, /: 0 objects of score 1 or more\n {2}the likeliest is \w+ with \d\.\d\d: --threshold shows what is below 1/);
});

test.serial('a model that transformers saved, an image of another shape, one picture', async (t) => {
  const image = path.join(scratch, 'photo.jpg'), picture = path.join(scratch, 'photo.png');
  await sharp({ create: { width: 150, height: 40, channels: 3, background: '#6a8' } }).jpeg().toFile(image);
  const { stdout, stderr } = await qdetr(['predict', '--weights', 'test/fixtures/weights/transformers', '--image', image, '--draw', picture, '--threshold', '0.2']);
  t.is(stderr, '');
  t.regex(stdout, /^DETR, 32-32-32, from .*\(safetensors, names of transformers\)/);
  t.regex(stdout, /photo\.jpg \(150x40, seen at 1331x355, /);
  t.true(existsSync(picture));
});

test.serial('what can\'t be read or drawn is one sentence with the way out', async (t) => {
  const good = path.join(scratch, 'good.png'), cut = path.join(scratch, 'cut.png'), notes = path.join(scratch, 'notes.txt');
  await sharp({ create: { width: 64, height: 64, channels: 3, background: '#6a8', noise: { type: 'gaussian', mean: 128, sigma: 30 } } }).png().toFile(good);
  cpSync(good, cut);
  truncateSync(cut, Math.floor(readFileSync(good).length / 2));
  writeFileSync(notes, 'no image');
  const error = async (...args: string[]): Promise<string> => {
    const { code, stderr, stdout } = await qdetr(['predict', ...args]);
    t.is(code, 1);
    t.is(stdout, '');
    t.is(stderr.trim().split('\n').length, 1, stderr);
    return stderr;
  };
  const weights = ['--weights', MINUTES], image = ['--image', good];
  t.regex(await error(...weights, '--image', good, cut), /^error: .*cut\.png can't be decoded \(/);
  t.regex(await error(...weights, '--image', 'missing.jpg'), /^error: missing\.jpg can't be decoded \(/);
  t.regex(await error(...weights, ...image, '--threshold', 'much'), /^error: --threshold is "much": give a number from 0 to 1/);
  t.regex(await error(...weights, '--image', good, cut, '--draw', 'one.png'), /^error: --draw one\.png: is one picture for 2 images: name a folder/);
  t.regex(await error(...weights, ...image, '--draw', notes), /^error: --draw .*notes\.txt: is a file: name a \.png or a folder/);
  const other = path.join(scratch, 'z.xyz');
  t.regex(await error(...weights, ...image, '--draw', other), /^error: --draw .*z\.xyz: pictures are drawn as \.png, not as \.xyz: name a \.png or a folder/);
  t.false(existsSync(other));
});
