/** A file of an archive: its path in it, with `/`, and what it holds. */
export interface ArchivedFile {
  path: string;
  content: Uint8Array;
  executable?: boolean;
}

const BLOCK = 512;
/** 2000-01-01: the same for every file, so that the same files make the same archive. */
const TIME = 946_684_800;

/** The end of an archive: two blocks of zeros. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/**
 * A file as POSIX's ustar format has it: a block of 512 bytes that describes it, and its content, filled up to whole blocks. Owner (root), time
 * and permissions are the same on every machine. IEEE Std 1003.1, pax, "ustar Interchange Format".
 * @throws Error when the path is too long for the format (100 characters, 155 more before a `/`) or holds other characters than ASCII's
 */
export function tarEntry({ path, content, executable = false }: ArchivedFile): Buffer[] {
  const { name, prefix } = splitPath(path);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number): void => void header.write(value.toString(8).padStart(digits, '0'), at, 'latin1');
  header.write(name, 0, 'latin1');
  octal(executable ? 0o755 : 0o644, 100, 7);
  octal(0, 108, 7); // owner
  octal(0, 116, 7); // group
  octal(content.length, 124, 11);
  octal(TIME, 136, 11);
  header.write(`        0`, 148, 'latin1'); // a checksum of spaces while it is computed; type 0: a file
  header.write('ustar\x0000root', 257, 'latin1');
  header.write('root', 297, 'latin1');
  header.write(prefix, 345, 'latin1');
  const sum = header.reduce((a, b) => a + b, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return [header, Buffer.from(content.buffer, content.byteOffset, content.length), Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
}

/** A path in the two fields that ustar has for it. */
function splitPath(path: string): { name: string; prefix: string } {
  if (!/^[\x20-\x7e]+$/.test(path)) throw new Error(`${path}: only ASCII can be archived`);
  if (path.length <= 100) return { name: path, prefix: '' };
  const at = path.indexOf('/', path.length - 101);
  if (at < 1 || at > 155 || at === path.length - 1) throw new Error(`${path} is too long for an archive`);
  return { name: path.slice(at + 1), prefix: path.slice(0, at) };
}
