import { elementType, type OnnxAttribute, type OnnxTensor, type OnnxType } from './onnx-model.js';
import type { OnnxLowering } from './onnx-lowering.js';

/** Further than any path. */
const FAR = 3e38;

/** What a search holds between two turns of the loop, for all P problems. Boxes go by their rank among their problem's valid ones; -1: none. */
interface Search {
  /** Rank of the box that joins [P, 1]. */
  joining: OnnxTensor;
  /** Rank of the box whose costs are looked at next [P, 1]. */
  current: OnnxTensor;
  /** Length of the path to it [P, 1]. */
  low: OnnxTensor;
  /** Column whose owner changes next, once a free one was reached [P, 1]. */
  changing: OnnxTensor;
  /** Length of the shortest path to each column so far, whether it is final, and the box that it comes from [P, Q]. */
  length: OnnxTensor;
  isDone: OnnxTensor;
  cameFrom: OnnxTensor;
  price: OnnxTensor;
  ownerOf: OnnxTensor;
  /** [P, G] */
  columnOf: OnnxTensor;
}

/**
 * Exact assignment of any number of boxes: the steps of shortest-augmenting-paths.ts in one `Loop`, a turn of which takes each problem one step further on its
 * own way, either to the next nearest column or back along the path that was found. It ends when all problems have.
 */
