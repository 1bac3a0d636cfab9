import { widenBrainFloat, widenHalf } from './half.js';
import { sizeOf } from './parameters.js';
import { PickleGlobal, PickleObject, PickleTuple, type PickleRules, type PickleValue } from './pickle.js';
import type { SafetensorsArray } from './safetensors.js';

/** Element types that are read: bytes of an element, and the row-major array over (aligned) bytes of them. */
const ELEMENTS: Record<string, { bytes: number; array: (buffer: ArrayBuffer) => Typed }> = {
  FloatStorage: { bytes: 4, array: (buffer) => ({ dtype: 'F32', data: new Float32Array(buffer) }) },
  HalfStorage: { bytes: 2, array: (buffer) => ({ dtype: 'F32', data: widenHalf(new Uint16Array(buffer)) }) },
  BFloat16Storage: { bytes: 2, array: (buffer) => ({ dtype: 'F32', data: widenBrainFloat(new Uint16Array(buffer)) }) },
  DoubleStorage: { bytes: 8, array: (buffer) => ({ dtype: 'F32', data: Float32Array.from(new Float64Array(buffer)) }) },
  LongStorage: { bytes: 8, array: (buffer) => ({ dtype: 'I64', data: new BigInt64Array(buffer) }) },
  IntStorage: { bytes: 4, array: (buffer) => ({ dtype: 'I32', data: new Int32Array(buffer) }) },
  ByteStorage: { bytes: 1, array: (buffer) => ({ dtype: 'U8', data: new Uint8Array(buffer) }) },
  BoolStorage: { bytes: 1, array: (buffer) => ({ dtype: 'U8', data: new Uint8Array(buffer) }) },
};
type Typed = { dtype: 'F32'; data: Float32Array } | { dtype: 'I64'; data: BigInt64Array } | { dtype: 'I32'; data: Int32Array } | { dtype: 'U8'; data: Uint8Array };

const MAX_DIMENSIONS = 16;

/** A run of elements in a checkpoint; its bytes lie elsewhere in the file, under its key. */
export class PytorchStorage extends PickleObject {
  constructor(readonly key: string, readonly type: string, readonly elements: number) { super(); }
  get byteLength(): number { return this.elements * ELEMENTS[this.type].bytes; }
  setState(): boolean { return false; }
}

/** A tensor of a checkpoint: a strided view of a storage. Offset and strides count elements. */
export class PytorchTensor extends PickleObject {
  constructor(readonly storage: PytorchStorage, readonly offset: number, readonly shape: readonly number[], readonly strides: readonly number[]) { super(); }
  setState(): boolean { return false; }
}

/** An argparse.Namespace: the command line of a training, as plain data. */
export class PytorchNamespace extends PickleObject {
  readonly fields = new Map<string, PickleValue>();
  setState(state: PickleValue): boolean {
    if (!(state instanceof Map)) return false;
    for (const [key, value] of state) {
      if (typeof key !== 'string') return false;
      this.fields.set(key, value);
    }
    return true;
  }
}

/**
 * The globals and persistent ids that a checkpoint of tensors and containers needs (torch/_utils.py and torch/serialization.py).
 * @param storages filled with the storages that the pickle names, by key
 * @param maxBytes no storage can be longer: the file's length
 */
export function pytorchRules(storages: Map<string, PytorchStorage>, maxBytes: number, refuse: (what: string) => never, forbid: (what: string) => never): PickleRules {
  const globals = [
    new PickleGlobal('collections.OrderedDict', orderedDictionary),
    new PickleGlobal('torch._utils._rebuild_tensor_v2', (args) => rebuildTensor(args, refuse)),
    new PickleGlobal('torch._utils._rebuild_parameter', ([tensor, , hooks, ...more]) => (tensor instanceof PytorchTensor && isEmpty(hooks) && more.length === 0 ? tensor : undefined)),
    new PickleGlobal('torch.Size', ([sizes, ...more]) => (sizes instanceof PickleTuple && more.length === 0 ? sizes : undefined)),
    new PickleGlobal('argparse.Namespace', undefined, () => new PytorchNamespace()),
    ...Object.keys(ELEMENTS).map((type) => new PickleGlobal(`torch.${type}`)),
  ];
  const persistent = (id: PickleValue): PytorchStorage | undefined => {
    if (!(id instanceof PickleTuple)) return undefined;
    const [kind, type, key, , elements, view = null, ...more] = id.items; // the fourth is the device that it came from
    if (kind !== 'storage' || !(type instanceof PickleGlobal) || typeof key !== 'string' || !isCount(elements) || more.length > 0) return undefined;
    if (view !== null) forbid(`its storage '${key}' is a view of another one, as PyTorch before 0.4 wrote them,`);
    const typeName = type.name.replace('torch.', '');
    if (!Object.hasOwn(ELEMENTS, typeName)) return undefined;
    const storage = new PytorchStorage(key, typeName, elements), known = storages.get(key);
    if (storage.byteLength > maxBytes) refuse(`its storage '${key}' claims ${storage.byteLength} bytes, more than the file has`);
    if (known && (known.type !== storage.type || known.elements !== elements)) refuse(`its storage '${key}' has two types or lengths`);
    storages.set(key, known ?? storage);
    return known ?? storage;
  };
  return { globals: new Map(globals.map((global) => [global.name, global])), persistent, refuse, forbid };
}

