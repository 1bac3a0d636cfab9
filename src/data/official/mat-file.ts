import { inflateSync } from 'node:zlib';

/** A value of a MAT-file: text, numbers in column order, a list of structs; undefined for what this doesn't read (cells, sparse arrays, objects). */
export type MatValue = string | number[] | MatStruct[] | undefined;
export type MatStruct = Record<string, MatValue>;

/** Refuses a file: throws an error that says what is wrong with it. */
type Refuse = (what: string) => never;

const INT8 = 1, INT32 = 5, UINT32 = 6, MATRIX = 14, COMPRESSED = 15;
const STRUCT = 2, CHARACTERS = 4;
/** Bytes that a compressed variable may become: ImageNet's is a few hundred kilobytes. */
const MAX_INFLATED = 1 << 26;

/** Reads a number by its type in the file. */
const NUMBERS: Record<number, readonly [bytes: number, read: (data: DataView, at: number) => number]> = {
  1: [1, (data, at) => data.getInt8(at)], 2: [1, (data, at) => data.getUint8(at)], 3: [2, (data, at) => data.getInt16(at, true)], 4: [2, (data, at) => data.getUint16(at, true)],
  5: [4, (data, at) => data.getInt32(at, true)], 6: [4, (data, at) => data.getUint32(at, true)], 7: [4, (data, at) => data.getFloat32(at, true)], 9: [8, (data, at) => data.getFloat64(at, true)],
  12: [8, (data, at) => Number(data.getBigInt64(at, true))], 13: [8, (data, at) => Number(data.getBigUint64(at, true))], 16: [1, (data, at) => data.getUint8(at)], 17: [2, (data, at) => data.getUint16(at, true)],
};

/**
 * The variables of a MAT-file of level 5, little-endian, as MATLAB 5 to 7 write it ("MAT-File Format", MathWorks). Version 7.3 is another format (HDF5).
 * @param refuse called for anything damaged or of another format
 */
export function readMatFile(bytes: Buffer, refuse: Refuse): MatStruct {
  if (bytes.length < 128 || bytes.toString('latin1', 126, 128) !== 'IM') refuse('it is no MAT-file of level 5');
  const variables: MatStruct = {};
  try {
    for (const element of elements(bytes.subarray(128), refuse)) {
      const [matrix] = element.type === COMPRESSED ? elements(inflateSync(element.data, { maxOutputLength: MAX_INFLATED }), refuse) : [element];
      if (matrix?.type !== MATRIX) continue;
      const { name, value } = readMatrix(matrix.data, refuse);
      variables[name] = value;
    }
  } catch (error) {
    if (error instanceof RangeError || (error instanceof Error && 'code' in error)) refuse(`it is damaged (${error.message})`);
    throw error;
  }
  return variables;
}

interface Element { type: number; data: Buffer }

/** Data elements one after the other, each filled up to 8 bytes; small ones (up to 4 bytes) have them in their tag. */
function elements(bytes: Buffer, refuse: Refuse): Element[] {
  const found: Element[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const first = bytes.readUInt32LE(at), small = first >>> 16;
    const type = small > 0 ? first & 0xffff : first, size = small > 0 ? small : bytes.readUInt32LE(at + 4), begin = at + (small > 0 ? 4 : 8);
    if (begin + size > bytes.length || (small > 4)) refuse('it is cut off');
    found.push({ type, data: bytes.subarray(begin, begin + size) });
    at = small > 0 ? at + 8 : begin + (type === COMPRESSED ? size : Math.ceil(size / 8) * 8);
  }
  return found;
}

function readMatrix(bytes: Buffer, refuse: Refuse): { name: string; value: MatValue } {
  if (bytes.length === 0) return { name: '', value: [] }; // an empty array may be nothing at all
  const [flags, dimensions, name, ...content] = elements(bytes, refuse);
  if (flags?.type !== UINT32 || dimensions?.type !== INT32 || name?.type !== INT8) refuse('the head of an array is damaged');
  const kind = flags.data[0], count = numbers(dimensions, refuse).reduce((product, size) => product * size, 1);
  const named = (value: MatValue): { name: string; value: MatValue } => ({ name: name.data.toString('latin1'), value });
  if (kind === STRUCT) return named(readStructs(content, count, refuse));
  if (kind === CHARACTERS) return named(String.fromCharCode(...numbers(content[0], refuse)));
  return named(kind >= 6 && kind <= 15 ? numbers(content[0], refuse) : undefined);
}

/** A struct array: the length of field names, the names, then each struct's fields. */
function readStructs([length, names, ...values]: Element[], count: number, refuse: Refuse): MatStruct[] {
  const [width] = numbers(length, refuse);
  if (!(width > 0) || names?.type !== INT8) refuse('the fields of a struct are damaged');
  const fields = Array.from({ length: names.data.length / width }, (_, i) => names.data.toString('latin1', i * width, (i + 1) * width).replace(/\0.*$/, ''));
  if (values.length !== count * fields.length) refuse(`a struct array has ${values.length} values, not ${count} times ${fields.length}`);
  return Array.from({ length: count }, (_, i) => Object.fromEntries(fields.map((field, j) => [field, readMatrix(values[i * fields.length + j].data, refuse).value])));
}

function numbers(element: Element | undefined, refuse: Refuse): number[] {
  const [bytes, read] = NUMBERS[element?.type ?? 0] ?? refuse('an array has numbers of an unknown type');
  const { data } = element!, view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: Math.floor(data.length / bytes) }, (_, i) => read(view, i * bytes));
}
