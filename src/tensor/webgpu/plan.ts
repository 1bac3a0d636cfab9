import { anyOf, bytesText } from '../../counted.js';
import { UserError } from '../../errors.js';
import { elementsOf } from '../graph-builder.js';
import { newNode, type Graph, type TypedArray, type Value } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { ASSEMBLE, assembleConcatenations } from './assemble-concatenations.js';
import { Fusion } from './fusion.js';
import { Dispatch, KernelWriter, SMALL_VALUES, type Kernel, type Layout, type Placement, type PlanLimits } from './kernel.js';
import { mapKernel } from './map-kernel.js';
import { matrixProduct, matrixProductKernel } from './matrix-product-kernel.js';
import { toPrimitives } from './primitives.js';
import { productKernel } from './product-kernel.js';
import { reductionKernel } from './reduction-kernel.js';
import { SMALL_BYTES, schedule } from './schedule.js';
import { wholeKernel } from './whole-kernels.js';

/** The least that every WebGPU device takes. */
export const LEAST_LIMITS: PlanLimits = { buffers: 8, alignment: 256 };

/** A step as kernels in the order in which they run, on buffers that are used again as soon as what they hold is no longer needed. */
export interface Plan {
  kernels: Kernel[];
  /** Sizes in bytes. */
  buffers: number[];
  /** The buffers that hold nothing from run to run: only intermediate values. Programs that take turns may share them. */
  transient: ReadonlySet<number>;
  inputs: Map<string, Placement>;
  outputs: Map<string, Placement>;
  /** What is written into buffers once. */
  constants: { place: Placement; data: TypedArray }[];
  /** Nodes of the graph of primitives. */
  nodes: number;
  /** Bytes of all intermediate values if each had memory of its own. */
  intermediateBytes: number;
}

const isSmall = (value: Value): boolean => sizeOf(value.shape) * 4 <= SMALL_BYTES;

const aligned = (bytes: number): number => Math.max(256, Math.ceil(bytes / 256) * 256);

/** Buffers that are given back and taken again; none is made before all sizes are known, so that one that is too small grows. */
class Arena {
  /** The first is that of small values. */
  readonly sizes: number[] = [0];
  /** Those that only intermediate values are in. */
  readonly transient = new Set<number>();
  readonly #free: number[] = [];

  /** First element of a place of its own among the small values. */
  small(elements: number): number {
    const offset = this.sizes[SMALL_VALUES] / 4;
    this.sizes[SMALL_VALUES] += aligned(elements * 4);
    return offset;
  }

  /** A buffer of its own, never used for anything else. */
  own(bytes: number): number {
    return this.sizes.push(aligned(bytes)) - 1;
  }

