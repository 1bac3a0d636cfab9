import protobuf from 'protobufjs/minimal.js';
import type { DataType, TypedArray } from './graph.js';

/** ONNX's numbers for element types (onnx.proto, TensorProto.DataType). */
const ELEMENT_TYPE = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9 } as const;
/** Element types of an ONNX model here. */
export type OnnxType = keyof typeof ELEMENT_TYPE;
/** ONNX's number for an element type. */
export const elementType = (dtype: OnnxType): number => ELEMENT_TYPE[dtype];

/** An attribute: an integer, a float (`{ float }`), a text, a list of integers, or a graph (`{ graph }`, its bytes). */
export type OnnxAttribute = number | string | { float: number } | { graph: Uint8Array } | readonly number[];

/** A tensor inside of a model: its name, shape and element type. */
export interface OnnxTensor {
  name: string;
  shape: readonly number[];
  dtype: OnnxType;
}

type Writer = protobuf.Writer;

/** Wire tag of a length-delimited field. */
const block = (field: number): number => (field << 3) | 2;
const varint = (field: number): number => field << 3;

/**
 * Writes one ONNX model (IR version 9, opset 18, plus the contrib domain com.microsoft): nodes are appended in execution
 * order, the same operation on the same tensors becomes one node, constants become initializers.
 */
export class OnnxModelWriter {
  #graph: Writer = protobuf.Writer.create();
  readonly #initializers: Writer = protobuf.Writer.create();
  readonly #inputs: Writer = protobuf.Writer.create();
  readonly #outputs: Writer = protobuf.Writer.create();
  #known = new Map<string, OnnxTensor[]>();
  #count = 0;
  /** Number of nodes so far. */
  nodes = 0;

  /** @param channelBlock block of onnxruntime's blocked convolutions on this machine; 1: there are none. */
  constructor(readonly channelBlock = 1) {}

