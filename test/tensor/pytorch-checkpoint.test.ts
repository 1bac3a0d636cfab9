import { readFileSync } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { UserError } from '../../src/errors.js';
import { decodePytorchCheckpoint, readPytorchCheckpoint, type PytorchCheckpoint } from '../../src/tensor/pytorch-checkpoint.js';
import { checkpointOf, pickleOf, storedZip, tensorParts } from './pytorch-files.js';

const fixture = (name: string): string => `test/fixtures/pytorch/${name}`;
const float = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
interface Saved { shape: number[]; floating: boolean; values: (number | string)[] }
const saved = JSON.parse(readFileSync(fixture('values.json'), 'utf8')) as { content: Record<string, Saved>; state: Record<string, Saved> };

/** The arrays of a checkpoint in the way in which values.json writes them. */
function written({ parameters, integers }: PytorchCheckpoint): Record<string, Saved> {
  const floats = Object.entries(parameters).map(([name, { shape, data }]): [string, Saved] => [name, { shape: [...shape], floating: true, values: Array.from(new Uint32Array(data.buffer, data.byteOffset, data.length)) }]);
  const whole = [...integers].map(([name, { shape, data }]): [string, Saved] => [name, { shape: [...shape], floating: false, values: Array.from(data as ArrayLike<number | bigint>, String) }]);
  return Object.fromEntries([...floats, ...whole]);
}

/** NaN has many bit patterns; which one a widened half gets, nothing promises. */
const oneNan = (all: Record<string, Saved>): Record<string, Saved> =>
  Object.fromEntries(Object.entries(all).map(([name, one]) => [name, { ...one, values: one.values.map((bits) => (typeof bits === 'number' && (bits & 0x7fffffff) > 0x7f800000 ? 'NaN' : bits)) }]));

test('two by two numbers by hand, the second matrix the transpose of the first in the same storage', (t) => {
  const pickle = pickleOf('}', '(', ['a'], ...tensorParts('0', 4, 0, [2, 2], [2, 1]), ['b'], ...tensorParts('0', 4, 0, [2, 2], [1, 2]), ['epoch'], 7, 'u', '.');
  const { parameters, integers, rest } = decodePytorchCheckpoint(checkpointOf(pickle, [float(1, 2, 3, 4)]), 'f');
  t.deepEqual(parameters, { a: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }, b: { shape: [2, 2], data: Float32Array.of(1, 3, 2, 4) } });
  t.is(integers.size, 0);
  t.deepEqual([...rest], [['epoch', 7]]);
});

for (const name of ['zip.pth', 'legacy.pth']) {
  test(`${name}: every tensor has torch's shape and bits, whatever its type, strides, offset and storage; the rest is plain data`, (t) => {
    const checkpoint = readPytorchCheckpoint(fixture(name));
    t.deepEqual(oneNan(written(checkpoint)), oneNan(saved.content));
    const { rest } = checkpoint;
    t.deepEqual([...rest.keys()], ['list', 'optimizer', 'args', 'epoch', 'size', 'nothing', 'none', 'é']);
    t.deepEqual(rest.get('args'), new Map<string, unknown>([['lr', 1e-4], ['lr_backbone', 1e-5], ['masks', false], ['frozen_weights', null], ['backbone', 'resnet50'], ['epochs', 300], ['clip', 0.1], ['gpus', [0, 1]], ['seed', 2n ** 70n]]) as never);
    t.deepEqual([rest.get('list'), rest.get('epoch'), rest.get('size'), rest.get('nothing'), rest.get('none'), rest.get('é')], [['text', [2]], 299, [2, 3, 4], null, new Map(), 'ü\n']);
    t.is((rest.get('optimizer') as Map<string, Map<string, Map<string, unknown>>>).get('param_groups') !== undefined, true);
  });
}

test('a bare state dictionary has its own names', (t) => {
  const checkpoint = readPytorchCheckpoint(fixture('state-dict.pth'));
  t.deepEqual(written(checkpoint), saved.state);
  t.is(checkpoint.rest.size, 0);
});

const refused = (t: { throws: (f: () => unknown, e: { instanceOf: typeof UserError; message: RegExp }) => unknown }, bytes: Uint8Array, message: RegExp): void => {
  t.throws(() => decodePytorchCheckpoint(bytes, 'f.pth'), { instanceOf: UserError, message });
};

test('a pickle that would run a command is refused by the name of what it asks for, and runs nothing', (t) => {
  for (const name of ['malicious.pth', 'malicious-legacy.pth', 'malicious-bare.pth']) {
    t.throws(() => readPytorchCheckpoint(fixture(name)), { instanceOf: UserError, message: /^test\/fixtures\/pytorch\/malicious.*\.pth is refused: its pickle asks for the global "(posix|nt)\.system" .*nothing of it was run.*torch\.save/ });
  }
  for (const name of ['__builtin__\neval', 'builtins\nexec', 'torch\nload', 'collections\ndefaultdict', 'torch._utils\n__proto__', 'torch\nShortStorage']) {
    refused(t, checkpointOf(pickleOf(`c${name}\n`, '.')), new RegExp(`asks for the global "${name.replace('\n', '\\.')}"`));
  }
});

