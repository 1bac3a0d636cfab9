import type { CompileOptions, CompiledStep } from './compile-step.js';
import type { Graph, TypedArray } from './graph.js';
import type { ParameterValues } from './parameters.js';
import { INPUT, NEXT, OUTPUT, RESIDENT, STATE, checkShape, elementsOfInput, elementsOfResident } from './step-arrays.js';
import { whileDeviceLasts, type GpuDevice } from './webgpu/adapter.js';
import { SMALL_VALUES, placeOf, type Placement } from './webgpu/kernel.js';
import { planGraph } from './webgpu/plan.js';
import { BUFFER_USAGE, GpuProgram } from './webgpu/program.js';

/** Elements that are handed to the GPU at once: what is handed over is copied before. */
const UPLOADED_AT_ONCE = 2 ** 24;

/** What a run of one replica reads. */
export interface ReplicaRun {
  replica: number;
  inputs: Record<string, TypedArray>;
}

/** Starts runs of a step, each a replica's, as one replay; gives their outputs in their order. */
export type RunStarter = (runs: readonly ReplicaRun[]) => Promise<Record<string, TypedArray>[]>;

/**
 * Compiles a traced step for WebGPU as often as there are options, which differ in nothing but the state: one list of kernels that
 * computes all these replicas side by side.
 * @param runnerOf makes what a replica's `run` calls; left out: the run is started at once
 */
export async function compileGpuStep(gpu: GpuDevice, traced: Graph, options: readonly CompileOptions[], runnerOf?: (start: RunStarter, replica: number) => (inputs: Record<string, TypedArray>) => Promise<Record<string, TypedArray>>): Promise<GpuReplica[]> {
  const started = performance.now();
  const plan = planGraph(traced, { ...gpu, replicas: options.length }, (name) => name.startsWith(RESIDENT));
  const step = new GpuStep(gpu, await whileDeviceLasts(gpu, () => GpuProgram.create(gpu, plan)), traced, options[0], started);
  step.replicas = options.length;
  const start: RunStarter = (runs) => step.run(runs);
  return options.map(({ state }, replica) => {
    const made = new GpuReplica(step, replica, runnerOf?.(start, replica) ?? (async (inputs) => (await start([{ replica, inputs }]))[0]));
    made.writeState(state);
    return made;
  });
}

/**
 * A state on the GPU that several steps read and change in turn. Its large parts lie in buffers that all of them use; the small ones, which lie among
 * a step's small values, are copied when another step's turn comes. Intermediate values of all steps share memory too, since their runs follow one another.
 */
export class GpuState {
  readonly #buffers = new Map<string, GPUBuffer>();
  /** For intermediate values. */
  readonly #transient: GPUBuffer[] = [];
  readonly #steps: GpuStep[] = [];
  #newest: GpuStep | undefined;

  constructor(private readonly gpu: GpuDevice, private readonly values: ParameterValues) {}

  /** Compiles a traced step whose state this is. */
  async compile(traced: Graph, options: Omit<CompileOptions, 'state'>): Promise<GpuReplica> {
    const started = performance.now();
    const plan = planGraph(traced, this.gpu, (name) => name.startsWith(RESIDENT));
    const names = new Map(Object.keys(this.values).map((name) => [plan.inputs.get(STATE + name)!.buffer, name])), taken = new Set<GPUBuffer>();
    names.delete(SMALL_VALUES);
    const give = (buffer: number, size: number): GPUBuffer | undefined => {
      const name = names.get(buffer);
      if (name !== undefined) return this.#bufferOf(name, size);
      return plan.transient.has(buffer) ? this.#transientOf(size, taken) : undefined;
    };
    const program = await whileDeviceLasts(this.gpu, () => GpuProgram.create(this.gpu, plan, give));
    const step: GpuStep = new GpuStep(this.gpu, program, traced, { ...options, state: this.values }, started, (encoder) => this.#bring(encoder, step));
    this.#steps.push(step);
    if (!this.#newest) (this.#newest = step).writeState(0, this.values);
    return new GpuReplica(step, 0, async (inputs) => (await step.run([{ replica: 0, inputs }]))[0]);
  }

  #bufferOf(name: string, size: number): GPUBuffer {
    let buffer = this.#buffers.get(name);
    if (!buffer) this.#buffers.set(name, (buffer = this.gpu.device.createBuffer({ size, usage: BUFFER_USAGE })));
    return buffer;
  }

  /** The smallest buffer for intermediate values that is large enough and that a step has not taken yet, or a new one. */
  #transientOf(size: number, taken: Set<GPUBuffer>): GPUBuffer {
    const free = this.#transient.filter((buffer) => buffer.size >= size && !taken.has(buffer)).sort((a, b) => a.size - b.size);
    const buffer = free[0] ?? this.gpu.device.createBuffer({ size, usage: BUFFER_USAGE });
    if (free.length === 0) this.#transient.push(buffer);
    taken.add(buffer);
    return buffer;
  }

  /** Bytes that intermediate values of all steps take. */
  get transientBytes(): number {
    return this.#transient.reduce((sum, { size }) => sum + size, 0);
  }

