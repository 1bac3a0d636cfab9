import { readdirSync } from 'node:fs';
import { UserError, messageOf } from '../../errors.js';
import type { PlanLimits } from './kernel.js';
import { matrixUnitsOf } from './matrix-units.js';

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
  /** Why the device answers no more, once that is so. */
  lost?: string;
}

/** What a software adapter calls itself (Mesa's lavapipe, SwiftShader, Windows' WARP). */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|basic render/i;

type Dawn = typeof import('webgpu');
let dawn: Promise<{ module: Dawn; gpu: GPU }> | undefined;

/**
 * Dawn's options: robustness off, as all indices are computed by the planner; the features that it counts as experimental; timestamps as
 * they are, which it would round (to 65.5 microseconds on the H100 that it ran on) to keep web pages from measuring others.
 */
export const OPTIONS = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,use_vulkan_memory_model,skip_validation,disable_robustness',
  'disable-dawn-features=timestamp_quantization',
];

function loadDawn(): Promise<{ module: Dawn; gpu: GPU }> {
  dawn ??= import('webgpu').then((module) => {
    Object.assign(globalThis, module.globals);
    return { module, gpu: module.create(OPTIONS) };
  });
  return dawn;
}

function describe(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  return { vendor, architecture, device, description, isSoftware: SOFTWARE.test([vendor, architecture, device, description].join(' ')), features: [...adapter.features].sort() };
}

/** Graphics devices of Linux: Direct Rendering, NVIDIA, WSL, and those of boards. */
const GRAPHICS_DEVICES = /^(renderD\d+|nvidia\d+|nvidiactl|dxg|kgsl-3d\d+|mali\d+|nvmap|nvhost-.*)$/;

/**
 * Whether this machine may have a graphics processor. On Linux one shows as a device file: where there is none, Dawn need not be loaded to know
 * (it says on stderr what it misses). Elsewhere, always.
 */
export function mayHaveGraphicsProcessor(platform: string = process.platform, devices = '/dev'): boolean {
  if (platform !== 'linux') return true;
  return [devices, `${devices}/dri`].some((folder) => {
    try {
      return readdirSync(folder).some((name) => GRAPHICS_DEVICES.test(name));
    } catch {
      return false;
    }
  });
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

/** Threads that a subgroup has at least; undefined where the adapter doesn't say, or they are no power of two. */
function subgroupThreads(info: GPUAdapterInfo & { subgroupMinSize?: number }): number | undefined {
  const { subgroupMinSize: least = 0 } = info;
  return least > 1 && Number.isInteger(Math.log2(least)) ? least : undefined;
}

/**
 * Opens a device with all that its adapter offers.
 * @param software whether a software adapter will do
 * @param halfProducts whether large matrix products are to be of f16
 * @throws UserError when there is no adapter, or only a software one that was not asked for, or none that has what products of f16 take.
 */
export async function openDevice({ software = false, halfProducts = false }: { software?: boolean; halfProducts?: boolean } = {}): Promise<GpuDevice> {
  if (!software && !mayHaveGraphicsProcessor()) throw new UserError('no graphics processor in /dev (dri, nvidia, dxg); in a container, hand it in (docker run --gpus all)');
  const found = await findAdapter();
  if (!found) throw new UserError('WebGPU finds no adapter: install the graphics card\'s driver and the Vulkan loader (Debian: libvulkan1)');
  const { adapter, description } = found;
  if (description.isSoftware && !software) throw new UserError(`only a software adapter (${description.device || description.description}), slower than onnxruntime: QDETR_ENGINE=webgpu-software uses it`);
  const units = halfProducts ? matrixUnitsOf(adapter) : undefined;
  if (typeof units === 'string') throw new UserError(`no products in f16: ${units}`);
  const device = await adapter.requestDevice({
    requiredFeatures: WANTED_FEATURES.filter((f) => adapter.features.has(f as GPUFeatureName)) as GPUFeatureName[],
    requiredLimits: { ...Object.fromEntries(WANTED_LIMITS.map((name) => [name, adapter.limits[name]])), minStorageBufferOffsetAlignment: adapter.limits.minStorageBufferOffsetAlignment },
  });
  const gpu: GpuDevice = { device, adapter: description, buffers: device.limits.maxStorageBuffersPerShaderStage, alignment: device.limits.minStorageBufferOffsetAlignment, largestBuffer: Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize), sharedBytes: device.limits.maxComputeWorkgroupStorageSize, isSoftware: description.isSoftware, matrixUnits: units, subgroup: device.features.has('subgroups') ? subgroupThreads(adapter.info) : undefined };
  void device.lost.then(({ message }) => (gpu.lost = message || 'no reason given'));
  return gpu;
}

/** Time after an error in which a device may still be found to be lost. */
const LOSS_MILLISECONDS = 100;

/**
 * What the work gives.
 * @throws UserError that says what to do when the device was lost meanwhile, else what the work throws.
 */
export async function whileDeviceLasts<T>(gpu: GpuDevice, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await Promise.race([gpu.device.lost, new Promise((resolve) => setTimeout(resolve, LOSS_MILLISECONDS))]);
    if (gpu.lost === undefined) throw error;
    throw new UserError(`the GPU was lost (${gpu.lost.replace(/\.$/, '')}): start the same command again, a run resumes from its last checkpoint`);
  }
}