test('every opcode that is not read is refused by its name', (t) => {
  const opcodes = { INT: 'I', LONG: 'L', FLOAT: 'F', STRING: 'S', UNICODE: 'V', BINBYTES: 'B', SHORT_BINBYTES: 'C', POP: '0', POP_MARK: '1', DUP: '2', PERSID: 'P', INST: 'i', OBJ: 'o', LIST: 'l', DICT: 'd', GET: 'g', PUT: 'p', EXT1: '\x82', EXT2: '\x83', EXT4: '\x84', LONG4: '\x8b', SHORT_BINUNICODE: '\x8c', BINUNICODE8: '\x8d', BINBYTES8: '\x8e', EMPTY_SET: '\x8f', ADDITEMS: '\x90', FROZENSET: '\x91', NEWOBJ_EX: '\x92', STACK_GLOBAL: '\x93', MEMOIZE: '\x94', FRAME: '\x95', BYTEARRAY8: '\x96', NEXT_BUFFER: '\x97', READONLY_BUFFER: '\x98' };
  for (const [name, opcode] of Object.entries(opcodes)) refused(t, checkpointOf(pickleOf('}', opcode, '.')), new RegExp(`is refused: its pickle has the opcode ${name} at byte 3 `));
  refused(t, checkpointOf(pickleOf('\xff')), /the opcode 0xff at byte 2/);
  t.throws(() => readPytorchCheckpoint(fixture('protocol-4.pth')), { instanceOf: UserError, message: /protocol 4, only 2 is read/ });
});

