import { UserError, messageOf } from '../errors.js';
import { readBytes, writeFileAtomic } from '../files.js';
import { widenBrainFloat, widenHalf } from './half.js';
import { parseStrictJson, type StrictJson } from './strict-json.js';

/** One array of a safetensors file, row-major. F16 and BF16 are widened to F32 when they are read; F16 is only written. */
export type SafetensorsArray =
  | { dtype: 'F32'; shape: readonly number[]; data: Float32Array }
  | { dtype: 'I32'; shape: readonly number[]; data: Int32Array }
  | { dtype: 'I64'; shape: readonly number[]; data: BigInt64Array }
  | { dtype: 'U8'; shape: readonly number[]; data: Uint8Array }
  | { dtype: 'F16'; shape: readonly number[]; data: Uint16Array };

/** What a safetensors file holds: arrays and notes, by name. */
export interface Safetensors {
  tensors: Map<string, SafetensorsArray>;
  metadata: Map<string, string>;
}

/** Longest header that is read, in bytes: the limit of the format's reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

const ELEMENT_BYTES: Record<string, number> = { F32: 4, I32: 4, I64: 8, U8: 1, F16: 2, BF16: 2 };
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']); // they would change what a plain object is

interface Entry { name: string; dtype: string; shape: number[]; begin: number; end: number }

/**
 * Reads a safetensors file (https://github.com/huggingface/safetensors, "Format").
 * @throws UserError that names the file and the key when the file is missing or is damaged in any way
 */
export function readSafetensors(file: string): Safetensors {
  return decodeSafetensors(readBytes(file, 'check the path, or make the file again'), file);
}

/** Writes a safetensors file atomically. @throws UserError when it can't be written; Error when an array contradicts its shape */
export function writeSafetensors(file: string, content: Safetensors): void {
  writeFileAtomic(file, encodeSafetensors(content));
}

/**
 * The arrays and notes in the bytes of a safetensors file; they share no memory with `bytes`.
 * @param file what errors call it
 * @throws UserError for a header that is too long, is no strict JSON, names something twice, has unknown keys or types; for sizes
 *   that don't match; for arrays that overlap, leave holes or bytes behind the last one
 */
export function decodeSafetensors(bytes: Uint8Array, file: string): Safetensors {
  const refuse = (what: string): never => {
    throw new UserError(`${file} is no sound safetensors file: ${what}; get or make the file again`);
  };
  if (bytes.length < 8) refuse(`it has ${bytes.length} bytes, a header's length alone takes 8`);
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (headerBytes > MAX_HEADER_BYTES) refuse(`its header claims ${headerBytes} bytes, the limit is ${MAX_HEADER_BYTES}`);
  const dataStart = 8 + Number(headerBytes);
  if (dataStart > bytes.length) refuse(`its header claims ${headerBytes} bytes, the file ends after ${bytes.length - 8}`);
  if (bytes[8] !== 0x7b) refuse("its header does not begin with '{'");

  let header: StrictJson = null;
  try {
    header = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart)));
  } catch (error) {
    refuse(`its header ${error instanceof TypeError ? 'is no UTF-8' : messageOf(error)}`);
  }

  const metadata = new Map<string, string>();
  const entries: Entry[] = [];
  for (const [name, value] of header as Map<string, StrictJson>) {
    if (name === '__metadata__') {
      if (!(value instanceof Map)) return refuse("'__metadata__' should be an object of strings");
      for (const [key, text] of value) {
        if (FORBIDDEN_NAMES.has(key)) refuse(`'__metadata__.${key}' is a forbidden name`);
        if (typeof text !== 'string') return refuse(`'__metadata__.${key}' should be a string`);
        metadata.set(key, text);
      }
    } else {
      entries.push(readEntry(name, value, refuse));
    }
  }

  const inFileOrder = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = 0;
  for (const { name, begin, end } of inFileOrder) {
    if (begin !== reached) refuse(`'${name}' ${begin < reached ? 'overlaps another array' : `leaves a hole of ${begin - reached} bytes before it`}`);
    reached = end;
  }
  const dataBytes = bytes.length - dataStart;
  if (reached !== dataBytes) refuse(reached > dataBytes ? `'${inFileOrder.at(-1)!.name}' ends ${reached - dataBytes} bytes behind the file's end` : `${dataBytes - reached} bytes follow its last array`);

  const tensors = new Map(entries.map((entry) => [entry.name, readArray(entry, new Uint8Array(bytes.subarray(dataStart + entry.begin, dataStart + entry.end)))]));
  return { tensors, metadata };
}

