import { elementsOf } from '../graph-builder.js';
import { inputOf, type DataType, type Node, type Value } from '../graph.js';
import { sliceRange } from '../shape-rules.js';
import { tf } from '../tf.js';
import { constantIndex, flatten, plus, quotient, times, unflatten, variableIndex, type Index } from './index-algebra.js';
import type { WindowAttributes } from './primitives.js';

/** How elements are written in WGSL. */
export const WGSL_TYPE: Record<DataType, string> = { float32: 'f32', int32: 'i32', bool: 'bool' };

/** A number as a WGSL literal; infinities become the largest float, as WGSL has none. */
export function literal(value: number, dtype: DataType): string {
  if (dtype === 'bool') return value ? 'true' : 'false';
  if (dtype === 'int32') return `${value < 0 ? `(${value})` : value}`;
  if (Number.isNaN(value)) throw new Error('a constant of the step is NaN');
  const finite = Math.abs(value) > 3.4028234663852886e38 ? Math.sign(value) * 3.4028234663852886e38 : Math.fround(value);
  const text = String(finite);
  return `${finite < 0 || Object.is(finite, -0) ? '(' : ''}${text}${/[.e]/.test(text) ? '' : '.0'}f${finite < 0 || Object.is(finite, -0) ? ')' : ''}`;
}

/** Helper functions of WGSL by name; a kernel contains those that it calls. */
const HELPERS: Record<string, string> = {
  power: 'fn power(a: f32, b: f32) -> f32 { let p = pow(abs(a), b); return select(p, select(p, -p, fract(abs(b) * 0.5f) != 0.0f), a < 0.0f && fract(b) == 0.0f); }',
  sigmoid: 'fn sigmoid(x: f32) -> f32 { return 1.0f / (1.0f + exp(-x)); }',
  softplus: 'fn softplus(x: f32) -> f32 { return max(x, 0.0f) + log(1.0f + exp(-abs(x))); }',
  logOnePlus: 'fn logOnePlus(x: f32) -> f32 { let u = 1.0f + x; return select(log(u) * (x / (u - 1.0f)), x, u == 1.0f); }',
  floorQuotient: 'fn floorQuotient(a: i32, b: i32) -> i32 { return a / b - select(0, 1, a % b != 0 && (a < 0) != (b < 0)); }',
  hyperbolicTangent: 'fn hyperbolicTangent(x: f32) -> f32 { return tanh(clamp(x, -15.0f, 15.0f)); }',
};

type Unary = (x: string, node: Node) => string;
const UNARY: Record<string, Unary> = {
  Identity: (x) => x,
  Neg: (x) => `(-${x})`, Relu: (x) => `max(${x}, 0.0f)`, Sigmoid: (x) => `sigmoid(${x})`, Exp: (x) => `exp(${x})`, Log: (x) => `log(${x})`, Log1p: (x) => `logOnePlus(${x})`,
  Abs: (x) => `abs(${x})`, Sign: (x) => `sign(${x})`, Square: (x) => `(${x} * ${x})`, Sqrt: (x) => `sqrt(${x})`, Rsqrt: (x) => `inverseSqrt(${x})`, Reciprocal: (x) => `(1.0f / ${x})`,
  Round: (x) => `round(${x})`, Floor: (x) => `floor(${x})`, Ceil: (x) => `ceil(${x})`, Tanh: (x) => `hyperbolicTangent(${x})`, Sin: (x) => `sin(${x})`, Cos: (x) => `cos(${x})`,
  Softplus: (x) => `softplus(${x})`, LogicalNot: (x) => `(!${x})`,
  Step: (x, { attributes }) => `select(${literal((attributes.alpha as number | undefined) ?? 0, 'float32')}, 1.0f, ${x} > 0.0f)`,
  ClipByValue: (x, { attributes, outputs: [{ dtype }] }) => `clamp(${x}, ${literal(attributes.clipValueMin as number, dtype)}, ${literal(attributes.clipValueMax as number, dtype)})`,
  Cast: (x, { inputs: [from], outputs: [to] }) => (from.dtype === to.dtype ? x : to.dtype === 'bool' ? `(${x} != ${literal(0, from.dtype)})` : `${WGSL_TYPE[to.dtype]}(${x})`),
};
type Binary = (a: string, b: string, node: Node) => string;
const infix = (operator: string): Binary => (a, b) => `(${a} ${operator} ${b})`;
const BINARY: Record<string, Binary> = {
  Add: infix('+'), Sub: infix('-'), Multiply: infix('*'), Maximum: (a, b) => `max(${a}, ${b})`, Minimum: (a, b) => `min(${a}, ${b})`,
  RealDiv: (a, b, { inputs: [x] }) => (x.dtype === 'float32' ? `(${a} / ${b})` : `(f32(${a}) / f32(${b}))`),
  FloorDiv: (a, b, { outputs: [{ dtype }] }) => (dtype === 'int32' ? `floorQuotient(${a}, ${b})` : `floor(${a} / ${b})`),
  Pow: (a, b) => `power(${a}, ${b})`,
  Equal: infix('=='), NotEqual: infix('!='), Greater: infix('>'), GreaterEqual: infix('>='), Less: infix('<'), LessEqual: infix('<='), LogicalAnd: infix('&&'), LogicalOr: infix('||'),
};

