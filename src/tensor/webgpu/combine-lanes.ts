import type { Dispatch } from './kernel.js';

/** What the threads that share a result have found, each its part: variables that hold the value and, of an argument, its place. */
export interface LaneSum {
  op: string;
  type: 'f32' | 'i32';
  value: string;
  place?: string;
}

/** How the threads of a workgroup share its results: `lanes` threads a result, neighbours in a row (`along`) or `results` apart. */
export interface Lanes {
  results: number;
  lanes: number;
  along: boolean;
}

const COMBINE: Record<string, (a: string, b: string) => string> = { Sum: (a, b) => `${a} + ${b}`, Prod: (a, b) => `${a} * ${b}`, Max: (a, b) => `max(${a}, ${b})`, Min: (a, b) => `min(${a}, ${b})` };

/** Takes one more element into a sum; of equal candidates for an argument the first one wins. */
export function combined({ op, value, place }: Pick<LaneSum, 'op' | 'value' | 'place'>, x: string, at: string): string {
  if (place === undefined) return `${value} = ${COMBINE[op](value, x)};`;
  return `if (${x} ${op === 'ArgMax' ? '>' : '<'} ${value} || (${x} == ${value} && ${at} < ${place})) { ${value} = ${x}; ${place} = ${at}; }`;
}

/** Partial results that every thread adds up by itself: more are halved in shared memory before. */
const FEW = 8;

/**
 * Statements by which the threads that share a result combine their parts; every one of them knows the result afterwards. Where the device has
 * subgroups, neighbours exchange registers; what remains goes through memory that the workgroup shares.
 * @param subgroup threads that a subgroup has at least, a power of two; undefined: the device has none. Threads are taken to lie in subgroups in their
 * order, as they do in workgroups of one dimension on the devices known.
 */
export function combineLanes(dispatch: Dispatch, sums: readonly LaneSum[], { results, lanes, along }: Lanes, subgroup: number | undefined): string[] {
  const lines: string[] = [];
  const array = (name: string, type: string, length: number): string => dispatch.shared(`${name}_${type}`, type, length);
  /** Combines each sum with what another thread has, read by `read` from a variable or its shared array. */
  const take = (read: (variable: string, type: string) => string): string => sums.map((s) => {
    const at = s.place === undefined ? '' : `let at_${s.place} = ${read(s.place, 'i32')}; `;
    return `{ let x_${s.value} = ${read(s.value, s.type)}; ${at}${combined(s, `x_${s.value}`, `at_${s.place}`)} }`;
  }).join('\n');
  const share = (length: number, index: string): string[] => sums.flatMap((s) => [`${array(s.value, s.type, length)}[${index}] = ${s.value};`, ...(s.place === undefined ? [] : [`${array(s.place, 'i32', length)}[${index}] = ${s.place};`])]);

  if (along && subgroup !== undefined && subgroup > 1) {
    dispatch.directives.add('enable subgroups;');
    const together = Math.min(subgroup, lanes), groups = lanes / together;
    for (let distance = together / 2; distance >= 1; distance /= 2) lines.push(take((variable) => `subgroupShuffleXor(${variable}, ${distance}u)`));
    if (groups === 1) return lines;
    const length = results * groups;
    lines.push(`if (lane % ${together} == 0) {`, ...share(length, `result * ${groups} + lane / ${together}`), '}', 'workgroupBarrier();');
    const other = `(result * ${groups} + (lane / ${together} + other) % ${groups})`;
    lines.push(`for (var other = 1; other < ${groups}; other++) {`, take((variable, type) => `${array(variable, type, length)}[${other}]`), '}');
    return lines;
  }

  const length = results * lanes, stride = along ? 1 : results;
  lines.push(...share(length, 'thread'), 'workgroupBarrier();');
  let left = lanes;
  for (; left > FEW; left /= 2) {
    lines.push(`if (lane < ${left / 2}) {`, take((variable, type) => `${array(variable, type, length)}[thread + ${(left / 2) * stride}u]`), ...share(length, 'thread'), '}', 'workgroupBarrier();');
  }
  const first = along ? `result * ${lanes}` : 'result';
  for (const s of sums) {
    lines.push(`${s.value} = ${array(s.value, s.type, length)}[${first}];`);
    if (s.place !== undefined) lines.push(`${s.place} = ${array(s.place, 'i32', length)}[${first}];`);
  }
  lines.push(`for (var other = 1; other < ${left}; other++) {`, take((variable, type) => `${array(variable, type, length)}[${first} + other * ${stride}]`), '}');
  return lines;
}
