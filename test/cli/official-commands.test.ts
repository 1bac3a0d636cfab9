/** `npx qdetr data` and `npx qdetr weights` from manifests that point at a server on this machine. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { main } from '../../src/cli/main.js';
import { localServer, serve, whenWritten, type Answerer, type LocalServer } from '../data/official/local-server.js';
import { CONTENT, testManifests, writeManifests, type ContentName } from '../data/official/sets.js';

const root = mkdtempSync(path.join(os.tmpdir(), 'qdetr-official-'));
test.after.always(() => rmSync(root, { recursive: true }));

const answers: Record<string, Answerer> = Object.fromEntries((Object.keys(CONTENT) as ContentName[]).map((name) => [`/${name}`, (_, response, seen) => serve(CONTENT[name], response, seen)]));
let server: LocalServer;
const manifests = path.join(root, 'manifests');
test.before(async () => {
  server = await localServer(answers);
  writeManifests(manifests, testManifests(server.url));
  process.env.QDETR_MANIFESTS = manifests;
});
test.after.always(() => server.close());

/** Runs a command line in this process. @returns what it printed, and its exit code */
async function run(...args: string[]): Promise<{ code: number; text: string }> {
  const lines: string[] = [], { log, error } = console;
  console.log = (line: string) => void lines.push(line);
  console.error = console.log;
  try {
    return { code: await main(args), text: lines.join('\n') };
  } finally {
    Object.assign(console, { log, error });
  }
}

const newFolder = (): string => mkdtempSync(path.join(root, 'data-'));

test.serial('list, fetch, status and verify of a set: what is printed', async (t) => {
  const data = newFolder(), at = ['--data', data];
  const before = await run('data', 'list', ...at);
  t.is(before.code, 0);
  t.true(before.text.startsWith('MiniVOC (embedded)\n'));
  t.true(before.text.includes(`VOC (voc2007)\n  from     ${server.url}\n  licence  none\n  terms    None.\n  · voc2007-trainval      43.5 kB  something\n  · voc2007-test          53.8 kB  something\n`), before.text);
  t.regex(before.text, /by hand {2}log in and download the file; then name it with --from\n {2}· imagenet-train/);
  t.false(before.text.includes('detr-r50'));

  const { code, text } = await run('data', 'fetch', 'voc2007', ...at);
  t.is(code, 0, text);
  const folder = path.join(data, 'VOCdevkit', 'VOC2007');
  t.deepEqual(text.split('\n').filter((line) => !line.startsWith('  fetched ')), [
    'VOC. Licence: none. None.',
    'voc2007-trainval: trainval.tar', '  ✔ checked: 43.5 kB, size and SHA-256 as published', `  ✔ unpacked: 2 files in ${folder}`, `    ${path.join(data, 'downloads', 'trainval.tar')} is no longer needed`,
    'voc2007-test: test.tar', `  ${new URL(server.url).host} answers 404 Not Found: trying the next address`, '  ✔ checked: 53.8 kB, size and MD5 as published', `  ✔ unpacked: 2 files in ${folder}; 1 entry beside it left out`, `    ${path.join(data, 'downloads', 'test.tar')} is no longer needed`,
  ]);
  t.regex((await run('data', 'fetch', 'voc2007-test', ...at)).text, /✔ was there: 53\.8 kB, size and MD5 as published\n {2}✔ was unpacked: 2 files/);
  t.regex((await run('data', 'list', ...at)).text, /✔ voc2007-trainval[^\n]*\n {2}✔ voc2007-test /);
  rmSync(path.join(data, 'downloads', 'test.tar'));
  t.is((await run('data', 'status', 'voc2007', 'coco2017', ...at)).text, [
    `Data folder: ${data}`, `  voc2007-trainval      ✔ unpacked: 2 files in ${folder}`, `  voc2007-test          ✔ unpacked: 2 files in ${folder} (archive deleted)`, '  coco2017-val          · absent',
  ].join('\n'));
  t.deepEqual(await run('data', 'verify', 'voc2007', ...at), { code: 0, text: '✔ voc2007-trainval      trainval.tar is as published; unpacked: 2 files, 40.0 kB, as they were\n✔ voc2007-test          test.tar was deleted; unpacked: 2 files, 50.0 kB, as they were' });
  writeFileSync(path.join(folder, 'JPEGImages', '000001.jpg'), '');
  t.like(await run('data', 'verify', 'voc2007', ...at), { code: 1 });
});

