import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { UserError } from '../../../src/errors.js';
import { byteSize } from '../../../src/data/official/byte-size.js';
import { fetchFile, type FetchOptions, type Fetched } from '../../../src/data/official/fetch-file.js';
import { lock } from '../../../src/data/official/lock.js';
import { locate } from '../../../src/data/official/locate.js';
import type { Manifest } from '../../../src/data/official/manifest.js';
import type { ListedFile } from '../../../src/data/official/read-manifests.js';
import { fileState } from '../../../src/data/official/status.js';
import { verifyFile } from '../../../src/data/official/verify.js';
import { localServer, serve, whenWritten, type Answerer, type LocalServer } from './local-server.js';
import { CONTENT, digestOf, testManifests, writeManifests, type ContentName } from './sets.js';

const root = mkdtempSync(path.join(os.tmpdir(), 'qdetr-fetch-'));
test.after.always(() => rmSync(root, { recursive: true }));

/** A data folder, a server with every file, and what there is to fetch. */
interface Here { data: string; server: LocalServer; manifests: Manifest[]; answers: Record<string, Answerer>; fetch: (name: string, options?: Partial<FetchOptions>) => Promise<Fetched>; listed: (name: string) => ListedFile }

async function here(t: ExecutionContext): Promise<Here> {
  const data = mkdtempSync(path.join(root, 'data-'));
  const answers: Record<string, Answerer> = Object.fromEntries((Object.keys(CONTENT) as ContentName[]).map((name) => [`/${name}`, (_, response, seen) => serve(CONTENT[name], response, seen)]));
  const server = await localServer(answers);
  t.teardown(server.close);
  const manifests = testManifests(server.url);
  const listed = (name: string): ListedFile => manifests.flatMap((manifest) => manifest.files.map((file) => ({ manifest, file }))).find(({ file }) => file.name === name)!;
  return { data, server, manifests, answers, listed, fetch: (name, options = {}) => fetchFile(listed(name), { data, patience: { failures: 2, wait: 0.01, idle: 120 }, ...options }) };
}

const files = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).sort() : []);

test('an archive is fetched, checked and unpacked, once', async (t) => {
  const { data, server, fetch, listed } = await here(t);
  t.deepEqual(fileState(listed('voc2007-trainval'), data), { kind: 'absent' });
  const first = await fetch('voc2007-trainval');
  t.like(first, { wasFetched: false, wasUnpacked: false });
  t.like(first.record, { path: 'downloads/trainval.tar', sha256: digestOf(CONTENT['trainval.tar']), checked: ['bytes', 'sha256'], source: `${server.url}/trainval.tar` });
  t.deepEqual(files(data), ['VOCdevkit/VOC2007/ImageSets/Main/trainval.txt', 'VOCdevkit/VOC2007/JPEGImages/000005.jpg', 'downloads/trainval.tar', 'records/voc2007-trainval.files', 'records/voc2007-trainval.json']);
  t.like(fileState(listed('voc2007-trainval'), data), { kind: 'unpacked', hasArchive: true, folder: path.join(data, 'VOCdevkit', 'VOC2007') });
  t.like(await fetch('voc2007-trainval'), { wasFetched: true, wasUnpacked: true });
  t.is(server.seen.length, 1);

  rmSync(path.join(data, 'downloads', 'trainval.tar'));
  t.like(await fetch('voc2007-trainval'), { wasFetched: true, wasUnpacked: true });
  t.is(server.seen.length, 1, 'the archive is not needed when it has been unpacked');
  t.like(await verifyFile(listed('voc2007-trainval'), data), { file: 'deleted', unpacked: '2 files, 40.0 kB' });
});

test('two archives share a folder, from a mirror, with an MD5', async (t) => {
  const { data, fetch, listed } = await here(t), notes: string[] = [];
  await fetch('voc2007-trainval');
  const { record } = await fetch('voc2007-test', { onNote: (text) => notes.push(text) });
  t.deepEqual(record.checked, ['bytes', 'md5']);
  t.is(record.unpacked!.leftOut, 1);
  t.regex(notes.join(), /answers 404 Not Found: trying the next address/);
  t.deepEqual(files(path.join(data, 'VOCdevkit', 'VOC2007')), ['ImageSets/Main/test.txt', 'ImageSets/Main/trainval.txt', 'JPEGImages/000001.jpg', 'JPEGImages/000005.jpg']);
  for (const name of ['voc2007-trainval', 'voc2007-test']) t.like(await verifyFile(listed(name), data), { file: 'as published' });
});

