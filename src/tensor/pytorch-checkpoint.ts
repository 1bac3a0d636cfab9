import { UserError } from '../errors.js';
import { readBytes } from '../files.js';
import type { ParameterValues } from './parameters.js';
import { PickleTuple, readPickle, type PickleKey, type PickleValue } from './pickle.js';
import { PytorchNamespace, PytorchTensor, bytesOf, pytorchRules, readTensor, type PytorchStorage } from './pytorch-tensor.js';
import type { SafetensorsArray } from './safetensors.js';
import { isZip, openStoredZip, type Refuse } from './stored-zip.js';

/** What a checkpoint holds that is no tensor. Tuples are lists, argparse.Namespace is a dictionary, numeric keys are texts. */
export type PlainValue = PickleKey | PlainValue[] | Map<string, PlainValue>;

/** What a PyTorch checkpoint holds. A tensor's name is its path from the outermost dictionary, e.g. 'model.class_embed.bias'. */
export interface PytorchCheckpoint {
  /** Floating-point tensors: half and bfloat16 are widened exactly, double is rounded to float32. */
  parameters: ParameterValues;
  /** Whole numbers and booleans (as 0 and 1), e.g. 'num_batches_tracked'. */
  integers: Map<string, Exclude<SafetensorsArray, { dtype: 'F32' }>>;
  /** All else, e.g. 'epoch' and 'args'; without dictionaries and lists that hold tensors only. */
  rest: Map<string, PlainValue>;
}

const MAX_FILE_BYTES = 2 ** 31 - 1, MAX_PICKLE_BYTES = 2 ** 26, MAX_VALUES = 1_000_000, MAX_DEPTH = 32, MAX_NAME = 1_000;
const MAX_EXPANSION = 4; // bytes in memory per byte of the file: half takes 2, and a few tensors may share a storage
const FREE_BYTES = 2 ** 20; // that small files may take beyond it
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn, LEGACY_PROTOCOL = 1001;
const FORBIDDEN_NAMES = new Set(['__proto__', 'constructor', 'prototype']);

/** Bytes of a storage by its key. */
type StorageBytes = (storage: PytorchStorage) => Uint8Array;

/**
 * Reads a file of torch.save, in the zip format (torch 1.6 and later) or the one before it, and executes nothing of it.
 * @throws UserError that names the file, the entry, the opcode or global when the file is missing, damaged or asks for anything but
 *   tensors, numbers, texts, containers and argparse.Namespace
 */
export function readPytorchCheckpoint(file: string): PytorchCheckpoint {
  return decodePytorchCheckpoint(readBytes(file, 'check the path, or make the file again'), file);
}

/** What the bytes of a torch.save file hold; shares no memory with them. @param file what errors call it @throws UserError as readPytorchCheckpoint */
export function decodePytorchCheckpoint(bytes: Uint8Array, file: string): PytorchCheckpoint {
  const refuse = (what: string): never => {
    throw new UserError(`${file} is no sound PyTorch checkpoint: ${what}; get or make the file again`);
  };
  const forbid = (what: string): never => {
    throw new UserError(`${file} is refused: ${what} and only tensors and containers are read (nothing of it was run); save just its tensors in Python, torch.save(model.state_dict(), 'plain.pth')`);
  };
  if (bytes.length > MAX_FILE_BYTES) refuse(`it has ${bytes.length} bytes, the limit is ${MAX_FILE_BYTES}`);
  const { value, storageBytes } = isZip(bytes) ? openArchive(bytes, refuse, forbid) : openLegacy(bytes, refuse, forbid);
  return sortOut(value, storageBytes, bytes.length, refuse, forbid);
}

/** The zip format: NAME/data.pkl is the pickle, NAME/data/KEY the bytes of a storage (torch/serialization.py, _save). */
function openArchive(bytes: Uint8Array, refuse: Refuse, forbid: Refuse): { value: PickleValue; storageBytes: StorageBytes } {
  const zip = openStoredZip(bytes, refuse);
  const folder = zip.names.find((name) => /^[^/]+\/data\.pkl$/.test(name))?.replace('data.pkl', '') ?? refuse("it has no entry 'NAME/data.pkl'");
  if (zip.names.includes(`${folder}constants.pkl`)) forbid(`its entry '${folder}constants.pkl' says that it is a TorchScript program`);
  const order = zip.read(`${folder}byteorder`);
  if (order && Buffer.from(order).toString('latin1') !== 'little') forbid(`its entry '${folder}byteorder' is not 'little'`);
  const pickle = zip.read(`${folder}data.pkl`)!;
  if (pickle.length > MAX_PICKLE_BYTES) refuse(`its entry '${folder}data.pkl' has ${pickle.length} bytes, the limit is ${MAX_PICKLE_BYTES}`);
  const { value, end } = readPickle(pickle, 0, pytorchRules(new Map(), bytes.length, refuse, forbid));
  if (end !== pickle.length) refuse(`${pickle.length - end} bytes follow the pickle in its entry '${folder}data.pkl'`);
  const storageBytes: StorageBytes = (storage) => {
    const name = `${folder}data/${storage.key}`;
    const found = zip.read(name) ?? refuse(`its entry '${name}' is missing`);
    if (found.length !== storage.byteLength) refuse(`its entry '${name}' has ${found.length} bytes, ${storage.elements} elements of ${storage.type} take ${storage.byteLength}`);
    return found;
  };
  return { value, storageBytes };
}

