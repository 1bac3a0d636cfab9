import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../../src/errors.js';
import { readList } from '../../../src/data/official/file-list.js';
import type { Unpack } from '../../../src/data/official/manifest.js';
import { unpackArchive, type Unpacked, type Unpacking } from '../../../src/data/official/unpack.js';
import { paxLine, tar, tarEntry, zip, type TarEntry, type ZipEntry } from './archives.js';

const root = mkdtempSync(path.join(os.tmpdir(), 'qdetr-unpack-'));
test.after.always(() => rmSync(root, { recursive: true }));

/** Everything below a folder: paths of files with their contents, and of empty folders. */
function tree(folder: string, inside = ''): Record<string, string> {
  const below = readdirSync(path.join(folder, inside), { withFileTypes: true });
  if (below.length === 0 && inside !== '') return { [`${inside}/`]: '' };
  return Object.assign({}, ...below.map((entry) => {
    const at = inside === '' ? entry.name : `${inside}/${entry.name}`;
    return entry.isDirectory() ? tree(folder, at) : { [at]: entry.isSymbolicLink() ? '-> link' : readFileSync(path.join(folder, at), 'utf8') };
  }) as Record<string, string>[]) as Record<string, string>;
}

/** A data folder with an archive in it, which is unpacked to `out/set`. */
class Place {
  readonly root: string;

  constructor() { this.root = mkdtempSync(path.join(root, 'place-')); }

  get folder(): string { return path.join(this.root, 'out', 'set'); }
  get list(): string { return path.join(this.root, 'records', 'set.files'); }

  unpack(archive: Buffer, format: Unpack['format'], options: Partial<Unpack> & Partial<Pick<Unpacking, 'replace' | 'signal' | 'onBytes'>> = {}): Promise<Unpacked> {
    const file = path.join(this.root, 'archive');
    writeFileSync(file, archive);
    const { replace, signal, onBytes, ...unpack } = options;
    return unpackArchive({ name: 'set', archive: file, unpack: { format, from: 'set', to: 'out/set', inner: null, ...unpack }, folder: this.folder, list: this.list, replace, signal, onBytes });
  }

  /** Nothing was left: no folder, nothing aside, no list; and nothing outside. */
  nothingLeft(): boolean {
    const aside = existsSync(path.dirname(this.folder)) ? readdirSync(path.dirname(this.folder)) : [];
    return aside.length === 0 && !existsSync(this.list) && !existsSync(`${this.list}.tmp`) && readdirSync(this.root).every((name) => ['archive', 'out', 'records'].includes(name));
  }
}

const text = (words: string): Buffer => Buffer.from(words);
/** The same files in each format. */
const inFormat = (format: Unpack['format'], entries: { name: string; content?: Buffer }[]): Buffer => (format === 'zip' ? zip(entries) : format === 'tar' ? tar(...entries) : gzipSync(tar(...entries)));
const FORMATS = ['tar', 'tar.gz', 'zip'] as const;