  /** Encodes what a step has to have before it runs: the small parts of the state as the step before has left them. */
  #bring(encoder: GPUCommandEncoder, step: GpuStep): void {
    const before = this.#newest!;
    this.#newest = step;
    if (before === step) return;
    for (const name of Object.keys(this.values)) {
      const to = step.input(STATE + name);
      if (to.buffer === SMALL_VALUES) step.program.copy(encoder, before.input(STATE + name), to, before.program);
    }
  }

  async read(): Promise<ParameterValues> {
    return this.#newest ? this.#newest.readState(0) : this.values;
  }

  /** @throws for an unknown name or another shape */
  write(values: ParameterValues): void {
    if (!this.#newest) throw new Error('a state is on the GPU once a step is compiled: compile one first');
    this.#newest.writeState(0, values);
  }

  /** Gives back the memory of the state and of all its steps. */
  dispose(): void {
    for (const step of this.#steps) step.program.dispose();
    for (const buffer of [...this.#buffers.values(), ...this.#transient]) buffer.destroy();
  }
}

/** A step on the GPU with the states of all its replicas. */
class GpuStep {
  readonly statistics;
  /** Replicas that are not disposed of. */
  replicas = 1;

  constructor(private readonly gpu: GpuDevice, readonly program: GpuProgram, private readonly graph: Graph, readonly options: CompileOptions, started: number, private readonly before: (encoder: GPUCommandEncoder) => void = () => undefined) {
    const { nodes, kernels, buffers } = program.plan;
    for (const [name, array] of Object.entries(options.resident ?? {})) {
      const place = this.input(RESIDENT + name), data = elementsOfResident(name, array);
      for (let at = 0; at < data.length; at += UPLOADED_AT_ONCE) {
        const part = data.subarray(at, at + UPLOADED_AT_ONCE);
        program.write({ ...place, offset: place.offset + at, elements: part.length }, part);
      }
    }
    this.statistics = { kernels: nodes, nodes: kernels.length, bytes: buffers.reduce((a, b) => a + b, 0), compileMilliseconds: performance.now() - started };
  }

  input(name: string): Placement {
    return this.program.plan.inputs.get(name)!;
  }

  /** Replays the kernels once. Only the states of the replicas that run change: the others' results are not kept. */
  run(runs: readonly ReplicaRun[]): Promise<Record<string, TypedArray>[]> {
    return whileDeviceLasts(this.gpu, async () => {
      this.program.checkDevice();
      for (const { replica, inputs } of runs) {
        for (const [name, { shape }] of Object.entries(this.options.inputs)) this.program.write(placeOf(this.input(INPUT + name), replica), elementsOfInput(name, shape, inputs));
      }
      const outputs = [...this.program.plan.outputs], read = outputs.filter(([name]) => name.startsWith(OUTPUT)), next = outputs.filter(([name]) => name.startsWith(NEXT));
      const wanted = runs.flatMap(({ replica }) => read.map(([name, place]) => ({ place: placeOf(place, replica), dtype: this.graph.outputs.get(name)!.dtype })));
      const results = await this.program.read(wanted, (encoder) => {
        this.before(encoder);
        this.program.encode(encoder);
        for (const { replica } of runs) for (const [name, place] of next) this.program.copy(encoder, placeOf(place, replica), placeOf(this.input(STATE + name.slice(NEXT.length)), replica));
      });
      return runs.map((_, r) => Object.fromEntries(read.map(([name], i) => [name.slice(OUTPUT.length), results[r * read.length + i]])));
    });
  }

  async readState(replica: number): Promise<ParameterValues> {
    const entries = Object.entries(this.options.state);
    const values = await whileDeviceLasts(this.gpu, () => this.program.read(entries.map(([name]) => ({ place: placeOf(this.input(STATE + name), replica), dtype: 'float32' }))));
    return Object.fromEntries(entries.map(([name, { shape }], i) => [name, { shape, data: Float32Array.from(values[i] as Float32Array) }]));
  }

  writeState(replica: number, values: ParameterValues): void {
    for (const [name, v] of Object.entries(values)) {
      checkShape(`state ${name}`, v.shape, this.options.state[name]?.shape);
      this.program.write(placeOf(this.input(STATE + name), replica), v.data);
    }
  }
}

/** One replica of a step on the GPU. */
export class GpuReplica implements CompiledStep {
  readonly queue = 4;
  readonly statistics;
  #isDisposed = false;

  constructor(private readonly step: GpuStep, readonly replica: number, readonly run: (inputs: Record<string, TypedArray>) => Promise<Record<string, TypedArray>>) {
    this.statistics = step.statistics;
  }

  /** The program that all replicas share. */
  get program(): GpuProgram { return this.step.program; }

  /** Whether this replica takes no more runs. */
  get isDisposed(): boolean { return this.#isDisposed; }

  readState(): Promise<ParameterValues> {
    return this.step.readState(this.replica);
  }

  writeState(values: ParameterValues): void {
    this.step.writeState(this.replica, values);
  }

  dispose(): Promise<void> {
    if (!this.#isDisposed && --this.step.replicas === 0) this.program.dispose();
    this.#isDisposed = true;
    return Promise.resolve();
  }
}
