import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'ava';
import { UserError } from '../../../src/errors.js';
import { download, type Download } from '../../../src/data/official/download.js';
import { needSpace } from '../../../src/data/official/disk-space.js';
import { localServer, serve, whenWritten, type Answerer, type LocalServer, type Seen, type Serving } from './local-server.js';

const SIZE = 300_000;
const content = randomBytes(SIZE), other = randomBytes(SIZE);
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const folder = mkdtempSync(path.join(os.tmpdir(), 'qdetr-download-'));
test.after.always(() => rmSync(folder, { recursive: true }));

/** The file that a server's client is writing to. */
const partOf = new Map<string, string>();

/** What a download did. */
interface Outcome { from?: string; error?: Error; part?: Buffer; notes: string[]; done: number[] }

let number = 0;
const newFile = (): string => path.join(folder, String(number++), 'file.bin');

/** Downloads `content` from addresses of a server. */
async function fetched(server: LocalServer | undefined, paths: readonly string[], options: Partial<Download> = {}): Promise<Outcome & { file: string }> {
  const file = options.file ?? newFile(), notes: string[] = [], done: number[] = [];
  if (server) partOf.set(new URL(server.url).host, `${file}.part`);
  const read = (): Buffer | undefined => (existsSync(`${file}.part`) ? readFileSync(`${file}.part`) : undefined);
  try {
    const from = await download({
      name: 'set', urls: paths.map((one) => (one.includes(':') ? one : `${server!.url}${one}`)), bytes: SIZE, isChecked: true,
      check: async (part) => (digest(readFileSync(part)) === digest(content) ? undefined : 'its SHA-256 is wrong'),
      onBytes: (bytes) => done.push(bytes), onNote: (text) => notes.push(text), patience: { failures: 3, wait: 0.01, idle: 120 },
      ...options, file,
    });
    return { file, from, part: read(), notes, done };
  } catch (error) {
    return { file, error: error as Error, part: read(), notes, done };
  }
}

/** A server for one test. */
async function started(t: { teardown(work: () => Promise<void>): void }, answerers: Record<string, Answerer>): Promise<LocalServer> {
  const server = await localServer(answerers);
  t.teardown(server.close);
  return server;
}

/**
 * Answers the first, the second … different request for a path in different ways; the last way holds on. The same request again, as after a connection that failed for
 * reasons of the machine's own, gets the same way.
 */
const inTurn = (...ways: Answerer[]): Answerer => {
  let turn = -1, before = '';
  return (request, response, seen) => {
    const now = `asked ${seen.range}`;
    if (now !== before) turn++;
    before = now;
    ways[Math.min(turn, ways.length - 1)](request, response, seen);
  };
};
/** What was asked for, one after the other, without repetitions. */
const asked = (server: LocalServer): Seen[] => server.seen.filter((one, i) => one.path !== server.seen[i - 1]?.path || one.range !== server.seen[i - 1]?.range);
const good: Answerer = (_, response, seen) => serve(content, response, seen);
/** Sends a file, or a part of it: the connection is cut when the client has written so many bytes. */
const cut = (cutAfter: number, serving: Serving = {}, of = content): Answerer => (request, response, seen) => serve(of, response, seen, { ...serving, cutAfter, part: partOf.get(request.headers.host!) });
const status = (code: number, headers: Record<string, string> = {}): Answerer => (_, response) => void response.writeHead(code, headers).end();

test('a whole file comes in one request', async (t) => {
  const server = await started(t, { '/a': good });
  const { from, part, done } = await fetched(server, ['/a']);
  t.is(from, `${server.url}/a`);
  t.deepEqual(part, content);
  t.is(done[done.length - 1], SIZE);
  t.deepEqual(server.seen, [{ path: '/a', range: undefined, ifRange: undefined }]);
});

