import { availableParallelism } from 'node:os';
import { UserError, messageOf } from '../errors.js';
import type { OnnxRuntime } from './onnx-engine.js';

/** Engines that compiled steps run on. */
export const ENGINES = ['onnxruntime-node', 'onnxruntime-web'] as const;
/** Name of an engine: of its npm package. */
export type EngineName = (typeof ENGINES)[number];

/** An engine that was looked for: usable, or the reason why not. */
export interface EngineFinding {
  name: EngineName;
  runtime?: OnnxRuntime;
  version?: string;
  reason?: string;
}

/**
 * Loads one engine. onnxruntime-node is a native library inside of its npm package; onnxruntime-web is WebAssembly and runs
 * wherever Node does.
 */
export async function findEngine(name: EngineName): Promise<EngineFinding> {
  try {
    const module = (name === 'onnxruntime-node' ? await import('onnxruntime-node') : await import('onnxruntime-web')) as unknown as OnnxRuntime & { default?: OnnxRuntime };
    const runtime = module.default ?? module;
    const { versions = {}, wasm } = runtime.env ?? {};
    if (name === 'onnxruntime-web' && wasm) wasm.numThreads = availableParallelism(); // by itself it takes half of them; fixed once the first session starts
    return { name, runtime, version: versions.node ?? versions.web ?? versions.common };
  } catch (error) {
    return { name, reason: messageOf(error).split('\n')[0] };
  }
}

let chosen: Promise<EngineFinding> | undefined;

/**
 * The engine of this process: onnxruntime-node where its native library loads, else onnxruntime-web. The environment variable
 * QDETR_ENGINE overrides the choice.
 * @throws UserError when QDETR_ENGINE names no engine, or none can be loaded.
 */
export function chooseEngine(): Promise<EngineFinding> {
  chosen ??= choose(process.env.QDETR_ENGINE);
  return chosen;
}

async function choose(wanted: string | undefined): Promise<EngineFinding> {
  if (wanted && !ENGINES.includes(wanted as EngineName)) throw new UserError(`QDETR_ENGINE is '${wanted}', which is no engine: choose ${ENGINES.join(' or ')}, or leave it unset`);
  const reasons: string[] = [];
  for (const name of wanted ? [wanted as EngineName] : ENGINES) {
    const found = await findEngine(name);
    if (found.runtime) return found;
    reasons.push(`${name}: ${found.reason}`);
  }
  throw new UserError(`no engine could be loaded (${reasons.join('; ')}): run npm ci again, and npx qdetr doctor to see what is missing`);
}

/** The onnxruntime module of the chosen engine. */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  return (await chooseEngine()).runtime!;
}
