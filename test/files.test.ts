import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../src/errors.js';
import { readJson, sha256, writeFileAtomic, writeFilesAtomic } from '../src/files.js';
import { diesAt, interceptFiles } from './training/crash.js';

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

/** A folder with the old files of a set (c is new in the next one), and what it holds. */
function oldSet(): { folder: string; set: [string, string][]; holds: () => Record<string, string> } {
  const folder = newFolder();
  for (const name of ['a', 'b', 'd']) writeFileSync(path.join(folder, name), `old ${name}`);
  const holds = () => Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]));
  return { folder, set: ['a', 'b', 'c', 'd'].map((name) => [path.join(folder, name), `new ${name}`]), holds };
}
const OLD = { a: 'old a', b: 'old b', d: 'old d' };

test('a set is written, and replaced, and nothing else stays', (t) => {
  const { folder, set, holds } = oldSet();
  writeFilesAtomic([...set, [path.join(folder, 'more/e'), 'new e']]);
  t.deepEqual(readdirSync(path.join(folder, 'more')), ['e']);
  rmSync(path.join(folder, 'more'), { recursive: true });
  t.deepEqual(holds(), { a: 'new a', b: 'new b', c: 'new c', d: 'new d' });
});

for (const operation of ['openSync', 'writeSync', 'fsyncSync', 'renameSync'] as const) {
  test.serial(`a set of four of which any ${operation} fails: every file is as it was, and nothing is left behind`, (t) => {
    for (let n = 0; n < 4; n++) {
      const { set, holds } = oldSet();
      let calls = 0;
      const end = interceptFiles(({ name, writeHalf }) => {
        if (name !== operation || calls++ !== n) return;
        writeHalf();
        throw new Error('ENOSPC: no space left on device');
      });
      try {
        t.throws(() => writeFilesAtomic(set), { instanceOf: UserError, message: `${set[n][0]} can't be written (ENOSPC: no space left on device): free some space or choose another folder, then start again` });
      } finally {
        end();
      }
      t.deepEqual(holds(), OLD, `${operation} ${n}`);
    }
  });
}

test('a set whose last, or first, target is a folder changes nothing', (t) => {
  for (const at of [0, 3]) {
    const { set, holds } = oldSet();
    rmSync(set[at][0]);
    mkdirSync(path.join(set[at][0], 'inside'), { recursive: true });
    t.throws(() => writeFilesAtomic(set), { instanceOf: UserError, message: /can't be written \(/ });
    rmSync(set[at][0], { recursive: true });
    t.deepEqual(holds(), Object.fromEntries(Object.entries(OLD).filter(([name]) => name !== path.basename(set[at][0]))), String(at));
  }
});

test('JSON that is missing or broken is one sentence with the remedy', (t) => {
  const file = path.join(newFolder(), 'x.json');
  t.throws(() => readJson(file, 'make it'), { instanceOf: UserError, message: /x\.json can't be read \(ENOENT.*\): make it$/ });
  writeFileSync(file, '{"a":');
  t.throws(() => readJson(file, 'make it'), { instanceOf: UserError, message: /x\.json is no JSON \(.*\): make it$/ });
  writeFileSync(file, '{"a":1}');
  t.deepEqual(readJson(file, ''), { a: 1 });
});
