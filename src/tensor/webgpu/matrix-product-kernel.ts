import { inputOf, type Value } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { isElementwise, isView } from './emitter.js';
import { BATCH, COLUMN, ROW, type Group } from './group.js';
import { BUSY_WORKGROUPS, LEAST_SHARED_BYTES, type KernelBody, type KernelWriter, type PlanLimits, type Tiles } from './kernel.js';
import { emulatedFragments, subgroupFragments, type MatrixUnits, type Tile } from './matrix-units.js';
import { productOperands } from './product-operands.js';

/** Tiles by what they are for; a subgroup computes height x width. */
const LARGE: Tiles = { rows: 128, columns: 128, inner: 32, height: 32, width: 64 };
const MEDIUM: Tiles = { rows: 128, columns: 64, inner: 32, height: 32, width: 32 };
const TALL: Tiles = { rows: 128, columns: 32, inner: 32, height: 32, width: 16 };
const SQUARE: Tiles = { rows: 64, columns: 64, inner: 32, height: 32, width: 32 };
/** Fits into the shared memory that every device has. */
const SMALL: Tiles = { rows: 64, columns: 32, inner: 32, height: 32, width: 16 };

/** The largest tiles that still give every multiprocessor of a large GPU something to do. */
export function matrixTilesFor(P: number, M: number, N: number): Tiles {
  const fitting = N > 64 ? [LARGE, MEDIUM, SQUARE] : N > 32 ? [MEDIUM, SQUARE] : [TALL];
  return fitting.find((t) => P * Math.ceil(M / t.rows) * Math.ceil(N / t.columns) >= BUSY_WORKGROUPS) ?? SMALL;
}

/** The least rows, columns and summands, and multiplications, of a product that is worth its conversions. */
const LEAST_SIDE = 16, LEAST_MULTIPLICATIONS = 2 ** 22;

/**
 * How a group's product is computed by the matrix units that the plan may use; nothing where it stays a product of f32: without such
 * units, for small ones, and where an operand is a selection (one-hot: the costs of a matching, the gradient of a gather), whose results are copies.
 */
export function matrixProduct({ product }: Group, limits: PlanLimits): { units: MatrixUnits; tiles: Tiles; threads: number; blocks: number; sharedBytes: number } | undefined {
  const units = limits.matrixUnits;
  if (!units || !product) return undefined;
  const a = inputOf(product, 'a'), { shape } = product.outputs[0], [M, N] = shape.slice(-2), P = sizeOf(shape.slice(0, -2));
  const K = product.attributes.transposeA ? a.shape[a.shape.length - 2] : a.shape[a.shape.length - 1];
  if (Math.min(M, N, K) < LEAST_SIDE || P * M * N * K < LEAST_MULTIPLICATIONS || product.inputs.some((v) => isSelection(v))) return undefined;
  const wanted = limits.matrixTiles ?? matrixTilesFor(P * (limits.replicas ?? 1), M, N);
  const tiles = sharedBytesOf(wanted, units) <= (limits.sharedBytes ?? LEAST_SHARED_BYTES) ? wanted : SMALL;
  return { units, tiles, threads: subgroupsOf(tiles) * units.threads, blocks: P * Math.ceil(M / tiles.rows) * Math.ceil(N / tiles.columns), sharedBytes: sharedBytesOf(tiles, units) };
}

const subgroupsOf = ({ rows, columns, height, width }: Tiles): number => (rows / height) * (columns / width);
/** Bytes of shared memory: the tiles of both operands, a fragment of sums for each subgroup, the largest elements, and whether they were too large. */
const sharedBytesOf = (t: Tiles, units: MatrixUnits): number => 2 * tileSize(t.rows, t.inner) + 2 * tileSize(t.columns, t.inner) + 4 * subgroupsOf(t) * units.rows * (units.columns + PADDING / 2) + 2 * 4 * FEW;

/** Whether a value is zeros and ones from a comparison for equality, moved and put together in whatever way. */
function isSelection(value: Value, depth = 6): boolean {
  const { node } = value;
  if (!node || depth === 0) return false;
  if (node.op === 'Equal') return true;
  return (isElementwise(node.op) || isView(node.op)) && node.inputs.length <= 2 && node.inputs.some((v) => isSelection(v, depth - 1));
}

/** Elements of f16 by which rows of a tile lie further apart than they are long, so that threads don't wait for one another's banks. */
const PADDING = 8;
/**
 * Length of the arrays of 1 or 2 numbers in shared memory. A matrix is loaded from places that are multiples of 16 bytes, drivers lay shared arrays behind one
 * another in any order, and WGSL can not ask for an alignment: so every array is a multiple of 128 bytes long.
 */
