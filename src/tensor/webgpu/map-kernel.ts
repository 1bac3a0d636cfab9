import { ELEMENT, homeOf } from './group.js';
import type { KernelBody, KernelWriter } from './kernel.js';

const THREADS = 256;
/** Elements that a thread computes where there are many: their loads are all under way before the first is used. */
const EACH = 4;
/** Elements from which threads compute several. */
const MANY = 2 ** 19;

/** A kernel in which each thread computes an element, or a few, of every member. */
export function mapKernel(writer: KernelWriter): KernelBody {
  const { group, layout } = writer, each = group.size >= MANY && !layout.limits.isSoftware ? EACH : 1;
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
  const statements = [`let first = block * ${THREADS * each} + i32(thread);`, ...computed, ...written].join('\n');
  return { group, declarations: '', statements, threads: THREADS, blocks: Math.ceil(group.size / (THREADS * each)), operations };
}
