import type { DataType, Value } from '../graph.js';
import { Emitter, helperFunctions } from './emitter.js';
import type { Fusion } from './fusion.js';
import { homeOf, isHome, isReduction, type Group } from './group.js';
import { flatten, plus, type Index } from './index-algebra.js';
import type { MatrixUnits } from './matrix-units.js';

/** Where a value lies: a buffer of the plan, and its first element there. */
export interface Placement {
  buffer: number;
  /** In elements of 4 bytes. */
  offset: number;
  elements: number;
  /** Elements from one replica's copy to the next one's; 0 where all replicas read the same. */
  stride: number;
}

/** Where a replica's copy of a value lies. */
export const placeOf = (place: Placement, replica: number): Placement => ({ ...place, offset: place.offset + replica * place.stride });

/** A part of a buffer that a kernel binds. */
export interface Binding {
  buffer: number;
  /** In bytes, aligned as the device wants. */
  offset: number;
  bytes: number;
  writes: boolean;
}

/** One dispatch: its program, what it binds and how many workgroups it starts. */
export interface Kernel {
  /** What it computes, for the plan's listing. */
  label: string;
  kind: Group['kind'] | 'stack';
  code: string;
  bindings: Binding[];
  workgroups: readonly [number, number, number];
  /** Floating-point operations, roughly (for matrix products exactly). */
  operations: number;
}

/** What one group adds to a dispatch. */
export interface KernelBody {
  group: Group;
  /** Declarations outside of functions; their names end with the body's number. */
  declarations: string;
  /** Statements; `block` (i32) is the number of the workgroup among the body's, `thread` (u32) that of the thread in it. */
  statements: string;
  threads: number;
  blocks: number;
  operations: number;
}

const STORED_TYPE: Record<DataType, string> = { float32: 'f32', int32: 'i32', bool: 'u32' };

/** Tiles of a matrix product: a workgroup computes rows x columns, `inner` of the sum at a time, a thread `height` x `width` of it. */
export interface Tiles {
  rows: number;
  columns: number;
  inner: number;
  height: number;
  width: number;
}

/** What the plan needs to know of a device. */
export interface PlanLimits {
  /** Storage buffers that one kernel may bind. */
  buffers: number;
  /** Alignment of a binding's offset, in bytes. */
  alignment: number;
  /** Bytes of the largest buffer that a kernel may bind; left out: of any size. */
  largestBuffer?: number;
  /** The adapter computes on the processor. Its compiler takes seconds over tiled products, so that theirs are plain loops. */
  isSoftware?: boolean;
  /** Workgroup memory that one kernel may have, in bytes; left out: {@link LEAST_SHARED_BYTES}. */
  sharedBytes?: number;
  /** Threads that a subgroup has at least; left out: the device has no subgroups. */
  subgroup?: number;
  /** Tiles of all matrix products; left out: by their sizes. */
  tiles?: Tiles;
  /** Copies of the step that every kernel computes side by side, each on values of its own; left out: 1. */
  replicas?: number;
  /** Units for products of f16, which large products then use; left out: all are of f32. */
  matrixUnits?: MatrixUnits;
  /** Tiles of all products by matrix units, a subgroup's part as height x width; left out: by their sizes. */
  matrixTiles?: Tiles;
  /** Most groups in one dispatch; left out: 8, and 1 on a software adapter, whose compiler takes long over long programs. */
  stacked?: number;
}

/** What kernels are written with: where values lie, and how buffers are bound. */
export interface Layout {
  fusion: Fusion;
  placementOf: (value: Value) => Placement;
  limits: PlanLimits;
}

/** Workgroup memory that every WebGPU device has for a kernel, in bytes. */
export const LEAST_SHARED_BYTES = 16384;

/** Workgroups that keep a large GPU busy: the multiprocessors of an H100. */
export const BUSY_WORKGROUPS = 132;

/** The buffer in which all small values lie, each at a place of its own: kernels that run as one dispatch bind it once. */
export const SMALL_VALUES = 0;

type NamedBinding = Binding & { name: string; type: string };