/** Whether an operation gives each element from elements of its inputs at the same place. */
export const isElementwise = (op: string): boolean => op in UNARY || op in BINARY || op === 'Select';
const VIEWS = new Set(['Reshape', 'Transpose', 'BroadcastTo', 'Slice', 'PadV2', 'Concat', 'Reverse', 'GatherV2', 'Window', 'Iota']);
/** Whether an operation only moves, repeats or leaves out elements of its inputs. */
export const isView = (op: string): boolean => VIEWS.has(op);

/** Reads an element of a value that is not computed here: an expression, or nothing where the value has to be written out. */
export type LeafReader = (value: Value, coordinates: readonly Index[], emitter: Emitter) => string | undefined;

/** Writes the statements of WGSL that compute elements of values; what has been computed in the same place is used again. */
export class Emitter {
  lines: string[] = [];
  readonly helpers: Set<string>;
  readonly #scopes: Map<string, string>[] = [new Map<string, string>()];
  #count: number;

  constructor(private readonly read: LeafReader, private readonly prefix = 'v', helpers?: Set<string>) {
    this.helpers = helpers ?? new Set();
    this.#count = 0;
  }

  /** A new name. */
  name(): string { return `${this.prefix}${this.#count++}`; }

  /** Writes `let name = expression` and gives the name. */
  define(expression: string): string {
    const name = this.name();
    this.lines.push(`let ${name} = ${expression};`);
    return name;
  }

  /** Statements written by `body` in a block of their own: what they define is not seen after it. */
  block(head: string, body: () => void): void {
    this.lines.push(`${head} {`);
    this.#scopes.push(new Map<string, string>());
    body();
    this.#scopes.pop();
    this.lines.push('}');
  }

  #known(key: string): string | undefined {
    for (let k = this.#scopes.length - 1; k >= 0; k--) {
      const found = this.#scopes[k].get(key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #remember(key: string, compute: () => string): string {
    const known = this.#known(key);
    if (known !== undefined) return known;
    const name = compute();
    this.#scopes[this.#scopes.length - 1].set(key, name);
    return name;
  }

  /** An index as an i32 expression. */
  index(i: Index): string {
    const parts = i.terms.map(({ atom, coefficient }) => {
      const name = atom.kind === 'variable' ? atom.name : this.#remember(atom.key, () => this.define(`i32(u32(${this.index(atom.of)}) ${atom.kind === 'quotient' ? '/' : '%'} ${atom.by}u)`));
      return coefficient === 1 ? name : `${name} * ${coefficient < 0 ? `(${coefficient})` : coefficient}`;
    });
    if (i.constant !== 0 || parts.length === 0) parts.push(String(i.constant < 0 ? `(${i.constant})` : i.constant));
    return parts.join(' + ');
  }