/** Bytes that a tensor takes in memory while it is read. */
export const bytesOf = ({ storage, shape }: PytorchTensor): number => sizeOf(shape) * Math.max(4, ELEMENTS[storage.type].bytes);

/** A tensor's elements, row-major, in memory of their own. @param bytes those of its whole storage, at any alignment */
export function readTensor({ storage, offset, shape, strides }: PytorchTensor, bytes: Uint8Array): SafetensorsArray {
  const { bytes: width, array } = ELEMENTS[storage.type];
  const count = sizeOf(shape);
  const own = new Uint8Array(count * width);
  if (isRowMajor(shape, strides)) own.set(bytes.subarray(offset * width, (offset + count) * width));
  else {
    const index = shape.map(() => 0);
    let from = offset * width;
    for (let to = 0; to < own.length; to += width) {
      for (let byte = 0; byte < width; byte++) own[to + byte] = bytes[from + byte];
      for (let d = shape.length - 1; d >= 0; d--) { // the next index; the last dimension runs fastest
        from += strides[d] * width;
        if (++index[d] < shape[d]) break;
        from -= shape[d] * strides[d] * width;
        index[d] = 0;
      }
    }
  }
  return { ...array(own.buffer), shape };
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && strides[d] !== expected) return false;
    expected *= shape[d];
  }
  return true;
}

/** torch._utils._rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks, metadata=None) */
function rebuildTensor(args: readonly PickleValue[], refuse: (what: string) => never): PytorchTensor | undefined {
  const [storage, offset, size, stride, requiresGrad, hooks, metadata = null, ...more] = args;
  if (!(storage instanceof PytorchStorage) || !isCount(offset) || typeof requiresGrad !== 'boolean' || !isEmpty(hooks)) return undefined;
  if (!(metadata === null || isEmpty(metadata)) || more.length > 0) return undefined;
  if (!(size instanceof PickleTuple) || !(stride instanceof PickleTuple)) return undefined;
  const shape = size.items, strides = stride.items;
  if (!shape.every(isCount) || !strides.every(isCount) || shape.length !== strides.length || shape.length > MAX_DIMENSIONS) return undefined;
  const last = shape.includes(0) ? offset - 1 : shape.reduce((at, d, i) => at + (d - 1) * strides[i], offset);
  if (!Number.isSafeInteger(last) || last >= storage.elements || !Number.isSafeInteger(sizeOf(shape) * 8)) refuse(`a tensor [${shape.join(', ')}] with strides [${strides.join(', ')}] from element ${offset} leaves its storage '${storage.key}' of ${storage.elements} elements`);
  return new PytorchTensor(storage, offset, shape, strides.map((stride, d) => (shape[d] === 1 ? 0 : stride))); // a lone element has no next one
}

/** collections.OrderedDict() or, as Python 2 pickled it, collections.OrderedDict([[key, value], ...]) */
function orderedDictionary([pairs = [], ...more]: readonly PickleValue[]): PickleValue | undefined {
  if (!Array.isArray(pairs) || more.length > 0) return undefined;
  const dictionary = new Map<string, PickleValue>();
  for (const pair of pairs) {
    const items = pair instanceof PickleTuple ? pair.items : pair;
    if (!Array.isArray(items) || items.length !== 2 || typeof items[0] !== 'string') return undefined;
    dictionary.set(items[0], items[1] as PickleValue);
  }
  return dictionary as PickleValue;
}

const isCount = (value: PickleValue | undefined): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isEmpty = (value: PickleValue | undefined): boolean => value instanceof Map && value.size === 0;