for (const format of FORMATS) {
  test(`${format}: a folder of the archive becomes the folder; what lies beside is left out; the list has each file's CRC-32`, async (t) => {
    const place = new Place();
    const archive = inFormat(format, [{ name: 'set/' }, { name: 'set/a.txt', content: text('123456789') }, { name: 'README', content: text('no') }, { name: 'set/b/c d.txt', content: text('') }, { name: './set//b/é.txt', content: text('x') }, { name: 'settle/x', content: text('x') }]);
    t.deepEqual(await place.unpack(archive, format), { files: 3, bytes: 10, leftOut: 2 });
    t.deepEqual(tree(place.folder), { 'a.txt': '123456789', 'b/c d.txt': '', 'b/é.txt': 'x' });
    t.deepEqual(readdirSync(path.dirname(place.folder)), ['set']);
    const listed = [];
    for await (const one of readList(place.list)) listed.push(one);
    t.deepEqual(listed[0], { path: 'a.txt', bytes: 9, crc32: 0xcbf43926 }); // the check value of CRC-32
    t.is(listed.length, 3);
  });

  test(`${format}: names that leave the folder, or could on some system, are refused and nothing is left`, async (t) => {
    const cases: [string, RegExp][] = [
      ['../evil', /its entry "\.\.\/evil" leaves its folder|invalid relative path/], ['set/../../evil', /leaves its folder|invalid relative path/], ['set/b/../x', /leaves its folder|invalid relative path/],
      ['/etc/evil', /has an absolute path|absolute path/], ['C:/evil', /absolute path/], ['c:evil', /absolute path/], ['set\\..\\..\\evil', /backslash|invalid characters/],
      ['set/a\tb', /has a control character/], ['set/a\x1b[2Jb', /its entry "set\/a\\u001b\[2Jb" has a control character/], [`set/${'x'.repeat(90)}${'é'.repeat(90)}`, /has a name that is too long/],
    ];
    for (const [name, message] of cases) {
      const place = new Place(), isLong = Buffer.byteLength(name) > 100;
      const archive = format === 'zip' ? zip([{ name: 'set/ok', content: text('ok') }, { name, content: text('evil') }])
        : tar({ name: 'set/ok', content: text('ok') }, ...(isLong ? [{ name: '././@LongLink', type: 'L', content: text(name) }] : []), { name: name.slice(0, 50), ...(isLong ? {} : { name }), content: text('evil') });
      const error = await t.throwsAsync(place.unpack(format === 'tar.gz' ? gzipSync(archive) : archive, format), { instanceOf: UserError, message }, name);
      t.regex(error.message, /archive can't be unpacked: .*: nothing of it was kept; if it is not the official file, fetch set again$/);
      t.true(place.nothingLeft(), name);
    }
  });

  test(`${format}: duplicates and files in files are refused, whatever case or spelling`, async (t) => {
    for (const [first, second, message] of [['set/a', 'set/a', /"set\/a" is there twice/], ['set/a', 'set/A', /"set\/A" is there twice/], ['set/caf\u00e9', 'set/cafe\u0301', /is there twice/], ['set/a', './set/a', /is there twice/], ['set/a', 'set/a/b', /lies in another file/], ['set/a/b', 'set/a', /is there twice/], ['set/a', 'set/a/', /is there twice/]] as const) {
      const place = new Place();
      await t.throwsAsync(place.unpack(inFormat(format, [{ name: first, content: text('1') }, { name: second, content: second.endsWith('/') ? Buffer.alloc(0) : text('2') }]), format), { instanceOf: UserError, message }, second);
      t.true(place.nothingLeft());
    }
  });

  test(`${format}: cut off anywhere, it is refused`, async (t) => {
    const archive = inFormat(format, [{ name: 'set/a', content: Buffer.alloc(3000, 'ab') }, { name: 'set/b', content: Buffer.alloc(700, 'cd') }]);
    for (const share of [0, 0.05, 0.3, 0.5, 0.7, 0.8]) {
      const place = new Place();
      await t.throwsAsync(place.unpack(archive.subarray(0, Math.floor(archive.length * share)), format), { instanceOf: UserError, message: /can't be unpacked: .*(cut off|is no tar archive|is no zip archive|holds no files)/ }, String(share));
      t.true(place.nothingLeft());
    }
  });

  test(`${format}: no bit of it can be turned over without an error or the same files`, async (t) => {
    const archive = inFormat(format, [{ name: 'set/a.txt', content: text('some words that can be checked') }]);
    await fc.assert(fc.asyncProperty(fc.nat(archive.length - 1), fc.nat(7), async (at, bit) => {
      const wrong = Buffer.from(archive), place = new Place();
      wrong[at] ^= 1 << bit;
      try {
        await place.unpack(wrong, format);
        // A tar archive has no checksum of its contents: their digest is that of the archive.
        const files = tree(place.folder);
        t.true(format === 'tar' || Object.values(files)[0] === 'some words that can be checked');
        t.is(Object.keys(files).length, 1);
      } catch (error) {
        t.true(error instanceof UserError, String(error));
        t.true(place.nothingLeft());
      }
    }), { numRuns: 60 });
  });

  test(`${format}: stopped in the middle, nothing is left, and the next try is as if it was the first`, async (t) => {
    const place = new Place(), stop = new AbortController();
    const archive = inFormat(format, Array.from({ length: 3000 }, (_, i) => ({ name: `set/${i}`, content: Buffer.alloc(500, i % 251) })));
    let calls = 0;
    const error: unknown = await place.unpack(archive, format, { signal: stop.signal, onBytes: () => { if (++calls === 1) stop.abort(); } }).catch((thrown: unknown) => thrown);
    t.is(error, stop.signal.reason);
    t.true(place.nothingLeft());
    mkdirSync(path.join(path.dirname(place.folder), '.set.set.unpacking', 'left'), { recursive: true }); // as a killed process leaves it
    t.is((await place.unpack(archive, format)).files, 3000);
    t.deepEqual(readdirSync(path.dirname(place.folder)), ['set']);
    t.is(readdirSync(place.folder).length, 3000);
  });

  test(`${format}: an archive without files in the folder is refused`, async (t) => {
    await t.throwsAsync(new Place().unpack(inFormat(format, [{ name: 'other/a', content: text('a') }]), format), { instanceOf: UserError, message: /it holds no files in set/ });
    await t.throwsAsync(new Place().unpack(inFormat(format, [{ name: 'set', content: text('a') }]), format), { instanceOf: UserError, message: /its entry "set" should be a folder/ });
  });
}

test('tar: links, devices, pipes, sparse and unknown entries are refused', async (t) => {
  const cases: [TarEntry, RegExp][] = [
    [{ name: 'set/l', type: '2', link: '/etc/passwd' }, /"set\/l" is a symbolic link, and only files and folders are unpacked/], [{ name: 'set/l', type: '2', link: 'a' }, /is a symbolic link/],
    [{ name: 'set/l', type: '1', link: '../../etc/passwd' }, /is a hard link/], [{ name: 'set/d', type: '3' }, /is a device/], [{ name: 'set/d', type: '4' }, /is a device/], [{ name: 'set/p', type: '6' }, /is a pipe/],
    [{ name: 'set/s', type: 'S' }, /is a sparse file/], [{ name: 'set/x', type: 'M' }, /is of an unknown kind \("M"\)/], [{ name: 'set/f/', type: '5', content: text('x') }, /its folder "set\/f\/" has 1 bytes/],
  ];
  for (const [entry, message] of cases) {
    const place = new Place();
    await t.throwsAsync(place.unpack(tar({ name: 'set/a', content: text('a') }, entry), 'tar'), { instanceOf: UserError, message });
    t.true(place.nothingLeft());
  }
});

test('tar: old, GNU and pax headers; long names; sizes in base 256', async (t) => {
  const long = `set/${'folder/'.repeat(20)}file.txt`;
  const place = new Place();
  await place.unpack(tar(
    { name: 'set/old', content: text('1'), magic: '', type: '\0' }, { name: 'set/folder-of-old/', magic: '', type: '\0' }, { name: 'set/gnu', content: text('2'), magic: 'ustar  \0', base256: true },
    { name: '././@LongLink', type: 'L', content: text(`${long}\0`), magic: 'ustar  \0' }, { name: long.slice(0, 99), content: text('3'), magic: 'ustar  \0' },
    { name: 'pax', type: 'x', content: Buffer.concat([paxLine('mtime', '1.5'), paxLine('path', 'set/größe'), paxLine('size', '3')]) }, tarEntry({ name: 'short', content: text('456'), size: 0 }),
    { name: 'global', type: 'g', content: paxLine('comment', 'x') }, { name: 'prefixed', prefix: 'set/deep', content: text('7') },
  ), 'tar');
  t.deepEqual(tree(place.folder), { old: '1', 'folder-of-old/': '', gnu: '2', [long.slice(4)]: '3', größe: '456', 'deep/prefixed': '7' });
});

test('tar: damaged headers and extensions', async (t) => {
  const a = { name: 'set/a', content: text('a') };
  const cases: [Buffer, RegExp][] = [
    [tar({ ...a, checksum: 7 }), /it is no tar archive/], [tar(a, { ...a, name: 'set/b', checksum: 7 }), /the head of its entry 2 is damaged/],
    [tar(a, { name: 'x', type: 'x', content: text('12 path=set/c') }), /a pax header of it is damaged/], [tar(a, { name: 'x', type: 'x', content: text('x') }), /a pax header of it is damaged/],
    [tar(a, { name: 'x', type: 'x', content: paxLine('size', '-1') }), /a damaged size/], [tar(a, { name: 'x', type: 'x', content: paxLine('GNU.sparse.major', '1') }), /holds a sparse file/],
    [tar(a, { name: 'x', type: 'L', content: Buffer.alloc(70_000) }), /an extension of 70000 bytes/], [tar(a, { name: 'x', type: 'L', content: text('set/b') }), /it ends before the entry that its last extension is of/],
    [Buffer.concat([tarEntry(a), Buffer.alloc(512), tar({ ...a, name: 'set/b' })]), /it has a hole between its entries/],
    [tar({ ...a, size: 2 ** 53, base256: true }), /the size of its entry 1 is damaged/], [tar({ ...a, size: 2 ** 40, base256: true }), /claim \d+ bytes, more than an archive of \d+ bytes can hold/],
    [tar({ ...a, content: text('a'), size: 3000 }), /its entries claim|is cut off/], [Buffer.alloc(1024), /it holds no files/], [text('not an archive'), /is no tar archive/],
  ];
  for (const [archive, message] of cases) {
    const place = new Place();
    await t.throwsAsync(place.unpack(archive, 'tar'), { instanceOf: UserError, message });
    t.true(place.nothingLeft());
  }
});

test('tar: what follows the end is not looked at, as tar does', async (t) => {
  const place = new Place();
  t.is((await place.unpack(Buffer.concat([tar({ name: 'set/a', content: text('a') }), Buffer.alloc(512, 7)]), 'tar')).files, 1);
});

test('tar of tars: each inner archive becomes a folder of its name, by the same rules', async (t) => {
  const inner = (...entries: TarEntry[]): Buffer => tar(...entries), options = { from: '', inner: 'tar' as const };
  const place = new Place();
  t.deepEqual(await place.unpack(tar({ name: 'n01.tar', content: inner({ name: 'n01_1.JPEG', content: text('1') }, { name: 'n01_2.JPEG', content: text('2') }) }, { name: 'n02.tar', content: inner({ name: 'n02_1.JPEG', content: text('3') }) }), 'tar', options), { files: 3, bytes: 3, leftOut: 0 });
  t.deepEqual(tree(place.folder), { 'n01/n01_1.JPEG': '1', 'n01/n01_2.JPEG': '2', 'n02/n02_1.JPEG': '3' });
  const good = inner({ name: 'x', content: text('1') });
  const cases: [Buffer, RegExp][] = [
    [tar({ name: 'n01.tar', content: inner({ name: '../../evil', content: text('x') }) }), /"\.\.\/\.\.\/evil" leaves its folder/], [tar({ name: '../n01.tar', content: good }), /leaves its folder/],
    [tar({ name: 'n01.tar', content: inner({ name: 'l', type: '2', link: '/' }) }), /in its archive n01\.tar: its entry "l" is a symbolic link/], [tar({ name: 'n01.tar', content: good.subarray(0, 700) }), /in its archive n01\.tar: it is cut off/],
    [tar({ name: 'n01.jpg', content: good }), /its entry "n01\.jpg" is no archive, as all of them should be/], [tar({ name: 'n01.tar', content: good }, { name: 'N01.tar', content: good }), /is there twice/],
    [tar({ name: 'n01.tar', content: text('nothing') }), /in its archive n01\.tar: it is no tar archive/],
  ];
  for (const [archive, message] of cases) {
    const bad = new Place();
    await t.throwsAsync(bad.unpack(archive, 'tar', options), { instanceOf: UserError, message });
    t.true(bad.nothingLeft());
  }
});

test('tar.gz: damage of the compression, and bombs', async (t) => {
  const damaged = gzipSync(tar({ name: 'set/a', content: Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i) % 251)) }));
  damaged[damaged.length - 6] ^= 1;
  await t.throwsAsync(new Place().unpack(damaged, 'tar.gz'), { instanceOf: UserError, message: /its compression is damaged \(incorrect data check\)/ });
  const place = new Place();
  const bomb = gzipSync(Buffer.concat([tarEntry({ name: 'set/small', content: text('x') }), tarEntry({ name: 'set/bomb', size: 100e6 }), Buffer.alloc(100e6 + 1024)]));
  t.true(bomb.length < 150e3);
  await t.throwsAsync(place.unpack(bomb, 'tar.gz'), { instanceOf: UserError, message: /its entries claim 100001025 bytes, more than an archive of \d+ bytes can hold/ });
  t.true(place.nothingLeft());
});