test('an allowed global is used only in its own way', (t) => {
  refused(t, checkpointOf(pickleOf('ctorch\nFloatStorage\n', ')', 'R', '.')), /calls the global 'torch.FloatStorage'/);
  refused(t, checkpointOf(pickleOf('ctorch\nSize\n', ')', '\x81', '.')), /makes a new 'torch.Size'/);
  refused(t, checkpointOf(pickleOf('cargparse\nNamespace\n', 1, '\x85', '\x81', '.')), /makes a new 'argparse.Namespace'/);
  refused(t, checkpointOf(pickleOf('ctorch._utils\n_rebuild_tensor_v2\n', ')', 'R', '.')), /calls 'torch._utils._rebuild_tensor_v2' with arguments/);
  refused(t, checkpointOf(pickleOf('}', ['x'], 'ctorch\nSize\n', 's', '.')), /'x' is a type or a bare storage/);
  refused(t, checkpointOf(pickleOf(1, '}', 'b', '.')), /gives a state to what takes none \(opcode BUILD/);
  refused(t, checkpointOf(pickleOf(1, '.')), /no dictionary at its root/);
  const python2 = decodePytorchCheckpoint(checkpointOf(pickleOf('ccollections\nOrderedDict\n', ']', ']', '(', 'U\x01k', 5, 'e', 'a', '\x85', 'R', '.')), 'f');
  t.is(python2.rest.get('k'), 5, "Python 2's ordered dictionaries and texts");
});

test('sizes that the file does not have are refused before memory is taken', (t) => {
  const one = (...parts: (string | [string] | number)[]): Buffer => checkpointOf(pickleOf('}', ['w'], ...parts, 's', '.'), [float(1, 2, 3, 4)]);
  refused(t, one(...tensorParts('0', 4, 1, [4], [1])), /tensor \[4\] with strides \[1\] from element 1 leaves its storage '0' of 4 elements/);
  refused(t, one(...tensorParts('0', 4, 0, [2, 2], [3, 1])), /leaves its storage/);
  refused(t, one(...tensorParts('0', 0x7fffffff, 0, [4], [1])), /storage '0' claims 8589934588 bytes, more than the file has/);
  refused(t, one(...tensorParts('0', 4, 0, [0x7fffffff, 4], [0, 1])), /more than 4 times the file's \d+ bytes, 'w'/);
  refused(t, one(...tensorParts('0', 4, 0, [0x7fffffff, 0x7fffffff, 0x7fffffff], [0, 0, 0])), /leaves its storage/);
  refused(t, one(...tensorParts('0', 3, 0, [3], [1])), /entry 'a\/data\/0' has 16 bytes, 3 elements of FloatStorage take 12/);
  refused(t, one(...tensorParts('7', 4, 0, [4], [1])), /entry 'a\/data\/7' is missing/);
  refused(t, one(...tensorParts('0', 4, -1, [1], [1])), /arguments that it does not take/);
  refused(t, one('X\xff\xff\xff\xff'), /asks for 4294967295 bytes where \d+ are left \(opcode BINUNICODE/);
  refused(t, one('h\x05'), /recalls value 5/);
  refused(t, checkpointOf(pickleOf('('.repeat(1001))), /nests more than 1000 containers/);
  refused(t, checkpointOf(pickleOf(']', ']a'.repeat(500_001))), /has more than 1000000 opcodes/);
  refused(t, checkpointOf(pickleOf('N'.repeat(100_001))), /stacks more than 100000 values/);
  refused(t, checkpointOf(pickleOf('}', 'q\0', ['me'], 'h\0', 's', '.')), /nested deeper than 32/);
  refused(t, checkpointOf(pickleOf('}', ['__proto__'], ...tensorParts('0', 4, 0, [4], [1]), 's', '.'), [float(1, 2, 3, 4)]), /'__proto__' is a forbidden name/);
});

test('lists that hold the same list twice, 25 levels deep, end in a sentence', (t) => {
  const levels = Array.from({ length: 25 }, (_, i) => [']', `q${String.fromCharCode(i + 1)}`, '(', `h${String.fromCharCode(i)}`, `h${String.fromCharCode(i)}`, 'e', `q${String.fromCharCode(i + 1)}`]).flat();
  refused(t, checkpointOf(pickleOf('(', ']', 'q\0', ...levels, 't', 'q\x7f', '.')), /no dictionary/);
  refused(t, checkpointOf(pickleOf('}', ['x'], '(', ']', 'q\0', ...levels, 't', 's', '.')), /holds more than 1000000 values/);
});

test('zip: zip64 is read; damage, compression, encryption and names that leave the folder are refused by the entry', (t) => {
  const pickle = pickleOf('}', ['w'], ...tensorParts('0', 2, 0, [2], [1]), 's', '.');
  const entries: [string, Uint8Array][] = [['a/data.pkl', pickle], ['a/data/0', float(1, 2)]];
  t.deepEqual(decodePytorchCheckpoint(storedZip(entries, { zip64: true }), 'f').parameters.w.data, Float32Array.of(1, 2));
  refused(t, storedZip(entries, { method: 8 }), /entry 'a\/data.pkl' is compressed \(method 8\)/);
  refused(t, storedZip(entries, { flags: 1 }), /entry 'a\/data.pkl' is encrypted/);
  refused(t, storedZip([entries[0]], { localName: 'a/other.pk' }), /has another name where it begins/);
  refused(t, storedZip(entries, { count: 60_000 }), /claims 60000 entries/);
  refused(t, storedZip([...entries, entries[1]]), /entry 'a\/data\/0' is there twice/);
  for (const name of ['../x', '/x', 'a/../../x', 'C:\\x', '\\x', 'a\\..\\x']) refused(t, storedZip([...entries, [name, float(1)]]), /leaves the archive's folder/);
  refused(t, storedZip([entries[1]]), /no entry 'NAME\/data.pkl'/);
  refused(t, storedZip([...entries, ['a/constants.pkl', float(1)]]), /TorchScript/);
  refused(t, storedZip([...entries, ['a/byteorder', Buffer.from('big')]]), /byteorder' is not 'little'/);
  const flipped = storedZip(entries);
  flipped[flipped.indexOf(Buffer.from(float(1, 2)))] ^= 1;
  refused(t, flipped, /the CRC-32 of its entry 'a\/data\/0' is wrong/);
  refused(t, new Uint8Array(0), /begins neither/);
  t.throws(() => readPytorchCheckpoint('no/such.pth'), { instanceOf: UserError, message: /^no\/such\.pth can't be read/ });
});

test('a strided view of any shape reads what indexing says', (t) => {
  fc.assert(fc.property(fc.array(fc.record({ d: fc.integer({ min: 0, max: 3 }), stride: fc.integer({ min: 0, max: 4 }) }), { maxLength: 4 }), fc.integer({ min: 0, max: 5 }), (dimensions, offset) => {
    const shape = dimensions.map(({ d }) => d), strides = dimensions.map(({ stride }) => stride);
    const storage = Array.from({ length: 60 }, (_, i) => i + 0.5);
    const pickle = pickleOf('}', ['w'], ...tensorParts('0', 60, offset, shape, strides), 's', '.');
    const expected = shape.reduce<number[]>((starts, d, i) => starts.flatMap((start) => Array.from({ length: d }, (_, j) => start + j * strides[i])), [offset]).map((i) => storage[i]);
    const { data, shape: read } = decodePytorchCheckpoint(checkpointOf(pickle, [float(...storage)]), 'f').parameters.w;
    t.deepEqual([...data], expected);
    t.deepEqual(read, shape);
  }), { numRuns: 300 });
});
