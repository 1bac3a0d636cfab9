import type { Tensor } from './tf.js';
import type { Graph, TensorSpec, TypedArray } from './graph.js';
import { chooseEngine, type EngineFinding } from './engine.js';
import { compileGpuStep } from './gpu-step.js';
import type { OnnxOptions } from './onnx-engine.js';
import { loweredToOnnx } from './onnx-lowering.js';
import { OnnxState, OnnxStep } from './onnx-step.js';
import type { ParameterValues } from './parameters.js';
import { INPUT, NEXT, OUTPUT, RESIDENT, STATE, checkShape, prefixed } from './step-arrays.js';
import { currentMember } from './together.js';
import { trace } from './trace.js';
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
 * after every run; with WebGPU into one list of kernels that is replayed on the GPU, where the state stays. Equal steps of work that
 * goes on together ({@link together}) are replayed as one.
 */
export async function compileStep(step: StateStep, options: CompileOptions): Promise<CompiledStep> {
  const { gpu, runtime } = options.engine ?? (await chooseEngine());
  const started = performance.now();
  const traced = traceStep(step, options, gpu ? plannedWhole : loweredToOnnx);
  if (gpu) return (await currentMember()?.compile(gpu, traced, options)) ?? (await compileGpuStep(gpu, traced, [options]))[0];
  return OnnxStep.create(runtime!, traced, new OnnxState(runtime!, options.state), options, started);
}