test('an unpacked folder that was moved away is unpacked again', async (t) => {
  const { data, server, fetch } = await here(t);
  await fetch('coco2017-val');
  rmSync(path.join(data, 'coco'), { recursive: true });
  t.like(await fetch('coco2017-val'), { wasFetched: true, wasUnpacked: false });
  t.deepEqual(files(path.join(data, 'coco')), ['val2017/000000000139.jpg']);
  t.is(server.seen.length, 1);
});

test('weights stay as they are; a published start of the digest and another digest are both compared', async (t) => {
  const { data, fetch, listed } = await here(t);
  t.deepEqual((await fetch('detr-r50')).record.checked, ['bytes', 'sha256Prefix', 'sha384']);
  t.deepEqual(readFileSync(path.join(data, 'weights', 'model-01234567.pth')), CONTENT['model-01234567.pth']);
  t.is(fileState(listed('detr-r50'), data).kind, 'fetched');

  const other = await here(t), wrong = Buffer.from(CONTENT['model-01234567.pth']);
  wrong[5] ^= 1;
  other.answers['/model-01234567.pth'] = (_, response, seen) => serve(wrong, response, seen);
  await t.throwsAsync(other.fetch('detr-r50'), { instanceOf: UserError, message: new RegExp(`^detr-r50 can't be fetched \\(\\S+ sends another file: its SHA-256 begins with ${digestOf(wrong).slice(0, 8)}, not ${digestOf(CONTENT['model-01234567.pth']).slice(0, 8)}\\)`) });
  t.deepEqual(files(other.data), []);
});

test('what nobody published is recorded at the first fetch and compared ever after', async (t) => {
  const { data, fetch, listed, answers } = await here(t), file = path.join(data, 'weights', 'model.safetensors');
  t.deepEqual((await fetch('detr-r50-hf')).record.checked, []);
  t.like(await verifyFile(listed('detr-r50-hf'), data), { file: 'as first fetched' });
  rmSync(file);
  t.deepEqual((await fetch('detr-r50-hf')).record.checked, [], 'it is compared with the first, not with what was published');
  rmSync(file);
  answers['/model.safetensors'] = (_, response, seen) => serve(Buffer.alloc(80_000, 'changed'), response, seen);
  await t.throwsAsync(fetch('detr-r50-hf'), { instanceOf: UserError, message: /sends another file: its SHA-256 is \w{64}, not \w{64}; it was another one when it was first fetched, on \d{4}-\d\d-\d\d: if the new one is right, delete \S+detr-r50-hf\.json\)/ });
  answers['/model.safetensors'] = (_, response, seen) => serve(Buffer.alloc(5), response, seen);
  await t.throwsAsync(fetch('detr-r50-hf'), { instanceOf: UserError, message: /has a file of 5 bytes, not 80000/ });
  rmSync(path.join(data, 'records', 'detr-r50-hf.json'));
  t.is((await fetch('detr-r50-hf')).record.bytes, 5);
});

