import { inputOf, type Value } from '../graph.js';
import { sizeOf } from '../parameters.js';
import { BATCH, COLUMN, ROW, homeOf } from './group.js';
import { unflatten, variableIndex, type Index } from './index-algebra.js';
import type { KernelWriter } from './kernel.js';

/** The variable along which a product sums. */
export const INNER = 'k';

/** A function of WGSL that reads an element of an operand, through whatever views lead to it. */
export interface OperandLoader {
  text: string;
  /** Whether neighbouring elements in memory are neighbours along the sum. */
  alongInner: boolean;
}

/** A (batched) product [P, M, K] x [P, K, N] as its kernels need it: functions that read the operands, statements that write an element `sum`. */
export interface ProductOperands {
  P: number;
  M: number;
  N: number;
  K: number;
  A: OperandLoader;
  B: OperandLoader;
  epilogue: string[];
}

/** Writes the loaders `loadA<number>` and `loadB<number>`, and the epilogue of a group's product. */
export function productOperands(writer: KernelWriter): ProductOperands {
  const { group, number } = writer;
  const node = group.product!, [out] = node.outputs, a = inputOf(node, 'a'), b = inputOf(node, 'b');
  const [M, N] = out.shape.slice(-2), batch = out.shape.slice(0, -2), P = sizeOf(batch);
  const transposeA = Boolean(node.attributes.transposeA), transposeB = Boolean(node.attributes.transposeB);
  const K = transposeA ? a.shape[a.shape.length - 2] : a.shape[a.shape.length - 1];
  const p = unflatten(variableIndex(BATCH, P), batch), m = variableIndex(ROW, M), n = variableIndex(COLUMN, N), k = variableIndex(INNER, K);
  const loader = (name: string, v: Value, outer: Index, swapped: boolean): OperandLoader => {
    const rank = v.shape.length - 2, batches = p.slice(p.length - rank);
    const emitter = writer.emitter(() => undefined);
    const outerName = name === 'A' ? ROW : COLUMN;
    const before = writer.reads.length;
    const result = emitter.element(v, [...batches, ...(swapped ? [k, outer] : [outer, k])]);
    const text = `fn load${name}${number}(${BATCH}: i32, ${outerName}: i32, ${INNER}: i32) -> f32 {\n${emitter.lines.join('\n')}\nreturn ${result};\n}`;
    return { text, alongInner: isContiguous(writer.reads.slice(before), INNER, outerName) };
  };
  const A = loader('A', a, m, transposeA), B = loader('B', b, n, !transposeB);
  const epilogue = writer.emitter((v) => (v === out ? 'sum' : undefined));
  for (const value of group.stores) writer.write(value, epilogue.element(value, homeOf(group, value)), epilogue);
  return { P, M, N, K, A, B, epilogue: epilogue.lines };
}

/** Whether neighbouring elements of an operand in memory are neighbours along the sum. */
function isContiguous(reads: readonly Index[], inner: string, outer: string): boolean {
  const along = (name: string): boolean => reads.some(({ terms }) => terms.some(({ atom, coefficient }) => coefficient === 1 && new RegExp(`\\b${name}\\b`).test(atom.key)));
  return along(inner) || !along(outer);
}