test.serial('weights: list, fetch, and what nobody published', async (t) => {
  const data = newFolder(), at = ['--data', data];
  const list = await run('weights', 'list', ...at);
  t.regex(list.text, /^DETR \(detr\)\n[\s\S]*\n {2}· detr-r50 {14}70\.0 kB {2}something\n {2}· detr-r50-hf {12}~80 kB {2}something\n/);
  const { text } = await run('weights', 'fetch', 'detr', ...at);
  t.true(text.includes(`✔ checked: 70.0 kB, size, start of the SHA-256 and SHA-384 as published, ${path.join(data, 'weights', 'model-01234567.pth')}`), text);
  t.true(text.includes('✔ checked: 80.0 kB, SHA-256 recorded (none was published), '), text);
  t.true(existsSync(path.join(data, 'weights', 'model.safetensors')));
});

test.serial('QDETR_DATA names the data folder; --from takes what was brought', async (t) => {
  const data = newFolder(), usb = newFolder();
  writeFileSync(path.join(usb, 'train.tar'), CONTENT['train.tar']);
  process.env.QDETR_DATA = data;
  try {
    t.regex((await run('data', 'fetch', 'imagenet', '--from', usb)).text, /✔ unpacked: 1 file in \S+train$/);
    t.is(readFileSync(path.join(data, 'imagenet', 'train', 'n01440764', 'n01440764_10026.JPEG'), 'utf8'), 'tench');
  } finally {
    delete process.env.QDETR_DATA;
  }
});

test.serial('mistakes are one sentence', async (t) => {
  const at = ['--data', newFolder()];
  const cases: [string[], RegExp][] = [
    [['data', 'fetch', 'voc2008', ...at], /^error: there is no voc2008 in \S+, did you mean voc2007\?$/], [['data', 'fetch', 'detr-r50', ...at], /^error: detr-r50 is a file of weights: npx qdetr weights fetch detr-r50$/],
    [['data', 'fetch'], /^error: missing required argument 'names': see 'npx qdetr data fetch --help'$/], [['data', 'verify', 'voc2007', ...at], /^error: voc2007-trainval has not been fetched into \S+: npx qdetr data fetch voc2007-trainval$/],
    [['data', 'fetch', 'imagenet', ...at], /\nerror: imagenet-train can't be fetched without you: log in and download train\.tar, then run npx qdetr data fetch imagenet-train --from FILE$/],
    [['weights', 'fetch', 'detr-r50', '--data', path.join(manifests, 'detr.json')], /error: \S+ can't be written \(.*\): free some space, or choose another folder with --data$/],
  ];
  for (const [args, message] of cases) {
    const { code, text } = await run(...args);
    t.is(code, 1);
    t.regex(text, message);
  }
});

test.serial('Ctrl-C in the middle of a download: what came is kept, and the same command goes on', async (t: ExecutionContext) => {
  const data = newFolder(), good = answers['/val.zip'], all = CONTENT['val.zip'];
  const child = spawn(process.execPath, ['src/cli/qdetr.mjs', 'data', 'fetch', 'coco2017', '--data', data], { stdio: ['ignore', 'pipe', 'pipe'] });
  answers['/val.zip'] = (_, response) => {
    response.writeHead(200, { 'content-length': String(all.length), etag: '"a"' });
    response.write(all.subarray(0, 150));
    whenWritten(path.join(data, 'downloads', 'val.zip.part'), 150, () => child.kill('SIGINT'));
  };
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => void (printed += chunk.toString()));
  t.is(await new Promise((resolve) => child.once('close', resolve)), 130);
  t.regex(printed, /Stopped: what has come so far is kept, and the same command goes on from there\.\n$/);
  t.regex((await run('data', 'status', 'coco2017', '--data', data)).text, new RegExp(`◐ partial: 150 B of ${all.length} B \\(\\d+ %\\)`));
  answers['/val.zip'] = good;
  t.is((await run('data', 'fetch', 'coco2017', '--data', data)).code, 0);
  t.is(server.seen[server.seen.length - 1].range, 'bytes=150-');
  t.true(existsSync(path.join(data, 'coco', 'val2017', '000000000139.jpg')));
});

test.serial('the official list is printed without a network', async (t) => {
  delete process.env.QDETR_MANIFESTS;
  try {
    const { code, text } = await run('data', 'list', '--data', newFolder());
    t.is(code, 0);
    for (const name of ['voc2007-trainval', 'voc2007-test', 'voc2012-trainval', 'coco2017-train', 'coco2017-val', 'coco2017-annotations', 'imagenet-train', 'imagenet-val', 'imagenet-devkit']) t.true(text.includes(`\n  · ${name} `), name);
    t.deepEqual(text.split('\n').slice(0, -1).filter((line) => line.length > Math.max(80, process.stdout.columns ?? 80)), [], 'it fits 80 columns');
  } finally {
    process.env.QDETR_MANIFESTS = manifests;
  }
});
