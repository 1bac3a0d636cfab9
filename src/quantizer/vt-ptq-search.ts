/** The search over scales of VT-PTQ. */
export interface SearchSettings {
  /** alpha and beta: the least and the largest factor on a scale's start. */
  lowest: number;
  highest: number;
  /** C: factors tried, evenly from `lowest` to `highest`. */
  candidates: number;
  /** Most iterations; one iteration searches weights, then inputs. */
  iterations: number;
}

/** Factors on the starting scales of two operands, for each group that has scales of its own (a layer is one group, a head of attention is one). */
export interface Factors {
  weight: readonly number[];
  input: readonly number[];
}

/** What is searched: the objective, to be maximised, for each group. */
export interface SearchProblem<Correction> {
  groups: number;
  /** Whether the operand is quantized; a real-valued one keeps its factor 1. */
  quantized: { weight: boolean; input: boolean };
  /** The objective of each group; groups don't depend on each other. */
  objective: (factors: Factors, correction: Correction | null) => readonly number[];
  /** Bias correction after each iteration, for the factors found: a part of the objective from then on. */
  correct?: (factors: Factors) => Correction;
}

/** What was found. */
export interface SearchResult<Correction> extends Factors {
  /** That of the factors found; null without `correct`. */
  correction: Correction | null;
  /** The objective of each group at the start (factors 1, no correction) and after each iteration. */
  history: readonly (readonly number[])[];
}

/** Least gain of any group's objective for which another iteration is made. */
const TOLERANCE = 1e-6;

/**
 * VT-PTQ's alternating search (their section 3.2): with the inputs' scale fixed the weights' is searched, then the inputs' with the weights' fixed, until no
 * objective gains or the iterations are used up. A candidate replaces a factor only if it is better, so that without a correction no iteration
 * lowers an objective.
 */
export function alternatingSearch<Correction>({ groups, quantized, objective, correct }: SearchProblem<Correction>, { lowest, highest, candidates, iterations }: SearchSettings): SearchResult<Correction> {
  const tried = Array.from({ length: candidates }, (_, i) => lowest + ((highest - lowest) * i) / Math.max(candidates - 1, 1));
  const factors = { weight: new Array<number>(groups).fill(1), input: new Array<number>(groups).fill(1) };
  let correction: Correction | null = null;
  let best = objective(factors, correction);
  const history = [best];
  for (let iteration = 0; iteration < iterations; iteration++) {
    const before = best;
    for (const side of ['weight', 'input'] as const) {
      if (!quantized[side]) continue;
      const found = [...factors[side]], values = [...best];
      for (const factor of tried) {
        objective({ ...factors, [side]: found.map(() => factor) }, correction).forEach((value, group) => {
          if (!(value > values[group])) return;
          values[group] = value;
          found[group] = factor;
        });
      }
      factors[side] = found;
      best = values;
    }
    if (correct) {
      correction = correct(factors);
      best = objective(factors, correction);
    }
    history.push(best);
    if (best.every((value, group) => value - before[group] <= TOLERANCE)) break;
  }
  return { ...factors, correction, history };
}
