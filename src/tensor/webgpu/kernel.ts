import type { DataType, Value } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { Emitter, helperFunctions } from './emitter.js';
import { homeOf, isHome, type Fusion, type Group } from './fusion.js';
import { flatten, plus, type Index } from './index-algebra.js';
import { isReduction } from './fusion.js';

/** Where a value lies: a buffer of the plan, and its first element there. */
export interface Placement {
  buffer: number;
  /** In elements of 4 bytes. */
  offset: number;
  elements: number;
}

/** A part of a buffer that a kernel binds. */
export interface Binding {
  buffer: number;
  /** In bytes, aligned as the device wants. */
  offset: number;
  bytes: number;
  writes: boolean;
}

/** One kernel: its program, what it binds and how many workgroups it starts. */
export interface Kernel {
  /** What it computes, for the plan's listing. */
  label: string;
  kind: Group['kind'] | 'named';
  code: string;
  bindings: Binding[];
  workgroups: readonly [number, number, number];
  /** Floating-point operations, roughly (for matrix products exactly). */
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
  /** The adapter computes on the processor. Its compiler takes seconds over tiled products, so that theirs are plain loops. */
  isSoftware?: boolean;
  /** Tiles of all matrix products; left out: by their sizes. */
  tiles?: Tiles;
}

/** What kernels are written with: where values lie, and how buffers are bound. */
export interface Layout {
  fusion: Fusion;
  placementOf: (value: Value) => Placement;
  limits: PlanLimits;
}

/** Gathers the bindings of one kernel and writes the accesses to them. */
export class KernelWriter {
  readonly bindings: (Binding & { name: string; type: string })[] = [];
  readonly helpers = new Set<string>();

  constructor(readonly layout: Layout, readonly group: Group) {}

  /** `name[index]` of the place where a value lies. */
  access(value: Value, index: Index, emitter: Emitter, writes: boolean): string {
    const { buffer, offset, elements } = this.layout.placementOf(value);
    const aligned = Math.floor((offset * 4) / this.layout.limits.alignment) * this.layout.limits.alignment, first = offset - aligned / 4;
    let binding = this.bindings.find((b) => b.buffer === buffer && b.offset === aligned && b.type === STORED_TYPE[value.dtype]);
    if (!binding) this.bindings.push((binding = { buffer, offset: aligned, bytes: 0, writes, name: `b${this.bindings.length}`, type: STORED_TYPE[value.dtype] }));
    binding.bytes = Math.max(binding.bytes, (first + elements) * 4);
    binding.writes ||= writes;
    return `${binding.name}[${emitter.index(plus(index, first))}]`;
  }

  /** Positions at which leaves have been read so far. */
  readonly reads: Index[] = [];

  /** Reads a leaf. */
  read(value: Value, coordinates: readonly Index[], emitter: Emitter): string {
    const at = flatten(coordinates, value.shape);
    this.reads.push(at);
    const text = this.access(value, at, emitter, false);
    return emitter.define(value.dtype === 'bool' ? `${text} != 0u` : text);
  }

  /** Writes a member's element. */
  write(value: Value, expression: string, emitter: Emitter): void {
    const place = this.access(value, flatten(homeOf(this.group, value), value.shape), emitter, true);
    emitter.lines.push(`${place} = ${value.dtype === 'bool' ? `select(0u, 1u, ${expression})` : expression};`);
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
    }, prefix, this.helpers);
  }

  /** The whole program. */
  program(body: string): string {
    const declarations = this.bindings.map((b, k) => `@group(0) @binding(${k}) var<storage, ${b.writes ? 'read_write' : 'read'}> ${b.name}: array<${b.type}>;`);
    return [...declarations, helperFunctions(this.helpers), body].join('\n');
  }

  kernel(kind: Kernel['kind'], label: string, body: string, workgroups: Kernel['workgroups'], operations: number): Kernel {
    const code = this.program(body);
    return { label, kind, code, bindings: this.bindings.map(({ buffer, offset, bytes, writes }) => ({ buffer, offset, bytes, writes })), workgroups, operations };
  }
}

/** Most workgroups along one axis of a dispatch (WebGPU's limit). */
const MOST_WORKGROUPS = 65535;

/** A line of n workgroups as a rectangle that a dispatch takes, and the number of a workgroup in it. */
export function workgroupLine(n: number): { workgroups: [number, number, number]; number: string } {
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

/** Elements in the largest member. */
export const largest = (group: Group): number => Math.max(...group.members.map((m) => sizeOf(m.shape)));