const FEW = 32;
/** Elements of a tile in shared memory, whichever of its two sides are neighbours there. */
const tileSize = (outer: number, inner: number): number => Math.max(outer * (inner + PADDING), inner * (outer + PADDING));

/**
 * Powers of two that are left free above the largest element of an operand's first tiles: the tiles that follow may hold larger ones, and all within 2^22
 * of the largest keep 11 bits.
 */
const HEADROOM = 7;

/**
 * A kernel for a (batched) matrix product in f16 with sums of f32, by matrix units. Operands are read as they are by the kernel of f32, and
 * rounded to f16 on their way into shared memory, after a multiplication by a power of two, one for each operand of a workgroup: no operand is too large or
 * too small for f16, whatever it is (gradients are small), only its digits are fewer. The powers follow the largest elements of the first tiles,
 * with some {@link HEADROOM}; where a later element turns out too large, the workgroup begins again, with the powers that all of its elements ask for. At the end
 * the sums are multiplied by what takes the powers back, in f32, and the epilogue writes them.
 */
export function matrixProductKernel(writer: KernelWriter): KernelBody {
  const { group, dispatch, number } = writer;
  const { units, tiles: t, threads, blocks } = matrixProduct(group, dispatch.layout.limits)!;
  const { P, M, N, K, A, B, epilogue } = productOperands(writer);
  const fragments = units.emulated ? emulatedFragments(units) : subgroupFragments(units);
  for (const directive of fragments.directives) dispatch.directives.add(directive);
  const across = t.columns / t.width, down = t.height / units.rows, wide = t.width / units.columns;

  /** How an operand gets into its tile, which of its sides are neighbours there, and where its fragments lie. */
  const operand = (name: 'A' | 'B', size: number, limit: number, origin: string, alongInner: boolean) => {
    const tile = dispatch.shared(`half${name}`, 'f16', tileSize(size, t.inner)), stride = (alongInner ? t.inner : size) + PADDING;
    const each = (size * t.inner) / threads, near = alongInner ? t.inner : size;
    const places: string[] = [], fetch: string[] = [], put: string[] = [];
    for (let s = 0; s < each; s++) {
      const at = `(thread + ${s * threads}u)`, outer = `outer${name}${s}`, inner = `inner${name}${s}`, first = `i32(${at} % ${near}u)`, second = `i32(${at} / ${near}u)`;
      places.push(`let ${outer} = ${alongInner ? second : first}; let ${inner} = ${alongInner ? first : second}; var f${name}${s}: f32;`);
      const conditions = [...(limit % size ? [`${origin} + ${outer} < ${limit}`] : []), ...(K % t.inner ? [`first + ${inner} < ${K}`] : [])];
      const load = `f${name}${s} = load${name}${number}(${BATCH}, ${origin} + ${outer}, first + ${inner});`;
      fetch.push(conditions.length > 0 ? `f${name}${s} = 0.0f; if (${conditions.join(' && ')}) { ${load} }` : load);
      put.push(`${tile}[${alongInner ? `${outer} * ${stride} + ${inner}` : `${inner} * ${stride} + ${outer}`}] = f16(f${name}${s} * scale${name});`);
    }
    const largest = Array.from({ length: each }, (_, s) => `abs(f${name}${s})`).reduce((most, next) => `max(${most}, ${next})`);
    const fragment = (outer: string, inner: number): Tile => ({ array: tile, first: alongInner ? `(${outer}) * ${stride}u + ${inner}u` : `${inner * stride}u + ${outer}`, stride, byRows: alongInner === (name === 'A') });
    return { places, fetch: [...fetch, `most${name} = max(most${name}, ${largest});`], put, fragment };
  };
  const a = operand('A', t.rows, M, 'row0', A.alongInner), b = operand('B', t.columns, N, 'column0', B.alongInner);
  const stride = units.columns + PADDING / 2, region = units.rows * stride;
  const sums = dispatch.shared('sums', 'f32', (threads / units.threads) * region);
  const exponents = dispatch.shared('largest', 'atomic<u32>', FEW), again = `${dispatch.shared('again', 'u32', FEW)}[0]`;
  const exponentOf = (which: 0 | 1): string => `max(atomicLoad(&${exponents}[${which}]) >> 23u, 15u)`;
  const raise = ['mostA', 'mostB'].map((most, which) => `atomicMax(&${exponents}[${which}], bitcast<u32>(${most}));`).join('\n');

  const name = (i: number, j: number): string => `c${i}_${j}`;
  const all = Array.from({ length: down * wide }, (_, f): [i: number, j: number] => [Math.floor(f / wide), f % wide]);
  const compute = Array.from({ length: t.inner / units.inner }, (_, s) => fragments.multiply(
    Array.from({ length: down }, (_v, i) => a.fragment(`tileRow + ${i * units.rows}u`, s * units.inner)),
    Array.from({ length: wide }, (_v, j) => b.fragment(`tileColumn + ${j * units.columns}u`, s * units.inner)), name,
  )).flat();
  const conditions = [...(M % t.rows ? [`${ROW} < ${M}`] : []), ...(N % t.columns ? [`${COLUMN} < ${N}`] : [])];
  const store = `store${number}(${BATCH}, ${ROW}, ${COLUMN}, ${sums}[element] * backA * backB);`;
  const columnBlocks = Math.ceil(N / t.columns), rowBlocks = Math.ceil(M / t.rows);
  const declarations = `${A.text}
${B.text}
fn store${number}(${BATCH}: i32, ${ROW}: i32, ${COLUMN}: i32, sum: f32) {
${epilogue.join('\n')}
}`;
  // the epilogue is in a loop over fragments, since a driver takes long over a program that holds it once for each
  const statements = `${units.emulated ? `let subgroup = thread / ${units.threads}u; let none = thread / ${threads}u;\n` : ''}let lane = thread % ${units.threads}u;
let tileRow = (subgroup / ${across}u) * ${t.height}u; let tileColumn = (subgroup % ${across}u) * ${t.width}u;
let column0 = (block % ${columnBlocks}) * ${t.columns}; let row0 = ((block / ${columnBlocks}) % ${rowBlocks}) * ${t.rows}; let ${BATCH} = block / ${columnBlocks * rowBlocks};
${[...a.places, ...b.places].join('\n')}
var mostA = 0.0f; var mostB = 0.0f; var exponentA = 0u; var exponentB = 0u; var isFirstPass = true;
loop {
${all.map(([i, j]) => fragments.declare(name(i, j))).join('\n')}
var first = 0;
${[...a.fetch, ...b.fetch].join('\n')}
if (isFirstPass) {
if (thread < 2u) { atomicStore(&${exponents}[thread], 0u); }
workgroupBarrier();
${raise}
workgroupBarrier();
exponentA = ${exponentOf(0)} + ${HEADROOM}u; exponentB = ${exponentOf(1)} + ${HEADROOM}u;
}
let scaleA = bitcast<f32>((268u - exponentA) << 23u); let scaleB = bitcast<f32>((268u - exponentB) << 23u);
loop {
${[...a.put, ...b.put].join('\n')}
workgroupBarrier();
first += ${t.inner};
if (first < ${K}) {
${[...a.fetch, ...b.fetch].join('\n')}
}
${compute.join('\n')}
workgroupBarrier();
if (first >= ${K}) { break; }
}
${raise}
workgroupBarrier();
if (thread == 0u) { ${again} = select(0u, 1u, ${exponentOf(0)} > exponentA || ${exponentOf(1)} > exponentB); }
if (workgroupUniformLoad(&${again}) == 1u) {
exponentA = ${exponentOf(0)}; exponentB = ${exponentOf(1)}; isFirstPass = false;
continue;
}
let backA = bitcast<f32>((exponentA - 14u) << 23u); let backB = bitcast<f32>((exponentB - 14u) << 23u);
for (var f = 0; f < ${all.length}; f++) {
workgroupBarrier();
${all.map(([i, j], f) => `${f > 0 ? 'else ' : ''}${f < all.length - 1 || f === 0 ? `if (f == ${f}) ` : ''}{ ${fragments.store(name(i, j), sums, `subgroup * ${region}u`, stride)} }`).join('\n')}
workgroupBarrier();
for (var e = 0u; e < ${(units.rows * units.columns) / units.threads}u; e++) {
let at = e * ${units.threads}u + lane; let element = (thread / ${units.threads}u) * ${region}u + (at / ${units.columns}u) * ${stride}u + at % ${units.columns}u;
let ${ROW} = row0 + i32(thread / ${units.threads * across}u) * ${t.height} + (f / ${wide}) * ${units.rows} + i32(at / ${units.columns}u); let ${COLUMN} = column0 + i32((thread / ${units.threads}u) % ${across}u) * ${t.width} + (f % ${wide}) * ${units.columns} + i32(at % ${units.columns}u);
${conditions.length > 0 ? `if (${conditions.join(' && ')}) { ${store} }` : store}
}
}
break;
}`;
  return { group, declarations, statements, threads, blocks, operations: 2 * P * M * N * K };
}
