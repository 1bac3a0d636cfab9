import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { TAR_END, tarEntry } from '../../../src/cli/bundle/tar.js';
import { compressXz } from '../../../src/cli/bundle/xz.js';
import { UserError } from '../../../src/errors.js';

const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const withTools = has('tar') && has('xz') ? test : test.skip; // machines without them make no bundles

test('an entry by hand: name, mode, size and type where POSIX has them, the checksum of the header, whole blocks', (t) => {
  const [header, content, padding] = tarEntry({ path: 'q/a.txt', content: Buffer.from('hello'), executable: true });
  const field = (at: number, length: number): string => header.toString('latin1', at, at + length).replace(/\0.*$/s, '');
  t.deepEqual([field(0, 100), field(100, 8), field(124, 12), field(136, 12), field(156, 1), field(257, 6), field(263, 2)], ['q/a.txt', '0000755', '00000000005', (Date.UTC(2000, 0, 1) / 1000).toString(8).padStart(11, '0'), '0', 'ustar', '00']);
  const sum = header.reduce((a, b, at) => a + (at >= 148 && at < 156 ? 32 : b), 0);
  t.is(parseInt(field(148, 8), 8), sum);
  t.deepEqual([header.length, content.toString(), padding.length], [512, 'hello', 507]);
  t.is(tarEntry({ path: 'q/b', content: Buffer.alloc(1024) })[2].length, 0);
});

test('paths that the format cannot hold are refused', (t) => {
  t.throws(() => tarEntry({ path: 'é', content: Buffer.alloc(0) }), { message: /only ASCII/ });
  t.throws(() => tarEntry({ path: 'x'.repeat(101), content: Buffer.alloc(0) }), { message: /too long/ });
  t.throws(() => tarEntry({ path: `${'x'.repeat(156)}/y`, content: Buffer.alloc(0) }), { message: /too long/ });
  t.notThrows(() => tarEntry({ path: `${'x'.repeat(155)}/${'y'.repeat(100)}`, content: Buffer.alloc(0) }));
});

withTools('tar unpacks what was packed, in pieces that xz compressed with different filters; the same files give the same bytes', async (t) => {
  const word = fc.stringMatching(/^[a-z][a-zA-Z0-9_.@+-]{0,60}$/);
  const file = fc.record({ path: fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('/')), content: fc.uint8Array({ maxLength: 2000 }), executable: fc.boolean() });
  const kinds = ['code', 'floats', 'text'] as const;
  await fc.assert(fc.asyncProperty(fc.array(file, { minLength: 1, maxLength: 6 }), async (random) => {
    const files = random.map((one, i) => ({ ...one, path: `${i}/${one.path}` }));
    const folder = mkdtempSync(path.join(tmpdir(), 'qdetr-tar-'));
    try {
      const pack = async (): Promise<Buffer> => Buffer.concat([...await Promise.all(files.map((one, i) => compressXz(tarEntry(one), kinds[i % 3], 0))), await compressXz([TAR_END], 'text', 0)]);
      const archive = await pack();
      t.true(archive.equals(await pack()));
      writeFileSync(path.join(folder, 'x.tar.xz'), archive);
      execFileSync('tar', ['xf', 'x.tar.xz'], { cwd: folder });
      for (const { path: name, content, executable } of files) {
        t.deepEqual(new Uint8Array(readFileSync(path.join(folder, name))), content);
        t.is((statSync(path.join(folder, name)).mode & 0o100) !== 0, executable);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  }), { numRuns: 10 });
});

withTools('floats are smaller with the filters that are for them', async (t) => {
  const floats = Buffer.from(Float32Array.from({ length: 50_000 }, (_, i) => Math.sin(i * i)).buffer);
  const size = async (contents: 'floats' | 'text'): Promise<number> => (await compressXz([floats], contents, 6)).length;
  t.true((await size('floats')) < (await size('text')));
});

test.serial('without xz: a sentence that says how to get it', async (t) => {
  const { PATH } = process.env;
  process.env.PATH = path.join(tmpdir(), 'no-programs-here');
  try {
    await t.throwsAsync(compressXz([Buffer.from('x')], 'text', 0), { instanceOf: UserError, message: /^xz doesn't start: install it/ });
  } finally {
    process.env.PATH = PATH;
  }
});
