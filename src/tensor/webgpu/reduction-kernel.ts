import type { Value } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { combineLanes, combined } from './combine-lanes.js';
import { literal, type Emitter } from './emitter.js';
import { OUTPUT, PLACE, homeOf, isReduction, reductionCoordinates, type Group } from './group.js';
import type { KernelBody, KernelWriter } from './kernel.js';

const THREADS = 256;
/** Elements of a sum that a thread loads before it adds the first. */
const UNROLLED = 4;
/** Elements, or results, from which a large GPU has enough to do. */
const MANY = 2 ** 18;
/** Sums of up to this many elements are taken by one thread. */
const SHORT = 8;

const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)));

/** How many results a workgroup computes, how many threads share one, and whether neighbouring threads are neighbours along the sum. */
export function reductionShape({ shape, axes, outputs, count }: NonNullable<Group['geometry']>): { results: number; lanes: number; along: boolean } {
  const last = shape.reduce((at, d, k) => (d > 1 ? k : at), 0), along = axes.includes(last);
  if (count <= SHORT || (!along && count <= 8 * SHORT && outputs >= MANY)) return { results: THREADS, lanes: 1, along: false };
  if (along) {
    const lanes = count >= 512 || outputs < 64 ? Math.min(THREADS, powerOfTwo(count)) : Math.min(32, powerOfTwo(count));
    return { results: THREADS / lanes, lanes, along };
  }
  const lanes = Math.min(THREADS / Math.min(32, powerOfTwo(outputs)), powerOfTwo(count));
  return { results: THREADS / lanes, lanes, along };
}

const START: Record<string, number> = { Sum: 0, Prod: 1, Max: -Infinity, Min: Infinity };

/**
 * A kernel whose workgroups reduce some results each. Reductions that need the result of another one (a variance, a softmax) come in
 * later passes over the same elements; members that are as large as the reduced input are written in a last pass.
 */
