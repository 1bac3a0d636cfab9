import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { deflateRawSync } from 'node:zlib';
import test from 'ava';
import { openBank, readBankFiles } from '../../src/data/minivoc/bank.js';
import { noticeText } from '../../src/data/minivoc/build/notice.js';
import { loadMesh } from '../../src/data/minivoc/build/obj-model.js';
import { renderMesh } from '../../src/data/minivoc/build/render-mesh.js';
import { cropPicture, packSheet, trimSprite } from '../../src/data/minivoc/build/sheet.js';
import { readSpriteList } from '../../src/data/minivoc/build/sprite-list.js';
import { buildBank } from '../../src/data/minivoc/build/build-bank.js';
import { openZip } from '../../src/data/minivoc/build/zip.js';
import { countSprites } from '../../src/data/minivoc/statistics.js';
import { UserError } from '../../src/errors.js';

/** A ZIP archive of the given members, every second one deflated. */
function zip(members: Record<string, string>): Buffer {
  const locals: Buffer[] = [], entries: Buffer[] = [];
  let offset = 0;
  Object.entries(members).forEach(([name, text], i) => {
    const plain = Buffer.from(text), method = i % 2 ? 8 : 0, packed = method ? deflateRawSync(plain) : plain;
    const local = Buffer.alloc(30), entry = Buffer.alloc(46);
    local.writeUInt32LE(0x04034b50, 0);
    entry.writeUInt32LE(0x02014b50, 0);
    for (const [header, at] of [[local, 8], [entry, 10]] as const) {
      header.writeUInt16LE(method, at);
      header.writeUInt32LE(packed.length, at + 10);
      header.writeUInt32LE(plain.length, at + 14);
      header.writeUInt16LE(name.length, at + 18);
    }
    entry.writeUInt32LE(offset, 42);
    locals.push(local, Buffer.from(name), packed);
    entries.push(entry, Buffer.from(name));
    offset += 30 + name.length + packed.length;
  });
  const directory = Buffer.concat(entries), end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(members).length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

function withFolder<T>(run: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-build-'));
  try {
    return run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('zip: stored and deflated members, with and without a leading slash; other names are absent', (t) => {
  withFolder((folder) => {
    const file = path.join(folder, 'a.zip');
    writeFileSync(file, zip({ 'a.txt': 'stored', 'b/c.txt': 'deflated '.repeat(50) }));
    const archive = openZip(file);
    t.deepEqual(archive.names, ['a.txt', 'b/c.txt']);
    t.is(archive.read('a.txt')?.toString(), 'stored');
    t.is(archive.read('/b/c.txt')?.toString(), 'deflated '.repeat(50));
    t.is(archive.read('d'), undefined);
    writeFileSync(file, 'no archive');
    t.throws(() => openZip(file), { instanceOf: UserError, message: /a\.zip is no ZIP archive/ });
  });
});

test('a red square seen from the front is a red square; from the side it is gone', async (t) => {
  const members: Record<string, string> = {
    'm/m.obj': 'mtllib m.mtl\nv -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvn 0 0 1\nusemtl red\nf 1//1 2//1 3//1 4//1\n',
    'm/m.mtl': 'newmtl red\nKd 1 0 0\n',
  };
  const archive = { names: Object.keys(members), read: (name: string) => (members[name] === undefined ? undefined : Buffer.from(members[name])) };
  const mesh = await loadMesh({ id: 'x/1', name: 'square', author: 'nobody', licence: 'CC0-1.0', model: 'm/m.obj', archive });
  t.is(mesh.triangles.length, 2);
  t.deepEqual(mesh.centre, [0, 0, 0]);
  t.true(Math.abs(mesh.radius - Math.SQRT2) < 1e-12);
  const { data } = renderMesh(mesh, 32, { azimuth: 0, elevation: 0, light: [0, 0, 1] });
  const centre = (16 * 32 + 16) * 4;
  t.deepEqual([...data.subarray(centre, centre + 4)], [255, 0, 0, 255]);
  const covered = Array.from({ length: 32 * 32 }, (_, i) => data[i * 4 + 3] / 255).reduce((sum, alpha) => sum + alpha, 0);
  const side = (2 / Math.SQRT2) * 0.46 * 32;
  t.true(Math.abs(covered - side * side) < 0.02 * side * side, `${covered} and ${side * side}`);
  const edge = renderMesh(mesh, 32, { azimuth: Math.PI / 2, elevation: 0, light: [0, 0, 1] }).data;
  t.true(edge.every((value, i) => i % 4 !== 3 || value === 0));
  await t.throwsAsync(loadMesh({ id: 'x/2', name: '', author: '', licence: '', model: 'gone.obj', archive }), { instanceOf: UserError, message: /model x\/2 \(gone\.obj\) is missing/ });
});

test('trimming keeps the visible rectangle, cropping makes the rest invisible, packing keeps sprites apart and whole', async (t) => {
  const picture = { data: Buffer.alloc(40 * 30 * 4), width: 40, height: 30 };
  for (let y = 5; y < 25; y++) for (let x = 10; x < 16; x++) picture.data.set([10, 200, 30, 255], (y * 40 + x) * 4);
  const sprite = await trimSprite(picture);
  t.like(sprite, { width: 6, height: 20 });
  t.is(await trimSprite({ ...picture, data: Buffer.alloc(picture.data.length) }), undefined);
  t.like(await trimSprite(cropPicture(picture, [0, 0, 1, 0.5])), { width: 6, height: 10 });
  const { rectangles, width, height } = await packSheet(Array.from({ length: 700 }, () => ({ data: Buffer.from(sprite?.data ?? []), width: 6, height: 20 })));
  const taken = new Set<number>();
  for (const [x, y, w, h] of rectangles) {
    t.true(x + w <= width && y + h <= height);
    for (let j = y; j < y + h; j++) for (let i = x; i < x + w; i++) taken.add(j * width + i);
  }
  t.is(taken.size, 700 * 120);
});

test('the bank holds what the list says, in its order, and NOTICE.md is what the bank asks for', (t) => {
  const { index } = readBankFiles();
  const listed = Object.entries(readSpriteList().classes).flatMap(([name, { emoji, models }]) => [...emoji, ...models].map(({ group, unseen }) => `${name} ${group} ${unseen ?? false}`));
  t.deepEqual(index.groups.map(({ class: name, group, unseen }) => `${name} ${group} ${unseen}`), listed);
  t.is(readFileSync('NOTICE.md', 'utf8'), noticeText(index));
});

test('pictures that may not be used are not', (t) => {
  for (const { parts } of readBankFiles().index.groups) for (const { source, licence } of parts) {
    t.notRegex(source, /apple|facebook|joypixels|emojione/i);
    t.true(['MIT', 'Apache-2.0', 'CC-BY-4.0', 'CC-BY-3.0', 'CC-BY-3.0-US', 'CC0-1.0'].includes(licence), licence);
  }
});

test('building without the sources says how to get them', async (t) => {
  await t.throwsAsync(buildBank(path.join(os.tmpdir(), 'qdetr-nowhere'), () => undefined), { instanceOf: UserError, message: /Scopia\.sh3f: in it, apt-get download sweethome3d-furniture/ });
});

test('the data card counts the sprites that the bank has', (t) => {
  const card = readFileSync('data-manifests/minivoc/README.md', 'utf8');
  for (const { class: name, groups, sprites, unseenGroups, unseenSprites } of countSprites(openBank()))
    t.true(card.includes(`| ${name} | ${groups} | ${sprites} | ${unseenGroups} | ${unseenSprites} |`), name);
});
