import { inputOf } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { BATCH, COLUMN, ROW, type Group } from './group.js';
import { BUSY_WORKGROUPS, type KernelBody, type KernelWriter, type PlanLimits, type Tiles } from './kernel.js';
import { INNER, productOperands } from './product-operands.js';

/** Tiles by what they are for; test/bench/gpu-child.ts measures an operation with any others. */
const LARGE: Tiles = { rows: 128, columns: 128, inner: 8, height: 8, width: 8 };
const MEDIUM: Tiles = { rows: 64, columns: 64, inner: 16, height: 8, width: 4 };
const TALL: Tiles = { rows: 128, columns: 32, inner: 16, height: 8, width: 4 };
const NARROW: Tiles = { rows: 64, columns: 32, inner: 16, height: 4, width: 4 };
const FLAT: Tiles = { rows: 32, columns: 64, inner: 16, height: 4, width: 4 };
const SMALL: Tiles = { rows: 32, columns: 32, inner: 16, height: 4, width: 4 };
const LONG: Tiles = { ...SMALL, inner: 32 };
/** Inner dimension up to which fewer rounds of a longer program are not worth the time that a driver takes to compile it. */
const SHORT_INNER = 128;

/** The largest tiles that still give every multiprocessor of a large GPU something to do. */
export function tilesFor(P: number, M: number, N: number, K: number): Tiles {
  const count = (t: Tiles): number => P * Math.ceil(M / t.rows) * Math.ceil(N / t.columns);
  if (N >= 96 && M >= 96 && count(LARGE) >= 2 * BUSY_WORKGROUPS) return LARGE;
  const fitting = N > 32 ? (M > 32 ? [MEDIUM, FLAT] : [FLAT]) : M > 32 ? [TALL, NARROW] : [];
  return fitting.find((t) => count(t) >= 2 * BUSY_WORKGROUPS) ?? (fitting.length > 0 && count(fitting.at(-1)!) >= BUSY_WORKGROUPS ? fitting.at(-1)! : K <= SHORT_INNER ? SMALL : LONG);
}

/** Bytes of shared memory of a product in tiles; a row of a tile is one vector longer than it needs, so that threads don't wait for one another's banks. */
export const tileBytes = ({ rows, columns, inner }: Tiles): number => inner * (rows + columns + 8) * 4;

/** Columns up to which a thread computes whole rows: the gradient of an image has three, of which a tile would compute 32. */
const THIN = 4;
const isThin = (P: number, M: number, N: number): boolean => N <= THIN && P * M >= 256 * BUSY_WORKGROUPS;

/** The tiles of a group's product (none: plain loops), its workgroups and the threads of each. */
export function tilesOf({ product }: Group, limits: PlanLimits): { tiles: Tiles | undefined; threads: number; blocks: number } {
  const { shape } = product!.outputs[0], [M, N] = shape.slice(-2), P = sizeOf(shape.slice(0, -2));
  const a = inputOf(product!, 'a').shape, K = a[a.length - (product!.attributes.transposeA ? 2 : 1)];
  if (!limits.tiles && (limits.isSoftware || isThin(P, M, N))) return { tiles: undefined, threads: 256, blocks: Math.ceil((P * M * (N <= THIN ? 1 : N)) / 256) };
  const t = limits.tiles ?? tilesFor(P * (limits.replicas ?? 1), M, N, K);
  return { tiles: t, threads: (t.columns / t.width) * (t.rows / t.height), blocks: Math.ceil(N / t.columns) * Math.ceil(M / t.rows) * P };
}

