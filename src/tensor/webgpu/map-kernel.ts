import { ELEMENT, homeOf, type Group } from './fusion.js';
import { KernelWriter, labelOf, workgroupLine, type Kernel, type Layout } from './kernel.js';

const THREADS = 256;

/** A kernel in which each thread computes one element of every member. */
export function mapKernel(group: Group, layout: Layout): Kernel {
  const writer = new KernelWriter(layout, group);
  const emitter = writer.emitter(() => undefined);
  for (const value of group.stores) writer.write(value, emitter.element(value, homeOf(group, value)), emitter);
  const { workgroups, number } = workgroupLine(Math.ceil(group.size / THREADS));
  const body = `@compute @workgroup_size(${THREADS}) fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
let ${ELEMENT} = ${number} * ${THREADS} + i32(thread);
if (${ELEMENT} >= ${group.size}) { return; }
${emitter.lines.join('\n')}
}`;
  return writer.kernel('map', labelOf(group), body, workgroups, group.size * emitter.lines.length);
}
