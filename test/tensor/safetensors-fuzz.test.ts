import test from 'ava';
import { UserError } from '../../src/errors.js';
import { RandomStream } from '../../src/tensor/random.js';
import { decodeSafetensors, encodeSafetensors, type Safetensors, type SafetensorsArray } from '../../src/tensor/safetensors.js';

const SIZES: Record<string, number> = { F32: 4, I32: 4, I64: 8, U8: 1, F16: 2, BF16: 2 };

const READERS: Record<string, (view: DataView, at: number) => number | bigint> = {
  F32: (view, at) => view.getFloat32(at, true),
  I32: (view, at) => view.getInt32(at, true),
  I64: (view, at) => view.getBigInt64(at, true),
  U8: (view, at) => view.getUint8(at),
};

/** What a sound file is, said a second time and in other words. Returns why the file is not sound. */
function whyUnsound(bytes: Uint8Array, { tensors, metadata }: Safetensors): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const headerBytes = Number(view.getBigUint64(0, true));
  const text = Buffer.from(bytes.subarray(8, 8 + headerBytes)).toString('utf8');
  const header = JSON.parse(text) as Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  const { __metadata__: notes = {}, ...lines } = header;
  if (JSON.stringify(Object.entries(notes).sort()) !== JSON.stringify([...metadata].sort())) return 'other notes';
  if (Object.keys(lines).sort().join() !== [...tensors.keys()].sort().join()) return 'other names';

  const keys = [...text.matchAll(/"(?:[^"\\]|\\.)*"\s*:/g)].length; // each key that the text spells out is there once
  if (keys !== Object.keys(header).length + Object.keys(notes).length + 3 * Object.keys(lines).length) return 'a key named twice';

  const owner = new Array<string>(bytes.length - 8 - headerBytes);
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(lines)) {
    const elements = shape.reduce((a, b) => a * b, 1);
    if (!(end - begin === elements * SIZES[dtype])) return `size of ${name}`;
    if (JSON.stringify(tensors.get(name)!.shape) !== JSON.stringify(shape)) return `shape of ${name}`;
    for (let at = begin; at < end; at++) {
      if (owner[at] !== undefined || at >= owner.length) return `byte ${at} of ${name}`;
      owner[at] = name;
    }
    const { data } = tensors.get(name)!;
    if (data.length !== elements) return `length of ${name}`;
    const start = 8 + headerBytes + begin;
    for (let i = 0; i < elements; i++) {
      const at = start + i * SIZES[dtype];
      const value = READERS[dtype]?.(view, at);
      if (value !== undefined && !Object.is(value, data[i])) return `element ${i} of ${name}`;
    }
  }
  return owner.includes(undefined as unknown as string) ? 'a byte that belongs to nothing' : undefined;
}

const arrays: [string, SafetensorsArray][] = [
  ['w', { dtype: 'F32', shape: [2, 3], data: Float32Array.of(1, -2, 3, 0.5, 1e-9, 7) }],
  ['bias', { dtype: 'F32', shape: [3], data: Float32Array.of(1, 2, 3) }],
  ['n', { dtype: 'I64', shape: [], data: BigInt64Array.of(-5n) }],
  ['é"', { dtype: 'I32', shape: [1, 1], data: Int32Array.of(9) }],
  ['raw', { dtype: 'U8', shape: [4], data: Uint8Array.of(1, 2, 3, 4) }],
  ['none', { dtype: 'U8', shape: [0], data: new Uint8Array(0) }],
];
const seeds = [0, 1, 2, 3, 6].map((n) => Buffer.from(encodeSafetensors({ tensors: new Map(arrays.slice(0, n)), metadata: new Map(n % 2 ? [['step', '12'], ['é', '"']] : []) })));

