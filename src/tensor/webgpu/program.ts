import { anyOf } from '../../counted.js';
import { UserError } from '../../errors.js';
import type { DataType, TypedArray } from '../graph.js';
import type { GpuDevice } from './adapter.js';
import type { Placement } from './kernel.js';
import { SMALLER_STEPS, type Plan } from './plan.js';

/** Kernels that are timed with one set of queries. */
const TIMED_AT_ONCE = 1000;

/** What buffers of a program are for. */
export const BUFFER_USAGE = 0x80 | 0x08 | 0x04; // STORAGE, COPY_DST, COPY_SRC: GPUBufferUsage is there once Dawn is loaded

/** One dispatch. */
interface Call { pipeline: GPUComputePipeline; group: GPUBindGroup; workgroups: readonly [number, number, number] }

/** A plan on a device: its buffers, pipelines and bind groups, made once and replayed by every run. */
export class GpuProgram {
  readonly #buffers: GPUBuffer[];
  readonly #calls: Call[];

  private constructor(private readonly gpu: GpuDevice, readonly plan: Plan, buffers: GPUBuffer[], private readonly given: ReadonlySet<GPUBuffer>, calls: Call[], readonly pipelines: number) {
    this.#buffers = buffers;
    this.#calls = calls;
  }

  /**
   * Makes buffers and compiles the kernels; equal ones are compiled once.
   * @param give a buffer of a size from elsewhere, by its number in the plan, which the program uses and leaves when it is disposed of
   * @throws when a kernel does not compile, with its text, or memory does not suffice.
   */
  static async create(gpu: GpuDevice, plan: Plan, give: (buffer: number, size: number) => GPUBuffer | undefined = () => undefined): Promise<GpuProgram> {
    const { device } = gpu;
    device.pushErrorScope('out-of-memory');
    const given = new Set<GPUBuffer>();
    const buffers = plan.buffers.map((size, k) => {
      const from = give(k, size);
      if (from) given.add(from);
      return from ?? device.createBuffer({ size, usage: BUFFER_USAGE });
    });
    const memory = await device.popErrorScope();
    if (memory) {
      destroyAll(buffers, given);
      throw new UserError(`the GPU's memory does not suffice for the ${(plan.buffers.reduce((a, b) => a + b, 0) / 2 ** 20).toFixed(0)} MiB of a step (${memory.message.split('\n')[0]}): take ${anyOf([...SMALLER_STEPS, 'one process (--processes 1)'])}`);
    }
    const pipelines = compiledBy(device), programs = new Set<string>();
    const pipelineOf = (code: string): Promise<GPUComputePipeline> => {
      programs.add(code);
      let known = pipelines.get(code);
      if (!known) pipelines.set(code, (known = compile(device, code)));
      return known;
    };
    const calls = await Promise.all(plan.kernels.map(async ({ code, bindings, workgroups }) => {
      const pipeline = await pipelineOf(code);
      const entries = bindings.map(({ buffer, offset, bytes }, binding) => ({ binding, resource: { buffer: buffers[buffer], offset, size: Math.min(bytes, plan.buffers[buffer] - offset) } }));
      return { pipeline, group: device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }), workgroups };
    }));
    const program = new GpuProgram(gpu, plan, buffers, given, calls, programs.size);
    for (const { place, data } of plan.constants) program.write(place, data);
    return program;
  }

  /** Whether the device still answers. @throws when it was lost. */
  checkDevice(): void {
    if (this.gpu.lost !== undefined) throw new Error(`the GPU was lost (${this.gpu.lost}): start again, a run resumes from its last checkpoint`);
  }

  /** Writes elements to their place; bools become 32-bit words. */
  write({ buffer, offset }: Placement, data: TypedArray): void {
    const words = data instanceof Uint8Array ? Uint32Array.from(data) : data;
    this.gpu.device.queue.writeBuffer(this.#buffers[buffer], offset * 4, words.buffer, words.byteOffset, words.byteLength);
  }

  /** Encodes all kernels, once. */
  encode(encoder: GPUCommandEncoder, timestampWrites?: GPUComputePassTimestampWrites): void {
    const pass = encoder.beginComputePass(timestampWrites ? { timestampWrites } : {});
    let current: GPUComputePipeline | undefined;
    for (const { pipeline, group, workgroups } of this.#calls) {
      if (pipeline !== current) pass.setPipeline((current = pipeline));
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
    }
    pass.end();
  }

  /**
   * Milliseconds that each kernel takes on the device, the least of some runs, each in a pass of its own.
   * @throws when the device has no timestamps.
   */
  async profile(runs = 5): Promise<number[]> {
    const { device } = this.gpu;
    if (!device.features.has('timestamp-query')) throw new Error('this adapter has no timestamps: kernels can not be timed');
    const best = this.#calls.map(() => Infinity);
    for (let run = 0; run < runs; run++) {
      for (let first = 0; first < this.#calls.length; first += TIMED_AT_ONCE) {
        const calls = this.#calls.slice(first, first + TIMED_AT_ONCE), count = 2 * calls.length;
        const querySet = device.createQuerySet({ type: 'timestamp', count });
        const resolved = device.createBuffer({ size: count * 8, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
        const staging = device.createBuffer({ size: count * 8, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
        const encoder = device.createCommandEncoder();
        for (const [k, { pipeline, group, workgroups }] of calls.entries()) {
          const pass = encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * k, endOfPassWriteIndex: 2 * k + 1 } });
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
          pass.end();
        }
        encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
        encoder.copyBufferToBuffer(resolved, 0, staging, 0, count * 8);
        device.queue.submit([encoder.finish()]);
        await staging.mapAsync(GPUMapMode.READ);
        const times = new BigInt64Array(staging.getMappedRange().slice(0));
        calls.forEach((_, k) => (best[first + k] = Math.min(best[first + k], Number(times[2 * k + 1] - times[2 * k]) / 1e6)));
        for (const resource of [querySet, resolved, staging]) resource.destroy();
      }
    }
    return best;
  }

  /** Encodes a copy between two places. @param source the program that `from` is a place of; this one where it is left out */
  copy(encoder: GPUCommandEncoder, from: Placement, to: Placement, source: GpuProgram = this): void {
    encoder.copyBufferToBuffer(source.#buffers[from.buffer], from.offset * 4, this.#buffers[to.buffer], to.offset * 4, from.elements * 4);
  }

  /** The buffer of a place. */
  bufferOf({ buffer }: Placement): GPUBuffer {
    return this.#buffers[buffer];
  }

  /** Reads places back: their elements, in order, by type. */
  async read(places: readonly { place: Placement; dtype: DataType }[], before: (encoder: GPUCommandEncoder) => void = () => undefined): Promise<TypedArray[]> {
    this.checkDevice();
    const { device } = this.gpu;
    const size = places.reduce((n, { place }) => n + place.elements * 4, 0);
    const staging = device.createBuffer({ size: Math.max(4, size), usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
    const encoder = device.createCommandEncoder();
    before(encoder);
    let at = 0;
    for (const { place } of places) {
      encoder.copyBufferToBuffer(this.#buffers[place.buffer], place.offset * 4, staging, at, place.elements * 4);
      at += place.elements * 4;
    }
    device.queue.submit([encoder.finish()]);
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch (error) {
      await Promise.resolve();
      this.checkDevice();
      throw error;
    }
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    at = 0;
    return places.map(({ place: { elements }, dtype }) => {
      const from = at;
      at += elements * 4;
      if (dtype === 'bool') return Uint8Array.from(new Uint32Array(bytes, from, elements));
      return dtype === 'int32' ? new Int32Array(bytes, from, elements) : new Float32Array(bytes, from, elements);
    });
  }

  dispose(): void {
    destroyAll(this.#buffers, this.given);
  }
}

/** Gives buffers back, but for those that were given. */
function destroyAll(buffers: readonly GPUBuffer[], given: ReadonlySet<GPUBuffer>): void {
  for (const buffer of buffers) if (!given.has(buffer)) buffer.destroy();
}

const pipelinesOf = new WeakMap<GPUDevice, Map<string, Promise<GPUComputePipeline>>>();

/** The kernels that a device has compiled, by their text: the runs of a grid have most of them in common, and a driver takes some 100 ms over each. */
function compiledBy(device: GPUDevice): Map<string, Promise<GPUComputePipeline>> {
  let known = pipelinesOf.get(device);
  if (!known) pipelinesOf.set(device, (known = new Map<string, Promise<GPUComputePipeline>>()));
  return known;
}

async function compile(device: GPUDevice, code: string): Promise<GPUComputePipeline> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  const invalid = await device.popErrorScope();
  if (invalid) throw new Error(`a kernel does not compile: ${invalid.message}\n${code}`);
  return device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } });
}
