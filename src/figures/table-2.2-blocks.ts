import type { RunSummary } from '../training/run-record.js';
import { conditionsOf, isByProtocol, paperMethodOf, type Conditions } from './conditions.js';
import { groupFor, isSmca, protocolOf, type RunGroup } from './groups.js';
import { stepsOf } from './paired-gains.js';
import type { Origin, RunSummaries } from './run-summaries.js';

/** Conditions of a block of Table 2.2, and how long its runs are trained. */
type BlockConditions = Conditions & { steps: string | null };
const AXES = ['start', 'warmUp', 'policy', 'alignment', 'distillation', 'weight', 'steps'] as const satisfies readonly (keyof BlockConditions)[];

/** Runs of one scale and data set that make a table of their own: under other conditions than the main table's, or of another scale. */
export interface Block extends Record<Origin, RunGroup | null> {
  scale: RunSummary['scale'];
  dataset: string;
  /** How its runs differ from what `npx qdetr experiment table-2.2` trains at this scale, in words; empty: they don't. */
  conditions: string[];
  /** Whether the runs are labelled as the best conditions found. */
  isBest: boolean;
}

/** What runs of the best conditions found, chosen on validation, are labelled with in place of `table-2.2`. */
export const BEST_CONDITIONS = 'table-2.2-best';
const ARTEFACT = 'table-2.2', ORIGINS = ['recorded', 'fresh'] as const;

const keyOf = ({ scale, dataset, model }: Pick<RunSummary, 'scale' | 'dataset' | 'model'>): string => [scale, dataset, model].join('|');

/** The steps of a last stage that most of a kind's runs by protocol have; of equally many, those of the run that finished last. */
function usualSteps(runs: readonly RunSummary[]): number | null {
  const counts = new Map<number, { count: number; last: number }>();
  for (const run of runs) {
    const steps = stepsOf(run);
    if (run.bits === '32-32-32' || steps === null || !isLiteral(run)) continue;
    const { count, last } = counts.get(steps) ?? { count: 0, last: 0 };
    counts.set(steps, { count: count + 1, last: Math.max(last, Date.parse(run.finishedAt)) });
  }
  return [...counts].sort(([, a], [, b]) => b.count - a.count || b.last - a.last)[0]?.[0] ?? null;
}

/** Whether a run is a cell of the table by the letter, whatever its steps: the paper's protocol, tau 0.6 and lambda 2.5, under its own name. */
const isLiteral = (run: RunSummary): boolean => isByProtocol(run) && paperMethodOf(run.method) === run.method && (conditionsOf(run).weight ?? '') === '';

/** Runs of experiments, by scale, data set and model. */
function byKind(runs: readonly RunSummary[]): Map<string, RunSummary[]> {
  const kinds = new Map<string, RunSummary[]>();
  for (const run of runs) if (protocolOf(run) === 'experiment') kinds.set(keyOf(run), [...(kinds.get(keyOf(run)) ?? []), run]);
  return kinds;
}

/** Those of an origin's runs that may stand in the main table: by the letter, and of a kind's experiments those with the usual number of steps. */
export function literalRuns(runs: readonly RunSummary[]): RunSummary[] {
  const own = runs.filter(({ artefact }) => artefact.includes(ARTEFACT)), steps = new Map([...byKind(own)].map(([key, kind]) => [key, usualSteps(kind)]));
  return own.filter((run) => protocolOf(run) !== 'experiment' || (isLiteral(run) && (run.bits === '32-32-32' || [null, steps.get(keyOf(run))].includes(stepsOf(run)))));
}

const blockConditions = (run: RunSummary, steps: number | null): BlockConditions => {
  const own = stepsOf(run);
  return { ...conditionsOf(run), steps: run.bits === '32-32-32' || own === null ? null : own === steps ? '' : `${own.toLocaleString('en')} steps in the last stage` };
};

/** Whether a run belongs to a block: it has its conditions in all that it has at all. */
const isUnder = (own: BlockConditions, block: BlockConditions): boolean => AXES.every((axis) => own[axis] === null || own[axis] === block[axis]);
const known = (conditions: BlockConditions): number => AXES.filter((axis) => conditions[axis] !== null).length;

/** Every set of conditions under which some runs of one kind were trained; one that is part of another is not told apart from it. What no run has is by the letter. */
function distinctConditions(all: readonly BlockConditions[]): BlockConditions[] {
  const most = all.filter((one) => all.every((other) => known(other) <= known(one) || !isUnder(one, other)));
  const whole = most.map((one) => Object.fromEntries(AXES.map((axis) => [axis, one[axis] ?? ''])) as unknown as BlockConditions);
  return [...new Map(whole.map((one) => [JSON.stringify(one), one])).values()];
}