test('a connection that is cut, again and again, is gone on with where it was', async (t) => {
  const server = await started(t, { '/a': (request, response, seen) => {
    const from = Number(/\d+/.exec(seen.range ?? '0')![0]);
    (from === 0 ? cut(100_000) : from < 250_000 ? cut(50_000) : good)(request, response, seen);
  } });
  const { part, error } = await fetched(server, ['/a']);
  t.is(error, undefined);
  t.deepEqual(part, content);
  t.deepEqual([...new Set(server.seen.map(({ range }) => range))], [undefined, 'bytes=100000-', 'bytes=150000-', 'bytes=200000-', 'bytes=250000-']);
  t.true(server.seen.every(({ range, ifRange }) => ifRange === (range === undefined ? undefined : '"a"')));
});

test('failures without a new byte end it; what is there is kept', async (t) => {
  const server = await started(t, { '/a': inTurn(cut(100_000), cut(0)) });
  const { part, error } = await fetched(server, ['/a']);
  t.true(error instanceof UserError);
  t.regex(error!.message, /^set can't be fetched \(127\.0\.0\.1:\d+ cut the connection[^)]*\): the same command goes on after 100000 bytes, or get file\.bin in another way and name it with --from FILE$/);
  t.is(part!.length, 100_000);
  t.true(server.seen.length >= 4 && server.seen.length <= 6);
});

test('a server that ignores ranges sends all of it again', async (t) => {
  const server = await started(t, { '/a': inTurn(cut(100_000), (_, response, seen) => serve(content, response, seen, { ignoresRanges: true })) });
  const { part, notes } = await fetched(server, ['/a']);
  t.deepEqual(part, content);
  t.regex(notes.join(), /sends the whole file, not its rest: beginning anew/);
});

test('a server that ignores ranges and always cuts at the same place is given up', async (t) => {
  const server = await started(t, { '/a': cut(100_000, { ignoresRanges: true }) });
  const { error } = await fetched(server, ['/a']);
  t.regex(error!.message, /cut the connection/);
  t.true(server.seen.length >= 4 && server.seen.length <= 6);
});

test('a wrong Content-Range is not glued: beginning anew', async (t) => {
  for (const range of [`bytes 0-${SIZE - 1}/${SIZE}`, `bytes 100001-${SIZE - 1}/${SIZE}`, `bytes 100000-${SIZE - 1}/${SIZE + 7}`, `bytes 100000-${SIZE - 2}/${SIZE}`, 'nonsense']) {
    const server = await started(t, { '/a': inTurn(cut(100_000), (_, response, seen) => serve(content, response, seen, { headers: { 'content-range': range } }), good) });
    const { part, error } = await fetched(server, ['/a']);
    t.is(error, undefined, range);
    t.deepEqual(part, content, range);
    t.deepEqual(asked(server).map((seen) => seen.range), [undefined, 'bytes=100000-', undefined], range);
  }
});

test('a file that changes between two parts is not glued, whether the server notices or not', async (t) => {
  for (const ignoresIfRange of [false, true]) {
    const server = await started(t, { '/a': inTurn(cut(100_000, { etag: '"old"' }, other), (_, response, seen) => serve(content, response, seen, { etag: '"new"', ignoresIfRange })) });
    const { part } = await fetched(server, ['/a']);
    t.deepEqual(part, content);
    t.is(asked(server)[1].ifRange, '"old"');
    t.is(asked(server).length, ignoresIfRange ? 3 : 2);
  }
});

test('the date takes the place of a weak ETag; without either, a part is only continued where a digest will tell', async (t) => {
  const date = 'Tue, 06 Nov 2007 10:00:00 GMT';
  const dated = await started(t, { '/a': inTurn(cut(100_000, { etag: 'W/"1"', lastModified: date }), (_, response, seen) => serve(content, response, seen, { etag: 'W/"1"', lastModified: date })) });
  t.deepEqual((await fetched(dated, ['/a'])).part, content);
  t.is(asked(dated)[1].ifRange, date);
  for (const isChecked of [true, false]) {
    let requests = 0;
    const bare = await started(t, { '/a': (request, response, seen) => (requests++ === 0 ? cut(100_000, { etag: null })(request, response, seen) : serve(content, response, seen, { etag: null })) });
    t.deepEqual((await fetched(bare, ['/a'], { isChecked })).part, content);
    t.deepEqual(asked(bare).map(({ range }) => range), isChecked ? [undefined, 'bytes=100000-'] : [undefined]);
  }
});

test('wrong bytes are thrown away, and the next address is tried', async (t) => {
  const server = await started(t, { '/wrong': (_, response, seen) => serve(other, response, seen), '/a': good });
  const alone = await fetched(server, ['/wrong']);
  t.regex(alone.error!.message, /sends another file: its SHA-256 is wrong\): try again later/);
  t.is(alone.part, undefined);
  const both = await fetched(server, ['/wrong', '/a']);
  t.is(both.from, `${server.url}/a`);
  t.deepEqual(both.part, content);
  t.regex(both.notes.join(), /sends another file: its SHA-256 is wrong: trying the next address/);
});