/** A kernel for a (batched) matrix product; its operands are read through whatever views lead to them, its epilogue writes the members. */
export function productKernel(writer: KernelWriter): KernelBody {
  const { group, layout, number } = writer;
  const { P, M, N, K, A, B, epilogue } = productOperands(writer);
  const { tiles, threads, blocks } = tilesOf(group, layout.limits);
  const operations = 2 * P * M * N * K;

  const declarations = `${A.text}
${B.text}
fn store${number}(${BATCH}: i32, ${ROW}: i32, ${COLUMN}: i32, sum: f32) {
${epilogue.join('\n')}
}`;

  if (!tiles) {
    const each = N <= THIN ? N : 1, columns = Array.from({ length: each }, (_, c) => c), perRow = N / each;
    const statements = `let element = block * 256 + i32(thread);
if (element >= ${P * M * perRow}) { return; }
let ${COLUMN} = element % ${perRow}; let ${ROW} = (element / ${perRow}) % ${M}; let ${BATCH} = element / ${M * perRow};
${columns.map((c) => `var sum${c} = 0.0f;`).join(' ')}
for (var ${INNER} = 0; ${INNER} < ${K}; ${INNER}++) { let a = loadA${number}(${BATCH}, ${ROW}, ${INNER}); ${columns.map((c) => `sum${c} += a * loadB${number}(${BATCH}, ${COLUMN} + ${c}, ${INNER});`).join(' ')} }
${columns.map((c) => `store${number}(${BATCH}, ${ROW}, ${COLUMN} + ${c}, sum${c});`).join('\n')}`;
    return { group, declarations, statements, threads, blocks, operations };
  }

  const t = tiles, across = t.columns / t.width, down = t.rows / t.height;
  const strideA = t.rows / 4 + 1, strideB = t.columns / 4 + 1;
  const tileA = writer.dispatch.shared('tileA', 'vec4f', strideA * t.inner), tileB = writer.dispatch.shared('tileB', 'vec4f', strideB * t.inner);
  /** Statements that say which part of a tile a thread fetches, that fetch it into registers, and that put it into shared memory. */
  const fetching = (name: 'A' | 'B', tile: string, stride: number, size: number, limit: number, origin: string, alongInner: boolean): { places: string[]; fetch: string[]; put: string[] } => {
    const each = (size * t.inner) / threads, places: string[] = [], fetch: string[] = [], put: string[] = [];
    for (let s = 0; s < each; s++) {
      const at = `(thread + ${s * threads}u)`, outer = `outer${name}${s}`, inner = `inner${name}${s}`;
      places.push(`let ${outer} = i32(${at} ${alongInner ? `/ ${t.inner}u` : `% ${size}u`}); let ${inner} = i32(${at} ${alongInner ? `% ${t.inner}u` : `/ ${size}u`}); var f${name}${s}: f32;`);
      const conditions = [...(limit % size ? [`${origin} + ${outer} < ${limit}`] : []), ...(K % t.inner ? [`first + ${inner} < ${K}`] : [])];
      const load = `f${name}${s} = load${name}${number}(${BATCH}, ${origin} + ${outer}, first + ${inner});`;
      fetch.push(conditions.length > 0 ? `f${name}${s} = 0.0f; if (${conditions.join(' && ')}) { ${load} }` : load);
      put.push(`${tile}[${inner} * ${stride} + (${outer} >> 2)][${outer} & 3] = f${name}${s};`);
    }
    return { places, fetch, put };
  };
  const partsA = fetching('A', tileA, strideA, t.rows, M, 'row0', A.alongInner), partsB = fetching('B', tileB, strideB, t.columns, N, 'column0', B.alongInner);
  const both = (part: 'places' | 'fetch' | 'put'): string => [...partsA[part], ...partsB[part]].join('\n');
  const heights = t.height / 4, widths = t.width / 4;
  // a thread's rows and columns come in fours that lie apart, so that neighbours read neighbouring vectors
  const rowOf = (r: number): string => `row0 + ${(r >> 2) * down * 4 + (r & 3)} + y * 4`;
  const compute: string[] = [];
  for (let v = 0; v < heights; v++) compute.push(`let x${v} = ${tileA}[inner * ${strideA} + ${v * down} + y];`);
  for (let w = 0; w < widths; w++) compute.push(`let z${w} = ${tileB}[inner * ${strideB} + ${w * across} + x];`);
  for (let r = 0; r < t.height; r++) for (let w = 0; w < widths; w++) compute.push(`c${r}_${w} = fma(vec4f(x${r >> 2}[${r & 3}]), z${w}, c${r}_${w});`);
  const isLarge = t.height * t.width >= 64;
  const stores: string[] = [];
  for (let r = 0; r < t.height; r++) {
    const store = (column: string, sum: string): string => {
      const conditions = [...(M % t.rows ? [`${rowOf(r)} < ${M}`] : []), ...(N % t.columns ? [`${column} < ${N}`] : [])];
      const call = `store${number}(${BATCH}, ${rowOf(r)}, ${column}, ${sum});`;
      return conditions.length > 0 ? `if (${conditions.join(' && ')}) { ${call} }` : call;
    };
    const columnOf = (c: number): string => `column0 + ${(c >> 2) * across * 4 + (c & 3)} + x * 4`;
    // in a loop, since a driver takes long over a program that holds the epilogue once for every element
    if (!isLarge && widths === 1) stores.push(`for (var c = 0; c < 4; c++) { let ${COLUMN} = column0 + c + x * 4; ${store(COLUMN, `c${r}_0[c]`)} }`);
    else for (let c = 0; c < t.width; c++) stores.push(store(columnOf(c), `c${r}_${c >> 2}[${c & 3}]`));
  }
  const accumulators = Array.from({ length: t.height }, (_, r) => Array.from({ length: widths }, (_v, w) => `var c${r}_${w} = vec4f();`).join(' ')).join('\n');
  const columnBlocks = Math.ceil(N / t.columns), rowBlocks = Math.ceil(M / t.rows);
  const sum = `for (var inner = 0; inner < ${t.inner}; inner++) {\n${compute.join('\n')}\n}`, fetch = both('fetch');
  // the next tiles are under way while a thread computes: large tiles with the text of a fetch twice, which runs faster; the others once, which compiles faster
  const ahead = `${fetch}\nloop {\n${both('put')}\nworkgroupBarrier();\nfirst += ${t.inner};\nif (first < ${K}) {\n${fetch}\n}\n${sum}\nworkgroupBarrier();\nif (first >= ${K}) { break; }\n}`;
  const inPlace = `loop {\nif (first < ${K}) {\n${fetch}\n}\nif (first > 0) {\n${sum}\n}\nif (first >= ${K}) { break; }\nworkgroupBarrier();\n${both('put')}\nworkgroupBarrier();\nfirst += ${t.inner};\n}`;
  const statements = `let x = i32(thread % ${across}u); let y = i32(thread / ${across}u);
let column0 = (block % ${columnBlocks}) * ${t.columns}; let row0 = ((block / ${columnBlocks}) % ${rowBlocks}) * ${t.rows}; let ${BATCH} = block / ${columnBlocks * rowBlocks};
${accumulators}
${both('places')}
var first = 0;
${isLarge ? ahead : inPlace}
${stores.join('\n')}`;
  return { group, declarations, statements, threads, blocks, operations };
}
