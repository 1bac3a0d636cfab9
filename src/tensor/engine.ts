import { availableParallelism } from 'node:os';
import { UserError, messageOf } from '../errors.js';
import type { OnnxRuntime } from './onnx-engine.js';
import { openDevice, type GpuDevice } from './webgpu/adapter.js';
import { halfProductsError } from './webgpu/half-product-check.js';

/** Engines that compiled steps run on, in the order in which they are tried; the last ones only when they are asked for. */
export const ENGINES = ['webgpu', 'onnxruntime-node', 'onnxruntime-web', 'webgpu-f16', 'webgpu-software'] as const;
/**
 * Name of an engine: of its npm package; `webgpu-f16` for WebGPU with large matrix products in f16, and `webgpu-software` for
 * WebGPU on an adapter that computes on the processor.
 */
export type EngineName = (typeof ENGINES)[number];

/** Engines that no process chooses by itself, and what they are for. */
export const ON_REQUEST: Readonly<Partial<Record<EngineName, string>>> = {
  'webgpu-f16': 'large matrix products in f16 with sums of f32, on adapters with subgroup matrices',
  'webgpu-software': 'for tests, slower than onnxruntime',
};

/** An engine that was looked for: usable, or the reason why not. */
export interface EngineFinding {
  name: EngineName;
  /** The module, of onnxruntime's engines. */
  runtime?: OnnxRuntime;
  /** The device, of WebGPU's. */
  gpu?: GpuDevice;
  version?: string;
  reason?: string;
}

/**
 * Loads one engine. onnxruntime-node is a native library inside of its npm package; onnxruntime-web is WebAssembly and runs
 * wherever Node does. `webgpu-f16` multiplies integers first, and is not used where they come out wrong. onnxruntime's telemetry is off unless the environment sets ORT_DISABLE_TELEMETRY to 0.
 */
export async function findEngine(name: EngineName): Promise<EngineFinding> {
  try {
    if (name === 'webgpu' || name === 'webgpu-f16' || name === 'webgpu-software') {
      const gpu = await openDevice({ software: name === 'webgpu-software', halfProducts: name === 'webgpu-f16' });
      const wrong = name === 'webgpu-f16' ? await halfProductsError(gpu) : undefined;
      if (wrong !== undefined) return { name, reason: wrong };
      return { name, gpu, version: gpu.adapter.description || gpu.adapter.device };
    }
    process.env.ORT_DISABLE_TELEMETRY ??= '1'; // since 1.29 onnxruntime's own builds keep an identifier of the machine and send events to Microsoft
    const module = (name === 'onnxruntime-node' ? await import('onnxruntime-node') : await import('onnxruntime-web')) as unknown as OnnxRuntime & { default?: OnnxRuntime };
    const runtime = module.default ?? module;
    const { versions = {}, wasm } = runtime.env ?? {};
    if (name === 'onnxruntime-web' && wasm) wasm.numThreads = availableParallelism(); // by itself it takes half of them; fixed once the first session starts
    return { name, runtime, version: versions.node ?? versions.web ?? versions.common };
  } catch (error) {
    return { name, reason: messageOf(error).split('\n')[0] };
  }
}

/**
 * Bytes of the largest array that can stay in the memory of the engine's device from run to run; 0 where the processor itself computes and
 * there is nothing to be won by it.
 */
export function residentBytes({ gpu }: EngineFinding): number {
  return gpu?.largestBuffer ?? 0;
}

let chosen: Promise<EngineFinding> | undefined;

/**
 * The engine of this process: WebGPU on a hardware adapter, else onnxruntime-node where its native library loads, else onnxruntime-web.
 * The environment variable QDETR_ENGINE overrides the choice.
 * @throws UserError when QDETR_ENGINE names no engine, or none can be loaded.
 */
export function chooseEngine(): Promise<EngineFinding> {
  chosen ??= choose(process.env.QDETR_ENGINE);
  return chosen;
}

async function choose(wanted: string | undefined): Promise<EngineFinding> {
  if (wanted && !ENGINES.includes(wanted as EngineName)) throw new UserError(`QDETR_ENGINE is '${wanted}', which is no engine: choose ${ENGINES.join(', ')}, or leave it unset`);
  const reasons: string[] = [];
  for (const name of wanted ? [wanted as EngineName] : ENGINES.filter((engine) => !(engine in ON_REQUEST))) {
    const found = await findEngine(name);
    if (found.runtime || found.gpu) return found;
    reasons.push(`${name}: ${found.reason}`);
  }
  if (wanted) throw new UserError(`QDETR_ENGINE is '${wanted}', which can't be used here (${reasons[0].slice(wanted.length + 2)}): leave it unset, or see npx qdetr doctor`);
  throw new UserError(`no engine could be loaded (${reasons.join('; ')}): run npm ci again, and npx qdetr doctor to see what is missing`);
}

/** The onnxruntime module of this process: of the chosen engine, or the first that loads. */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  const { runtime } = await chooseEngine();
  if (runtime) return runtime;
  for (const name of ['onnxruntime-node', 'onnxruntime-web'] as const) {
    const found = await findEngine(name);
    if (found.runtime) return found.runtime;
  }
  throw new UserError('onnxruntime can\'t be loaded: run npm ci again, and npx qdetr doctor to see what is missing');
}
