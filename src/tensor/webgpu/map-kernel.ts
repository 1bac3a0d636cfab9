import { ELEMENT, homeOf, type Group } from './fusion.js';
import { KernelWriter, labelOf, workgroupLine, type Kernel, type Layout } from './kernel.js';

const THREADS = 256;
/** Elements that a thread computes where there are many: their loads are all under way before the first is used. */
const EACH = 4;
/** Elements from which threads compute several. */
const MANY = 2 ** 19;

/** A kernel in which each thread computes an element, or a few, of every member. */
export function mapKernel(group: Group, layout: Layout): Kernel {
  const writer = new KernelWriter(layout, group), each = group.size >= MANY && !layout.limits.isSoftware ? EACH : 1;
  const { workgroups, number } = workgroupLine(Math.ceil(group.size / (THREADS * each)));
  const computed: string[] = [], written: string[] = [];
  let operations = 0;
  for (let k = 0; k < each; k++) {
    const emitter = writer.emitter(() => undefined, `v${k}_`);
    const elements = group.stores.map((value) => emitter.element(value, homeOf(group, value)));
    operations += emitter.lines.length * (group.size / each);
    const compute = emitter.lines.splice(0);
    group.stores.forEach((value, n) => writer.write(value, elements[n], emitter));
    const here = (lines: readonly string[]): string[] => lines.map((line) => (each === 1 ? line : line.replace(new RegExp(`\\b${ELEMENT}\\b`, 'g'), `${ELEMENT}${k}`)));
    const beyond = group.size % (THREADS * each) !== 0;
    const at = `first + ${k * THREADS}`;
    if (each === 1) computed.push(`let ${ELEMENT} = first;`, ...(beyond ? [`if (${ELEMENT} >= ${group.size}) { return; }`] : []));
    else computed.push(`let ${ELEMENT}${k} = ${beyond ? `min(${at}, ${group.size - 1})` : at};`);
    computed.push(...here(compute));
    written.push(...(each > 1 && beyond ? [`if (${at} < ${group.size}) {`, ...here(emitter.lines), '}'] : here(emitter.lines)));
  }
  const body = `@compute @workgroup_size(${THREADS}) fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) thread: u32) {
let first = ${number} * ${THREADS * each} + i32(thread);
${computed.join('\n')}
${written.join('\n')}
}`;
  return writer.kernel('map', labelOf(group), body, workgroups, operations);
}
