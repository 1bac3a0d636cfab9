import type { Flips } from './decisions.js';
import type { StepRoundings } from './roundings.js';

/** How far two engines are apart at one state. */
export interface Difference {
  /** |a - b| / |a| of the loss. */
  loss: number;
  /** The largest |a - b| / |a| of what else the step logs. */
  logged: number;
  /** ||a - b|| / ||a|| of the gradient by all parameters. */
  gradient: number;
  /** The worst parameter: its ||a - b||, over its own ||a|| or a thousandth of the whole gradient's, whichever is larger (some gradients are 0 but for rounding). */
  worst: { name: string; difference: number };
}

/** One state of the training. */
export interface StateAgreement {
  /** Steps taken before. */
  step: number;
  loss: number;
  /** The GPU's engine against the CPU's. */
  gpu: Difference;
  /** The CPU's engine against itself, with parameters that are changed in their last digit. */
  control: Difference;
  matching: Flips;
  /** With a teacher. */
  selection?: Flips;
  partner?: Flips;
  /** Decisions at quantizers and ReLUs. */
  roundings: StepRoundings;
  /** The GPU's engine against the CPU's where each quantizer and ReLU of both reads the same values, none of them at a boundary; and matchings and FQM's choices that differ all the same. */
  held: Difference & { flips: number };
}

/** Agreement that is asked for, relative. */
export const LIMIT = 1e-3;

/** A part of a parameter's gradient that is too small to have a relative difference, over the whole gradient's norm. */
const SMALL = 1e-3;

const relative = (a: number, b: number): number => (a === b ? 0 : Math.abs(a - b) / Math.abs(a));

/** A step's loss, numbers for the log, and gradient by parameter. */
export interface Results { loss: number; logged: Record<string, number>; gradients: Record<string, Float32Array> }

/** See {@link Difference}; relative to `a`. */
export function difference(a: Results, b: Results): Difference {
  let squares = 0, squaresApart = 0;
  const parts = Object.entries(a.gradients).map(([name, values]) => {
    const others = b.gradients[name];
    let own = 0, apart = 0;
    for (let i = 0; i < values.length; i++) {
      own += values[i] * values[i];
      apart += (values[i] - others[i]) ** 2;
    }
    squares += own;
    squaresApart += apart;
    return { name, own: Math.sqrt(own), apart: Math.sqrt(apart) };
  });
  const norm = Math.sqrt(squares), worst = parts.map(({ name, own, apart }) => ({ name, difference: apart / Math.max(own, SMALL * norm) }));
  return {
    loss: relative(a.loss, b.loss),
    logged: Math.max(0, ...Object.entries(a.logged).map(([name, value]) => relative(value, b.logged[name]))),
    gradient: Math.sqrt(squaresApart) / norm,
    worst: worst.reduce((x, y) => (y.difference > x.difference || Number.isNaN(y.difference) ? y : x)),
  };
}

/** The value below which a share of the values lies: the nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Whether loss and gradient agree. */
export const agrees = ({ loss, gradient }: Difference): boolean => loss <= LIMIT && gradient <= LIMIT;

const CAUSES = {
  none: 'nothing was decided otherwise',
  matching: 'a matching differs, no rounding',
  FQM: "FQM's choice differs, no rounding, no matching",
  signs: "ReLU's signs differ, nothing else",
  roundings: 'roundings differ, nothing else but signs',
  both: 'roundings differ, matchings or FQM with them',
} as const;

/** What was decided otherwise at a state. */
export function causeOf({ matching, selection, partner, roundings }: StateAgreement): keyof typeof CAUSES {
  const chosen = (selection?.flips ?? 0) + (partner?.flips ?? 0);
  if (roundings.flips + roundings.clips > 0) return matching.flips + chosen > 0 ? 'both' : 'roundings';
  return matching.flips > 0 ? 'matching' : chosen > 0 ? 'FQM' : roundings.signs.flips > 0 ? 'signs' : 'none';
}

/**
 * Whether a state is within {@link LIMIT}, or beyond it for decisions at ties: matchings and FQM's choices that the engines' numbers explain, roundings and signs that begin at a tie,
 * and without which the state is within it.
 */
export function isExplained(state: StateAgreement): boolean {
  const { gpu, held, matching, selection, partner, roundings } = state;
  if ([matching, selection, partner].some((flips) => (flips?.unexplained ?? 0) > 0)) return false;
  if (roundings.first && roundings.first.ties < roundings.first.flips) return false;
  if (!agrees(held) && held.flips === 0) return false;
  return agrees(gpu) || causeOf(state) !== 'none';
}

const PHASES = ['early', 'middle', 'late'];