  take(bytes: number): number {
    const wanted = aligned(bytes);
    let best = -1;
    for (const [k, buffer] of this.#free.entries()) {
      if (best < 0 || this.#fits(this.sizes[buffer], this.sizes[this.#free[best]], wanted)) best = k;
    }
    const smallest = best >= 0 ? this.sizes[this.#free[best]] : 0;
    if (best < 0 || smallest > 4 * wanted && smallest > 1 << 20) {
      const made = this.own(bytes);
      this.transient.add(made);
      return made;
    }
    const [buffer] = this.#free.splice(best, 1);
    this.sizes[buffer] = Math.max(this.sizes[buffer], wanted);
    return buffer;
  }

  give(buffer: number): void {
    this.#free.push(buffer);
  }

  /** Whether a is the better place: the smallest that is large enough, else the largest. */
  #fits(a: number, b: number, wanted: number): boolean {
    if (a >= wanted && b >= wanted) return a < b;
    return a > b;
  }
}

/** Inputs that a step passes on as they are become copies, so that every result is written by a kernel. */
function copyPassedOn(graph: Graph): Graph {
  const nodes = [...graph.nodes], outputs = new Map(graph.outputs);
  for (const [name, value] of graph.outputs) {
    if (value.node || value.constant !== undefined) continue;
    const copy = newNode('Identity', { x: value }, {}, [{ shape: value.shape, dtype: value.dtype }]);
    nodes.push(copy);
    outputs.set(name, copy.outputs[0]);
  }
  return { ...graph, nodes, outputs };
}

/** What makes a step smaller, whatever it is that does not suffice for it. */
export const SMALLER_STEPS = ['fewer images a step (--set batchSize=…)', 'fewer at once (--micro-batch 1 of a preset)', 'fewer seeds as one (--together 1)'] as const;

/** The error for a value that no kernel of the device can bind. */
function tooLarge(value: Value, graph: Graph, { replicas = 1, largestBuffer = 0 }: PlanLimits, bytes: number): UserError {
  const input = [...graph.inputs].find(([, one]) => one === value)?.[0], what = value.node ? `the result of ${value.node.op}` : input ? `'${input}'` : 'a constant';
  return new UserError(`${what}, of shape [${value.shape.join(', ')}], takes ${bytesText(bytes)}${replicas > 1 ? ` for ${replicas} seeds as one` : ''}, and a buffer of this GPU at most ${bytesText(largestBuffer)}: take ${anyOf(SMALLER_STEPS)}`);
}

/**
 * Plans a traced step for WebGPU: primitives, fused groups, memory by lifetime, one program for each kernel.
 * @param isCommon which inputs all replicas read from one place; constants are common always
 * @throws for a kernel that can't be planned, naming it. @throws UserError for a value that is larger than the device's largest buffer, naming it.
 */
export function planGraph(traced: Graph, limits: PlanLimits = LEAST_LIMITS, isCommon: (input: string) => boolean = () => false): Plan {
  const graph = copyPassedOn(assembleConcatenations(toPrimitives(traced)));
  const fusion = new Fusion(graph, limits);
  const arena = new Arena(), places = new Map<Value, Placement>();
  const inputs = new Map<string, Placement>(), constants: Plan['constants'] = [];
  /** A place for every replica's copy of a value, or for the one that all have. */
  const placed = (value: Value, take: (bytes: number) => number, isShared = false): Placement => {
    const elements = sizeOf(value.shape), stride = isShared ? 0 : elements, all = isShared ? elements : elements * (limits.replicas ?? 1);
    if (all * 4 > (limits.largestBuffer ?? Infinity)) throw tooLarge(value, graph, limits, all * 4);
    const place = isSmall(value) ? { buffer: SMALL_VALUES, offset: arena.small(all), elements, stride } : { buffer: take(all * 4), offset: 0, elements, stride };
    places.set(value, place);
    return place;
  };
  const own = (value: Value, isShared = false): Placement => placed(value, (bytes) => arena.own(bytes), isShared);
  for (const [name, value] of graph.inputs) inputs.set(name, own(value, isCommon(name)));
  const constant = (value: Value): Placement => {
    const known = places.get(value);
    if (known) return known;
    const place = own(value, true);
    constants.push({ place, data: elementsOf(value) });
    return place;
  };

  const assembled = new Map<Value, { whole: Value; offset: number }>(); // parts of what is assembled in memory
  for (const node of graph.nodes) {
    if (node.op !== ASSEMBLE) continue;
    let offset = 0;
    for (const part of node.inputs) {
      assembled.set(part, { whole: node.outputs[0], offset });
      offset += sizeOf(part.shape);
    }
  }
  const dispatches = schedule(fusion, limits, (value) => assembled.get(value)?.whole ?? value);
  const lastUse = new Map<Value, number>(), outputs = new Set([...graph.outputs.values()]);
  dispatches.forEach((stack, at) => stack.forEach((group) => {
    for (const m of group.members) for (const leaf of fusion.leavesOf(m)) lastUse.set(fusion.baseOf(leaf), at);
    for (const m of group.stores) lastUse.set(m, Math.max(at, lastUse.get(m) ?? 0));
  }));
  const dying = new Map<number, Value[]>();
  for (const [value, at] of lastUse) if (!outputs.has(value) && value.node) dying.set(at, [...(dying.get(at) ?? []), value]);
  let intermediateBytes = 0;
  const place = (value: Value): void => {
    if (places.has(value)) return;
    const part = assembled.get(value);
    if (part) {
      place(part.whole);
      places.set(value, { ...places.get(part.whole)!, offset: places.get(part.whole)!.offset + part.offset, elements: sizeOf(value.shape) });
      return;
    }
    intermediateBytes += sizeOf(value.shape) * 4 * (limits.replicas ?? 1);
    placed(value, (bytes) => (outputs.has(value) ? arena.own(bytes) : arena.take(bytes)));
  };
  const placementOf = (value: Value): Placement => {
    if (value.constant !== undefined) return constant(value);
    const found = places.get(value);
    if (found) return found;
    const base = fusion.baseOf(value);
    if (base === value) throw new Error(`a value of shape [${value.shape.join(', ')}] has no place in memory`);
    const { buffer, offset, stride } = placementOf(base);
    return { buffer, offset: offset + fusion.offsetOf(value), elements: sizeOf(value.shape), stride };
  };
  const layout: Layout = { fusion, placementOf, limits };
  const kernels = dispatches.map((stack, at) => {
    for (const group of stack) for (const value of group.stores) place(value);
    const dispatch = new Dispatch(layout, stack.length > 1);
    const kernel = dispatch.kernel(stack.map((group, k) => {
      const writer = new KernelWriter(dispatch, group, k);
      return group.whole ? wholeKernel(writer) : group.kind === 'map' ? mapKernel(writer) : group.kind === 'reduction' ? reductionKernel(writer) : matrixProduct(group, limits) ? matrixProductKernel(writer) : productKernel(writer);
    }));
    for (const value of dying.get(at) ?? []) {
      const found = places.get(value);
      if (found && found.buffer !== SMALL_VALUES && !assembled.has(value)) arena.give(found.buffer);
    }
    return kernel;
  });
  arena.sizes[SMALL_VALUES] = aligned(arena.sizes[SMALL_VALUES]);
  const results = new Map([...graph.outputs].map(([name, value]) => [name, placementOf(value)]));
  return { kernels, buffers: arena.sizes, transient: arena.transient, inputs, outputs: results, constants, nodes: graph.nodes.length, intermediateBytes };
}
