import { crc32 } from 'node:zlib';

/** A zip archive of stored entries, as torch.save writes it; a test may damage what it is made of first. */
export function storedZip(entries: readonly (readonly [string, Uint8Array])[], damage: { method?: number; flags?: number; zip64?: boolean; localName?: string; count?: number } = {}): Buffer {
  const parts: Buffer[] = [], lines: Buffer[] = [];
  let at = 0;
  for (const [name, content] of entries) {
    const title = Buffer.from(name), local = Buffer.alloc(30), line = Buffer.alloc(46), extra = Buffer.alloc(damage.zip64 ? 28 : 0);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(title.length, 26);
    line.writeUInt32LE(0x02014b50);
    line.writeUInt16LE(damage.flags ?? 0, 8);
    line.writeUInt16LE(damage.method ?? 0, 10);
    line.writeUInt32LE(crc32(content), 16);
    line.writeUInt16LE(title.length, 28);
    line.writeUInt16LE(extra.length, 30);
    const sizes = [content.length, content.length, at];
    [24, 20, 42].forEach((place, i) => line.writeUInt32LE(damage.zip64 ? 0xffffffff : sizes[i], place));
    if (damage.zip64) {
      extra.writeUInt16LE(1);
      extra.writeUInt16LE(24, 2);
      sizes.forEach((size, i) => extra.writeBigUInt64LE(BigInt(size), 4 + 8 * i));
    }
    parts.push(local, Buffer.from(damage.localName ?? name), Buffer.from(content));
    lines.push(line, title, extra);
    at += 30 + title.length + content.length;
  }
  const directory = Buffer.concat(lines), count = damage.count ?? entries.length;
  const end = Buffer.alloc(22), end64 = Buffer.alloc(damage.zip64 ? 76 : 0);
  if (damage.zip64) {
    end64.writeUInt32LE(0x06064b50);
    [count, count, directory.length, at].forEach((n, i) => end64.writeBigUInt64LE(BigInt(n), 24 + 8 * i));
    end64.writeUInt32LE(0x07064b50, 56);
    end64.writeBigUInt64LE(BigInt(at + directory.length), 64);
  }
  end.writeUInt32LE(0x06054b50);
  [8, 10].forEach((place) => end.writeUInt16LE(damage.zip64 ? 0xffff : count, place));
  [directory.length, at].forEach((n, i) => end.writeUInt32LE(damage.zip64 ? 0xffffffff : n, 12 + 4 * i));
  return Buffer.concat([...parts, directory, end64, end]);
}

/** A checkpoint in the zip format with any pickle and any storages. */
export const checkpointOf = (pickle: Uint8Array, storages: readonly Uint8Array[] = []): Buffer =>
  storedZip([['a/data.pkl', pickle], ['a/byteorder', Buffer.from('little')], ...storages.map((bytes, i) => [`a/data/${i}`, bytes] as const)]);

const text = (value: string): Buffer => Buffer.concat([Buffer.from('X'), uint32(Buffer.byteLength(value)), Buffer.from(value)]);
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};

/** A pickle of protocol 2 from its opcodes: texts are opcodes as they stand, arrays hold a text value, numbers a 4-byte number. */
export const pickleOf = (...parts: (string | [string] | number)[]): Buffer =>
  Buffer.concat([Buffer.from([0x80, 2]), ...parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : typeof part === 'number' ? Buffer.concat([Buffer.from('J'), uint32(part)]) : text(part[0])))]);

/** The opcodes of a float32 tensor. */
export const tensorParts = (key: string, elements: number, offset: number, shape: readonly number[], strides: readonly number[]): (string | [string] | number)[] => [
  'ctorch._utils\n_rebuild_tensor_v2\n', '(', '(', ['storage'], 'ctorch\nFloatStorage\n', [key], ['cpu'], elements, 't', 'Q', offset,
  '(', ...shape, 't', '(', ...strides, 't', '\x89', 'ccollections\nOrderedDict\n', ')', 'R', 't', 'R',
];
