import { sizeOf } from '../parameters.js';
import type { Value } from '../graph.js';
import type { Fusion } from './fusion.js';
import type { Group } from './group.js';
import { LEAST_SHARED_BYTES, type PlanLimits } from './kernel.js';
import { matrixProduct } from './matrix-product-kernel.js';
import { reductionShape } from './reduction-kernel.js';
import { tileBytes, tilesOf } from './product-kernel.js';
import { launchOf } from './whole-kernels.js';

/** Values of up to this many bytes lie in the buffer of small values. */
export const SMALL_BYTES = 16384;
/** Most groups in one dispatch: a longer program compiles slowly and holds more registers. */
const MOST_STACKED = 8;
/** Workgroups up to which a kernel leaves a large GPU partly idle, so that others may run beside it. */
const FEW_BLOCKS = 1024;

/** Microseconds that a kernel takes on a large GPU, roughly: bytes at 2 TB/s, products at 20 TFLOP/s, and not less than its start. */
function estimate(fusion: Fusion, group: Group): number {
  const values = new Set([...group.members.flatMap((m) => [...fusion.leavesOf(m)]), ...group.stores]);
  const bytes = [...values].reduce((n, v) => n + 4 * sizeOf(v.shape), 0);
  return Math.max(4, bytes / 2e6, productOperations(group) / 2e7);
}

function productOperations({ product }: Group): number {
  if (!product) return 0;
  const [a] = product.inputs, inner = product.attributes.transposeA ? a.shape[a.shape.length - 2] : a.shape[a.shape.length - 1];
  return 2 * sizeOf(product.outputs[0].shape) * inner;
}

/** What must be alike in the kernels of one dispatch, and how large they are. */
function shapeOf(group: Group, limits: PlanLimits): { kind: string; blocks: number; sharedBytes: number } {
  const matrix = matrixProduct(group, limits);
  if (matrix) return { kind: `matrix product ${matrix.threads}`, blocks: matrix.blocks, sharedBytes: matrix.sharedBytes };
  if (group.kind === 'product') {
    const { tiles, threads, blocks } = tilesOf(group, limits);
    return { kind: `product ${threads}`, blocks, sharedBytes: tiles ? tileBytes(tiles) : 0 };
  }
  if (group.whole) {
    const { threads, blocks, sharedBytes } = launchOf(group.whole, limits);
    return { kind: `whole ${threads}`, blocks, sharedBytes };
  }
  if (group.kind === 'map') return { kind: 'elements', blocks: Math.ceil(group.size / 256), sharedBytes: 0 };
  const { results, lanes } = reductionShape(group.geometry!);
  const sums = group.members.filter((m) => sizeOf(m.shape) !== group.size || group.geometry!.count === 1).length;
  return { kind: 'elements', blocks: Math.ceil(group.geometry!.outputs / results), sharedBytes: lanes > 1 ? 2048 * Math.max(1, sums) : 0 };
}

/**
 * The order of the kernels, and which of them run as one dispatch. A dispatch costs some microseconds whatever it computes, and most
 * kernels of a small model leave a large GPU idle: the kernel with the longest way to the end goes next, and others that are ready
 * and alike go with it.
 * @param wholeOf what a value is assembled into; itself, where it isn't
 */
export function schedule(fusion: Fusion, limits: PlanLimits, wholeOf: (value: Value) => Value): Group[][] {
  const { groups } = fusion, most = limits.stacked ?? (limits.isSoftware ? 1 : MOST_STACKED);
  const waiting = new Map<Group, number>(), users = new Map<Group, Group[]>();
  for (const g of groups) {
    const before = fusion.dependenciesOf(g);
    waiting.set(g, before.size);
    for (const d of before) users.set(d, [...(users.get(d) ?? []), g]);
  }
  const way = new Map<Group, number>();
  for (const g of [...groups].reverse()) way.set(g, estimate(fusion, g) + Math.max(0, ...(users.get(g) ?? []).map((u) => way.get(u)!)));
  const shapes = new Map(groups.map((g) => [g, shapeOf(g, limits)]));
  const isLarge = (value: Value): boolean => sizeOf(value.shape) * 4 > SMALL_BYTES;
  /** What a group binds beside the small values: each large value, and each part of one that is read or written on its own. */
  const bindingsOf = (g: Group): Set<string> => {
    const leaves = g.members.flatMap((m) => [...fusion.leavesOf(m)]).filter((leaf) => isLarge(fusion.baseOf(leaf))).map((leaf) => `${fusion.baseOf(leaf).id} from ${fusion.offsetOf(leaf)}`);
    return new Set([...leaves, ...g.stores.filter((v) => isLarge(wholeOf(v))).map((v) => `${v.id} from 0`)]);
  };
  const bindings = new Map(groups.map((g) => [g, bindingsOf(g)]));
  const ready = groups.filter((g) => waiting.get(g) === 0);
  const dispatches: Group[][] = [];
  while (ready.length > 0) {
    ready.sort((a, b) => way.get(b)! - way.get(a)! || a.order - b.order);
    const lead = ready[0], { kind, blocks } = shapes.get(lead)!;
    const stack = [lead], large = new Set(bindings.get(lead));
    let shared = shapes.get(lead)!.sharedBytes, started = blocks;
    /** Products and reductions of one dispatch share the same arrays; kernels that are taken whole have their own. */
    const sharedBytes = (more: { sharedBytes: number }): number => (lead.whole ? shared + more.sharedBytes : Math.max(shared, more.sharedBytes));
    for (const g of ready.slice(1)) {
      if (stack.length === most || started > FEW_BLOCKS) break;
      const shape = shapes.get(g)!, more = [...bindings.get(g)!].filter((v) => !large.has(v));
      if (shape.kind !== kind || shape.blocks > FEW_BLOCKS || large.size + more.length + 1 > limits.buffers || sharedBytes(shape) > LEAST_SHARED_BYTES) continue;
      stack.push(g);
      for (const v of more) large.add(v);
      shared = sharedBytes(shape);
      started += shape.blocks;
    }
    for (const g of stack) ready.splice(ready.indexOf(g), 1);
    for (const g of stack) for (const u of users.get(g) ?? []) {
      waiting.set(u, waiting.get(u)! - 1);
      if (waiting.get(u) === 0) ready.push(u);
    }
    dispatches.push(stack);
  }
  return dispatches;
}