/** The bindings and helper functions of one dispatch. */
export class Dispatch {
  readonly bindings: NamedBinding[] = [];
  readonly helpers = new Set<string>();
  /** What the program begins with. */
  readonly directives = new Set<string>();
  readonly #shared = new Map<string, { type: string; length: number }>();

  /** @param isStack whether several groups share the dispatch */
  constructor(readonly layout: Layout, readonly isStack: boolean) {}

  get replicas(): number { return this.layout.limits.replicas ?? 1; }

  /** The binding of a place, and the place's first element there. */
  bind({ buffer, offset, elements, stride }: Placement, type: string, writes: boolean): { binding: NamedBinding; first: number } {
    const whole = this.isStack && buffer === SMALL_VALUES;
    const aligned = whole ? 0 : Math.floor((offset * 4) / this.layout.limits.alignment) * this.layout.limits.alignment, first = offset - aligned / 4;
    const bound = whole ? 'u32' : type;
    let binding = this.bindings.find((b) => b.buffer === buffer && b.offset === aligned && b.type === bound);
    if (!binding) this.bindings.push((binding = { buffer, offset: aligned, bytes: 0, writes, name: `b${this.bindings.length}`, type: bound }));
    binding.bytes = whole ? Infinity : Math.max(binding.bytes, (first + (this.replicas - 1) * stride + elements) * 4);
    binding.writes ||= writes;
    return { binding, first };
  }

  /** Name of an array in the memory that a workgroup shares. A workgroup runs one body, so that bodies use the same arrays. */
  shared(name: string, type: string, length: number): string {
    const known = this.#shared.get(name);
    if (known && known.type !== type) throw new Error(`shared array ${name} is asked for as ${type} and as ${known.type}`);
    this.#shared.set(name, { type, length: Math.max(length, known?.length ?? 0) });
    return name;
  }

  /** The whole program. */
  kernel(bodies: readonly KernelBody[]): Kernel {
    // a buffer is not read and written through bindings of two kinds
    for (const b of this.bindings) b.writes = this.bindings.some((other) => other.buffer === b.buffer && other.writes);
    const declarations = this.bindings.map((b, k) => `@group(0) @binding(${k}) var<storage, ${b.writes ? 'read_write' : 'read'}> ${b.name}: array<${b.type}>;`);
    const { workgroups, number } = workgroupLine(bodies.reduce((n, b) => n + b.blocks, 0));
    const shared = [...this.#shared].map(([name, { type, length }]) => `var<workgroup> ${name}: array<${type}, ${length}>;`);
    const subgroups = this.directives.has('enable chromium_experimental_subgroup_matrix;'); // products by matrix units
    const functions = bodies.map((b, k) => `${b.declarations}\nfn kernel${k}(block: i32, thread: u32${subgroups ? ', subgroup: u32' : ''}) {\n${b.statements}\n}`);
    let first = 0;
    const calls = bodies.map((b, k) => {
      const from = first;
      first += b.blocks;
      const call = `kernel${k}(block${from > 0 ? ` - ${from}` : ''}, thread${subgroups ? ', subgroup' : ''});`;
      return bodies.length === 1 ? call : k === bodies.length - 1 ? `else if (block < ${first}) { ${call} }` : `${k > 0 ? 'else ' : ''}if (block < ${first}) { ${call} }`;
    });
    const replica = this.replicas > 1 ? ['var<private> replica: i32;'] : [];
    const code = [...this.directives, ...declarations, ...replica, ...shared, helperFunctions(this.helpers), ...functions, `@compute @workgroup_size(${bodies[0].threads}) fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32${subgroups ? ', @builtin(subgroup_id) subgroup: u32' : ''}) {
let block = ${number};
${this.replicas > 1 ? 'replica = i32(workgroup.z);\n' : ''}${bodies.length === 1 && workgroups[1] > 1 ? `if (block >= ${first}) { return; }\n` : ''}${calls.join('\n')}
}`].join('\n');
    return {
      label: bodies.map((b) => labelOf(b.group)).join(' | '), kind: bodies.length === 1 ? bodies[0].group.kind : 'stack', code,
      bindings: this.bindings.map(({ buffer, offset, bytes, writes }) => ({ buffer, offset, bytes, writes })), workgroups: [workgroups[0], workgroups[1], this.replicas], operations: this.replicas * bodies.reduce((n, b) => n + b.operations, 0),
    };
  }
}

/** Writes the accesses to memory of one group. */
export class KernelWriter {
  /** @param number of the group's body in its dispatch: names of declarations end with it. */
  constructor(readonly dispatch: Dispatch, readonly group: Group, readonly number: number) {}

