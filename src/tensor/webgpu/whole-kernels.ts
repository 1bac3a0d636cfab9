import type { Node } from '../graph.js';
import { assignmentKernel } from './assignment-kernel.js';
import type { KernelBody, KernelWriter, PlanLimits } from './kernel.js';

/** Workgroups of a kernel that is written by hand, and the workgroup memory of each, in bytes. */
export interface Launch {
  threads: number;
  blocks: number;
  sharedBytes: number;
}

/** A program for a named kernel. Its inputs lie in memory (or are views of what does); no other operation shares its group. */
export interface WholeKernel {
  /** @throws when the device can't hold what a workgroup needs, with the sizes. */
  launch: (node: Node, limits: PlanLimits) => Launch;
  /** Declarations and statements as {@link KernelBody} describes them. */
  write: (writer: KernelWriter, node: Node, launch: Launch) => Pick<KernelBody, 'declarations' | 'statements' | 'operations'>;
}

/** The named kernels that are planned whole; all others are planned as what their composites are traced to. */
const wholeKernels = new Map<string, WholeKernel>([
  ['LinearAssignment', assignmentKernel],
  ['LinearAssignmentOfMany', assignmentKernel],
]);

/** Named kernels that primitives.ts writes in another way than their composites do. */
const REWRITTEN = new Set(['BatchNorm']);

/** Whether an operation is planned whole, or rewritten as one: either way the trace keeps it. */
export const isWhole = (op: string): boolean => wholeKernels.has(op) || REWRITTEN.has(op);

/** The workgroups of an operation that is planned whole. */
export const launchOf = (node: Node, limits: PlanLimits): Launch => wholeKernels.get(node.op)!.launch(node, limits);

/** The kernel of a group that is one operation, planned whole. */
export function wholeKernel(writer: KernelWriter): KernelBody {
  const node = writer.group.whole!, launch = launchOf(node, writer.layout.limits);
  return { group: writer.group, threads: launch.threads, blocks: launch.blocks, ...wholeKernels.get(node.op)!.write(writer, node, launch) };
}
