import type { Kernel } from './kernel.js';
import type { Plan } from './plan.js';

/** What a device does, for estimates. */
export interface DeviceRates {
  device: string;
  /** Bytes read and written by a copy. */
  bytesPerSecond: number;
  /** Operations of matrix products in f32, a multiplication and an addition being two. */
  productsPerSecond: number;
  /** What a kernel takes that has nothing to do. */
  secondsPerKernel: number;
}

/** Measured with this project's own kernels on one NVIDIA H100 (80 GB, Vulkan through Dawn), November 2026: a copy, a product of 4096 x 4096 matrices, a queue of small kernels. */
export const H100: DeviceRates = { device: 'NVIDIA H100', bytesPerSecond: 2.9e12, productsPerSecond: 25e12, secondsPerKernel: 6e-6 };

/** What bounds a kernel's time. */
export type Bound = 'start' | 'memory' | 'arithmetic';

/** One kernel's work. */
export interface KernelCost {
  /** Bytes of the buffers' parts that it reads, and writes. A part that it reads and writes counts as both. */
  read: number;
  written: number;
  /** Operations of matrix products, and of everything else (roughly). */
  products: number;
  others: number;
  /** The largest of its start, its bytes and its products at the device's rates. */
  seconds: number;
  bound: Bound;
}

/** A whole plan's work. */
export interface PlanCost {
  kernels: KernelCost[];
  byKind: Record<string, number>;
  /** Programs that differ, each compiled once. */
  programs: number;
  read: number;
  written: number;
  products: number;
  others: number;
  seconds: number;
  secondsBy: Record<Bound, number>;
  /** Bytes of memory as planned, and with a buffer for every value. */
  memory: number;
  memoryWithoutReuse: number;
}

/** The operation that labels of products name. */
const PRODUCT = 'BatchMatMul';

/**
 * What a kernel reads and writes, by its bindings. The buffer of small values, which kernels that were put together bind as a whole, is
 * left out there: those values are a few kilobytes each, and the kernel's start takes longer.
 */
function kernelCost({ kind, label, bindings, operations }: Kernel, { bytesPerSecond, productsPerSecond, secondsPerKernel }: DeviceRates): KernelCost {
  let read = 0, written = 0;
  for (const { bytes, writes } of bindings) {
    if (!Number.isFinite(bytes)) continue;
    if (writes) written += bytes;
    else read += bytes;
  }
  const products = kind === 'product' || label.includes(PRODUCT) ? operations : 0; // kernels that are put together are all products, or none is
  const times: Record<Bound, number> = { start: secondsPerKernel, memory: (read + written) / bytesPerSecond, arithmetic: products / productsPerSecond };
  const bound = (Object.keys(times) as Bound[]).reduce((a, b) => (times[b] > times[a] ? b : a));
  return { read, written, products, others: operations - products, seconds: times[bound], bound };
}

/** Adds up what a plan does, and estimates how long a device takes. */
export function planCost(plan: Plan, rates: DeviceRates = H100): PlanCost {
  const kernels = plan.kernels.map((kernel) => kernelCost(kernel, rates));
  const sum = (f: (cost: KernelCost) => number): number => kernels.reduce((total, cost) => total + f(cost), 0);
  const byKind: Record<string, number> = {};
  for (const { kind } of plan.kernels) byKind[kind] = (byKind[kind] ?? 0) + 1;
  const secondsBy: Record<Bound, number> = { start: 0, memory: 0, arithmetic: 0 };
  for (const { bound, seconds } of kernels) secondsBy[bound] += seconds;
  const given = [...plan.inputs.values(), ...plan.constants.map(({ place }) => place)].reduce((bytes, { elements }) => bytes + 4 * elements, 0);
  return {
    kernels, byKind, programs: new Set(plan.kernels.map(({ code }) => code)).size,
    read: sum((k) => k.read), written: sum((k) => k.written), products: sum((k) => k.products), others: sum((k) => k.others), seconds: sum((k) => k.seconds), secondsBy,
    memory: plan.buffers.reduce((a, b) => a + b, 0), memoryWithoutReuse: given + plan.intermediateBytes,
  };
}