  /** The element of a value at coordinates, as an expression without side effects. */
  element(value: Value, coordinates: readonly Index[]): string {
    const at = coordinates.map((c, k) => (value.shape[k] === 1 ? constantIndex(0) : c));
    if (typeof value.constant === 'number') return literal(value.constant, value.dtype);
    return this.#remember(`${value.id}@${at.map((c) => c.key).join(',')}`, () => this.read(value, at, this) ?? this.#compute(value, at));
  }

  /** The element at a position of the flattened value. */
  elementAt(value: Value, flat: Index): string {
    return this.element(value, unflatten(flat, value.shape));
  }

  #compute(value: Value, at: readonly Index[]): string {
    const { node } = value;
    if (!node) {
      if (value.constant !== undefined && elementsOf(value).length === 1) return literal(elementsOf(value)[0], value.dtype);
      throw new Error(`a value of shape [${value.shape.join(', ')}] is neither stored nor computed`);
    }
    const { op } = node;
    if (op in UNARY) {
      const text = UNARY[op](this.element(node.inputs[0], at), node);
      this.#help(text);
      return this.define(text);
    }
    if (op in BINARY) return this.#binary(node, at);
    if (op === 'Select') return this.define(`select(${['e', 't', 'condition'].map((name) => this.#aligned(inputOf(node, name), at)).join(', ')})`);
    const view = this.#views[op] as ((node: Node, at: readonly Index[]) => string) | undefined;
    if (!view) throw new Error(`kernel ${op} can't be written into a fused kernel (inputs ${node.inputs.map((v) => `[${v.shape.join(', ')}]`).join(', ')})`);
    return view(node, at);
  }

  #help(text: string): void {
    for (const name of Object.keys(HELPERS)) if (text.startsWith(`${name}(`)) this.helpers.add(name);
  }

  #binary(node: Node, at: readonly Index[]): string {
    const [a, b] = node.inputs;
    if (node.op === 'Pow' && typeof b.constant === 'number' && Number.isInteger(b.constant) && b.constant > 0 && b.constant <= 4) {
      return this.define(Array<string>(b.constant).fill(this.#aligned(a, at)).join(' * '));
    }
    const text = BINARY[node.op](this.#aligned(a, at), this.#aligned(b, at), node);
    this.#help(text);
    return this.define(node.op === 'Pow' && node.outputs[0].dtype === 'int32' ? `i32(round(power(f32(${this.#aligned(a, at)}), f32(${this.#aligned(b, at)}))))` : text);
  }

  /** An operand that is broadcast against coordinates of a higher or equal rank. */
  #aligned(v: Value, at: readonly Index[]): string {
    return this.element(v, at.slice(at.length - v.shape.length));
  }

  readonly #views: Record<string, (node: Node, at: readonly Index[]) => string> = {
    Reshape: ({ inputs: [x], outputs: [out] }, at) => this.element(x, unflatten(flatten(at, out.shape), x.shape)),
    Transpose: ({ inputs: [x], attributes }, at) => {
      const perm = attributes.perm as number[];
      return this.element(x, x.shape.map((_, k) => at[perm.indexOf(k)]));
    },
    BroadcastTo: ({ inputs: [x] }, at) => this.#aligned(x, at),
    Slice: ({ inputs: [x], attributes }, at) => {
      const { begin } = sliceRange(x.shape, attributes);
      return this.element(x, at.map((c, k) => plus(c, begin[k])));
    },
    Reverse: ({ inputs: [x], attributes }, at) => {
      const axes = tf.util.parseAxisParam(attributes.dims as number | number[], [...x.shape]);
      return this.element(x, at.map((c, k) => (axes.includes(k) ? plus(times(c, -1), x.shape[k] - 1) : c)));
    },
    Iota: ({ attributes, outputs: [out] }, at) => {
      const { axis, start, step } = attributes as { axis: number; start: number; step: number };
      const position = this.index(plus(times(at[axis], step), start));
      return out.dtype === 'int32' ? `(${position})` : `f32(${position})`;
    },
    PadV2: ({ inputs: [x], attributes }, at) => {
      const paddings = attributes.paddings as [number, number][];
      return this.#guarded(x, at.map((c, k) => plus(c, -paddings[k][0])), [], (attributes.constantValue as number | undefined) ?? 0);
    },
    Window: ({ inputs: [x], attributes }, [n, p, q, i, j, c]) => {
      const { strides, pads, dilation, fill } = attributes as unknown as WindowAttributes;
      const conditions: string[] = [];
      const along = (outer: Index, inner: Index, k: 0 | 1): Index => {
        const position = plus(plus(times(outer, strides[k]), inner), -pads[k]);
        if (dilation[k] === 1) return position;
        const size = x.shape[k + 1];
        const name = this.define(this.index(position));
        conditions.push(`${name} >= 0 && u32(${name}) % ${dilation[k]}u == 0u && u32(${name}) / ${dilation[k]}u < ${size}u`);
        return quotient(variableIndex(name, size * dilation[k]), dilation[k]);
      };
      return this.#guarded(x, [n, along(p, i, 0), along(q, j, 1), c], conditions, fill);
    },
    Concat: (node, at) => {
      const out = node.outputs[0], axis = tf.util.parseAxisParam(node.attributes.axis as number, [...out.shape])[0];
      const result = this.name();
      this.lines.push(`var ${result}: ${WGSL_TYPE[out.dtype]};`);
      let begin = 0;
      node.inputs.forEach((part, k) => {
        const end = begin + part.shape[axis], from = begin;
        const last = k === node.inputs.length - 1;
        this.block(`${k > 0 ? 'else ' : ''}${last && k > 0 ? '' : `if (${this.index(at[axis])} < ${end})`}`, () => {
          const name = this.define(this.index(plus(at[axis], -from)));
          const inner = at.map((c, d) => (d === axis ? (from === 0 && part.shape[axis] > c.high ? c : variableIndex(name, part.shape[axis])) : c));
          this.lines.push(`${result} = ${this.element(part, inner)};`);
        });
        begin = end;
      });
      return result;
    },
    GatherV2: (node, at) => {
      const x = inputOf(node, 'x'), indices = inputOf(node, 'indices');
      const axis = tf.util.parseAxisParam(node.attributes.axis as number, [...x.shape])[0];
      const row = this.element(indices, at.slice(axis, axis + indices.shape.length));
      const name = this.define(`clamp(${indices.dtype === 'int32' ? row : `i32(${row})`}, 0, ${x.shape[axis] - 1})`);
      return this.element(x, [...at.slice(0, axis), variableIndex(name, x.shape[axis]), ...at.slice(axis + indices.shape.length)]);
    },
  };

  /** x where its coordinates lie inside of it (and the conditions hold), `fill` elsewhere. */
  #guarded(x: Value, at: readonly Index[], conditions: readonly string[], fill: number): string {
    const checks = [...conditions];
    const outside: boolean[] = at.map((c, k) => c.low < 0 || c.high >= x.shape[k]);
    at.forEach((c, k) => {
      if (c.low < 0) checks.push(`${this.index(c)} >= 0`);
      if (c.high >= x.shape[k]) checks.push(`${this.index(c)} < ${x.shape[k]}`);
    });
    if (checks.length === 0) return this.element(x, at);
    const result = this.name();
    this.lines.push(`var ${result} = ${literal(fill, x.dtype)};`);
    this.block(`if (${checks.join(' && ')})`, () => {
      const inner = at.map((c, k) => (outside[k] ? variableIndex(this.define(this.index(c)), x.shape[k]) : c));
      this.lines.push(`${result} = ${this.element(x, inner)};`);
    });
    return result;
  }
}

/** The text of the helper functions that statements call. */
export const helperFunctions = (names: Iterable<string>): string => [...names].map((name) => HELPERS[name]).join('\n');