test('--from: a file or a folder; an archive is unpacked where it is, weights are copied; others are refused', async (t) => {
  const { data, server, fetch, listed } = await here(t), usb = mkdtempSync(path.join(root, 'usb-'));
  for (const name of ['train.tar', 'model.safetensors'] as const) writeFileSync(path.join(usb, name), CONTENT[name]);
  await t.throwsAsync(fetch('imagenet-train'), { instanceOf: UserError, message: "imagenet-train can't be fetched without you: log in and download train.tar, then run npx qdetr data fetch imagenet-train --from FILE" });
  t.is((await fetch('imagenet-train', { from: usb })).record.path, path.join(usb, 'train.tar'));
  t.deepEqual(files(data), ['imagenet/train/n01440764/n01440764_10026.JPEG', 'records/imagenet-train.files', 'records/imagenet-train.json']);
  t.like(await verifyFile(listed('imagenet-train'), data), { file: 'as published', unpacked: '1 file, 5 B' });
  await fetch('detr-r50-hf', { from: path.join(usb, 'model.safetensors') });
  t.deepEqual(readFileSync(path.join(data, 'weights', 'model.safetensors')), CONTENT['model.safetensors']);
  t.is(server.seen.length, 0);
  t.is(fileState(listed('detr-r50-hf'), data).kind, 'fetched');

  await t.throwsAsync(fetch('coco2017-val', { from: usb }), { instanceOf: UserError, message: /^--from \S+ holds no val\.zip: name the file itself$/ });
  await t.throwsAsync(fetch('coco2017-val', { from: path.join(usb, 'none') }), { instanceOf: UserError, message: /is not there: name val\.zip, or the folder that it is in$/ });
  await t.throwsAsync(fetch('coco2017-val', { from: path.join(usb, 'train.tar') }), { instanceOf: UserError, message: /train\.tar is not val\.zip: it has \d+ bytes, not \d+: name the official file$/ });
  writeFileSync(path.join(usb, 'val.zip'), Buffer.alloc(CONTENT['val.zip'].length));
  await t.throwsAsync(fetch('coco2017-val', { from: usb }), { instanceOf: UserError, message: /val\.zip is not val\.zip: its SHA-256 is \w{64}, not \w{64}/ });
  t.false(existsSync(path.join(data, 'coco')));
});

test('a file that someone put in its place is checked before it is used', async (t) => {
  const { data, server, fetch, listed } = await here(t), at = path.join(data, 'downloads', 'val.zip');
  mkdirSync(path.dirname(at));
  writeFileSync(at, 'not it');
  t.deepEqual(fileState(listed('coco2017-val'), data), { kind: 'unchecked', path: at });
  await t.throwsAsync(fetch('coco2017-val'), { instanceOf: UserError, message: /val\.zip is not the official file: it has 6 bytes, not \d+: delete it, then fetch coco2017-val again$/ });
  writeFileSync(at, CONTENT['val.zip']);
  t.is((await fetch('coco2017-val')).record.source, 'found in the data folder');
  t.is(server.seen.length, 0);
});

test('a fetch that is stopped goes on; its state is told meanwhile', async (t) => {
  const { data, server, fetch, listed, answers } = await here(t), stop = new AbortController(), good = answers['/val.zip'];
  answers['/val.zip'] = (_, response) => {
    response.writeHead(200, { 'content-length': String(CONTENT['val.zip'].length), etag: '"a"' });
    response.write(CONTENT['val.zip'].subarray(0, 100));
    whenWritten(path.join(data, 'downloads', 'val.zip.part'), 100, () => stop.abort());
  };
  t.is(await fetch('coco2017-val', { signal: stop.signal }).catch((error: unknown) => error), stop.signal.reason as unknown);
  t.deepEqual(fileState(listed('coco2017-val'), data), { kind: 'partial', bytes: 100, of: CONTENT['val.zip'].length });
  answers['/val.zip'] = good;
  await fetch('coco2017-val');
  t.is(server.seen[1].range, 'bytes=100-');
  t.deepEqual(files(data), ['coco/val2017/000000000139.jpg', 'downloads/val.zip', 'records/coco2017-val.files', 'records/coco2017-val.json']);
});

test('one process at a time; what a killed one left locked is taken over', async (t) => {
  const { data, fetch } = await here(t), file = path.join(data, 'records', 'coco2017-val.lock');
  const unlock = lock(file, 'fetching coco2017-val');
  await t.throwsAsync(fetch('coco2017-val'), { instanceOf: UserError, message: new RegExp(`^process ${process.pid} is fetching coco2017-val: wait for it; if it is something else, delete \\S+coco2017-val\\.lock$`) });
  unlock();
  for (const left of ['999999999', String(process.pid), '']) {
    writeFileSync(file, left);
    await fetch('coco2017-val');
  }
  t.false(existsSync(file));
});

