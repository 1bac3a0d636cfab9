import { elementsOf } from '../graph-builder.js';
import type { Graph, Node, Value } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { reductionAxes, sliceRange } from '../shape-rules.js';
import { ASSEMBLE } from './assemble-concatenations.js';
import { Emitter, isElementwise, isView } from './emitter.js';
import { PLACE, homeOf, isHome, isReduction, reductionCoordinates, type Group } from './group.js';
import type { PlanLimits } from './kernel.js';
import { isWhole } from './whole-kernels.js';

const CHEAP = new Set(['Neg', 'Relu', 'Abs', 'Sign', 'Square', 'Step', 'Cast', 'LogicalNot', 'ClipByValue', 'Add', 'Sub', 'Multiply', 'Maximum', 'Minimum', 'Equal', 'NotEqual', 'Greater', 'GreaterEqual', 'Less', 'LessEqual']);

/** A computed element was asked for at another place than the one where the kernel has it. */
class ElsewhereError extends Error {}

/** The offset of a contiguous part of another value, or nothing where the slice is none. */
export function sliceOffset(value: Value): { base: Value; offset: number } | undefined {
  if (value.node?.op !== 'Slice') return undefined;
  const base = value.node.inputs[0], { begin, size } = sliceRange(base.shape, value.node.attributes);
  const first = size.findIndex((n, k) => n !== base.shape[k]);
  if (size.slice(0, first).some((n) => n !== 1) || size.some((n, k) => k > first && n !== base.shape[k])) return undefined;
  let offset = 0;
  base.shape.forEach((d, k) => (offset = offset * d + begin[k]));
  return { base, offset };
}

/** Kernels over up to this many elements take less time than starting them: they are put together also where they have nothing in common. */
const SMALL = 4096;

/** Divides a graph of primitives into kernels. */
export class Fusion {
  readonly groups: Group[] = [];
  readonly #order = new Map<Node, number>();
  readonly #stored = new Set<Value>();
  readonly #group = new Map<Value, Group>();
  readonly #leaves = new Map<Value, Set<Value>>();
  readonly #outputs: Set<Value>;
  /** Dependencies as they were when a group had so many members. */
  readonly #dependencies = new Map<Group, { members: number; found: Set<Group> }>();

