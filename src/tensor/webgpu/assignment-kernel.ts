import { inputOf, type Node, type Value } from '../graph.js';
import { flatten, variableIndex } from './index-algebra.js';
import { LEAST_SHARED_BYTES, type KernelWriter } from './kernel.js';
import type { WholeKernel } from './whole-kernels.js';

/** Queries that a thread looks after, as long as there are threads. */
const MOST_COLUMNS = 4;
const LEAST_THREADS = 32, MOST_THREADS = 128;

/** P problems, Q queries, G boxes. */
const sizesOf = (node: Node): [number, number, number] => inputOf(node, 'cost').shape as [number, number, number];

function threadsFor(queries: number): number {
  let threads = LEAST_THREADS;
  while (threads < MOST_THREADS && threads * MOST_COLUMNS < queries) threads *= 2;
  return threads;
}

/** Further than any path. */
const FAR = '3.0e38f';
/** Marks in the table of columns: a row that has none yet, and a row of padding. */
const NONE = -1, PADDING = -2;

/**
 * Exact assignment, one workgroup a problem: the shortest augmenting paths of src/tensor/shortest-augmenting-paths.ts, the scan over columns shared
 * by the threads. Thread t looks after columns t, t + threads, ...; the lengths of the paths to them lie in registers, prices, owners and
 * predecessors in workgroup memory. Rows of padding are passed over.
 */
