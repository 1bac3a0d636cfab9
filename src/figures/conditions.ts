import { paperDistillation, PAPER_METHODS, REAL_BITS, studentStartOf, warmUpOf, type PaperMethod } from '../experiments/grid.js';
import { PAPER_ALIGNMENT, RELEASE_ALIGNMENT } from '../models/distribution-alignment.js';
import type { ModelScale } from '../models/settings.js';
import type { RunSummary } from '../training/run-record.js';

/** What conditions are read from. Records that leave something out are taken to be as the paper's protocol has it. */
export type ConditionedRun = Pick<RunSummary, 'method' | 'bits' | 'scale' | 'tau' | 'lambda' | 'scope'> & Partial<Pick<RunSummary, 'studentStart' | 'warmUp' | 'preset' | 'alignment' | 'distillation'>>;

/**
 * What a run was trained under, where that differs from what `npx qdetr experiment table-2.2` trains at its scale: words, '' where it does not differ,
 * null where the run has no such thing (a Baseline has no distillation, a real-valued detector none of them).
 */
export interface Conditions {
  /** Where the student's transformer starts. */
  start: string | null;
  /** Steps on L_GT alone before stage 1. */
  warmUp: string | null;
  /** Where quantizers and DA are: by the paper, or by its released code. */
  policy: string | null;
  /** Where DA is and what it normalizes over (decisions A10, A11). */
  alignment: string | null;
  /** How queries are selected and matched, what is distilled, from which teacher (decisions A12-A18). */
  distillation: string | null;
  /** tau and lambda. */
  weight: string | null;
}

const STARTS: Readonly<Record<NonNullable<RunSummary['studentStart']>, string>> = { fresh: 'students start fresh', own: 'students start from their own real-valued weights', teacher: "students start from the teacher's transformer" };

/** The method of Table 2.2 that a run is one of, whatever its name says to be changed in it: `+ FQM (tau 0.4)` is `+ FQM`; undefined for methods that the paper lacks. */
export function paperMethodOf(method: string): PaperMethod | undefined {
  return PAPER_METHODS.find((name) => method === name || method.startsWith(`${name} (`));
}

/** What a method's name says to be changed in it, part by part. */
const saidChanges = (method: string, base: string): string[] => (method === base ? [] : method.slice(base.length + 2, -1).split(', '));

/** See {@link Conditions}. Of methods that the paper lacks, whose names say what they do, neither alignment nor distillation is looked at. */
export function conditionsOf(run: ConditionedRun): Conditions {
  const { method, bits, scale, scope = 'detector', studentStart, warmUp = 0, preset = 'paper', alignment, distillation } = run;
  const nothing: Conditions = { start: null, warmUp: null, policy: null, alignment: null, distillation: null, weight: null };
  if (bits === REAL_BITS || scope === 'post-training') return nothing;
  const size: ModelScale = scale === 'paper' ? 'gpu' : scale;
  const start = studentStart === undefined ? null : studentStart === studentStartOf(size) ? '' : STARTS[studentStart];
  const steps = studentStart === undefined || scope === 'transformer' ? null : warmUp === warmUpOf(size, studentStart) ? '' : warmUp === 0 ? 'no warm-up' : `warm-up of ${warmUp.toLocaleString('en')} steps`;
  const common = { ...nothing, start, warmUp: steps, policy: preset === 'paper' ? '' : 'quantizers and DA where the released code has them' };
  const base = paperMethodOf(method);
  if (base === undefined) return common;
  const said = saidChanges(method, base), usual = (preset === 'paper' ? PAPER_ALIGNMENT : RELEASE_ALIGNMENT).places;
  const places = alignment && String([...alignment].sort()) !== String([...usual].sort()) ? [`DA on ${alignment.join(' and ')}`] : [];
  const aligned = [...places, ...said.filter((part) => part.startsWith('DA ') && !part.startsWith('DA on '))];
  const paper = paperDistillation(), settings = { ...paper, ...distillation, tau: run.tau ?? paper.tau, lambda: run.lambda ?? paper.lambda };
  const changed = (keys: readonly (keyof typeof paper)[]): string[] => keys.filter((key) => settings[key] !== paper[key]).map((key) => `${key} ${String(settings[key])}`);
  const isDistilled = run.lambda !== null || (distillation ?? null) !== null;
  return {
    ...common,
    alignment: (alignment ?? null) === null ? null : aligned.join(', '),
    distillation: isDistilled ? [...changed(['matching', 'selection', 'feature', 'layers', 'warmUpSteps']), ...said.filter((part) => part.startsWith('teacher '))].join(', ') : null,
    weight: isDistilled ? changed(settings.tau === 0 ? ['tau', 'tauZero', 'lambda'] : ['tau', 'lambda']).join(', ') : null,
  };
}

/** Conditions that a group of runs shares whatever its artefact compares; Fig. 2.12(a) compares tau and lambda. */
const COMMON = ['start', 'warmUp', 'policy', 'alignment', 'distillation'] as const;

/**
 * Whether tables, figures and claims may take a run for one of the paper's protocol at its scale: nothing is changed in it but what its method's name says, or what
 * the artefact is about.
 */
export function isByProtocol(run: ConditionedRun): boolean {
  const conditions = conditionsOf(run), isNamed = paperMethodOf(run.method) !== run.method;
  return COMMON.every((axis) => (isNamed && ['policy', 'alignment', 'distillation'].includes(axis)) || (conditions[axis] ?? '') === '');
}