  get layout(): Layout { return this.dispatch.layout; }

  /** `name[index]` of the place where a value lies, and the type that the buffer is bound as. */
  #access(value: Value, index: Index, emitter: Emitter, writes: boolean): { place: string; type: string } {
    const place = this.layout.placementOf(value), { binding, first } = this.dispatch.bind(place, STORED_TYPE[value.dtype], writes);
    const own = this.dispatch.replicas > 1 && place.stride > 0 ? ` + replica * ${place.stride}` : '';
    return { place: `${binding.name}[${emitter.index(plus(index, first))}${own}]`, type: binding.type };
  }

  /** Positions at which leaves have been read so far. */
  readonly reads: Index[] = [];

  /** Reads a leaf. */
  read(value: Value, coordinates: readonly Index[], emitter: Emitter): string {
    const at = flatten(coordinates, value.shape);
    this.reads.push(at);
    const { place, type } = this.#access(value, at, emitter, false), wanted = STORED_TYPE[value.dtype];
    const text = type === wanted ? place : `bitcast<${wanted}>(${place})`;
    return emitter.define(value.dtype === 'bool' ? `${text} != 0u` : text);
  }

  /** Writes a member's element. */
  write(value: Value, expression: string, emitter: Emitter): void {
    this.writeAt(value, flatten(homeOf(this.group, value), value.shape), expression, emitter);
  }

  /** Writes any element of a member. */
  writeAt(value: Value, at: Index, expression: string, emitter: Emitter): void {
    const { place, type } = this.#access(value, at, emitter, true);
    const text = value.dtype === 'bool' ? `select(0u, 1u, ${expression})` : expression;
    emitter.lines.push(`${place} = ${type === STORED_TYPE[value.dtype] ? text : `bitcast<${type}>(${text})`};`);
  }

  /** An emitter that takes members from `local` where it has them, and everything else from memory. */
  emitter(local: (value: Value) => string | undefined, prefix = 'v'): Emitter {
    const members = new Set(this.group.members);
    return new Emitter((value, coordinates, emitter) => {
      if (members.has(value)) {
        if (!isHome(this.group, value, coordinates)) throw new Error('a fused kernel asked for an element that it does not have at hand');
        const name = local(value);
        if (name !== undefined) return name;
        if (isReduction(value.node!.op) || value.node === this.group.product) throw new Error(`the result of ${value.node!.op} is used before it is there`);
        return undefined;
      }
      return this.layout.fusion.isLeaf(value) ? this.read(value, coordinates, emitter) : undefined;
    }, prefix, this.dispatch.helpers);
  }
}

/** Most workgroups along one axis of a dispatch (WebGPU's limit). */
const MOST_WORKGROUPS = 65535;

/** A line of n workgroups as a rectangle that a dispatch takes, and the number of a workgroup in it. */
function workgroupLine(n: number): { workgroups: [number, number, number]; number: string } {
  if (n <= MOST_WORKGROUPS) return { workgroups: [n, 1, 1], number: 'i32(workgroup.x)' };
  const columns = Math.ceil(Math.sqrt(n));
  return { workgroups: [columns, Math.ceil(n / columns), 1], number: `i32(workgroup.y * ${columns}u + workgroup.x)` };
}

/** What a group computes, in short: its operations, the most telling first. */
export function labelOf(group: Group): string {
  const ops = group.members.map((m) => m.node!.op);
  const main = ops.find((op) => op === 'BatchMatMul') ?? ops.find(isReduction);
  const last = group.stores.at(-1) ?? group.members.at(-1)!;
  return `${main ? `${main}${ops.length > 1 ? ` + ${ops.length - 1}` : ''}` : ops.length > 1 ? `${ops.at(-1)} + ${ops.length - 1}` : ops[0]} [${last.shape.join(', ')}]`;
}
