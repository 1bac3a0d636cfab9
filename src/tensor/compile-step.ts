import type { Tensor as OnnxRuntimeTensor } from 'onnxruntime-node';
import type { Tensor } from './tf.js';
import type { Graph, TensorSpec, TypedArray } from './graph.js';
import { chooseEngine, type EngineFinding } from './engine.js';
import { OnnxProgram, type OnnxOptions } from './onnx-engine.js';
import { loweredToOnnx } from './onnx-lowering.js';
import { sizeOf, type ArrayValue, type ParameterValues } from './parameters.js';
import { trace } from './trace.js';
import { whileDeviceLasts, type GpuDevice } from './webgpu/adapter.js';
import type { Placement } from './webgpu/kernel.js';
import { planGraph } from './webgpu/plan.js';
import { GpuProgram } from './webgpu/program.js';
import { isWhole } from './webgpu/whole-kernels.js';

/** Named tensors. */
export type NamedTensors = Record<string, Tensor>;

/** A pure function of a state and inputs: new values for (a part of) the state, and outputs. */
export type StateStep = (state: NamedTensors, inputs: NamedTensors) => { state?: NamedTensors; outputs: NamedTensors };

/** An array that stays with the engine: every run reads it, none changes it. */
export interface ResidentArray extends TensorSpec {
  data: TypedArray;
}

/** What {@link compileStep} needs to know beside the function. */
export interface CompileOptions extends OnnxOptions {
  /** Left out: the engine of this process. */
  engine?: EngineFinding;
  /** Initial state: parameters, moments, running statistics. All float32. */
  state: ParameterValues;
  /** Shapes and types of the inputs of each run. */
  inputs: Record<string, TensorSpec>;
  /** Arrays that the step finds among its inputs, written once: to the GPU's memory where that computes. */
  resident?: Record<string, ResidentArray>;
}

/** A compiled step: the state lives inside, and each run reads inputs, updates the state and gives outputs. */
export interface CompiledStep {
  /** Kernels in the traced graph after simplification, nodes and bytes of the compiled model, milliseconds that compiling took. */
  readonly statistics: { kernels: number; nodes: number; bytes: number; compileMilliseconds: number };
  /** Runs that may be under way at once: they follow one another on the GPU, which need not wait for the numbers of each. */
  readonly queue: number;
  /**
   * Runs the step once.
   * @returns the outputs; with a queue of 1 their arrays are overwritten by the next run.
   * @throws when an input is missing or has another length.
   */
  run(inputs: Record<string, TypedArray>): Promise<Record<string, TypedArray>>;
  /** A copy of the state as it is now. */
  readState(): Promise<ParameterValues>;
  /** Replaces the named parts of the state. @throws for an unknown name or another shape. */
  writeState(values: ParameterValues): void;
  dispose(): Promise<void>;
}

const STATE = 'state/', INPUT = 'input/', RESIDENT = 'resident/', NEXT = 'next/', OUTPUT = 'output/';

const prefixed = <T>(prefix: string, record: Record<string, T>): Record<string, T> => Object.fromEntries(Object.entries(record).map(([k, v]) => [prefix + k, v]));
const withPrefix = <T>(prefix: string, record: Record<string, T>): Record<string, T> => Object.fromEntries(Object.entries(record).filter(([k]) => k.startsWith(prefix)).map(([k, v]) => [k.slice(prefix.length), v]));

/**
 * Traces one call of `step` as it is compiled.
 * @param keeps which named kernels the engine has kernels of its own for
 * @returns a graph with inputs `state/…`, `input/…` and `resident/…`, outputs `next/…` and `output/…`
 */
