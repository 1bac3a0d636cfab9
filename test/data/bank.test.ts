import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import sharp from 'sharp';
import { openBank, readBankFiles } from '../../src/data/minivoc/bank.js';
import { BANK_FOLDER, type BankIndex } from '../../src/data/minivoc/bank-format.js';
import { readPictures } from '../../src/data/minivoc/read-pictures.js';
import { UserError } from '../../src/errors.js';
import { sha256 } from '../../src/files.js';

/** Runs `damage` on a copy of the bank and returns what reading it throws. */
function errorAfter(t: { throws: (fn: () => unknown, expected: object) => Error | undefined }, damage: (folder: string) => void): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-bank-'));
  try {
    cpSync(BANK_FOLDER, folder, { recursive: true });
    damage(folder);
    return t.throws(() => openBank(folder), { instanceOf: UserError })?.message ?? '';
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function editIndex(folder: string, edit: (index: BankIndex) => void): void {
  const file = path.join(folder, 'index.json');
  const index = JSON.parse(readFileSync(file, 'utf8')) as BankIndex;
  edit(index);
  writeFileSync(file, JSON.stringify(index));
}

test('the committed bank is whole', (t) => {
  const { index, files } = readBankFiles();
  t.is(files.size, Object.keys(index.files).length);
  for (const [name, bytes] of files) t.is(sha256(bytes), index.files[name].sha256);
});

test('a missing sheet is named with the way out', (t) => {
  const message = errorAfter(t, (folder) => rmSync(path.join(folder, 'cat.webp')));
  t.regex(message, /cat\.webp can't be read .*: git checkout data-manifests\/minivoc brings it back/);
});

test('a damaged sheet is named with the key', (t) => {
  const message = errorAfter(t, (folder) => {
    const file = path.join(folder, 'dog.webp'), bytes = readFileSync(file);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(file, bytes);
  });
  t.regex(message, /dog\.webp is damaged \(files\.dog\.webp\.sha256 in index\.json doesn't match\): git checkout/);
});

test('a cut-off sheet is refused', (t) => {
  t.regex(errorAfter(t, (folder) => writeFileSync(path.join(folder, 'bus.webp'), readFileSync(path.join(folder, 'bus.webp')).subarray(0, 100))), /bus\.webp is damaged/);
});

test('a sheet that is no picture, though its hash is right, is refused', (t) => {
  const message = errorAfter(t, (folder) => {
    writeFileSync(path.join(folder, 'car.webp'), 'no picture');
    editIndex(folder, (index) => { index.files['car.webp'].sha256 = sha256('no picture'); });
  });
  t.regex(message, /can't be decoded .*git checkout data-manifests\/minivoc/);
});

test('a sheet of another size than the index says is refused', (t) => {
  t.regex(errorAfter(t, (folder) => editIndex(folder, (index) => { index.files['car.webp'].width += 8; })), /car\.webp is no picture of \d+x\d+ with 4 channels/);
});

test('a missing, unreadable or wrong index is named with the key', (t) => {
  t.regex(errorAfter(t, (folder) => rmSync(path.join(folder, 'index.json'))), /index\.json can't be read .*git checkout/);
  t.regex(errorAfter(t, (folder) => writeFileSync(path.join(folder, 'index.json'), '{"schemaVersion": 1,')), /index\.json is no JSON .*git checkout/);
  t.regex(errorAfter(t, (folder) => editIndex(folder, (index) => Object.assign(index, { schemaVersion: 2 }))), /index\.json: schemaVersion: .*git checkout/);
  t.regex(errorAfter(t, (folder) => editIndex(folder, (index) => Object.assign(index.groups[3], { licence: 7 }))), /index\.json: groups\.3\.licence|groups\.3/);
  t.regex(errorAfter(t, (folder) => editIndex(folder, (index) => { index.groups[0].parts[0].rectangles[0][0] = 5000; })), /groups\.0\.parts\.0\.rectangles leaves the sheet aeroplane\.webp/);
  t.regex(errorAfter(t, (folder) => editIndex(folder, (index) => { index.groups[0].parts[0].sheet = 'nowhere.webp'; })), /groups\.0\.parts\.0\.sheet names nowhere\.webp/);
});

test('pictures are decoded to their pixels while the caller waits', async (t) => {
  const raw = Buffer.from([255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 255, 9, 8, 7, 255]);
  const png = await sharp(raw, { raw: { width: 2, height: 2, channels: 4 } }).png().toBuffer();
  const webp = await sharp(raw, { raw: { width: 2, height: 2, channels: 4 } }).webp({ lossless: true, exact: true }).toBuffer();
  const pictures = readPictures([png, webp]);
  for (const picture of pictures) {
    t.like(picture, { width: 2, height: 2, channels: 4 });
    t.deepEqual([...picture.data], [...raw]);
  }
  t.throws(() => readPictures([png, Buffer.from('nothing')]), { instanceOf: UserError, message: /can't be decoded/ });
});