test('verify notices every change, and says what to do', async (t) => {
  const { data, fetch, listed } = await here(t), verify = (): Promise<unknown> => verifyFile(listed('coco2017-val'), data);
  await t.throwsAsync(verify(), { instanceOf: UserError, message: /^coco2017-val has not been fetched into \S+: npx qdetr data fetch coco2017-val$/ });
  await fetch('coco2017-val');
  await t.notThrowsAsync(verify());
  const image = path.join(data, 'coco', 'val2017', '000000000139.jpg'), archive = path.join(data, 'downloads', 'val.zip'), list = path.join(data, 'records', 'coco2017-val.files');
  const spoil: [string, () => void, RegExp][] = [
    [image, () => writeFileSync(image, Buffer.alloc(60_000, 'cocO')), /000000000139\.jpg was changed since it was unpacked: move \S+ away and delete \S+\.json, then npx qdetr data fetch coco2017-val$/],
    [image, () => truncateSync(image, 59_999), /was changed since it was unpacked/],
    [image, () => rmSync(image), /000000000139\.jpg is gone: move/],
    [archive, () => writeFileSync(archive, Buffer.alloc(CONTENT['val.zip'].length)), /val\.zip was changed: its SHA-256 is \w{64}, not \w{64}: delete it, then npx qdetr data fetch/],
    [archive, () => truncateSync(archive, 3), /val\.zip was changed: it has 3 bytes, not \d+/],
    [list, () => writeFileSync(list, 'zzz\n'), /line 1 is damaged/],
    [list, () => writeFileSync(list, ''), /has 0 lines, not 1/],
    [list, () => rmSync(list), /is gone, so that unpacked files can't be compared/],
  ];
  for (const [file, change, message] of spoil) {
    copyFileSync(file, path.join(root, 'saved'));
    change();
    await t.throwsAsync(verify(), { instanceOf: UserError, message });
    copyFileSync(path.join(root, 'saved'), file);
    await t.notThrowsAsync(verify());
  }
  const weights = await here(t);
  await weights.fetch('detr-r50');
  rmSync(path.join(weights.data, 'weights', 'model-01234567.pth'));
  await t.throwsAsync(verifyFile(weights.listed('detr-r50'), weights.data), { instanceOf: UserError, message: /is gone: npx qdetr weights fetch detr-r50$/ });
  writeFileSync(path.join(weights.data, 'records', 'detr-r50.json'), '{}');
  await t.throwsAsync(weights.fetch('detr-r50'), { instanceOf: UserError, message: /detr-r50\.json: 'schemaVersion' .*: delete it and fetch detr-r50 again$/ });
});

test('a changed file of weights is noticed by its date and checked again', async (t) => {
  const { data, fetch, listed, server } = await here(t), file = path.join(data, 'weights', 'model-01234567.pth');
  await fetch('detr-r50');
  utimesSync(file, new Date(0), new Date(0));
  t.is(fileState(listed('detr-r50'), data).kind, 'unchecked');
  t.like(await fetch('detr-r50'), { wasFetched: false });
  t.is(fileState(listed('detr-r50'), data).kind, 'fetched');
  writeFileSync(file, 'spoilt');
  await t.throwsAsync(fetch('detr-r50'), { instanceOf: UserError, message: /is not the official file: it has 6 bytes/ });
  t.is(server.seen.length, 1);
});

test.serial('what was fetched is found by its name', async (t) => {
  const { data, manifests, fetch } = await here(t);
  process.env.QDETR_MANIFESTS = mkdtempSync(path.join(root, 'manifests-'));
  writeManifests(process.env.QDETR_MANIFESTS, manifests);
  try {
    t.throws(() => locate('coco2017-val', 'data', data), { instanceOf: UserError, message: /^coco2017-val is not in \S+ in full: npx qdetr data fetch coco2017-val$/ });
    t.throws(() => locate('detr-r50', 'weights', data), { instanceOf: UserError, message: /npx qdetr weights fetch detr-r50$/ });
    await fetch('coco2017-val');
    await fetch('detr-r50');
    t.is(locate('coco2017-val', 'data', data), path.join(data, 'coco', 'val2017'));
    t.is(locate('detr-r50', 'weights', data), path.join(data, 'weights', 'model-01234567.pth'));
  } finally {
    delete process.env.QDETR_MANIFESTS;
  }
});

test('sizes have three digits', (t) => {
  t.deepEqual([0, 812, 999, 1000, 4_070_000, 460_032_000, 999_600_000, 19_336_861_798, 147_897_477_120].map(byteSize), ['0 B', '812 B', '999 B', '1.00 kB', '4.07 MB', '460 MB', '1.00 GB', '19.3 GB', '148 GB']);
});