export function traceStep(step: StateStep, { state, inputs, resident = {} }: { state: Record<string, { shape: readonly number[] }>; inputs: Record<string, TensorSpec>; resident?: Record<string, TensorSpec> }, keeps: (kernel: string) => boolean): Graph {
  const twice = Object.keys(resident).find((name) => name in inputs);
  if (twice !== undefined) throw new Error(`${twice} is both an input and a resident array: give it one name for each`);
  const specs = Object.fromEntries(Object.entries(state).map(([k, { shape }]) => [k, { shape, dtype: 'float32' as const }]));
  return trace(
    (all) => {
      const { state: next = {}, outputs } = step(withPrefix(STATE, all), { ...withPrefix(INPUT, all), ...withPrefix(RESIDENT, all) });
      for (const [name, t] of Object.entries(next)) checkShape(`state ${name}`, t.shape, state[name]?.shape);
      return { ...prefixed(NEXT, next), ...prefixed(OUTPUT, outputs) };
    },
    { ...prefixed(STATE, specs), ...prefixed(INPUT, inputs), ...prefixed(RESIDENT, resident) },
    { keeps },
  );
}

/** Which named kernels WebGPU's planner takes whole. */
export const plannedWhole = isWhole;

/**
 * Traces one call of `step` and compiles it: with onnxruntime into one graph, whose state stays in two sets of buffers that change places
 * after every run; with WebGPU into one list of kernels that is replayed on the GPU, where the state stays.
 */
export async function compileStep(step: StateStep, options: CompileOptions): Promise<CompiledStep> {
  const { gpu, runtime } = options.engine ?? (await chooseEngine());
  const started = performance.now();
  const traced = traceStep(step, options, gpu ? plannedWhole : loweredToOnnx);
  if (gpu) return new GpuCompiledStep(gpu, await whileDeviceLasts(gpu, () => GpuProgram.create(gpu, planGraph(traced, gpu))), traced, options, started);
  return new OnnxCompiledStep(await OnnxProgram.create(runtime!, traced, options), options, performance.now() - started);
}

class OnnxCompiledStep implements CompiledStep {
  readonly queue = 1;
  readonly statistics;
  /** The state that the next run reads. */
  readonly #state: Record<string, OnnxRuntimeTensor>;
  /** Where the next run writes the new state. */
  readonly #next: Record<string, OnnxRuntimeTensor> = {};
  readonly #outputs: Record<string, OnnxRuntimeTensor> = {};
  readonly #resident: Record<string, OnnxRuntimeTensor>;

  constructor(private readonly program: OnnxProgram, private readonly options: CompileOptions, compileMilliseconds: number) {
    this.statistics = { kernels: program.graph.nodes.length, nodes: program.nodes, bytes: program.bytes, compileMilliseconds };
    this.#state = Object.fromEntries(Object.entries(options.state).map(([k, v]) => [k, program.tensor('float32', Float32Array.from(v.data), v.shape)]));
    this.#resident = Object.fromEntries(Object.entries(options.resident ?? {}).map(([name, array]) => [RESIDENT + name, program.tensor(array.dtype, elementsOfResident(name, array), array.shape)]));
    for (const name of program.graph.outputs.keys()) {
      if (name.startsWith(NEXT)) this.#next[name.slice(NEXT.length)] = program.allocate(name);
      else this.#outputs[name.slice(OUTPUT.length)] = program.allocate(name);
    }
  }