test('zip: wrong CRC, wrong sizes, overlaps, links, devices, encryption, unknown compression, bombs', async (t) => {
  const a: ZipEntry = { name: 'set/a', content: Buffer.alloc(3000, 'words ') }, stored: ZipEntry = { name: 'set/s', content: Buffer.alloc(300, 's'), method: 0 };
  const cases: [Buffer, RegExp][] = [
    [zip([a, { ...stored, crc: 1 }]), /the CRC-32 of its entry "set\/s" is wrong/], [zip([{ ...a, crc: 1 }]), /the CRC-32 of its entry "set\/a" is wrong/],
    [zip([{ ...a, size: 2999 }]), /its entry "set\/a" is damaged \(too many bytes/], [zip([{ ...a, size: 3001 }]), /its entry "set\/a" is damaged \(not enough bytes/],
    [zip([{ ...stored, size: 299 }]), /size mismatch for stored file/], [zip([a, { ...a, name: 'set/b', offset: 0 }]), /its entries "set\/a" and "set\/b" overlap/],
    [zip([a, { ...stored, packedSize: 5000, size: 5000 }]), /its entry "set\/s" runs past its end/], [zip([{ ...a, offset: 3 }]), /is damaged \(invalid local file header signature/],
    [zip([{ ...stored, name: 'set/l', content: text('/etc/passwd'), mode: 0o120777 }]), /its entry "set\/l" is a symbolic link/], [zip([{ ...stored, mode: 0o060644 }]), /is a device or pipe/],
    [zip([{ ...stored, flags: 1, packedSize: 312 }]), /is encrypted/], [zip([{ ...stored, method: 12 }]), /is compressed by method 12, and only deflate is known/], [zip([{ ...stored, name: 'set/f/' }]), /its folder "set\/f\/" has 300 bytes/],
    [zip([{ ...stored, size: 2 ** 60, packedSize: 2 ** 60, zip64: true }]), /claims an impossible size/],
    [zip([{ ...stored, name: 'set/\0x' }]), /has a control character/], [zip([{ ...stored, name: Buffer.from([0x73, 0x65, 0x74, 0x2f, 0xff]) }]), /has a name that is no UTF-8/], [text('PK\x03\x04 not really'), /is no zip archive, or it is cut off/],
    [zip([{ name: 'set/bomb', content: Buffer.alloc(100e6) }]), /its entries claim 100000000 bytes, more than an archive of \d+ bytes can hold/], [zip([{ ...a, size: 4e9, zip64: true }]), /its entries claim 4000000000 bytes/],
  ];
  for (const [archive, message] of cases) {
    const place = new Place();
    await t.throwsAsync(place.unpack(archive, 'zip'), { instanceOf: UserError, message });
    t.true(place.nothingLeft());
  }
});

test('zip: zip64 fields and directory', async (t) => {
  const place = new Place();
  t.deepEqual(await place.unpack(zip([{ name: 'set/a', content: text('aaa'), zip64: true }, { name: 'set/b', content: text('b'), method: 0, zip64: true }], true), 'zip'), { files: 2, bytes: 4, leftOut: 0 });
  t.deepEqual(tree(place.folder), { a: 'aaa', b: 'b' });
});

test('what GNU tar and zip make is unpacked', async (t) => {
  const made = path.join(root, 'made'), long = `set/${'a-folder-of-a-name/'.repeat(8)}x`;
  mkdirSync(path.join(made, path.dirname(long)), { recursive: true });
  writeFileSync(path.join(made, long), 'deep');
  writeFileSync(path.join(made, 'set', 'b'), Buffer.alloc(100_000, 'b'));
  const expected = { [long.slice(4)]: 'deep', b: 'b'.repeat(100_000) };
  for (const format of ['gnu', 'pax', 'ustar', 'v7']) {
    const one = format === 'v7' || format === 'ustar' ? ['set/b'] : ['set'];
    execFileSync('tar', ['--format', format, '-cf', path.join(root, 'made.tar'), '-C', made, ...one]);
    const place = new Place();
    await place.unpack(readFileSync(path.join(root, 'made.tar')), 'tar');
    t.deepEqual(tree(place.folder), one[0] === 'set' ? expected : { b: expected.b }, format);
  }
  if (spawnSync('zip', ['-v']).status !== 0) return t.log('there is no zip here');
  execFileSync('zip', ['-qr', path.join(root, 'made.zip'), 'set'], { cwd: made });
  const place = new Place();
  await place.unpack(readFileSync(path.join(root, 'made.zip')), 'zip');
  t.deepEqual(tree(place.folder), expected);
});

test('a second archive for the same folder: files of both; equal ones may be in both, others not', async (t) => {
  const place = new Place(), both = { name: 'set/both', content: text('same') };
  await place.unpack(tar({ name: 'set/images/1', content: text('1') }, both), 'tar');
  await place.unpack(tar({ name: 'set/images/2', content: text('2') }, { name: 'set/lists/test', content: text('2') }, both), 'tar');
  const expected = { both: 'same', 'images/1': '1', 'images/2': '2', 'lists/test': '2' };
  t.deepEqual(tree(place.folder), expected);
  t.deepEqual(readdirSync(path.dirname(place.folder)), ['set']);

  const differing = tar({ name: 'set/images/1', content: text('other') });
  await t.throwsAsync(place.unpack(differing, 'tar'), { instanceOf: UserError, message: /set\/images\/1 is there already and differs from the archive's: move \S+ away, or replace such files with --replace$/ });
  t.deepEqual(tree(place.folder), expected);
  await place.unpack(differing, 'tar', { replace: true });
  t.deepEqual(tree(place.folder), { ...expected, 'images/1': 'other' });
  await t.throwsAsync(place.unpack(tar({ name: 'set/images', content: text('x') }), 'tar'), { instanceOf: UserError, message: /images is there already and differs/ });
});

test('a replacement that was killed between its two renames is undone', async (t) => {
  const place = new Place(), old = path.join(path.dirname(place.folder), '.set.old');
  mkdirSync(old, { recursive: true });
  writeFileSync(path.join(old, 'first'), '1');
  await place.unpack(tar({ name: 'set/second', content: text('2') }), 'tar');
  t.deepEqual(tree(place.folder), { first: '1', second: '2' });
});

test('a folder that is a link to another disk stays there; links in it are kept; a file in its place is an error', async (t) => {
  const place = new Place(), elsewhere = mkdtempSync(path.join(root, 'elsewhere-'));
  const real = path.join(elsewhere, 'real');
  mkdirSync(real);
  symlinkSync('nowhere', path.join(real, 'link'));
  mkdirSync(path.dirname(place.folder));
  symlinkSync(real, place.folder);
  await place.unpack(tar({ name: 'set/a', content: text('a') }), 'tar');
  t.deepEqual(tree(real), { a: 'a', link: '-> link' });
  t.deepEqual(readdirSync(elsewhere), ['real']);
  const other = new Place();
  mkdirSync(path.dirname(other.folder));
  writeFileSync(other.folder, 'a file');
  await t.throwsAsync(other.unpack(tar({ name: 'set/a', content: text('a') }), 'tar'), { instanceOf: UserError, message: /set is no folder: move it away, then start again/ });
  t.is(statSync(other.folder).size, 6);
});