/** Checks one array's line of the header: types, keys, and that shape, type and offsets agree. */
function readEntry(name: string, value: StrictJson, refuse: (what: string) => never): Entry {
  if (FORBIDDEN_NAMES.has(name)) refuse(`'${name}' is a forbidden name`);
  if (!(value instanceof Map)) return refuse(`'${name}' should be an object with dtype, shape and data_offsets`);
  for (const key of value.keys()) if (!['dtype', 'shape', 'data_offsets'].includes(key)) refuse(`'${name}' has the unknown key '${key}'`);
  const dtype = value.get('dtype'), shape = value.get('shape'), offsets = value.get('data_offsets');
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) return refuse(`'${name}.dtype' should be one of ${Object.keys(ELEMENT_BYTES).join(', ')}`);
  if (!isListOfCounts(shape)) return refuse(`'${name}.shape' should be a list of whole numbers, none below 0`);
  if (!isListOfCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) return refuse(`'${name}.data_offsets' should be two whole numbers, the first not above the second`);
  let size = ELEMENT_BYTES[dtype];
  for (const d of shape) {
    size *= d;
    if (!Number.isSafeInteger(size)) refuse(`'${name}.shape' has too many elements`);
  }
  const [begin, end] = offsets;
  if (end - begin !== size) refuse(`'${name}' should take ${size} bytes for [${shape.join(', ')}] of ${dtype}, its offsets say ${end - begin}`);
  return { name, dtype, shape, begin, end };
}

function isListOfCounts(value: StrictJson | undefined): value is number[] {
  return Array.isArray(value) && value.every((n) => typeof n === 'number' && n >= 0);
}

/** An array over its own copy of bytes, which is aligned whatever the offset in the file was. */
function readArray({ dtype, shape }: Entry, bytes: Uint8Array): SafetensorsArray {
  const { buffer } = bytes;
  if (dtype === 'I32') return { dtype, shape, data: new Int32Array(buffer) };
  if (dtype === 'I64') return { dtype, shape, data: new BigInt64Array(buffer) };
  if (dtype === 'U8') return { dtype, shape, data: bytes };
  if (dtype === 'F16') return { dtype: 'F32', shape, data: widenHalf(new Uint16Array(buffer)) };
  if (dtype === 'BF16') return { dtype: 'F32', shape, data: widenBrainFloat(new Uint16Array(buffer)) };
  return { dtype: 'F32', shape, data: new Float32Array(buffer) };
}

/**
 * The bytes of a safetensors file. The same content gives the same bytes whatever the order of its maps: notes are sorted by
 * name, arrays by element size (so that all are aligned) and name, and the header is padded to a multiple of 8.
 * @throws Error when an array contradicts its shape or a name can't be used
 */
export function encodeSafetensors({ tensors, metadata }: Safetensors): Uint8Array {
  const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);
  const arrays = [...tensors].sort((a, b) => b[1].data.BYTES_PER_ELEMENT - a[1].data.BYTES_PER_ELEMENT || byName(a, b));
  for (const name of metadata.keys()) if (FORBIDDEN_NAMES.has(name)) throw new Error(`'${name}' can't name a note`);
  const header: [string, unknown][] = [];
  if (metadata.size > 0) header.push(['__metadata__', Object.fromEntries([...metadata].sort(byName))]);
  let at = 0;
  for (const [name, { dtype, shape, data }] of arrays) {
    if (FORBIDDEN_NAMES.has(name) || name === '__metadata__') throw new Error(`'${name}' can't name an array`);
    const elements = shape.reduce((product, d) => product * d, 1);
    if (data.length !== elements) throw new Error(`'${name}' has ${data.length} elements, its shape [${shape.join(', ')}] asks for ${elements}`);
    header.push([name, { dtype, shape, data_offsets: [at, (at += data.byteLength)] }]);
  }
  const json = Buffer.from(`{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerBytes + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(0x20, 8, 8 + headerBytes).set(json, 8);
  let start = 8 + headerBytes;
  for (const [, { data }] of arrays) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start);
    start += data.byteLength;
  }
  return bytes;
}