  constructor(private readonly graph: Graph, private readonly limits: Pick<PlanLimits, 'buffers'>) {
    this.#outputs = new Set(graph.outputs.values());
    graph.nodes.forEach((node, i) => this.#order.set(node, i));
    this.#chooseStored();
    for (const node of graph.nodes) for (const value of node.outputs) if (this.#stored.has(value) && node.op !== ASSEMBLE) this.#place(value);
    this.#finish();
  }

  /** Whether a value lies in memory: an input, an array of constants, or what a kernel writes. */
  isLeaf(value: Value): boolean {
    if (value.constant !== undefined) return typeof value.constant !== 'number' && elementsOf(value).length > 1;
    if (!value.node || this.#stored.has(value)) return true;
    const slice = sliceOffset(value);
    return slice !== undefined && slice.base.constant === undefined && (!slice.base.node || this.#stored.has(slice.base));
  }

  /** What a kernel reads to compute a value, from memory. */
  leavesOf(value: Value): Set<Value> {
    let leaves = this.#leaves.get(value);
    if (!leaves) {
      leaves = new Set();
      for (const input of value.node?.inputs ?? []) {
        if (this.isLeaf(input)) leaves.add(input);
        else if (typeof input.constant !== 'number') for (const leaf of this.leavesOf(input)) leaves.add(leaf);
      }
      this.#leaves.set(value, leaves);
    }
    return leaves;
  }

  /** What a leaf lies in: itself, or the value that it is a part of. */
  baseOf(leaf: Value): Value {
    return leaf.node && !this.#stored.has(leaf) ? sliceOffset(leaf)!.base : leaf;
  }

  /** The kernels that write what a leaf lies in: none for inputs and constants, several for what is assembled from parts. */
  writersOf(leaf: Value): Group[] {
    const base = this.baseOf(leaf);
    if (base.node?.op === ASSEMBLE) return [...new Set(base.node.inputs.map((part) => this.#group.get(part)!))];
    const group = this.#group.get(base);
    return group ? [group] : [];
  }

  /** Reverse pass: what several kernels would compute is stored, unless it is cheap; so is what a matrix product or a kernel of its own reads. */
  #chooseStored(): void {
    const users = new Map<Value, Set<Node>>();
    for (const node of this.graph.nodes) for (const v of node.inputs) users.set(v, (users.get(v) ?? new Set()).add(node));
    const kernels = new Map<Value, Set<Node>>(); // the kernels that would compute it, named by the node of their result
    const readByProduct = new Set<Value>();
    for (const node of [...this.graph.nodes].reverse()) {
      if (isWhole(node.op)) {
        for (const output of node.outputs) this.#stored.add(output);
        continue;
      }
      const [value] = node.outputs;
      const into = new Set<Node>();
      for (const user of users.get(value) ?? []) {
        const result = user.outputs[0];
        if (this.#stored.has(result)) into.add(user);
        else for (const k of kernels.get(result) ?? []) into.add(k);
        if (user.op === 'BatchMatMul' || isWhole(user.op) || (isView(user.op) && readByProduct.has(result))) readByProduct.add(value);
      }
      kernels.set(value, into);
      const inlinable = isElementwise(node.op) || isView(node.op);
      if (!inlinable && !isReduction(node.op) && node.op !== 'BatchMatMul' && node.op !== ASSEMBLE) {
        throw new Error(`kernel ${node.op} has no plan for WebGPU (inputs ${node.inputs.map((v) => `[${v.shape.join(', ')}]`).join(', ')}): add it to src/tensor/webgpu/primitives.ts or emitter.ts`);
      }
      const isOutput = this.#outputs.has(value);
      if (!inlinable || isOutput || [...(users.get(value) ?? [])].some((user) => user.op === ASSEMBLE)) this.#stored.add(value);
      else if (isView(node.op)) continue;
      else if (readByProduct.has(value)) this.#stored.add(value);
      else if (into.size > 1 && !isCheap(node)) this.#stored.add(value);
    }
    this.#limitLeaves();
  }

  /** Stores intermediate values until no kernel reads more buffers than a device binds. */
  #limitLeaves(): void {
    const most = this.limits.buffers - 2;
    for (const node of this.graph.nodes) {
      const [value] = node.outputs;
      if (node.op === ASSEMBLE) continue;
      while (this.leavesOf(value).size > most) {
        const heaviest = this.#heaviestInput(value, most);
        if (!heaviest) break;
        this.#stored.add(heaviest);
        this.#leaves.clear();
      }
      if (this.leavesOf(value).size > most) throw new Error(`kernel ${node.op} reads ${this.leavesOf(value).size} buffers; this device binds ${this.limits.buffers}`);
    }
  }

  #heaviestInput(value: Value, most: number): Value | undefined {
    let best: Value | undefined, count = 1;
    for (const input of value.node!.inputs) {
      if (input.constant !== undefined || this.isLeaf(input)) continue;
      const n = this.leavesOf(input).size;
      if (n > count && n <= most) [best, count] = [input, n];
    }
    return best;
  }

  /** Puts a stored value into an existing kernel where that is possible, else into one of its own. */
  #place(value: Value): void {
    const node = value.node!, order = this.#order.get(node)!;
    const leaves = this.leavesOf(value);
    const producers = [...new Set([...leaves].flatMap((leaf) => this.writersOf(leaf)))].sort((a, b) => b.order - a.order);
    if (isWhole(node.op)) {
      if (value === node.outputs[0]) this.#found({ kind: 'whole', whole: node, size: 0, members: [...node.outputs], stores: [], order });
      return;
    }
    if (node.op === 'BatchMatMul') {
      this.#found({ kind: 'product', product: node, size: sizeOf(value.shape), members: [value], stores: [], order });
      return;
    }
    if (isReduction(node.op)) {
      const shape = node.inputs[0].shape, axes = [...reductionAxes(node.attributes, shape.length)].sort((a, b) => a - b);
      const count = axes.reduce((n, k) => n * shape[k], 1);
      const geometry = { shape, axes, outputs: sizeOf(shape) / count, count };
      const same = (g: Group): boolean => g.kind === 'reduction' && g.geometry!.shape.join() === shape.join() && g.geometry!.axes.join() === axes.join();
      for (const g of this.#related(leaves, producers)) if (same(g) && this.#tryJoin(g, value)) return;
      const own = this.#found({ kind: 'reduction', geometry, size: sizeOf(shape), members: [value], stores: [], order });
      for (const g of producers) if (g.kind === 'map' && g.size === own.size && this.#tryAbsorb(own, g)) return;
      return;
    }
    const size = sizeOf(value.shape);
    for (const g of producers) {
      const fits = g.size === size || (g.kind === 'reduction' && g.geometry!.outputs === size);
      if (fits && this.#tryJoin(g, value)) return;
    }
    for (const g of this.#related(leaves, [])) if (g.kind !== 'product' && g.size === size && this.#tryJoin(g, value)) return;
    this.#found({ kind: 'map', size, members: [value], stores: [], order });
  }

  #found(group: Group): Group {
    this.groups.push(group);
    for (const v of group.members) this.#group.set(v, group);
    return group;
  }

  /** Kernels that read what a value reads (the newest first), and those given. */
  #related(leaves: Set<Value>, more: readonly Group[]): Group[] {
    const related = new Set<Group>(more);
    for (let k = this.groups.length - 1; k >= 0 && k >= this.groups.length - 40; k--) {
      const g = this.groups[k];
      if (g.size <= SMALL || g.members.some((m) => [...this.leavesOf(m)].some((leaf) => leaves.has(leaf)))) related.add(g);
    }
    return [...related];
  }

  #tryJoin(group: Group, value: Value): boolean {
    const joined: Group = { ...group, members: [...group.members, value] };
    if (!this.#isLegal([group], joined, [value])) return false;
    group.members.push(value);
    this.#group.set(value, group);
    return true;
  }

  /** Takes the members of a map into a reduction that goes over the same elements. */
  #tryAbsorb(group: Group, map: Group): boolean {
    const joined: Group = { ...group, members: [...map.members, ...group.members] };
    if (!this.#isLegal([group, map], joined, joined.members)) return false;
    group.members = joined.members;
    group.order = Math.min(group.order, map.order);
    this.groups.splice(this.groups.indexOf(map), 1);
    for (const v of map.members) this.#group.set(v, group);
    this.#dependencies.clear();
    return true;
  }

  /** Whether one kernel can compute all of it: no cycle through other kernels, not too many buffers, every local element at hand. */
  #isLegal(old: readonly Group[], joined: Group, added: readonly Value[]): boolean {
    const members = new Set(joined.members);
    const leaves = new Set(joined.members.flatMap((m) => [...this.leavesOf(m)]).filter((leaf) => !members.has(leaf)));
    if (leaves.size + members.size > this.limits.buffers) return false;
    for (const leaf of leaves) {
      for (const writer of this.writersOf(leaf)) {
        if (old.includes(writer)) return false; // a part of a member
        if (old.some((g) => this.#dependsOn(writer, g))) return false;
      }
    }
    try {
      for (const value of added) this.#checkLocal(joined, value);
    } catch (error) {
      if (error instanceof ElsewhereError) return false;
      throw error;
    }
    return true;
  }

  #checkLocal(group: Group, value: Value): void {
    const members = new Set(group.members);
    const emitter = new Emitter((v, coordinates) => {
      if (members.has(v)) {
        if (!isHome(group, v, coordinates)) throw new ElsewhereError();
        return isReduction(v.node!.op) || v.node === group.product ? 'local' : undefined;
      }
      if (!this.isLeaf(v)) return undefined;
      const slice = v.node && !this.#stored.has(v) ? sliceOffset(v) : undefined;
      if (slice && members.has(slice.base)) throw new ElsewhereError();
      return 'leaf';
    });
    if (isReduction(value.node!.op)) emitter.element(value.node!.inputs[0], reductionCoordinates(group.geometry!));
    else if (value.node !== group.product) {
      const home = homeOf(group, value);
      emitter.element(value, home);
      if (group.kind === 'reduction' && sizeOf(value.shape) !== group.size && emitter.lines.some((line) => new RegExp(`\\b${PLACE}\\b`).test(line))) throw new ElsewhereError();
    }
  }

  #dependsOn(from: Group, target: Group): boolean {
    const seen = new Set<Group>(), pending = [from];
    for (let g = pending.pop(); g; g = pending.pop()) {
      if (g === target) return true;
      if (seen.has(g)) continue;
      seen.add(g);
      for (const d of this.dependenciesOf(g)) pending.push(d);
    }
    return false;
  }

  /** The kernels whose results a kernel reads. */
  dependenciesOf(group: Group): ReadonlySet<Group> {
    const known = this.#dependencies.get(group);
    if (known?.members === group.members.length) return known.found;
    const found = new Set<Group>();
    for (const m of group.members) for (const leaf of this.leavesOf(m)) {
      for (const writer of this.writersOf(leaf)) if (writer !== group) found.add(writer);
    }
    this.#dependencies.set(group, { members: group.members.length, found });
    return found;
  }

  /** First element of a leaf in the value that it is a part of. */
  offsetOf(leaf: Value): number {
    return this.#stored.has(leaf) ? 0 : (sliceOffset(leaf)?.offset ?? 0);
  }

  /** What is written, and the order of the kernels. */
  #finish(): void {
    const read = new Set<Value>(this.#outputs);
    for (const g of this.groups) for (const m of g.members) for (const leaf of this.leavesOf(m)) {
      const base = this.baseOf(leaf);
      if (this.#group.get(base) !== g) read.add(base);
    }
    for (const node of this.graph.nodes) if (node.op === ASSEMBLE) for (const part of node.inputs) read.add(part);
    for (const g of this.groups) g.stores = g.members.filter((m) => read.has(m));
    const pending = [...this.groups].sort((a, b) => a.order - b.order), sorted: Group[] = [], done = new Set<Group>();
    const visit = (g: Group): void => {
      if (done.has(g)) return;
      done.add(g);
      for (const d of [...this.dependenciesOf(g)].sort((a, b) => a.order - b.order)) visit(d);
      sorted.push(g);
    };
    for (const g of pending) visit(g);
    this.groups.splice(0, this.groups.length, ...sorted);
  }
}

/** An operation on one changing operand that is as fast to compute again as to read. */
function isCheap(node: Node): boolean {
  const changing = node.inputs.filter((v) => typeof v.constant !== 'number');
  if (!CHEAP.has(node.op) || changing.length !== 1) return false;
  const before = changing[0].node;
  return !before || !isElementwise(before.op) || !CHEAP.has(before.op);
}