const TOKENS = ['"__proto__"', '"__metadata__"', 'null', '-1', '1e3', '0.5', '9007199254740993', '18446744073709551616', '[[[[[[[[[[', '{}', '[]', '""', '"F16"', '"BF16"', '"U8"', ',', ':', '"', '\\', '\\u0000', ' ', '0', '1', '2', '4', '8', '\xff', '\0'].map((token) => Buffer.from(token, 'latin1'));

/** A file with one to three random changes: mostly to the header, sometimes to its length, to the data or to the end. */
function mutate(random: RandomStream): Buffer {
  let file = Buffer.from(seeds[random.integer(seeds.length)]);
  let headerBytes = Number(file.readBigUInt64LE(0));
  const splice = (at: number, removed: number, added: Uint8Array): void => {
    file = Buffer.concat([file.subarray(0, at), added, file.subarray(at + removed)]);
    headerBytes += added.length - removed;
  };
  for (let changes = 1 + random.integer(3); changes > 0 && headerBytes > 4; changes--) {
    const at = 8 + random.integer(headerBytes), rest = 8 + headerBytes - at;
    const kind = random.integer(10);
    if (kind === 0) file[at] ^= 1 << random.integer(8);
    else if (kind === 1) splice(at, Math.min(rest, 1 + random.integer(8)), Buffer.alloc(0));
    else if (kind === 2) splice(at, 0, TOKENS[random.integer(TOKENS.length)]);
    else if (kind === 3) splice(at, Math.min(rest, 1 + random.integer(3)), TOKENS[random.integer(TOKENS.length)]);
    else if (kind === 4) splice(at, 0, file.subarray(8 + random.integer(headerBytes), 8 + headerBytes)); // a tail once more
    else if (kind <= 8) { // a digit becomes another: where overlaps, holes and wrong sizes come from
      const digits = [...file.subarray(8, 8 + headerBytes).toString('latin1').matchAll(/\d/g)];
      if (digits.length > 0) file[8 + digits[random.integer(digits.length)].index] = 48 + random.integer(10);
    } else if (file.length > 8 + headerBytes) file = random.integer(2) ? file.subarray(0, file.length - 1) : Buffer.concat([file, Buffer.alloc(1)]);
  }
  file.writeBigUInt64LE(BigInt(random.integer(20) ? headerBytes : random.integer(2) ? random.uint32() : headerBytes + random.integer(9)));
  return file;
}

test('100,000 mutated files: each is refused with a sentence or read as it says', (t) => {
  const random = new RandomStream(20230618);
  let accepted = 0, refused = 0;
  const reasons = new Set<string>();
  for (let i = 0; i < 100_000; i++) {
    const file = mutate(random);
    let content: Safetensors;
    try {
      content = decodeSafetensors(file, 'f');
    } catch (error) {
      if (!(error instanceof UserError)) throw new Error(`mutant ${i} crashed the reader: ${file.toString('latin1')}`, { cause: error });
      refused++;
      reasons.add(error.message.replace(/'[^]*'|\d+/g, '_').slice(0, 80));
      continue;
    }
    accepted++;
    const why = whyUnsound(file, content);
    if (why !== undefined) t.fail(`mutant ${i} was read although it is unsound (${why}): ${file.toString('latin1')}`);
  }
  t.log(`${accepted} read, ${refused} refused for ${reasons.size} kinds of reasons`);
  t.true(accepted > 1000 && reasons.size > 20, 'the mutants reach both sides');
});

test('a long header of nothing but quotes, brackets or one string does not exhaust the stack', (t) => {
  for (const text of [`{"a":${'['.repeat(1e6)}`, `{"${'x'.repeat(2e7)}`, `{"${'\\n'.repeat(5e6)}":1}`, `{${'"a":{},'.repeat(2e5)}`, `{"a":${'1'.repeat(1e6)}}`]) {
    const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from(text)]);
    bytes.writeBigUInt64LE(BigInt(text.length));
    t.throws(() => decodeSafetensors(bytes, 'f'), { instanceOf: UserError });
  }
});
