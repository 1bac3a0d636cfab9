import { UserError, messageOf } from '../../errors.js';
import type { PlanLimits } from './kernel.js';

/** An adapter: a graphics processor with its driver, or a program that acts as one. */
export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** Computes on the processor: only for tests. */
  isSoftware: boolean;
  features: string[];
}

/** A device that kernels run on. */
export interface GpuDevice extends PlanLimits {
  device: GPUDevice;
  adapter: AdapterDescription;
}

/** What a software adapter calls itself (Mesa's lavapipe, SwiftShader, Windows' WARP). */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|basic render/i;

type Dawn = typeof import('webgpu');
let dawn: Promise<{ module: Dawn; gpu: GPU }> | undefined;

/** Dawn's options: robustness off, as all indices are computed by the planner, and the features that it counts as experimental. */
const OPTIONS = ['enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,use_vulkan_memory_model,skip_validation,disable_robustness'];

function loadDawn(): Promise<{ module: Dawn; gpu: GPU }> {
  dawn ??= import('webgpu').then((module) => {
    Object.assign(globalThis, module.globals);
    return { module, gpu: module.create(process.env.QDETR_DAWN ? process.env.QDETR_DAWN.split(' ') : OPTIONS) };
  });
  return dawn;
}

function describe(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  return { vendor, architecture, device, description, isSoftware: SOFTWARE.test([vendor, architecture, device, description].join(' ')), features: [...adapter.features].sort() };
}

/**
 * The adapter that WebGPU gives, hardware or not; undefined where there is none.
 * @throws UserError when npm package webgpu can't be loaded.
 */
export async function findAdapter(): Promise<{ adapter: GPUAdapter; description: AdapterDescription } | undefined> {
  const { gpu } = await loadDawn().catch((error: unknown) => {
    throw new UserError(`npm package webgpu can't be loaded (${messageOf(error).split('\n')[0]}): run npm ci again on Linux (glibc), macOS or Windows, or use another engine (QDETR_ENGINE=onnxruntime-node)`);
  });
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  return adapter ? { adapter, description: describe(adapter) } : undefined;
}

const WANTED_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query', 'chromium-experimental-subgroup-matrix'];
const WANTED_LIMITS = ['maxStorageBufferBindingSize', 'maxBufferSize', 'maxComputeWorkgroupStorageSize', 'maxComputeInvocationsPerWorkgroup', 'maxComputeWorkgroupSizeX', 'maxStorageBuffersPerShaderStage'] as const;

/**
 * Opens a device with all that its adapter offers.
 * @param software whether a software adapter will do
 * @throws UserError when there is no adapter, or only a software one that was not asked for.
 */
export async function openDevice({ software = false }: { software?: boolean } = {}): Promise<GpuDevice> {
  const found = await findAdapter();
  if (!found) throw new UserError('WebGPU finds no adapter: install the driver of the graphics card and its Vulkan loader (Debian: libvulkan1), or use QDETR_ENGINE=onnxruntime-node');
  const { adapter, description } = found;
  if (description.isSoftware && !software) throw new UserError(`WebGPU finds only a software adapter (${description.device || description.description}), which is slower than onnxruntime: set QDETR_ENGINE=webgpu-software to use it all the same`);
  const device = await adapter.requestDevice({
    requiredFeatures: WANTED_FEATURES.filter((f) => adapter.features.has(f as GPUFeatureName)) as GPUFeatureName[],
    requiredLimits: { ...Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]])), minStorageBufferOffsetAlignment: adapter.limits.minStorageBufferOffsetAlignment },
  });
  return { device, adapter: description, buffers: device.limits.maxStorageBuffersPerShaderStage, alignment: device.limits.minStorageBufferOffsetAlignment, isSoftware: description.isSoftware };
}
