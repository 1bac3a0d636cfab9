import { plannedWhole, traceStep, type CompileOptions, type CompiledStep, type StateStep } from './compile-step.js';
import { chooseEngine, type EngineFinding } from './engine.js';
import { GpuState } from './gpu-step.js';
import { loweredToOnnx } from './onnx-lowering.js';
import { OnnxState, OnnxStep } from './onnx-step.js';
import type { ParameterValues } from './parameters.js';

/** A compiled step of a family. */
export type FamilyStep = Pick<CompiledStep, 'run' | 'queue' | 'statistics'>;

/**
 * Several compiled steps over one state: the same step for other shapes of its inputs (images of another size), or another step (the one that gathers gradients and
 * the one that applies them). Each run goes on from the state that the run before it has left, whichever step's it was.
 */
export interface StepFamily {
  /** Compiles a step; its `state` is the family's. */
  compile(step: StateStep, options: Pick<CompileOptions, 'inputs' | 'resident'>): Promise<FamilyStep>;
  /** A copy of the state as it is now. */
  readState(): Promise<ParameterValues>;
  /** Replaces the named parts of the state, once a step is compiled. @throws for an unknown name or another shape */
  writeState(values: ParameterValues): void;
  dispose(): Promise<void>;
}

/** A family without steps. @param options the initial state, all float32; threads; left out: the engine of this process */
export async function openStepFamily({ state, threads, engine }: Pick<CompileOptions, 'state' | 'threads'> & { engine?: EngineFinding }): Promise<StepFamily> {
  const { gpu, runtime } = engine ?? (await chooseEngine());
  if (gpu) {
    const shared = new GpuState(gpu, state);
    return {
      compile: (step, options) => shared.compile(traceStep(step, { ...options, state }, plannedWhole), options),
      readState: () => shared.read(),
      writeState: (values) => shared.write(values),
      dispose: () => Promise.resolve(shared.dispose()),
    };
  }
  const shared = new OnnxState(runtime!, state), steps: OnnxStep[] = [];
  return {
    compile: async (step, options) => {
      const started = performance.now();
      const compiled = await OnnxStep.create(runtime!, traceStep(step, { ...options, state }, loweredToOnnx), shared, { ...options, threads, keepsMemory: false }, started);
      steps.push(compiled);
      return compiled;
    },
    readState: () => Promise.resolve(shared.read()),
    writeState: (values) => shared.write(values),
    dispose: async () => void (await Promise.all(steps.map((step) => step.dispose()))),
  };
}