const short = (value: number): string => (value === 0 ? '0' : value.toExponential(1));
const three = (values: readonly number[]): string => (values.length === 0 ? '-' : [0.5, 0.95, 1].map((share) => short(quantile(values, share))).join(' / '));

/** Rows of the table: who is compared, and where. */
function row(title: string, differences: readonly Difference[]): string[] {
  const pick = (of: (d: Difference) => number): string => three(differences.map(of));
  return [title, String(differences.length), pick((d) => d.loss), pick((d) => d.gradient), pick((d) => d.worst.difference), `${differences.filter(agrees).length} of ${differences.length}`];
}

/** A state in a line, for those who wait. */
export const stateLine = ({ loss, gpu, control, held, roundings }: StateAgreement): string =>
  `loss ${loss.toPrecision(6)}, gradients ${short(gpu.gradient)} apart, on the CPU itself ${short(control.gradient)}, with held decisions ${short(held.gradient)}; ${roundings.flips} roundings and ${roundings.signs.flips} signs differ${roundings.first ? `, first ${roundings.first.flips} at ${roundings.first.name}, ${short(roundings.first.apart)} of a level apart` : ''}`;

/** The third of the training that a step is in. */
const phaseOf = (step: number, steps: number): string => PHASES[Math.min(2, Math.floor((3 * step) / steps))];

function flipsLine(what: string, all: readonly (Flips | undefined)[]): string | undefined {
  const some = all.filter((f): f is Flips => f !== undefined);
  if (some.length === 0) return undefined;
  const sum = (of: (f: Flips) => number): number => some.reduce((total, f) => total + of(f), 0), flips = sum((f) => f.flips);
  return `${what}: ${flips} of ${sum((f) => f.of)} differ, at ${some.filter((f) => f.flips > 0).length} states${flips > 0 ? `; the two choices are at most ${short(Math.max(...some.map((f) => f.gap)))} apart; more apart than the engines' numbers: ${sum((f) => f.unexplained)}` : ''}`;
}

function roundingLines(all: readonly StepRoundings[]): string[] {
  const firsts = all.flatMap(({ first }) => first ?? []), sum = (of: (f: StepRoundings) => number): number => all.reduce((total, f) => total + of(f), 0), elements = sum((f) => f.elements);
  return [
    ...(elements === 0 ? [] : [`roundings: ${sum((f) => f.flips)} of ${elements} differ (median ${quantile(all.map((f) => f.flips), 0.5)} a state), at ${all.filter((f) => f.flips > 0).length} states; clipped on one engine alone: ${sum((f) => f.clips)}`]),
    `ReLU: ${sum((f) => f.signs.flips)} of ${sum((f) => f.signs.elements)} signs differ, at ${all.filter((f) => f.signs.flips > 0).length} states`,
    ...(firsts.length === 0 ? [] : [`of ${firsts.length} states with such a difference it begins at a tie in ${firsts.filter((f) => f.ties === f.flips).length} (values at most ${short(Math.max(...firsts.map((f) => f.apart)))} of a level apart)`]),
  ];
}

/** The table of a training's states as text. @param steps of the training */
export function agreementTable(title: string, states: readonly StateAgreement[], steps: number): string {
  const gpu = (some: readonly StateAgreement[]): Difference[] => some.map((s) => s.gpu);
  const held = states.map((s) => s.held);
  const rows = [
    [title, 'states', 'loss', 'gradient', 'worst parameter', `within ${LIMIT}`],
    ...PHASES.map((phase) => row(phase, gpu(states.filter(({ step }) => phaseOf(step, steps) === phase)))),
    ...Object.entries(CAUSES).map(([cause, words]) => row(words, gpu(states.filter((s) => causeOf(s) === cause)))),
    row('all', gpu(states)),
    row('CPU against itself, last digits changed', states.map((s) => s.control)),
    row('GPU, roundings and signs held', held),
  ].filter(([, count]) => count !== '0');
  const widths = rows[0].map((_, column) => Math.max(...rows.map((r) => r[column].length)));
  const logged = three(states.map((s) => s.gpu.logged));
  const worst = states.map((s) => s.gpu.worst).reduce((a, b) => (b.difference > a.difference ? b : a));
  return [
    ...rows.map((r) => r.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i] + 2))).join('')),
    `relative differences: median / 95 % / largest; of the other logged numbers ${logged}; the worst parameter is ${worst.name}`,
    flipsLine('matchings (an image of a decoder layer)', states.map((s) => s.matching)), flipsLine('queries that learn (Eq. 2.34)', states.map((s) => s.selection)), flipsLine('partners (Eq. 2.35)', states.map((s) => s.partner)),
    ...roundingLines(states.map((s) => s.roundings)),
  ].filter((line) => line !== undefined).join('\n');
}