export const assignmentOfMany: OnnxLowering = ({ w, input, out }) => {
  const cost = input('cost'), valid = input('valid'), [P, Q, G] = cost.shape;
  const op = (name: string, inputs: OnnxTensor[], shape: readonly number[], dtype: OnnxType = 'float32', attributes: Record<string, OnnxAttribute> = {}): OnnxTensor => w.node(name, inputs, shape, attributes, dtype);
  const one = [P, 1], columns = [P, Q], boxes = [P, G];
  const int = (n: number): OnnxTensor => w.integers([n]), range = (n: number): OnnxTensor => w.integers(Array.from({ length: n }, (_, k) => k));
  const together = (...operands: OnnxTensor[]): number[] => [-2, -1].map((axis) => Math.max(...operands.map(({ shape }) => shape.at(axis) ?? 1)));
  const binary = (name: string, dtype?: OnnxType) => (a: OnnxTensor, b: OnnxTensor): OnnxTensor => op(name, [a, b], together(a, b), dtype ?? a.dtype);
  const [add, sub, equal, less, atLeast, and] = [binary('Add'), binary('Sub'), binary('Equal', 'bool'), binary('Less', 'bool'), binary('GreaterOrEqual', 'bool'), binary('And', 'bool')];
  const not = (a: OnnxTensor): OnnxTensor => op('Not', [a], a.shape, 'bool');
  const where = (condition: OnnxTensor, a: OnnxTensor, b: OnnxTensor): OnnxTensor => op('Where', [condition, a, b], together(condition, a, b), a.dtype);
  const pick = (from: OnnxTensor, at: OnnxTensor): OnnxTensor => op('GatherElements', [from, at], one, from.dtype, { axis: 1 });
  const all = (value: OnnxTensor, shape: readonly number[], dtype: OnnxType): OnnxTensor => op('Expand', [value, w.integers(shape)], shape, dtype);
  const notNegative = (a: OnnxTensor): OnnxTensor => op('Max', [a, int(0)], one, 'int64');
  const isAny = (condition: OnnxTensor): OnnxTensor => op('Cast', [op('ReduceMax', [op('Cast', [condition], condition.shape, 'int32', { to: elementType('int32') }), w.integers([0, 1])], [], 'int32', { keepdims: 0 })], [], 'bool', { to: elementType('bool') });

  const [, order] = w.nodeWithOutputs('TopK', [valid, int(G)], [{ shape: boxes, dtype: 'float32' }, { shape: boxes, dtype: 'int64' }], { axis: 1 }); // valid boxes first, in their order
  const count = op('Cast', [op('ReduceSum', [valid, int(1)], one, 'float32', { keepdims: 1 })], one, 'int64', { to: elementType('int64') });
  const problems = op('Reshape', [range(P), w.integers(one)], one, 'int64');
  const byBox = op('Reshape', [op('Transpose', [cost], [P, G, Q], 'float32', { perm: [0, 2, 1] }), w.integers([P * G, Q])], [P * G, Q]);
  const firstRows = op('Mul', [problems, int(G)], one, 'int64');
  const rows = op('Gather', [byBox, op('Reshape', [add(order, firstRows), w.integers([P * G])], [P * G], 'int64')], [P * G, Q], 'float32', { axis: 0 });

  const turn = (s: Search): Search => {
    // to the nearest column
    const isSearching = and(less(s.changing, int(0)), less(s.joining, count));
    const costs = op('Gather', [rows, op('Reshape', [add(s.current, firstRows), int(P)], [P], 'int64')], columns, 'float32', { axis: 0 });
    const held = pick(s.columnOf, s.current), at = notNegative(held);
    const base = where(atLeast(held, int(0)), sub(s.low, sub(pick(costs, at), pick(s.price, at))), s.low);
    const reached = add(sub(costs, s.price), base);
    const isNearer = and(and(less(reached, s.length), not(s.isDone)), isSearching);
    const length = where(isNearer, reached, s.length), cameFrom = where(isNearer, s.current, s.cameFrom);
    const open = where(s.isDone, w.scalar(FAR), length), nearest = op('ReduceMin', [open, int(1)], one, 'float32', { keepdims: 1 });
    const isFree = less(s.ownerOf, int(0));
    const preference = where(and(equal(open, nearest), not(s.isDone)), where(isFree, w.scalar(0), w.scalar(1)), w.scalar(2));
    const column = op('ArgMin', [preference], one, 'int64', { axis: 1, keepdims: 1 });
    const owner = pick(s.ownerOf, column), isFound = and(isSearching, less(owner, int(0)));
    const isDone = op('Or', [s.isDone, and(equal(range(Q), column), isSearching)], columns, 'bool');
    const price = where(and(isDone, isFound), sub(s.price, sub(nearest, length)), s.price);
    // back along the path
    const changing = where(isFound, column, s.changing), isGoingBack = atLeast(changing, int(0)), from = notNegative(changing);
    const to = pick(cameFrom, from), left = pick(s.columnOf, to);
    const hasJoined = and(isGoingBack, equal(to, s.joining));
    const joining = add(s.joining, op('Cast', [hasJoined], one, 'int64', { to: elementType('int64') }));
    const next = op('Min', [joining, int(G - 1)], one, 'int64');
    return {
      joining,
      current: where(hasJoined, next, where(and(isSearching, not(isFound)), owner, s.current)),
      low: where(hasJoined, w.scalar(0), where(isSearching, nearest, s.low)),
      changing: where(and(isGoingBack, not(hasJoined)), left, int(-1)),
      length: where(hasJoined, w.scalar(FAR), length),
      isDone: and(isDone, not(hasJoined)),
      cameFrom: where(hasJoined, next, cameFrom),
      price,
      ownerOf: where(and(equal(range(Q), from), isGoingBack), to, s.ownerOf),
      columnOf: where(and(equal(range(G), to), isGoingBack), from, s.columnOf),
    };
  };

  const start: Search = {
    joining: all(int(0), one, 'int64'), current: all(int(0), one, 'int64'), low: all(w.scalar(0), one, 'float32'), changing: all(int(-1), one, 'int64'),
    length: all(w.scalar(FAR), columns, 'float32'), isDone: all(w.scalar(0, 'bool'), columns, 'bool'), cameFrom: all(int(0), columns, 'int64'),
    price: all(w.scalar(0), columns, 'float32'), ownerOf: all(int(-1), columns, 'int64'), columnOf: all(int(-1), boxes, 'int64'),
  };
  const names = Object.keys(start) as (keyof Search)[];
  const most = G * (G + 1); // turns: every box at most looks at all that joined before it, and goes back along them
  const end = w.loop(most, isAny(less(start.joining, count)), names.map((name) => start[name]), (carried) => {
    const s = turn(Object.fromEntries(names.map((name, k) => [name, carried[k]])) as unknown as Search);
    return { goesOn: isAny(less(s.joining, count)), carried: names.map((name) => s[name]) };
  });
  const columnOf = op('ScatterElements', [all(int(-1), boxes, 'int64'), order, end[names.indexOf('columnOf')]], boxes, 'int64', { axis: 1 });
  const hit = op('Equal', [op('Reshape', [columnOf, w.integers([P, G, 1])], [P, G, 1], 'int64'), range(Q)], out.shape, 'bool');
  return [op('Cast', [hit], out.shape, 'float32', { to: elementType('float32') })];
};
