import type { Tensor as OnnxRuntimeTensor } from 'onnxruntime-node';
import type { CompileOptions, CompiledStep } from './compile-step.js';
import type { Graph, TypedArray } from './graph.js';
import { OnnxProgram, type OnnxRuntime } from './onnx-engine.js';
import type { ArrayValue, ParameterValues } from './parameters.js';
import { INPUT, NEXT, OUTPUT, RESIDENT, STATE, checkShape, elementsOfInput, elementsOfResident, prefixed } from './step-arrays.js';

/** A state in two sets of buffers: one that a run reads, one that it writes. What a run has written changes places with what it read. */
export class OnnxState {
  readonly #current: Record<string, OnnxRuntimeTensor>;
  readonly #next: Record<string, OnnxRuntimeTensor> = {};

  constructor(private readonly runtime: OnnxRuntime, values: ParameterValues) {
    this.#current = Object.fromEntries(Object.entries(values).map(([name, { data, shape }]) => [name, new runtime.Tensor('float32', Float32Array.from(data), shape)]));
  }

  /** What the next run reads. */
  get current(): Readonly<Record<string, OnnxRuntimeTensor>> {
    return this.#current;
  }

  /** Where a run writes the parts of the state that it gives; made when first asked for. */
  next(names: readonly string[]): Record<string, OnnxRuntimeTensor> {
    return Object.fromEntries(names.map((name) => [name, (this.#next[name] ??= new this.runtime.Tensor('float32', new Float32Array(this.#current[name].data.length), this.#current[name].dims))]));
  }

  /** After a run that has written these parts. */
  advance(names: readonly string[]): void {
    for (const name of names) [this.#current[name], this.#next[name]] = [this.#next[name], this.#current[name]];
  }

  read(): ParameterValues {
    return Object.fromEntries(Object.entries(this.#current).map(([name, t]): [string, ArrayValue] => [name, { shape: t.dims, data: Float32Array.from(t.data as Float32Array) }]));
  }

  /** @throws for an unknown name or another shape */
  write(values: ParameterValues): void {
    const known: Record<string, OnnxRuntimeTensor | undefined> = this.#current;
    for (const [name, v] of Object.entries(values)) {
      checkShape(`state ${name}`, v.shape, known[name]?.dims);
      (this.#current[name].data as Float32Array).set(v.data);
    }
  }
}

/** A step that onnxruntime computes. */
export class OnnxStep implements CompiledStep {
  readonly queue = 1;
  readonly statistics;
  readonly #written: string[];
  readonly #outputs: Record<string, OnnxRuntimeTensor>;
  readonly #resident: Record<string, OnnxRuntimeTensor>;

  private constructor(private readonly program: OnnxProgram, private readonly state: OnnxState, private readonly options: Pick<CompileOptions, 'inputs' | 'resident'>, compileMilliseconds: number) {
    this.statistics = { kernels: program.graph.nodes.length, nodes: program.nodes, bytes: program.bytes, compileMilliseconds };
    this.#resident = Object.fromEntries(Object.entries(options.resident ?? {}).map(([name, array]) => [RESIDENT + name, program.tensor(array.dtype, elementsOfResident(name, array), array.shape)]));
    const names = [...program.graph.outputs.keys()];
    this.#written = names.filter((name) => name.startsWith(NEXT)).map((name) => name.slice(NEXT.length));
    this.#outputs = Object.fromEntries(names.filter((name) => name.startsWith(OUTPUT)).map((name) => [name.slice(OUTPUT.length), program.allocate(name)]));
  }

  /** @param started when compiling began, as performance.now() says it */
  static async create(runtime: OnnxRuntime, traced: Graph, state: OnnxState, options: Omit<CompileOptions, 'state'>, started: number): Promise<OnnxStep> {
    return new OnnxStep(await OnnxProgram.create(runtime, traced, options), state, options, performance.now() - started);
  }

  async run(inputs: Record<string, TypedArray>): Promise<Record<string, TypedArray>> {
    const feeds = { ...prefixed(STATE, this.state.current), ...this.#resident };
    for (const [name, { shape, dtype }] of Object.entries(this.options.inputs)) {
      feeds[INPUT + name] = this.program.tensor(dtype, elementsOfInput(name, shape, inputs), shape);
    }
    await this.program.run(feeds, { ...prefixed(NEXT, this.state.next(this.#written)), ...prefixed(OUTPUT, this.#outputs) });
    this.state.advance(this.#written);
    return Object.fromEntries(Object.entries(this.#outputs).map(([name, t]) => [name, t.data as TypedArray]));
  }

  readState(): Promise<ParameterValues> {
    return Promise.resolve(this.state.read());
  }

  writeState(values: ParameterValues): void {
    this.state.write(values);
  }

  dispose(): Promise<void> {
    return this.program.dispose();
  }
}
