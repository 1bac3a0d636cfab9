import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { decodePytorchCheckpoint } from '../../src/tensor/pytorch-checkpoint.js';
import { openStoredZip } from '../../src/tensor/stored-zip.js';
import { storedZip } from './pytorch-files.js';

const fixture = (name: string): Uint8Array => readFileSync(`test/fixtures/pytorch/${name}`);
const archive = fixture('zip.pth'), legacy = fixture('legacy.pth');
const zip = openStoredZip(archive, (what) => { throw new Error(what); });
const entries = zip.names.map((name) => [name, zip.read(name)!] as const);
const pickleName = zip.names.find((name) => name.endsWith('/data.pkl'))!;

/** Reads some bytes; whether they were accepted. Whatever is read takes no more memory than the rule allows; anything but a UserError is a crash. */
function tryToRead(bytes: Uint8Array): boolean {
  try {
    const { parameters, integers } = decodePytorchCheckpoint(bytes, 'f');
    const taken = [...Object.values(parameters), ...integers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    if (taken > 2 ** 20 + 4 * bytes.length) throw new Error(`${taken} bytes taken for a file of ${bytes.length}`);
    return true;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return false;
  }
}

/** One change of some bytes: flipped, written over with opcodes, cut out, or copied to another place. */
const changes = fc.array(fc.record({ kind: fc.nat(3), at: fc.nat(), from: fc.nat(), length: fc.integer({ min: 1, max: 12 }), bit: fc.nat(7), opcode: fc.constantFrom(...'.(}])tRbQqhrjJKMGXNcesuaU\x81\x85\x86\x87\x88\x89\x8a'), value: fc.nat(255) }), { minLength: 1, maxLength: 3 });
type Changes = typeof changes extends fc.Arbitrary<infer T> ? T : never;

function change(bytes: Uint8Array, list: Changes): Uint8Array {
  let out = Buffer.from(bytes);
  for (const { kind, at, from, length, bit, opcode, value } of list) {
    const here = at % out.length, there = from % out.length;
    if (kind === 0) out[here] ^= 1 << bit;
    else if (kind === 1) out[here] = value % 2 ? opcode.charCodeAt(0) : value;
    else if (kind === 2 && out.length > length) out = Buffer.concat([out.subarray(0, here), out.subarray(here + length)]);
    else out = Buffer.concat([out.subarray(0, here), out.subarray(there, there + length), out.subarray(here)]);
  }
  return out;
}

test('a checkpoint cut off anywhere is refused', (t) => {
  t.true(tryToRead(archive) && tryToRead(legacy), 'whole, they are read');
  for (const file of [archive, legacy]) {
    fc.assert(fc.property(fc.integer({ min: 0, max: file.length - 1 }), (length) => {
      t.false(tryToRead(file.subarray(0, length)), `cut after ${length} bytes`);
    }), { numRuns: 800 });
  }
});

test('a zip checkpoint with changed bytes is refused or read, and a changed storage or pickle is always refused', (t) => {
  fc.assert(fc.property(changes, (list) => { tryToRead(change(archive, list)); }), { numRuns: 2000 });
  for (const [name, content] of entries.filter(([name, bytes]) => /data\.pkl$|data\/\d+$/.test(name) && bytes.length > 0)) {
    const flipped = Buffer.from(archive);
    flipped[content.byteOffset - archive.byteOffset] ^= 1;
    t.false(tryToRead(flipped), name);
  }
});

test('a changed pickle behind a right CRC-32, and a changed legacy file, are refused or read', (t) => {
  let read = 0, refused = 0;
  const count = (bytes: Uint8Array): void => { if (tryToRead(bytes)) read++; else refused++; };
  fc.assert(fc.property(changes, (list) => {
    count(storedZip(entries.map(([name, content]) => [name, name === pickleName ? change(content, list) : content])));
    count(change(legacy, list));
  }), { numRuns: 4000 });
  t.log(`${read} read, ${refused} refused`);
  t.true(read > 100 && refused > 1000, 'the changes reach both sides');
});
