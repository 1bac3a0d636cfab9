import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../../src/errors.js';
import { openImageNetFolder } from '../../../src/data/imagenet-reader.js';
import { validationClasses } from '../../../src/data/official/imagenet-devkit.js';
import { readMatFile, type MatStruct } from '../../../src/data/official/mat-file.js';

const fixture = JSON.parse(readFileSync('test/fixtures/imagenet-meta.json', 'utf8')) as { files: Record<'plain' | 'compressed', string>; rows: Record<string, string | number | number[]>[] };
const files = { plain: Buffer.from(fixture.files.plain, 'base64'), compressed: Buffer.from(fixture.files.compressed, 'base64') };
const refuse = (what: string): never => { throw new UserError(what); };

const root = mkdtempSync(path.join(os.tmpdir(), 'qdetr-devkit-'));
test.after.always(() => rmSync(root, { recursive: true }));

function devkit(meta: Buffer, truth: string): string {
  const folder = mkdtempSync(path.join(root, 'kit-'));
  mkdirSync(path.join(folder, 'data'));
  writeFileSync(path.join(folder, 'data', 'meta.mat'), meta);
  writeFileSync(path.join(folder, 'data', 'ILSVRC2012_validation_ground_truth.txt'), truth);
  return folder;
}

test('a MAT-file of SciPy has the values that SciPy wrote', (t) => {
  const expected = fixture.rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, typeof value === 'number' ? [value] : value])));
  for (const file of [files.plain, files.compressed]) t.deepEqual(readMatFile(file, refuse).synsets, expected as MatStruct[]);
});

test('each validation image has the class of its number; classes of classes have none', (t) => {
  for (const file of [files.plain, files.compressed]) {
    t.deepEqual([...validationClasses(devkit(file, '3\n1\n2\n3\n'))], [['ILSVRC2012_val_00000001', 'n01751748'], ['ILSVRC2012_val_00000002', 'n02119789'], ['ILSVRC2012_val_00000003', 'n02100735'], ['ILSVRC2012_val_00000004', 'n01751748']]);
  }
  t.throws(() => validationClasses(devkit(files.plain, '3\n1001\n')), { instanceOf: UserError, message: /ground_truth\.txt: line 2 is "1001", which is no class of meta\.mat: npx qdetr data fetch imagenet-devkit --from FILE brings it back$/ });
  t.throws(() => validationClasses(path.join(root, 'none')), { instanceOf: UserError, message: /meta\.mat can't be read/ });
  t.throws(() => validationClasses(devkit(Buffer.from('MATLAB 7.3'), '1')), { instanceOf: UserError, message: /meta\.mat can't be used: it is no MAT-file of level 5/ });
});

test('flat validation images are read with the kit', (t) => {
  const kit = devkit(files.plain, '3\n1\n'), folder = path.join(root, 'imagenet');
  for (const name of ['train/n01751748/n01751748_1.JPEG', 'train/n02119789/n02119789_1.JPEG', 'val/ILSVRC2012_val_00000001.JPEG', 'val/ILSVRC2012_val_00000002.JPEG']) {
    mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
    writeFileSync(path.join(folder, name), 'an image');
  }
  const dataset = openImageNetFolder({ folder, split: 'val', groundTruth: kit });
  t.deepEqual([0, 1].map((i) => dataset.classes[dataset.entry(i).label]), ['n01751748', 'n02119789']);
});

test('damaged files end in an error of ours or in other values', (t) => {
  fc.assert(fc.property(fc.constantFrom(files.plain, files.compressed), fc.nat(), fc.nat(7), fc.boolean(), (file, at, bit, cut) => {
    const wrong = Buffer.from(cut ? file.subarray(0, at % file.length) : file);
    if (!cut) wrong[at % wrong.length] ^= 1 << bit;
    try {
      readMatFile(wrong, refuse);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }), { numRuns: 1000 });
  t.pass();
});
