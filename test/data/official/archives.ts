/** Archives made by hand, byte by byte, so that they can be wrong in every way. */
import { crc32, deflateRawSync } from 'node:zlib';

/** An entry of a tar archive; what isn't said is right. */
export interface TarEntry { name: string; content?: Uint8Array; type?: string; size?: number; link?: string; magic?: string; prefix?: string; base256?: boolean; checksum?: number }

/** A header of 512 bytes, the content, and zeros up to a whole block. */
export function tarEntry({ name, content = Buffer.alloc(0), type = name.endsWith('/') ? '5' : '0', size = content.length, link = '', magic = 'ustar\x0000', prefix = '', base256 = false, checksum }: TarEntry): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100, 'utf8');
  header.write('0000644\x000000000\x000000000\0', 100, 'latin1');
  if (base256) {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(size), 128);
  } else header.write(`${size.toString(8).padStart(11, '0')} `, 124, 'latin1');
  header.write('00000000000 ', 136, 'latin1');
  header.write(`        ${type}`, 148, 'latin1');
  header.write(link, 157, 100, 'utf8');
  header.write(magic, 257, 'latin1');
  header.write(prefix, 345, 155, 'utf8');
  const sum = checksum ?? header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A tar archive with its end. */
export const tar = (...entries: (TarEntry | Buffer)[]): Buffer => Buffer.concat([...entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry))), Buffer.alloc(1024)]);

/** A line of a pax header. */
export function paxLine(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length++;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

/** An entry of a zip archive; what isn't said is right. */
export interface ZipEntry {
  name: string | Buffer;
  content?: Uint8Array;
  /** 8: deflated, 0: stored. */
  method?: number;
  crc?: number;
  /** Sizes as the directory claims them. */
  size?: number;
  packedSize?: number;
  flags?: number;
  /** Mode of Unix, in the upper half of the attributes. */
  mode?: number;
  /** Where the directory says that it begins. */
  offset?: number;
  /** Whether its sizes and place stand in a zip64 field. */
  zip64?: boolean;
}

/** A zip archive (APPNOTE.TXT 6.3.10). @param zip64 whether its directory's place and size stand in the zip64 records */
export function zip(entries: readonly ZipEntry[], zip64 = false): Buffer {
  const local: Buffer[] = [], directory: Buffer[] = [];
  let at = 0;
  for (const { name, content = Buffer.alloc(0), method = 8, crc = crc32(content), flags = 0x800, mode = 0, ...entry } of entries) {
    const nameBytes = Buffer.isBuffer(name) ? name : Buffer.from(name), packed = method === 8 ? deflateRawSync(content) : Buffer.from(content);
    const { size = content.length, packedSize = packed.length, offset = at, zip64: isLarge = false } = entry;
    const head = Buffer.alloc(30);
    head.writeUInt32LE(0x04034b50, 0);
    head.writeUInt16LE(20, 4);
    head.writeUInt16LE(flags, 6);
    head.writeUInt16LE(method, 8);
    head.writeUInt32LE(crc, 14);
    head.writeUInt32LE(isLarge ? 0xffffffff : packedSize, 18);
    head.writeUInt32LE(isLarge ? 0xffffffff : size, 22);
    head.writeUInt16LE(nameBytes.length, 26);
    local.push(head, nameBytes, packed);
    at += 30 + nameBytes.length + packed.length;

    const extra = Buffer.alloc(isLarge ? 28 : 0);
    if (isLarge) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      [size, packedSize, offset].forEach((value, i) => extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
    }
    const line = Buffer.alloc(46);
    line.writeUInt32LE(0x02014b50, 0);
    line.writeUInt16LE((3 << 8) | 45, 4);
    line.writeUInt16LE(20, 6);
    line.writeUInt16LE(flags, 8);
    line.writeUInt16LE(method, 10);
    line.writeUInt32LE(crc, 16);
    line.writeUInt32LE(isLarge ? 0xffffffff : packedSize, 20);
    line.writeUInt32LE(isLarge ? 0xffffffff : size, 24);
    line.writeUInt16LE(nameBytes.length, 28);
    line.writeUInt16LE(extra.length, 30);
    line.writeUInt32LE((mode << 16) >>> 0, 38);
    line.writeUInt32LE(isLarge ? 0xffffffff : offset, 42);
    directory.push(line, nameBytes, extra);
  }
  const lines = Buffer.concat(directory), tail = Buffer.alloc(22);
  const end64 = Buffer.alloc(zip64 ? 76 : 0);
  if (zip64) {
    end64.writeUInt32LE(0x06064b50, 0);
    end64.writeBigUInt64LE(44n, 4);
    end64.writeUInt16LE(45, 12);
    end64.writeUInt16LE(45, 14);
    [entries.length, entries.length, lines.length, at].forEach((value, i) => end64.writeBigUInt64LE(BigInt(value), 24 + 8 * i));
    end64.writeUInt32LE(0x07064b50, 56);
    end64.writeBigUInt64LE(BigInt(at + lines.length), 64);
    end64.writeUInt32LE(1, 72);
  }
  tail.writeUInt32LE(0x06054b50, 0);
  tail.writeUInt16LE(zip64 ? 0xffff : entries.length, 8);
  tail.writeUInt16LE(zip64 ? 0xffff : entries.length, 10);
  tail.writeUInt32LE(zip64 ? 0xffffffff : lines.length, 12);
  tail.writeUInt32LE(zip64 ? 0xffffffff : at, 16);
  return Buffer.concat([...local, lines, end64, tail]);
}
