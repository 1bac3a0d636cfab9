import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { readParameters, writeParameters } from '../../src/tensor/parameter-file.js';
import { qdetr } from './command-line.js';

const TRANSFORMERS = 'test/fixtures/weights/transformers';
const scratch = mkdtempSync(path.join(tmpdir(), 'qdetr-convert-'));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

test.serial('weights convert writes what weights show knows', async (t) => {
  const file = path.join(scratch, 'own.safetensors');
  const converted = await qdetr(['weights', 'convert', '--from', TRANSFORMERS, '--to', file]);
  t.is(converted.stderr, '');
  t.is(converted.code, 0);
  t.regex(converted.stdout, /transformers\/model\.safetensors: safetensors, names of transformers\nmodel: DETR \(DETR, 7 queries, 4 classes, 2 \+ 2 layers of width 16 with 4 heads\); [\d,]+ parameters/);
  t.true(converted.stdout.endsWith(`written: ${file}\n`));
  t.is(readParameters(file).notes.get('source'), 'safetensors, names of transformers');

  const shown = await qdetr(['weights', 'show', file, '--keys']);
  t.regex(shown.stdout, /names of qdetr\n/);
  t.regex(shown.stdout, /classes: N\/A, cat, dog, bird\n/);
  t.regex(shown.stdout, /\n {2}backbone\.0\.body\.conv1\.weight \[7, 7, 3, 8\]\n/);
  t.true(shown.stdout.endsWith('every key of the model is there\n'));
});

test.serial('weights that are not whole are shown with all of their faults, and not converted', async (t) => {
  const file = path.join(scratch, 'part', 'model.safetensors'), to = path.join(scratch, 'never.safetensors');
  const { parameters } = readParameters(`${TRANSFORMERS}/model.safetensors`);
  delete parameters['class_labels_classifier.bias'];
  writeParameters(file, { ...parameters, 'model.decoder.extra.weight': { shape: [1], data: new Float32Array(1) } });
  cpSync(`${TRANSFORMERS}/config.json`, path.join(scratch, 'part', 'config.json'));
  const converted = await qdetr(['weights', 'convert', '--from', file, '--to', to]);
  t.is(converted.code, 1);
  t.regex(converted.stdout, /\nmissing: class_embed\.bias \[5\]\nunexpected: model\.decoder\.extra\.weight \[1\]\n/);
  t.regex(converted.stderr, /^error: .*part\/model\.safetensors is not a whole DETR, so .*never\.safetensors was not written: get the file again, or name its model with --model\n$/);
  t.false(existsSync(to));
  const { report, isComplete } = JSON.parse((await qdetr(['weights', 'show', file, '--json'])).stdout) as { report: { missing: unknown[] }; isComplete: boolean };
  t.false(isComplete);
  t.deepEqual(report.missing, [{ name: 'class_embed.bias', shape: [5] }]);
});

test.serial('wrong options are one sentence', async (t) => {
  const wrong = async (...args: string[]): Promise<string> => (await qdetr(['weights', ...args])).stderr;
  t.is(await wrong('convert', '--from', TRANSFORMERS, '--to', 'out.pth'), 'error: --to out.pth: should end with .safetensors\n');
  t.regex(await wrong('convert', '--from', TRANSFORMERS, '--to', 'x.safetensors', '--model', 'detr-r5'), /^error: option '--model <name>' argument 'detr-r5' is invalid\. Allowed choices are detr-r50, .*: see 'npx qdetr weights convert --help'\n$/);
  t.regex(await wrong('show', 'package.json'), /^error: package\.json holds no weights/);
});