export function reductionKernel(writer: KernelWriter): KernelBody {
  const { group, layout } = writer;
  const geometry = group.geometry!, { outputs, count } = geometry;
  const { results, lanes, along } = reductionShape(geometry);
  const reductions = group.members.filter((m) => isReduction(m.node!.op));
  const names = new Map<Value, string>(), coordinates = reductionCoordinates(geometry);
  const lines: string[] = [];
  let operations = 0;
  const unrolled = !layout.limits.isSoftware && group.size >= MANY && count >= UNROLLED * lanes ? UNROLLED : 1, rounds = Math.floor(count / (lanes * unrolled));
  /** A loop over the elements of the sum; `body` computes with an emitter and gives what follows once all loads are under way. */
  const pass = (lead: string, body: (emitter: Emitter) => string[]): void => {
    const copies = (n: number, first: string): string[] => {
      const computed: string[] = [], after: string[] = [];
      for (let k = 0; k < n; k++) {
        const emitter = writer.emitter((v) => names.get(v), `${lead}v${k}_`), place = `${PLACE}${k}`;
        const here = (line: string): string => line.replace(new RegExp(`\\b${PLACE}\\b`, 'g'), place);
        const last = body(emitter);
        computed.push(`let ${place} = ${first} + ${k * lanes};`, ...emitter.lines.map(here));
        after.push(...last.map(here));
        operations += (emitter.lines.length * group.size) / n;
      }
      return [...computed, ...after];
    };
    if (rounds === 1 && unrolled === 1 && count === lanes) lines.push('{', ...copies(1, 'lane'), '}');
    else if (rounds > 0) lines.push(`for (var turn = 0; turn < ${rounds}; turn++) {`, ...copies(unrolled, `turn * ${lanes * unrolled} + lane`), '}');
    if (rounds * lanes * unrolled < count) lines.push(`for (var rest = lane + ${rounds * lanes * unrolled}; rest < ${count}; rest += ${lanes}) {`, ...copies(1, 'rest'), '}');
  };
  const isElement = (v: Value): boolean => !isReduction(v.node!.op) && sizeOf(v.shape) === group.size && (group.size !== outputs);
  const elements = group.stores.filter(isElement), single = group.stores.filter((v) => !isElement(v));
  const { passes, levelOf } = levels(reductions);
  const writes = (emitter: Emitter, level: number): string[] => {
    const values = elements.filter((v) => Math.min(levelOf(v), passes.length) === level), expressions = values.map((v) => emitter.element(v, homeOf(group, v)));
    const computed = emitter.lines.splice(0);
    values.forEach((v, k) => writer.write(v, expressions[k], emitter));
    const written = emitter.lines.splice(0);
    emitter.lines.push(...computed);
    return written.length > 0 && outputs % results !== 0 ? ['if (inside) {', ...written, '}'] : written;
  };
  for (const [level, members] of passes.entries()) {
    const sums = members.map((m, k) => {
      const { op, inputs: [input] } = m.node!;
      return { m, op, input, type: input.dtype === 'int32' ? ('i32' as const) : ('f32' as const), value: `a${level}_${k}`, place: op.startsWith('Arg') ? `q${level}_${k}` : undefined };
    });
    for (const { op, type, input, value, place } of sums) {
      const start = place !== undefined ? (op === 'ArgMax' ? -Infinity : Infinity) : START[op];
      lines.push(`var ${value}: ${type} = ${type === 'i32' && !Number.isFinite(start) ? (start < 0 ? '(-2147483647 - 1)' : '2147483647') : literal(start, input.dtype === 'int32' ? 'int32' : 'float32')};`);
      if (place !== undefined) lines.push(`var ${place}: i32 = ${count};`);
    }
    pass(`p${level}`, (emitter) => {
      const after = sums.map((s) => combined(s, emitter.element(s.input, coordinates), PLACE));
      return [...after, ...writes(emitter, level)];
    });
    if (lanes > 1) lines.push(...combineLanes(writer.dispatch, sums.map(({ op, type, value, place }) => ({ op, type, value, place })), { results, lanes, along }, layout.limits.subgroup));
    for (const { m, value, place } of sums) names.set(m, place ?? value);
  }
  if (elements.some((v) => levelOf(v) >= passes.length)) pass('e', (emitter) => writes(emitter, passes.length));
  if (single.length > 0) {
    const emitter = writer.emitter((v) => names.get(v), 'r');
    for (const value of single) writer.write(value, emitter.element(value, homeOf(group, value)), emitter);
    lines.push('if (inside && lane == 0) {', ...emitter.lines, '}');
  }
  const statements = `let result = i32(thread) ${along ? `/ ${lanes}` : `% ${results}`};
let lane = i32(thread) ${along ? `% ${lanes}` : `/ ${results}`};
let here = block * ${results} + result;
let inside = here < ${outputs};
let ${OUTPUT} = min(here, ${outputs - 1});
${lines.join('\n')}`;
  return { group, declarations: '', statements, threads: THREADS, blocks: Math.ceil(outputs / results), operations };
}

/** Reductions in the passes in which they can be taken, those that need no other first, and the pass in which a value is known. */
function levels(reductions: readonly Value[]): { passes: Value[][]; levelOf: (v: Value) => number } {
  const members = new Set(reductions), level = new Map<Value, number>();
  const seen = new Map<Value, number>();
  const levelOf = (v: Value): number => {
    if (members.has(v)) return level.get(v)! + 1;
    const known = seen.get(v);
    if (known !== undefined) return known;
    const most = v.node ? Math.max(0, ...v.node.inputs.map(levelOf)) : 0;
    seen.set(v, most);
    return most;
  };
  const passes: Value[][] = [];
  for (const v of reductions) {
    const l = levelOf(v.node!.inputs[0]);
    level.set(v, l);
    (passes[l] ??= []).push(v);
  }
  return { passes, levelOf };
}