  input(name: string, shape: readonly number[], dtype: DataType): OnnxTensor {
    const tensor = { name, shape, dtype };
    writeValueInfo(this.#inputs, 11, tensor);
    return tensor;
  }

  output(source: OnnxTensor, name: string): void {
    this.#node('Identity', [source], [{ ...source, name }], {}, '');
    writeValueInfo(this.#outputs, 12, { ...source, name });
  }

  /** A constant of 64-bit integers: shapes, axes, paddings. */
  integers(values: readonly number[]): OnnxTensor {
    return this.#constant(`i${values.join(',')}`, [values.length], 'int64', () => new Uint8Array(new BigInt64Array(values.map(BigInt)).buffer));
  }

  /** A scalar. */
  scalar(value: number, dtype: DataType = 'float32'): OnnxTensor {
    return this.#constant(`${dtype} ${Object.is(value, -0) ? '-0' : value}`, [], dtype, () => bytesOf(dtype === 'float32' ? Float32Array.of(value) : dtype === 'int32' ? Int32Array.of(value) : Uint8Array.of(value)));
  }

  /** A scalar of one byte. */
  byte(value: number, dtype: 'int8' | 'uint8'): OnnxTensor {
    return this.#constant(`${dtype} ${value}`, [], dtype, () => Uint8Array.of(value & 255));
  }

  /** A vector of bytes. */
  bytes(values: Uint8Array, dtype: 'int8' | 'uint8'): OnnxTensor {
    return this.#constant(`${dtype} [${values.join()}]`, [values.length], dtype, () => values);
  }

  array(values: TypedArray, shape: readonly number[], dtype: DataType): OnnxTensor {
    return this.#constant(`array ${this.#count++}`, shape, dtype, () => bytesOf(values));
  }

  /** A node with one output; equal nodes are written once. */
  node(op: string, inputs: readonly (OnnxTensor | undefined)[], shape: readonly number[], attributes: Record<string, OnnxAttribute> = {}, dtype: OnnxType = 'float32', domain = ''): OnnxTensor {
    return this.nodeWithOutputs(op, inputs, [{ shape, dtype }], attributes, domain)[0];
  }

  nodeWithOutputs(op: string, inputs: readonly (OnnxTensor | undefined)[], outputs: readonly { shape: readonly number[]; dtype: OnnxType }[], attributes: Record<string, OnnxAttribute> = {}, domain = ''): OnnxTensor[] {
    const key = `${domain}${op}(${inputs.map((i) => i?.name ?? '').join()})${JSON.stringify(attributes)}`;
    let known = this.#known.get(key);
    if (!known) {
      known = outputs.map((o) => ({ ...o, name: `%${this.#count++}` }));
      this.#known.set(key, known);
      this.#node(op, inputs, known, attributes, domain);
    }
    return known;
  }

  /**
   * A loop of at most `most` turns that goes on while its condition holds. `turn` writes one: from the carried tensors to their next values, each of them
   * written in the turn. It may use all that was written before the loop.
   * @param condition scalar: whether there is a first turn
   * @returns the carried tensors after the last turn
   */
  loop(most: number, condition: OnnxTensor, carried: readonly OnnxTensor[], turn: (carried: OnnxTensor[]) => { goesOn: OnnxTensor; carried: OnnxTensor[] }): OnnxTensor[] {
    const [graph, known] = [this.#graph, this.#known], body = protobuf.Writer.create();
    this.#graph = body;
    this.#known = new Map(known); // what a turn computes is not known outside of it
    const named = (t: { shape: readonly number[]; dtype: OnnxType }): OnnxTensor => ({ name: `%${this.#count++}`, shape: t.shape, dtype: t.dtype });
    const inputs = [named({ shape: [], dtype: 'int64' }), named(condition), ...carried.map(named)];
    const next = turn(inputs.slice(2));
    this.#graph = graph;
    this.#known = known;
    body.uint32(block(2)).string('turn');
    for (const t of inputs) writeValueInfo(body, 11, t);
    for (const t of [next.goesOn, ...next.carried]) writeValueInfo(body, 12, t);
    const results = carried.map(named);
    this.#node('Loop', [this.integers([most]), condition, ...carried], results, { body: { graph: body.finish() } }, '');
    return results;
  }

  /** The model's bytes. */
  finish(name: string): Uint8Array {
    const graph = protobuf.Writer.create();
    const parts = [this.#graph.finish(), protobuf.Writer.create().uint32(block(2)).string(name).finish(), this.#initializers.finish(), this.#inputs.finish(), this.#outputs.finish()];
    const body = Buffer.concat(parts);
    graph.uint32(varint(1)).int64(9);
    graph.uint32(block(7)).bytes(body);
    for (const [domain, version] of [['', 18], ['com.microsoft', 1], ['com.microsoft.nchwc', 1]] as const) {
      graph.uint32(block(8)).fork().uint32(block(1)).string(domain).uint32(varint(2)).int64(version).ldelim();
    }
    return graph.finish();
  }

  #constant(key: string, shape: readonly number[], dtype: OnnxType, bytes: () => Uint8Array): OnnxTensor {
    const known = this.#known.get(key);
    if (known) return known[0];
    const tensor = { name: `%c${this.#count++}`, shape, dtype };
    this.#known.set(key, [tensor]);
    const w = this.#initializers.uint32(block(5)).fork();
    for (const d of shape) w.uint32(varint(1)).int64(d);
    w.uint32(varint(2)).int32(ELEMENT_TYPE[dtype]).uint32(block(8)).string(tensor.name).uint32(block(9)).bytes(bytes()).ldelim();
    return tensor;
  }

  #node(op: string, inputs: readonly (OnnxTensor | undefined)[], outputs: readonly OnnxTensor[], attributes: Record<string, OnnxAttribute>, domain: string): void {
    this.nodes++;
    const w = this.#graph.uint32(block(1)).fork();
    for (const i of inputs) w.uint32(block(1)).string(i?.name ?? '');
    for (const o of outputs) w.uint32(block(2)).string(o.name);
    w.uint32(block(3)).string(`${op}_${outputs[0].name}`).uint32(block(4)).string(op);
    for (const [key, value] of Object.entries(attributes)) writeAttribute(w, key, value);
    if (domain) w.uint32(block(7)).string(domain);
    w.ldelim();
  }
}

function writeAttribute(node: Writer, key: string, value: OnnxAttribute): void {
  const w = node.uint32(block(5)).fork().uint32(block(1)).string(key);
  if (typeof value === 'number') w.uint32(varint(3)).int64(value).uint32(varint(20)).int32(2);
  else if (typeof value === 'string') w.uint32(block(4)).string(value).uint32(varint(20)).int32(3);
  else if ('graph' in value) w.uint32(block(6)).bytes(value.graph).uint32(varint(20)).int32(5);
  else if ('float' in value) w.uint32((2 << 3) | 5).float(value.float).uint32(varint(20)).int32(1);
  else {
    for (const v of value) w.uint32(varint(8)).int64(v);
    w.uint32(varint(20)).int32(7);
  }
  w.ldelim();
}

function writeValueInfo(writer: Writer, field: number, { name, shape, dtype }: OnnxTensor): void {
  const w = writer.uint32(block(field)).fork().uint32(block(1)).string(name).uint32(block(2)).fork().uint32(block(1)).fork();
  w.uint32(varint(1)).int32(ELEMENT_TYPE[dtype]).uint32(block(2)).fork();
  for (const d of shape) w.uint32(block(1)).fork().uint32(varint(1)).int64(d).ldelim();
  w.ldelim().ldelim().ldelim().ldelim();
}

const bytesOf = (a: TypedArray): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);
