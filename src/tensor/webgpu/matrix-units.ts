/**
 * How an adapter multiplies matrices of f16 into f32: a subgroup of `threads` adds the product of a fragment of rows x inner and one of
 * inner x columns to a fragment of rows x columns.
 */
export interface MatrixUnits {
  rows: number;
  columns: number;
  inner: number;
  threads: number;
  /** Plain loops over the same fragments, for adapters that have no such units: for tests. */
  emulated?: boolean;
}

const NEEDED_FEATURES: Readonly<Record<string, string>> = { 'shader-f16': 'f16', subgroups: 'subgroups', 'chromium-experimental-subgroup-matrix': 'subgroup matrices' };

/** What the `info` of an adapter with subgroup matrices holds beside what WebGPU's types know. */
interface SubgroupInfo {
  subgroupMinSize?: number;
  subgroupMaxSize?: number;
  subgroupMatrixConfigs?: Iterable<{ componentType: string; resultComponentType: string; M: number; N: number; K: number }>;
}

/** The adapter's units for products of f16 with sums of f32, the largest fragments first; or what it lacks, as a sentence. */
export function matrixUnitsOf({ features, info }: { features: { has: (name: string) => boolean }; info: object }): MatrixUnits | string {
  const lacking = Object.keys(NEEDED_FEATURES).filter((name) => !features.has(name)).map((name) => NEEDED_FEATURES[name]);
  if (lacking.length > 0) return `its adapter has no ${lacking.join(', no ')}`;
  const { subgroupMinSize, subgroupMaxSize, subgroupMatrixConfigs = [] } = info as SubgroupInfo;
  const fitting = [...subgroupMatrixConfigs].filter((c) => c.componentType === 'f16' && c.resultComponentType === 'f32' && [c.M, c.N, c.K].every((n) => n > 0 && 16 % n === 0)).sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  if (fitting.length === 0) return 'its adapter has no subgroup matrices of f16 with sums of f32';
  if (!subgroupMinSize || subgroupMinSize !== subgroupMaxSize) return `its adapter's subgroups are of ${subgroupMinSize ?? '?'} to ${subgroupMaxSize ?? '?'} threads, not of one size`;
  const [{ M, N, K }] = fitting;
  return { rows: M, columns: N, inner: K, threads: subgroupMinSize };
}

/** Statements of WGSL on fragments, each executed by all threads of a subgroup. */
export interface Fragments {
  /** Directives that the program begins with. */
  directives: readonly string[];
  /** A variable for a fragment of sums, all 0. */
  declare: (sums: string) => string;
  /** Adds products of fragments of two tiles in shared memory to sums: by rows and by columns, `sums(i, j) += left[i] right[j]`. */
  multiply: (left: readonly Tile[], right: readonly Tile[], sums: (i: number, j: number) => string) => string[];
  /** Writes sums to shared memory, row by row. */
  store: (sums: string, array: string, first: string, stride: number) => string;
}

/** A fragment in shared memory: its first element, and how far apart its rows (else its columns) lie, whose elements are neighbours. */
export interface Tile {
  array: string;
  first: string;
  stride: number;
  byRows: boolean;
}

/** Fragments of an adapter's own units. */
export function subgroupFragments({ rows, columns, inner }: MatrixUnits): Fragments {
  const load = (kind: string, type: string, { array, first, stride, byRows }: Tile): string => `let ${kind} = subgroupMatrixLoad<${type}, ${byRows ? 'row_major' : 'col_major'}>(&${array}, ${first}, ${stride}u);`;
  return {
    directives: ['enable f16;', 'enable subgroups;', 'enable chromium_experimental_subgroup_matrix;', 'diagnostic(off, chromium.subgroup_matrix_uniformity);'],
    declare: (sums) => `var ${sums} = subgroup_matrix_result<f32, ${columns}, ${rows}>();`,
    multiply: (left, right, sums) => [
      '{',
      ...left.map((tile, i) => load(`left${i}`, `subgroup_matrix_left<f16, ${inner}, ${rows}>`, tile)),
      ...right.map((tile, j) => load(`right${j}`, `subgroup_matrix_right<f16, ${columns}, ${inner}>`, tile)),
      ...left.flatMap((_, i) => right.map((_tile, j) => `${sums(i, j)} = subgroupMatrixMultiplyAccumulate(left${i}, right${j}, ${sums(i, j)});`)),
      '}',
    ],
    store: (sums, array, first, stride) => `subgroupMatrixStore<row_major>(&${array}, ${first}, ${sums}, ${stride}u);`,
  };
}

/** The same as loops, which a compiler shall not unroll (`none` is 0): a thread holds every `threads`th element of a fragment of sums. */
export function emulatedFragments({ rows, columns, inner, threads }: MatrixUnits): Fragments {
  const held = (rows * columns) / threads;
  const each = (body: string): string => `for (var q = 0u; q < ${held}u + none; q++) { let at = q * ${threads}u + lane; ${body} }`;
  const element = ({ array, first, stride, byRows }: Tile, row: string, column: string): string => `f32(${array}[${first} + ${byRows ? `${row} * ${stride}u + ${column}` : `${column} * ${stride}u + ${row}`}])`;
  return {
    directives: ['enable f16;'],
    declare: (sums) => `var ${sums} = array<f32, ${held}>();`,
    multiply: (left, right, sums) => left.flatMap((a, i) => right.map((b, j) => each(`for (var s = 0u; s < ${inner}u + none; s++) { ${sums(i, j)}[q] += ${element(a, `(at / ${columns}u)`, 's')} * ${element(b, 's', `(at % ${columns}u)`)}; }`))),
    store: (sums, array, first, stride) => each(`${array}[${first} + (at / ${columns}u) * ${stride}u + at % ${columns}u] = ${sums}[q];`),
  };
}
