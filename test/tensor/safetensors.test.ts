import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { decodeSafetensors, encodeSafetensors, readSafetensors, writeSafetensors, type Safetensors, type SafetensorsArray } from '../../src/tensor/safetensors.js';

const scratch = (name: string): string => path.join(mkdtempSync(path.join(tmpdir(), 'qdetr-safetensors-')), name);

/** A file with any header and any data. */
function fileOf(header: string, data: Uint8Array | number[] = [], claimed = BigInt(Buffer.byteLength(header))): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed);
  return Buffer.concat([length, Buffer.from(header), Buffer.from(data)]);
}

const line = (begin: number, end: number, extra = ''): string => `{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]${extra}}`;

test('two numbers by hand', (t) => {
  const header = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'; // 54 bytes
  const bytes = fileOf(header, [0, 0, 128, 63, 0, 0, 0, 192]); // 1 = 3f800000, -2 = c0000000
  t.deepEqual(decodeSafetensors(bytes, 'a').tensors.get('a'), { dtype: 'F32', shape: [2], data: Float32Array.of(1, -2) });
  const own = encodeSafetensors({ tensors: new Map([['a', { dtype: 'F32', shape: [2], data: Float32Array.of(1, -2) }]]), metadata: new Map() });
  t.is(Buffer.from(own).toString('latin1'), `8${'\0'.repeat(7)}${header}  ${Buffer.from([0, 0, 128, 63, 0, 0, 0, 192]).toString('latin1')}`);
});

const floats = fc.float32Array({ maxLength: 12 }).map((data): SafetensorsArray => ({ dtype: 'F32', shape: data.length % 3 === 0 ? [3, data.length / 3] : [data.length], data }));
const arrays = fc.oneof(
  floats,
  fc.int32Array({ maxLength: 5 }).map((data): SafetensorsArray => ({ dtype: 'I32', shape: [data.length], data })),
  fc.bigInt64Array({ maxLength: 5 }).map((data): SafetensorsArray => ({ dtype: 'I64', shape: [1, data.length], data })),
  fc.uint8Array({ maxLength: 5 }).map((data): SafetensorsArray => ({ dtype: 'U8', shape: [data.length], data })),
);
const names = fc.string({ unit: 'grapheme' }).filter((name) => !['__metadata__', '__proto__', 'constructor', 'prototype'].includes(name));
const contents = fc.record({
  tensors: fc.array(fc.tuple(names, arrays), { maxLength: 6 }).map((entries) => new Map(entries)),
  metadata: fc.array(fc.tuple(names, fc.string({ unit: 'grapheme' })), { maxLength: 3 }).map((entries) => new Map(entries)),
});

test('what is written reads back equal, bit for bit, and in any order of the maps gives the same file', (t) => {
  fc.assert(fc.property(contents, (content: Safetensors) => {
    const bytes = encodeSafetensors(content);
    const back = decodeSafetensors(bytes, 'x');
    t.deepEqual([...back.tensors].sort(), [...content.tensors].sort());
    t.deepEqual([...back.metadata].sort(), [...content.metadata].sort());
    t.deepEqual(encodeSafetensors({ tensors: new Map([...content.tensors].reverse()), metadata: new Map([...content.metadata].reverse()) }), bytes);
  }), { numRuns: 200 });
});

test('through a file: NaN payloads, negative zero and subnormal numbers keep their bits', (t) => {
  const bits = Uint32Array.of(0x7fc00001, 0xffc12345, 0x80000000, 1, 0x7f800000);
  const file = scratch('bits.safetensors');
  writeSafetensors(file, { tensors: new Map([['x', { dtype: 'F32', shape: [5], data: new Float32Array(bits.buffer) }]]), metadata: new Map([['step', '3']]) });
  const { tensors, metadata } = readSafetensors(file);
  const { data } = tensors.get('x')!;
  t.deepEqual(new Uint32Array(data.buffer, data.byteOffset, data.length), bits);
  t.is(data.buffer.byteLength, 20, 'shares no memory with the file');
  t.is(metadata.get('step'), '3');
});

interface Fixture { file: string; metadata: Record<string, string>; tensors: Record<string, { shape: number[]; values: string[] }> }
const fixture = JSON.parse(readFileSync('test/fixtures/safetensors.json', 'utf8')) as Fixture;