  async run(inputs: Record<string, TypedArray>): Promise<Record<string, TypedArray>> {
    const feeds = { ...prefixed(STATE, this.#state), ...this.#resident };
    for (const [name, { shape, dtype }] of Object.entries(this.options.inputs)) {
      feeds[INPUT + name] = this.program.tensor(dtype, elementsOfInput(name, shape, inputs), shape);
    }
    await this.program.run(feeds, { ...prefixed(NEXT, this.#next), ...prefixed(OUTPUT, this.#outputs) });
    for (const name of Object.keys(this.#next)) [this.#state[name], this.#next[name]] = [this.#next[name], this.#state[name]];
    return Object.fromEntries(Object.entries(this.#outputs).map(([name, t]) => [name, t.data as TypedArray]));
  }

  readState(): Promise<ParameterValues> {
    return Promise.resolve(Object.fromEntries(Object.entries(this.#state).map(([name, t]): [string, ArrayValue] => [name, { shape: t.dims, data: Float32Array.from(t.data as Float32Array) }])));
  }

  writeState(values: ParameterValues): void {
    for (const [name, v] of Object.entries(values)) {
      checkShape(`state ${name}`, v.shape, this.#state[name]?.dims);
      (this.#state[name].data as Float32Array).set(v.data);
    }
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}

class GpuCompiledStep implements CompiledStep {
  readonly queue = 4;
  readonly statistics;

  constructor(private readonly gpu: GpuDevice, private readonly program: GpuProgram, private readonly graph: Graph, private readonly options: CompileOptions, started: number) {
    const { nodes, kernels, buffers } = program.plan;
    this.statistics = { kernels: nodes, nodes: kernels.length, bytes: buffers.reduce((a, b) => a + b, 0), compileMilliseconds: performance.now() - started };
    this.writeState(options.state);
    for (const [name, array] of Object.entries(options.resident ?? {})) {
      const { buffer, offset } = this.#input(RESIDENT + name), data = elementsOfResident(name, array);
      for (let at = 0; at < data.length; at += UPLOADED_AT_ONCE) {
        const part = data.subarray(at, at + UPLOADED_AT_ONCE);
        program.write({ buffer, offset: offset + at, elements: part.length }, part);
      }
    }
  }

  run(inputs: Record<string, TypedArray>): Promise<Record<string, TypedArray>> {
    return whileDeviceLasts(this.gpu, () => this.#run(inputs));
  }

  async #run(inputs: Record<string, TypedArray>): Promise<Record<string, TypedArray>> {
    this.program.checkDevice();
    for (const [name, { shape }] of Object.entries(this.options.inputs)) this.program.write(this.#input(INPUT + name), elementsOfInput(name, shape, inputs));
    const { plan } = this.program;
    const names = [...plan.outputs.keys()].filter((name) => name.startsWith(OUTPUT));
    const results = await this.program.read(names.map((name) => ({ place: plan.outputs.get(name)!, dtype: this.graph.outputs.get(name)!.dtype })), (encoder) => {
      this.program.encode(encoder);
      for (const [name, place] of plan.outputs) if (name.startsWith(NEXT)) this.program.copy(encoder, place, this.#input(STATE + name.slice(NEXT.length)));
    });
    return Object.fromEntries(names.map((name, i) => [name.slice(OUTPUT.length), results[i]]));
  }

  async readState(): Promise<ParameterValues> {
    const entries = Object.entries(this.options.state);
    const values = await whileDeviceLasts(this.gpu, () => this.program.read(entries.map(([name]) => ({ place: this.#input(STATE + name), dtype: 'float32' }))));
    return Object.fromEntries(entries.map(([name, { shape }], i) => [name, { shape, data: Float32Array.from(values[i] as Float32Array) }]));
  }

  writeState(values: ParameterValues): void {
    for (const [name, v] of Object.entries(values)) {
      checkShape(`state ${name}`, v.shape, this.options.state[name]?.shape);
      this.program.write(this.#input(STATE + name), v.data);
    }
  }

  dispose(): Promise<void> {
    this.program.dispose();
    return Promise.resolve();
  }

  #input(name: string): Placement {
    return this.program.plan.inputs.get(name)!;
  }
}

/** Elements that are handed to the GPU at once: what is handed over is copied before. */
const UPLOADED_AT_ONCE = 2 ** 24;

function elementsOfResident(name: string, { shape, data }: ResidentArray): TypedArray {
  if (data.length !== sizeOf(shape)) throw new Error(`resident array ${name} has ${data.length} elements; its shape [${shape.join(', ')}] wants ${sizeOf(shape)}`);
  return data;
}

function elementsOfInput(name: string, shape: readonly number[], inputs: Record<string, TypedArray>): TypedArray {
  const data = inputs[name] as TypedArray | undefined;
  if (data?.length !== sizeOf(shape)) throw new Error(`input ${name} has ${data ? `${data.length} elements` : 'no value'}; its shape [${shape.join(', ')}] wants ${sizeOf(shape)}`);
  return data;
}

function checkShape(what: string, shape: readonly number[], wanted: readonly number[] | undefined): void {
  if (!wanted) throw new Error(`${what} is unknown: the step has no such state`);
  if (shape.length !== wanted.length || shape.some((d, i) => d !== wanted[i])) throw new Error(`${what} has shape [${shape.join(', ')}], expected [${wanted.join(', ')}]`);
}
