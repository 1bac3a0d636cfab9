/**
 * Integer expressions of indices, kept as sums of terms so that flattening and unflattening cancel while a kernel is
 * written, not while it runs: an element-wise chain through reshapes and transpositions addresses its buffers by one variable.
 */

/** What a term multiplies: a loop variable, or the quotient or the remainder of an expression by a constant. */
export type Atom =
  | { readonly kind: 'variable'; readonly name: string; readonly low: number; readonly high: number; readonly key: string }
  | { readonly kind: 'quotient' | 'remainder'; readonly of: Index; readonly by: number; readonly low: number; readonly high: number; readonly key: string };

/** constant + sum of coefficient x atom, with its least and greatest value. */
export interface Index {
  readonly terms: readonly { readonly atom: Atom; readonly coefficient: number }[];
  readonly constant: number;
  readonly low: number;
  readonly high: number;
  /** Equal for equal expressions. */
  readonly key: string;
}

function build(terms: readonly { atom: Atom; coefficient: number }[], constant: number): Index {
  const sums = new Map<string, { atom: Atom; coefficient: number }>();
  for (const { atom, coefficient } of terms) {
    const known = sums.get(atom.key);
    sums.set(atom.key, { atom, coefficient: coefficient + (known?.coefficient ?? 0) });
  }
  const kept = [...sums.values()].filter(({ coefficient }) => coefficient !== 0);
  // d c (x / d) + c (x % d) = c x
  for (const { atom, coefficient } of kept) {
    if (atom.kind !== 'remainder') continue;
    const partner = kept.find((t) => t.atom.kind === 'quotient' && t.atom.by === atom.by && t.atom.of.key === atom.of.key && t.coefficient === coefficient * atom.by);
    if (!partner) continue;
    const rest = kept.filter((t) => t.atom !== atom && t !== partner);
    return build([...rest, ...atom.of.terms.map((t) => ({ atom: t.atom, coefficient: t.coefficient * coefficient }))], constant + coefficient * atom.of.constant);
  }
  kept.sort((p, q) => (p.atom.key < q.atom.key ? -1 : 1));
  let low = constant, high = constant;
  for (const { atom, coefficient } of kept) {
    low += coefficient * (coefficient > 0 ? atom.low : atom.high);
    high += coefficient * (coefficient > 0 ? atom.high : atom.low);
  }
  return { terms: kept, constant, low, high, key: [...kept.map(({ atom, coefficient }) => `${coefficient}*${atom.key}`), constant].join('+') };
}

/** The constant n. */
export const constantIndex = (n: number): Index => build([], n);

/** A variable that takes the values 0 to size - 1. */
export const variableIndex = (name: string, size: number): Index => build([{ atom: { kind: 'variable', name, low: 0, high: size - 1, key: name }, coefficient: 1 }], 0);

/** a + b */
export const plus = (a: Index, b: Index | number): Index => (typeof b === 'number' ? build(a.terms, a.constant + b) : build([...a.terms, ...b.terms], a.constant + b.constant));

/** factor x a */
export const times = (a: Index, factor: number): Index => build(a.terms.map((t) => ({ atom: t.atom, coefficient: t.coefficient * factor })), a.constant * factor);

/** The part of a whose coefficients divisor divides, and the rest; both without loss: a = divisible + rest. */
function parts(a: Index, divisor: number): { divisible: Index; rest: Index } {
  const divides = (n: number): boolean => n % divisor === 0;
  const constant = ((a.constant % divisor) + divisor) % divisor;
  return {
    divisible: build(a.terms.filter((t) => divides(t.coefficient)), a.constant - constant),
    rest: build(a.terms.filter((t) => !divides(t.coefficient)), constant),
  };
}

/** floor(a / divisor), for a divisor of at least 1. Kernels may rely on it only where a is not negative. */
export function quotient(a: Index, divisor: number): Index {
  if (divisor === 1) return a;
  const { divisible, rest } = parts(a, divisor);
  const whole = build(divisible.terms.map((t) => ({ atom: t.atom, coefficient: t.coefficient / divisor })), divisible.constant / divisor);
  if (rest.low >= 0 && rest.high < divisor) return whole;
  if (rest.low < 0) return build([{ atom: derived('quotient', a, divisor), coefficient: 1 }], 0);
  return plus(whole, build([{ atom: derived('quotient', rest, divisor), coefficient: 1 }], 0));
}

/** a modulo divisor. Kernels may rely on it only where a is not negative. */
export function remainder(a: Index, divisor: number): Index {
  if (divisor === 1) return constantIndex(0);
  const { rest } = parts(a, divisor);
  if (rest.low >= 0 && rest.high < divisor) return rest;
  return build([{ atom: derived('remainder', rest.low < 0 ? a : rest, divisor), coefficient: 1 }], 0);
}

function derived(kind: 'quotient' | 'remainder', of: Index, by: number): Atom {
  const key = `${kind === 'quotient' ? 'q' : 'r'}(${of.key},${by})`;
  return kind === 'quotient' ? { kind, of, by, low: Math.floor(of.low / by), high: Math.floor(of.high / by), key } : { kind, of, by, low: 0, high: Math.min(by - 1, of.low >= 0 ? of.high : by - 1), key };
}

/** Position of a row-major coordinate in its array. */
export function flatten(coordinates: readonly Index[], shape: readonly number[]): Index {
  let flat = constantIndex(0);
  coordinates.forEach((c, k) => (flat = plus(times(flat, shape[k]), shape[k] === 1 ? 0 : c)));
  return flat;
}

/** The coordinates of a position in a row-major array. */
export function unflatten(flat: Index, shape: readonly number[]): Index[] {
  const coordinates: Index[] = [];
  let rest = flat;
  for (let k = shape.length - 1; k >= 0; k--) {
    coordinates[k] = k === 0 && rest.high < shape[0] ? rest : remainder(rest, shape[k]);
    rest = quotient(rest, shape[k]);
  }
  return coordinates;
}