export const assignmentKernel: WholeKernel = {
  launch: (node, limits) => {
    const [problems, queries, boxes] = sizesOf(node), threads = threadsFor(queries);
    const sharedBytes = 12 * queries + 4 * boxes + 8 * threads, most = limits.sharedBytes ?? LEAST_SHARED_BYTES;
    if (sharedBytes > most) throw new Error(`assigning ${boxes} boxes to ${queries} queries takes ${sharedBytes} bytes of workgroup memory; this device has ${most}`);
    return { threads, blocks: problems, sharedBytes };
  },

  write: (writer, node, { threads }) => {
    const [problems, queries, boxes] = sizesOf(node), own = Math.ceil(queries / threads);
    const cost = inputOf(node, 'cost'), valid = inputOf(node, 'valid'), [assigned] = node.outputs;
    const name = (word: string): string => `${word}${writer.number}`;
    const price = name('price'), owner = name('owner'), cameFrom = name('cameFrom'), columnOf = name('columnOf'), nearest = name('nearest');
    const declarations = [
      `var<workgroup> ${price}: array<f32, ${queries}>;`,
      `var<workgroup> ${owner}: array<i32, ${queries}>;`,
      `var<workgroup> ${cameFrom}: array<i32, ${queries}>;`,
      `var<workgroup> ${columnOf}: array<i32, ${boxes}>;`,
      `var<workgroup> ${nearest}: array<vec2u, ${threads}>;`, // length of the path to the nearest column (bits), and its key
    ].join('\n');
    const columns = Array.from({ length: own }, (_, k) => k), isRagged = queries % threads !== 0;
    const exists = (k: number): boolean => !isRagged || k < own - 1;
    const costAt = (column: string, row: string, result: string): string => reading(writer, cost, [['block', problems], [column, queries], [row, boxes]], result);
    const each = (lines: (k: number) => readonly string[]): string => columns.flatMap(lines).join('\n');
    const better = (a: string, b: string): string => `(bitcast<f32>(${a}.x) < bitcast<f32>(${b}.x) || (bitcast<f32>(${a}.x) == bitcast<f32>(${b}.x) && ${a}.y < ${b}.y))`;
    const halves: string[] = [];
    for (let half = threads / 2; half >= 1; half /= 2) {
      halves.push(`if (thread < ${half}u) { let other = ${nearest}[thread + ${half}u]; if (${better('other', 'mine')}) { mine = other; ${nearest}[thread] = mine; } }`, ...(half > 1 ? ['workgroupBarrier();'] : []));
    }
    const statements = `let lane = i32(thread);
${each((k) => [`let q${k} = ${exists(k) ? `lane + ${k * threads}` : `min(lane + ${k * threads}, ${queries - 1})`};`])}
for (var q = lane; q < ${queries}; q += ${threads}) {
${owner}[q] = ${NONE};
${price}[q] = 0.0f;
}
for (var g = lane; g < ${boxes}; g += ${threads}) {
${reading(writer, valid, [['block', problems], ['g', boxes]], 'isBox')}
${columnOf}[g] = select(${PADDING}, ${NONE}, isBox != 0.0f);
}
for (var row = 0; row < ${boxes}; row++) {
if (workgroupUniformLoad(&${columnOf}[row]) == ${PADDING}) { continue; }
${each((k) => [`var length${k} = ${FAR};`, `var isOpen${k} = ${exists(k) ? 'true' : `lane + ${k * threads} < ${queries}`};`, `if (isOpen${k}) { ${cameFrom}[q${k}] = row; }`])}
var current = row;
var low = 0.0f;
var sink = 0;
loop {
let held = ${columnOf}[current];
var base = low;
if (held >= 0) {
${costAt('held', 'current', 'paid')}
base = low - (paid - ${price}[held]);
}
${each((k) => [costAt(`q${k}`, 'current', `cost${k}`)])}
var mine = vec2u(bitcast<u32>(${FAR}), ${2 * queries}u);
${each((k) => [`if (isOpen${k}) {`,
    `let reached = base + (cost${k} - ${price}[q${k}]);`,
    `if (reached < length${k}) { length${k} = reached; ${cameFrom}[q${k}] = current; }`,
    `let candidate = vec2u(bitcast<u32>(length${k}), u32(select(q${k}, q${k} + ${queries}, ${owner}[q${k}] >= 0)));`,
    `if (${better('candidate', 'mine')}) { mine = candidate; }`,
    '}'])}
${nearest}[thread] = mine;
workgroupBarrier();
${halves.join('\n')}
let found = workgroupUniformLoad(&${nearest}[0]);
low = bitcast<f32>(found.x);
let column = i32(found.y % ${queries}u);
${each((k) => [`if (lane + ${k * threads} == column) { isOpen${k} = false; }`])}
if (found.y < ${queries}u) {
sink = column;
break;
}
current = ${owner}[column];
}
${each((k) => [`if (!isOpen${k}${exists(k) ? '' : ` && lane + ${k * threads} < ${queries}`}) { ${price}[q${k}] -= low - length${k}; }`])}
if (lane == 0) {
var q = sink;
loop {
let to = ${cameFrom}[q];
let left = ${columnOf}[to];
${owner}[q] = to;
${columnOf}[to] = q;
if (to == row) { break; }
q = left;
}
}
}
workgroupBarrier();
for (var at = lane; at < ${boxes * queries}; at += ${threads}) {
${writing(writer, assigned, problems, queries * boxes, `select(0.0f, 1.0f, ${columnOf}[at / ${queries}] == at % ${queries})`)}
}`;
    return { declarations, statements, operations: 8 * problems * queries * boxes };
  },
};

/** Statements that define `result` as an element of a value. */
function reading(writer: KernelWriter, value: Value, coordinates: readonly (readonly [string, number])[], result: string): string {
  const emitter = writer.emitter(() => undefined, `${result}_`);
  const element = emitter.element(value, coordinates.map(([variable, size]) => variableIndex(variable, size)));
  return [...emitter.lines, `let ${result} = ${element};`].join('\n');
}

/** Statements that write a problem's element `at` of the result. */
function writing(writer: KernelWriter, value: Value, problems: number, size: number, expression: string): string {
  const emitter = writer.emitter(() => undefined, 'to_');
  writer.writeAt(value, flatten([variableIndex('block', problems), variableIndex('at', size)], [problems, size]), expression, emitter);
  return emitter.lines.join('\n');
}