/** The format before torch 1.6: pickles of a magic number, a version, the machine, the value and the keys; then each key's length and bytes (_legacy_save). */
function openLegacy(bytes: Uint8Array, refuse: Refuse, forbid: Refuse): { value: PickleValue; storageBytes: StorageBytes } {
  if (bytes[0] !== 0x80) refuse('it begins neither as a zip archive nor as a pickle');
  const storages = new Map<string, PytorchStorage>();
  const rules = pytorchRules(storages, bytes.length, refuse, forbid);
  const head = bytes.subarray(0, MAX_PICKLE_BYTES);
  let at = 0;
  const next = (): PickleValue => {
    const { value, end } = readPickle(head, at, rules);
    at = end;
    return value;
  };
  if (next() !== LEGACY_MAGIC) refuse('its first pickle is not the magic number of torch.save');
  if (next() !== LEGACY_PROTOCOL) refuse(`its second pickle is not torch.save's version ${LEGACY_PROTOCOL}`);
  const machine = next();
  if (!(machine instanceof Map) || machine.get('little_endian') !== true) forbid('it was not written by a little-endian machine');
  const value = next(), keys = next();
  if (!Array.isArray(keys)) return refuse('its list of storages is no list');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<string, Uint8Array>();
  for (const key of keys) {
    const storage = typeof key === 'string' && !found.has(key) ? storages.get(key) : undefined;
    if (!storage) return refuse('its list of storages names one that no tensor has, or one twice');
    if (at + 8 + storage.byteLength > bytes.length) refuse(`its storage '${storage.key}' takes ${storage.byteLength} bytes, more than the file has there`);
    if (view.getBigInt64(at, true) !== BigInt(storage.elements)) refuse(`its storage '${storage.key}' has two lengths, ${storage.elements} and ${view.getBigInt64(at, true)}`);
    found.set(storage.key, bytes.subarray(at + 8, at + 8 + storage.byteLength));
    at += 8 + storage.byteLength;
  }
  if (at !== bytes.length) refuse(`${bytes.length - at} bytes follow its last storage`);
  return { value, storageBytes: (storage) => found.get(storage.key) ?? refuse(`its storage '${storage.key}' is missing`) };
}

/** Parts a value into named arrays and plain data. */
function sortOut(root: PickleValue, storageBytes: StorageBytes, fileBytes: number, refuse: Refuse, forbid: Refuse): PytorchCheckpoint {
  const parameters: ParameterValues = {}, integers: PytorchCheckpoint['integers'] = new Map(), names = new Set<string>();
  let values = 0, memory = FREE_BYTES + MAX_EXPANSION * fileBytes;

  const readNamed = (name: string, tensor: PytorchTensor): void => {
    if (FORBIDDEN_NAMES.has(name)) refuse(`'${name}' is a forbidden name`);
    if (names.has(name)) refuse(`two of its tensors are called '${name}'`);
    names.add(name);
    memory -= bytesOf(tensor);
    if (memory < 0) refuse(`its tensors take more than ${MAX_EXPANSION} times the file's ${fileBytes} bytes, '${name}' [${tensor.shape.join(', ')}] is where that is reached`);
    const array = readTensor(tensor, storageBytes(tensor.storage));
    if (array.dtype === 'F32') parameters[name] = { shape: array.shape, data: array.data };
    else integers.set(name, array);
  };
  /** The plain data in a value; undefined where it holds tensors only. */
  const plain = (value: PickleValue, path: readonly string[]): PlainValue | undefined => {
    const name = path.join('.');
    if (++values > MAX_VALUES) refuse(`it holds more than ${MAX_VALUES} values`);
    if (path.length > MAX_DEPTH) refuse(`'${name.slice(0, 80)}…' is nested deeper than ${MAX_DEPTH}`);
    if (name.length > MAX_NAME) refuse(`the name '${name.slice(0, 80)}…' has more than ${MAX_NAME} characters`);
    if (value === null || typeof value !== 'object') return value;
    if (value instanceof PytorchTensor) {
      readNamed(name, value);
      return undefined;
    }
    if (value instanceof PytorchNamespace || value instanceof Map) {
      const fields = value instanceof Map ? value : value.fields;
      const found = new Map<string, PlainValue>(), keys = new Set<string>();
      for (const [key, item] of fields) {
        const text = String(key);
        if (keys.has(text)) refuse(`'${name}' has the key '${text}' as a text and as a number`);
        keys.add(text);
        const data = plain(item, [...path, text]);
        if (data !== undefined) found.set(text, data);
      }
      return found.size > 0 || fields.size === 0 ? found : undefined;
    }
    const items = value instanceof PickleTuple ? value.items : value;
    if (!Array.isArray(items)) return forbid(`'${name}' is a type or a bare storage`);
    const found = (items as PickleValue[]).map((item, i) => plain(item, [...path, String(i)])).filter((item): item is PlainValue => item !== undefined);
    return found.length > 0 || items.length === 0 ? found : undefined;
  };

  if (!(root instanceof Map)) forbid('it holds no dictionary at its root');
  const rest = plain(root, []);
  return { parameters, integers, rest: rest instanceof Map ? rest : new Map() };
}