test('another size is refused before a byte of it is written', async (t) => {
  const server = await started(t, { '/a': (_, response, seen) => serve(content.subarray(0, 5), response, seen) });
  const { error, part } = await fetched(server, ['/a']);
  t.regex(error!.message, /has a file of 5 bytes, not 300000/);
  t.is(part, undefined);
});

test('Content-Length may lie: too little is gone on with, too much is refused', async (t) => {
  const server = await started(t, {
    '/little': inTurn(cut(1000), good),
    '/much': (_, response) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(Buffer.concat([content, content])),
    '/empty': (_, response) => void response.writeHead(200, { 'content-length': '0' }).end(),
    '/short': (_, response) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(content.subarray(0, 1000)),
  });
  t.deepEqual((await fetched(server, ['/little'])).part, content);
  t.regex((await fetched(server, ['/empty'], { bytes: null, check: async () => undefined })).error!.message, /127\.0\.0\.1:\d+ sent an empty file/);
  const much = await fetched(server, ['/much']);
  t.regex(much.error!.message, /sends more than 300000 bytes/);
  t.is(much.part, undefined);
  t.regex((await fetched(server, ['/short'])).error!.message, /cut the connection after \d+ of 300000 bytes/);
});

test('404 ends an address at once, 500 and 503 after some tries; the last word of each is told', async (t) => {
  let requests = 0;
  const server = await started(t, { '/500': status(500), '/503': (...request) => (requests++ === 0 ? status(503, { 'retry-after': '0' }) : good)(...request), '/403': status(403) });
  const { error } = await fetched(server, ['/404', '/403', '/500']);
  t.regex(error!.message, /answers 404 Not Found; 127\.0\.0\.1:\d+ answers 403 Forbidden; 127\.0\.0\.1:\d+ answers 500 Internal Server Error\): try again later/);
  t.deepEqual(server.seen.map((seen) => seen.path), ['/404', '/403', '/500', '/500', '/500']);
  t.deepEqual((await fetched(server, ['/503'])).part, content);
});