const words = (conditions: BlockConditions): string[] => AXES.map((axis) => conditions[axis] ?? '').filter((text) => text !== '');
/** A run under its method's name in Table 2.2: what is changed in it is said of the block. */
const underPaperName = (run: RunSummary): RunSummary => ({ ...run, method: paperMethodOf(run.method) ?? run.method });
const SCALES = ['smoke', 'minutes', 'gpu', 'paper'];

/**
 * The tables beside the main one: the best conditions found, then every other condition and every scale that the main table does not show, larger scales first.
 * Runs that a condition says nothing about (a Baseline has no matching) stand in all of the tables that share what they have. Trials at `smoke` make none.
 * @param main what the main table shows
 */
export function conditionBlocks(runs: RunSummaries, main: Record<Origin, RunGroup | null>): Block[] {
  const shown = ORIGINS.flatMap((origin) => {
    const group = main[origin];
    return group === null ? [] : [`${origin}|${keyOf(group)}`];
  });
  const candidates = (origin: Origin, label: string): RunSummary[] =>
    runs[origin].filter((run) => run.artefact.includes(label) && run.scale !== 'smoke' && !isSmca(run.model) && protocolOf(run) === 'experiment' && paperMethodOf(run.method) !== undefined);
  const kinds = { recorded: byKind(candidates('recorded', ARTEFACT)), fresh: byKind(candidates('fresh', ARTEFACT)) };
  const keys = [...new Set([...kinds.recorded.keys(), ...kinds.fresh.keys()])];
  const others = keys.flatMap((key): Block[] => {
    const own = { recorded: kinds.recorded.get(key) ?? [], fresh: kinds.fresh.get(key) ?? [] }, all = [...own.recorded, ...own.fresh];
    const steps = usualSteps(own.recorded.length > 0 ? own.recorded : own.fresh);
    const distinct = distinctConditions(all.filter(({ bits }) => bits !== '32-32-32').map((run) => blockConditions(run, steps)));
    const hidden = ORIGINS.some((origin) => own[origin].length > 0 && !shown.includes(`${origin}|${key}`));
    return distinct.filter((one) => words(one).length > 0 || hidden).map((one) => {
      const group = (origin: Origin): RunGroup | null => {
        const under = own[origin].filter((run) => isUnder(blockConditions(run, steps), one));
        const isItsOwn = words(one).length === 0 || under.some((run) => words(blockConditions(run, steps)).length > 0); // not only runs that it shares with the main table
        return isItsOwn ? groupFor(ARTEFACT, under.map(underPaperName), { conditions: () => true }) : null;
      };
      return { scale: all[0].scale, dataset: all[0].dataset, conditions: words(one), isBest: false, recorded: group('recorded'), fresh: group('fresh') };
    });
  });
  const rank = (block: Block): number[] => [SCALES.indexOf(block.scale), -block.conditions.length];
  const inOrder = others.sort((a, b) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1] || a.conditions.join().localeCompare(b.conditions.join()));
  return [...bestBlock({ recorded: candidates('recorded', BEST_CONDITIONS), fresh: candidates('fresh', BEST_CONDITIONS) }), ...inOrder];
}

/** The best conditions found, if any runs are labelled so: they may differ from method to method, and then say so. */
function bestBlock(runs: RunSummaries): Block[] {
  const group = (origin: Origin): RunGroup | null => groupFor(BEST_CONDITIONS, runs[origin].map(underPaperName), { conditions: () => true });
  const groups = { recorded: group('recorded'), fresh: group('fresh') }, first = groups.recorded ?? groups.fresh;
  if (first === null) return [];
  const own = ORIGINS.flatMap((origin) => groups[origin]?.runs ?? []).filter(({ bits }) => bits !== '32-32-32'), steps = usualSteps(own) ?? stepsOf(own[0] ?? first.runs[0]);
  const conditions = AXES.flatMap((axis) => {
    const said = own.map((run) => ({ run, text: blockConditions(run, steps)[axis] })).filter(({ text }) => text !== null);
    const texts = [...new Set(said.map(({ text }) => text!))];
    if (texts.length === 1) return texts[0] === '' ? [] : [texts[0]];
    return texts.filter((text) => text !== '').map((text) => `${[...new Set(said.filter((one) => one.text === text).map(({ run }) => `${run.method} at ${run.bits}`))].join(', ')}: ${text}`);
  });
  return [{ scale: first.scale, dataset: first.dataset, conditions, isBest: true, ...groups }];
}