test("the reference implementation's file reads back equal (safetensors 0.8.0)", (t) => {
  const { tensors, metadata } = decodeSafetensors(Buffer.from(fixture.file, 'base64'), 'fixture');
  t.deepEqual(Object.fromEntries(metadata), fixture.metadata);
  t.deepEqual([...tensors.keys()].sort(), Object.keys(fixture.tensors).sort());
  for (const [name, { shape, values }] of Object.entries(fixture.tensors)) {
    const read = tensors.get(name)!;
    t.deepEqual(read.shape, shape, name);
    const wanted = values.map((v) => (read.dtype === 'I64' ? BigInt(v) : Number(v.replace('inf', 'Infinity'))));
    t.deepEqual([...read.data] as unknown[], wanted, name);
  }
});

test('the reference implementation reads our file', (t) => {
  const file = scratch('ours.safetensors');
  writeSafetensors(file, {
    tensors: new Map<string, SafetensorsArray>([
      ['b', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ['n', { dtype: 'I64', shape: [], data: BigInt64Array.of(-7n) }],
      ['w', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1.5, -2, 0.25, 1e-30) }],
      ['e', { dtype: 'I32', shape: [0, 4], data: new Int32Array(0) }],
    ]),
    metadata: new Map([['step', '12']]),
  });
  const script = `
import sys, json
try:
    from safetensors import safe_open
    import numpy
except ImportError as error:
    print(error); sys.exit(77)
with safe_open(sys.argv[1], framework='np') as f:
    print(json.dumps([f.metadata(), {k: [str(f.get_tensor(k).dtype), list(f.get_tensor(k).shape), f.get_tensor(k).flatten().tolist()] for k in sorted(f.keys())}]))`;
  const python = spawnSync('python3', ['-c', script, file], { encoding: 'utf8' });
  if (python.error || python.status === 77) {
    t.log(`not compared: ${python.error?.message ?? python.stdout.trim()}`);
    t.pass();
    return;
  }
  t.is(python.status, 0, python.stderr);
  t.deepEqual(JSON.parse(python.stdout), [{ step: '12' }, {
    b: ['uint8', [3], [1, 2, 3]],
    e: ['int32', [0, 4], []],
    n: ['int64', [], [-7]],
    w: ['float32', [2, 2], [1.5, -2, 0.25, Math.fround(1e-30)]],
  }]);
});