test('redirects are followed; web pages and compressed bodies are no files', async (t) => {
  const server = await started(t, {
    '/a': good, '/moved': status(302, { location: '/a' }), '/round': status(302, { location: '/round' }),
    '/page': (_, response) => void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<p>Log in'),
    '/gzip': (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(content),
  });
  t.deepEqual((await fetched(server, ['/moved'])).part, content);
  t.regex((await fetched(server, ['/round'])).error!.message, /fails \(redirect count exceeded\)/);
  t.regex((await fetched(server, ['/page'], { bytes: null })).error!.message, /sends a web page, not the file/);
  t.regex((await fetched(server, ['/gzip'])).error!.message, /sends the file compressed \(gzip\)/);
});

test('a dead mirror is said to be dead, and the next one goes on with its part where a digest will tell', async (t) => {
  const server = await started(t, { '/half': inTurn(cut(100_000), status(404)), '/a': (_, response, seen) => serve(content, response, seen, { etag: '"b"' }) });
  const dead = await fetched(server, ['http://127.0.0.1:9/a', 'http://host.invalid/a', '/a']);
  t.deepEqual(dead.part, content);
  t.regex(dead.notes.join('\n'), /^127\.0\.0\.1:9 \S.*: trying the next address\nhost\.invalid .*: trying the next address$/);
  const mixed = await fetched(server, ['/half', '/a']);
  t.deepEqual(mixed.part, content);
  t.deepEqual(server.seen[server.seen.length - 1], { path: '/a', range: 'bytes=100000-', ifRange: undefined });
});

test('parts of two addresses that don\'t fit together are fetched anew from the second', async (t) => {
  const server = await started(t, { '/half': inTurn(cut(100_000, {}, other), status(404)), '/a': good });
  const { part, notes } = await fetched(server, ['/half', '/a']);
  t.deepEqual(part, content);
  t.regex(notes.join('\n'), /its SHA-256 is wrong, perhaps because its parts are of different addresses: beginning anew/);
});

test('without a digest, a part is never continued with bytes of another address', async (t) => {
  const server = await started(t, { '/half': inTurn(cut(100_000), status(404)), '/a': good });
  const { part } = await fetched(server, ['/half', '/a'], { isChecked: false, bytes: null });
  t.deepEqual(part, content);
  t.is(server.seen[server.seen.length - 1].range, undefined);
});

test('stopping keeps what is there, and the next call goes on; a part without its note, or too long, is not trusted', async (t) => {
  const stop = new AbortController();
  const server = await started(t, { '/a': inTurn((request, response) => {
    response.writeHead(200, { 'content-length': String(SIZE), etag: '"a"' });
    response.write(content.subarray(0, 123_456));
    whenWritten(partOf.get(request.headers.host!)!, 123_456, () => stop.abort());
  }, good) });
  const first = await fetched(server, ['/a'], { signal: stop.signal });
  t.is(first.error, stop.signal.reason);
  t.is(first.part!.length, 123_456);
  t.deepEqual((await fetched(server, ['/a'], { file: first.file })).part, content);
  t.is(asked(server)[1].range, 'bytes=123456-');

  const before = server.seen.length;
  t.deepEqual((await fetched(server, ['/a'], { file: first.file })).part, content);
  t.is(server.seen.length, before, 'a complete part is only checked');

  writeFileSync(`${first.file}.part`, Buffer.concat([content, content]));
  t.deepEqual((await fetched(server, ['/a'], { file: first.file })).part, content);
  writeFileSync(`${first.file}.part`, other.subarray(0, 1000));
  for (const note of ['', '{"url": 3}']) {
    writeFileSync(`${first.file}.part.json`, note);
    t.deepEqual((await fetched(server, ['/a'], { file: first.file })).part, content);
  }
  t.deepEqual(server.seen.slice(before).map(({ range }) => range), [undefined, undefined, undefined]);
});

test('a server that stops sending is given up after a while', async (t) => {
  const server = await started(t, { '/a': (_, response) => void response.writeHead(200, { 'content-length': String(SIZE) }).write(content.subarray(0, 10)) });
  const { error } = await fetched(server, ['/a'], { patience: { failures: 1, wait: 0.01, idle: 0.2 } });
  t.regex(error!.message, /sent nothing for 0\.2 s/);
});

test('a file of unknown size is as long as its server says; 416 at its end means that it is complete', async (t) => {
  const server = await started(t, { '/a': inTurn((request, response) => {
    response.writeHead(200, { 'transfer-encoding': 'chunked', etag: '"a"' });
    response.write(content);
    whenWritten(partOf.get(request.headers.host!)!, SIZE, () => response.destroy());
  }, good) });
  const { part, error } = await fetched(server, ['/a'], { bytes: null });
  t.is(error, undefined);
  t.deepEqual(part, content);
  t.is(asked(server)[1].range, `bytes=${SIZE}-`);
});

test('a disk without room is noticed before the first byte', (t) => {
  t.notThrows(() => needSpace(folder, 1e9, 'set', 2e9));
  t.throws(() => needSpace(folder, 19.3e9, 'set', 2e9), { instanceOf: UserError, message: /^set needs 19\.3 GB and \S+ has 2\.00 GB free: free some space, or choose a folder on another disk with --data$/ });
});
