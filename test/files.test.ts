import { existsSync, mkdtempSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../src/errors.js';
import { readJson, sha256, writeFileAtomic } from '../src/files.js';
import { diesAt } from './training/crash.js';

const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'qdetr-files-'));

test('SHA-256 of the empty text and of "abc" (FIPS 180-4)', (t) => {
  t.is(sha256(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  t.is(sha256(Uint8Array.of(97, 98, 99)), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('a file is written with its folders, and replaced', (t) => {
  const folder = newFolder();
  const file = path.join(folder, 'a/b.txt');
  writeFileAtomic(file, 'ü');
  writeFileAtomic(file, Uint8Array.of(1, 2));
  t.deepEqual([...readFileSync(file)], [1, 2]);
  t.deepEqual(readdirSync(path.dirname(file)), ['b.txt']);
});

test.serial('killed at any of its operations, a writer leaves the old content or the new one', (t) => {
  const outcomes = new Set<string>();
  let died = true;
  for (let point = 0; died; point++) {
    const file = path.join(newFolder(), 'x');
    writeFileSync(file, 'the old content');
    died = diesAt(point, () => writeFileAtomic(file, 'the new content'));
    outcomes.add(`${readFileSync(file, 'utf8')}${died ? '' : ', finished'}`);
  }
  t.deepEqual([...outcomes], ['the old content', 'the new content, finished']);
});

test('what can not be written is one sentence, and leaves nothing', (t) => {
  const folder = newFolder();
  writeFileSync(path.join(folder, 'file'), 'x');
  t.throws(() => writeFileAtomic(path.join(folder, 'file/y'), ''), { instanceOf: UserError, message: /file.y can't be written \(.*\): free some space or choose another folder/ });
  t.throws(() => writeFileAtomic(folder, 'x'), { instanceOf: UserError });
  t.deepEqual(readdirSync(folder), ['file']);
  t.false(existsSync(`${folder}.${process.pid}.tmp`));
});

(existsSync('/dev/full') ? test : test.skip)('on a full disk the old content stays, and nothing half-written', (t) => {
  const folder = newFolder();
  const file = path.join(folder, 'x');
  writeFileAtomic(file, 'old');
  symlinkSync('/dev/full', `${file}.${process.pid}.tmp`);
  t.throws(() => writeFileAtomic(file, 'new'), { instanceOf: UserError, message: /ENOSPC/ });
  t.deepEqual(readdirSync(folder), ['x']);
  t.is(readFileSync(file, 'utf8'), 'old');
});

test('JSON that is missing or broken is one sentence with the remedy', (t) => {
  const file = path.join(newFolder(), 'x.json');
  t.throws(() => readJson(file, 'make it'), { instanceOf: UserError, message: /x\.json can't be read \(ENOENT.*\): make it$/ });
  writeFileSync(file, '{"a":');
  t.throws(() => readJson(file, 'make it'), { instanceOf: UserError, message: /x\.json is no JSON \(.*\): make it$/ });
  writeFileSync(file, '{"a":1}');
  t.deepEqual(readJson(file, ''), { a: 1 });
});