const damaged: [string, Uint8Array, RegExp][] = [
  ['nothing', new Uint8Array(3), /it has 3 bytes/],
  ['a header over the limit', fileOf('{}', [], 100_000_001n), /claims 100000001 bytes, the limit is 100000000/],
  ['a header of 2^64 - 1 bytes', fileOf('{}', [], 2n ** 64n - 1n), /claims 18446744073709551615 bytes/],
  ['a file that ends inside its header', fileOf('{}', [], 100n), /claims 100 bytes, the file ends after 2/],
  ['an empty header', fileOf(''), /does not begin with '\{'/],
  ['a byte order mark', fileOf('\ufeff{}'), /does not begin with '\{'/],
  ['broken UTF-8', fileOf('{"a":1', [0xff], 7n), /is no UTF-8/],
  ['broken JSON', fileOf('{"a":'), /at character 5/],
  ['two objects', fileOf('{} {}'), /something behind its end/],
  ['nesting', fileOf(`{"a":${'['.repeat(5000)}`), /nests too deep/],
  ['half a surrogate pair', fileOf(`{"\\ud800":${line(0, 0)}}`), /surrogate/],
  ['an array named twice', fileOf(`{"a":${line(0, 1)},"b":${line(1, 2)},"a":${line(0, 1)}}`, [1, 2]), /names 'a' twice/],
  ['an array named twice in other words', fileOf(`{"a":${line(0, 1)},"\\u0061":${line(1, 2)}}`, [1, 2]), /names 'a' twice/],
  ['a key named twice', fileOf(`{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}`), /names 'dtype' twice/],
  ['notes named twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), /names '__metadata__' twice/],
  ['notes that are a list', fileOf('{"__metadata__":[]}'), /'__metadata__' should be/],
  ['a note that is a number', fileOf('{"__metadata__":{"step":3}}'), /'__metadata__\.step' should be a string/],
  ['a note on the prototype', fileOf('{"__metadata__":{"__proto__":"x"}}'), /'__metadata__\.__proto__' is a forbidden name/],
  ['a prototype', fileOf(`{"__proto__":${line(0, 1)}}`, [1]), /'__proto__' is a forbidden name/],
  ['a constructor', fileOf(`{"constructor":${line(0, 1)}}`, [1]), /'constructor' is a forbidden name/],
  ['an array that is none', fileOf('{"a":3}'), /'a' should be an object/],
  ['an unknown key', fileOf(`{"a":${line(0, 1, ',"strides":[1]')}}`, [1]), /'a' has the unknown key 'strides'/],
  ['an unknown dtype', fileOf('{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', new Uint8Array(8)), /'a\.dtype' should be one of F32/],
  ['a dtype from the prototype', fileOf('{"a":{"dtype":"toString","shape":[0],"data_offsets":[0,0]}}'), /'a\.dtype' should be one of F32/],
  ['no shape', fileOf('{"a":{"dtype":"U8","data_offsets":[0,1]}}', [1]), /'a\.shape'/],
  ['a negative size', fileOf('{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}', [1]), /'a\.shape'/],
  ['a fraction', fileOf('{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', [1]), /whole number/],
  ['an exponent', fileOf('{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', [1]), /whole number/],
  ['a number beyond 2^53', fileOf('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}', [1]), /whole number/],
  ['too many elements', fileOf('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'), /'a\.shape' has too many/],
  ['too many elements hidden by a 0', fileOf('{"a":{"dtype":"U8","shape":[9007199254740991,9007199254740991,0],"data_offsets":[0,0]}}'), /'a\.shape' has too many/],
  ['offsets the wrong way round', fileOf('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}', [1]), /'a\.data_offsets'/],
  ['three offsets', fileOf('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}', [1]), /'a\.data_offsets'/],
  ['a wrong size', fileOf('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', new Uint8Array(4)), /'a' should take 8 bytes for \[2\] of F32, its offsets say 4/],
  ['an overlap', fileOf(`{"a":${line(0, 4)},"b":${line(2, 6)}}`, new Uint8Array(6)), /'b' overlaps/],
  ['the same bytes twice', fileOf(`{"a":${line(0, 4)},"b":${line(0, 4)}}`, new Uint8Array(4)), /'b' overlaps/],
  ['an empty array inside another', fileOf(`{"a":${line(0, 4)},"b":${line(2, 2)}}`, new Uint8Array(4)), /'b' overlaps/],
  ['a hole', fileOf(`{"a":${line(0, 2)},"b":${line(3, 4)}}`, new Uint8Array(4)), /'b' leaves a hole of 1 bytes/],
  ['a hole at the start', fileOf(`{"a":${line(1, 2)}}`, new Uint8Array(2)), /'a' leaves a hole of 1 bytes/],
  ['a truncated file', fileOf(`{"a":${line(0, 4)}}`, new Uint8Array(3)), /'a' ends 1 bytes behind/],
  ['bytes at the end', fileOf(`{"a":${line(0, 4)}}`, new Uint8Array(5)), /1 bytes follow/],
  ['bytes and no array', fileOf('{}', new Uint8Array(1)), /1 bytes follow/],
];

for (const [name, bytes, message] of damaged) {
  test(`refused: ${name}`, (t) => {
    const error = t.throws(() => decodeSafetensors(bytes, 'model.safetensors'), { instanceOf: UserError, message })!;
    t.regex(error.message, /^model\.safetensors is no sound safetensors file: .*; get or make the file again$/);
  });
}

test('refused through the file system: a missing file, a folder, some other file', (t) => {
  for (const file of [scratch('missing'), tmpdir(), 'package.json']) t.throws(() => readSafetensors(file), { instanceOf: UserError, message: new RegExp(`^${file}`) });
  const file = scratch('text');
  writeFileSync(file, 'a text that is long enough for a length');
  t.throws(() => readSafetensors(file), { instanceOf: UserError, message: /its header claims \d+ bytes/ });
});

test('the writer refuses what the reader would refuse', (t) => {
  const one: SafetensorsArray = { dtype: 'U8', shape: [1], data: Uint8Array.of(1) };
  for (const name of ['__proto__', '__metadata__', 'prototype']) t.throws(() => encodeSafetensors({ tensors: new Map([[name, one]]), metadata: new Map() }));
  t.throws(() => encodeSafetensors({ tensors: new Map(), metadata: new Map([['__proto__', 'x']]) }));
  t.throws(() => encodeSafetensors({ tensors: new Map([['a', { ...one, shape: [2] }]]), metadata: new Map() }), { message: /'a' has 1 elements/ });
});
