import { finalAp50, quantizedGroups } from '../figures/groups.js';
import { BITS } from '../figures/paper-values.js';
import { FULL_IMITATION } from '../figures/tau-points.js';
import { MODULE_GROUPS, type ModuleGroup } from '../models/quantization-policy.js';
import type { RunSummary } from '../training/run-record.js';
import { combined, difference, side, type Claim, type ClaimRuns, type Difference, type Side } from './claim.js';
import { TAU_LAMBDA_GRIDS } from './figure-2.12a.js';
import { PAPER_METHODS, Q_DETR, REAL_BITS, type PaperMethod } from './grid.js';
import { queryDistances } from './query-distance.js';

const ap50 = (run: RunSummary): number | null => finalAp50(run, 'test');
const AP50 = 'AP50 on test, percentage points, paired by seed';

/** A cell in words. */
const cellAt = (name: string, bits: string): string => (bits === REAL_BITS ? name : `${name} at ${bits}`);

/** AP50 of a method at a bit-width, everything quantized. */
const method = ({ runs }: ClaimRuns, name: string, bits: string): Side =>
  side(cellAt(name, bits), runs, (run) => run.method === name && run.bits === bits && (bits === REAL_BITS || quantizedGroups(run).length >= MODULE_GROUPS.length - Number(run.scope === 'transformer')), ap50);

/**
 * Claim (i) at one bit-width: each method above all before it. First the neighbours; the others follow from them where all of them are there,
 * but a cell in between that has no runs, or noisy ones, does not hide what the cells around it say.
 */
const order = (bits: (typeof BITS)[number]): Claim => ({
  id: `order-${bits}`,
  statement: `At ${bits}, Baseline < + DA < + FQM < Q-DETR.`,
  where: 'Table 2.2, book p. 36 (CVPR Table 1)',
  digits: 1,
  statistic: `each method minus each before it: ${AP50}`,
  artefact: 'table-2.2',
  experiment: { name: 'table-2.2', bits: [bits] },
  differences: (of) => {
    const quantized = PAPER_METHODS.slice(1).map((name) => method(of, name, bits));
    return quantized.flatMap((_, between) => quantized.slice(between + 1).map((later, i) => difference(later, quantized[i])));
  },
});

/** Claim (ii): what a method gains over the baseline grows as bits fall. */
const growing = (id: string, name: PaperMethod, printed: string): Claim => ({
  id,
  statement: `What ${name} gains over the baseline grows as bits fall (${printed} at 4, 3 and 2 bits).`,
  where: 'Table 2.2, book p. 36 (CVPR Table 1)',
  digits: 1,
  statistic: `gain at fewer bits minus gain at one bit more: ${AP50}`,
  artefact: 'table-2.2',
  experiment: { name: 'table-2.2' },
  differences: (of) => [['3-3-8', '4-4-8'], ['2-2-8', '3-3-8']].map(([fewer, more]) =>
    combined([[1, method(of, name, fewer)], [-1, method(of, 'Baseline', fewer)], [-1, method(of, name, more)], [1, method(of, 'Baseline', more)]], `gain at ${fewer} minus gain at ${more}`)),
});

/** AP50 of the baseline with the first groups of Fig. 2.11 quantized. */
const quantizedUpTo = ({ runs }: ClaimRuns, count: number, bits: string): Side =>
  side(count === 0 ? 'Real-valued' : `Baseline at ${bits} in ${count === MODULE_GROUPS.length ? 'all groups' : MODULE_GROUPS.slice(0, count).join(' + ')}`, runs,
    (run) => (count === 0 ? run.method === 'Real-valued' : run.bits === bits && quantizedGroups(run).join() === MODULE_GROUPS.slice(0, count).join()), ap50);

/** What quantizing one group more costs, minus what another one costs. */
function costDifference(of: ClaimRuns, group: ModuleGroup, other: ModuleGroup, bits: string): Difference {
  const cost = (one: ModuleGroup, sign: number): [number, Side][] => {
    const index = MODULE_GROUPS.indexOf(one);
    return [[sign, quantizedUpTo(of, index, bits)], [-sign, quantizedUpTo(of, index + 1, bits)]];
  };
  return combined([...cost(group, 1), ...cost(other, -1)], `cost of ${group} minus cost of ${other}`);
}

/** Claim (iii) at one bit-width. */
const bottleneck = (bits: string, others: readonly ModuleGroup[], note: string): Claim => ({
  id: `bottleneck-${bits}`,
  statement: `At ${bits}, quantizing the decoder's attention costs more than quantizing ${others.join(', ')}${note}.`,
  where: 'Fig. 2.11, book p. 31 (CVPR Fig. 4)',
  digits: 1,
  statistic: `cost of the decoder's attention minus cost of another group: ${AP50}`,
  artefact: 'figure-2.11',
  experiment: { name: 'figure-2.11', bits: [bits], wholeDetector: true },
  differences: (of) => others.map((other) => costDifference(of, 'decoder-attention', other, bits)),
});

/** Bits and weight at which the paper compares values of tau. */
const TAU_BITS = '4-4-8', LAMBDA = 2.5;
const noDistillation = ({ runs }: ClaimRuns): Side => side('tau 1 (no distillation)', runs, (run) => run.bits === TAU_BITS && run.lambda === null && run.method === '+ DA', ap50, `+ DA at ${TAU_BITS} (tau 1)`);
const distilled = ({ runs }: ClaimRuns, tau: number, lambda = LAMBDA, name: string = Q_DETR): Side =>
  side(name === FULL_IMITATION ? 'full imitation' : `tau ${tau}, lambda ${lambda}`, runs, (run) => run.bits === TAU_BITS && run.method === name && run.tau === tau && run.lambda === lambda, ap50,
    `${name} at ${TAU_BITS} (${name === FULL_IMITATION ? '' : `tau ${tau}, `}lambda ${lambda})`);

/** Values that runs have of a setting, in order. */
const valuesOf = (runs: readonly RunSummary[], key: 'tau' | 'lambda'): number[] => [...new Set(runs.filter((run) => run.method === Q_DETR && run.bits === TAU_BITS).flatMap((run) => run[key] ?? []))].sort((a, b) => a - b);

/** The taus and lambdas that Fig. 2.12(a)'s experiment trains at the scale of the runs. */
const gridOf = ({ scale }: ClaimRuns): (typeof TAU_LAMBDA_GRIDS)['minutes'] => TAU_LAMBDA_GRIDS[scale === 'paper' ? 'gpu' : scale];

/** What the paper finds best. */
const BEST_TAUS: readonly number[] = [0.5, 0.6];

/** tau = 0.5 and 0.6, those of them that there are, against every other tau: those of the runs, or without any those of the scale's grid. */
function bestTau(of: ClaimRuns): Difference[] {
  const isThere = (tau: number): boolean => distilled(of, tau).values.size > 0, { taus: grid } = gridOf(of);
  const best = [BEST_TAUS.filter(isThere), BEST_TAUS.filter((tau) => grid.includes(tau))].find((taus) => taus.length > 0) ?? BEST_TAUS;
  const among = (taus: readonly number[]): number[] => taus.filter((tau) => !BEST_TAUS.includes(tau));
  const seen = among(valuesOf(of.runs, 'tau')), others = seen.length > 0 ? seen : among(grid);
  return [...others.map((tau) => distilled(of, tau)), noDistillation(of)].map((other) => combined([...best.map((tau) => [1 / best.length, distilled(of, tau)] as const), [-1, other]], `tau ${best.join(' and ')} minus ${other.name}`));
}

/** lambda = 2.5 against every other lambda of the runs, or without any of the scale's grid, at tau = 0.6. */
function bestLambda(of: ClaimRuns): Difference[] {
  const among = (lambdas: readonly number[]): number[] => lambdas.filter((lambda) => lambda !== LAMBDA);
  const [others] = [among(valuesOf(of.runs, 'lambda')), among(gridOf(of).lambdas), [1]].filter((lambdas) => lambdas.length > 0);
  return others.map((lambda) => difference(distilled(of, 0.6), distilled(of, 0.6, lambda)));
}

/** I(X; E) of a run's last point on the information plane. */
const keptInformation = (run: RunSummary): number | null => run.informationPlane.at(-1)?.informationX ?? null;
/** Bits of the students on the paper's information plane. */
const PLANE_BITS = '4-4-8';
const onPlane = ({ runs }: ClaimRuns, name: string): Side => {
  const bits = name === 'Real-valued' ? REAL_BITS : PLANE_BITS;
  return side(cellAt(name, bits), runs, (run) => run.method === name && run.bits === bits, keptInformation);
};
const PLANE = 'I(X; E) of the last point, minus the L1 error of reconstruction, paired by seed';

const TAU_EXPERIMENT = { name: 'figure-2.12a', bits: [TAU_BITS] }, PLANE_EXPERIMENT = { name: 'figure-2.12b', bits: [PLANE_BITS] };

/**
 * The paper's claims (the list at the end of PAPER.md's section 5, and those of its figures) as differences that should be above 0. An interval
 * wholly above 0 for each of them reproduces a claim, one wholly below 0 refutes it.
 */
export const CLAIMS: readonly Claim[] = [
  ...BITS.map(order),
  {
    id: 'offset', statement: 'The baseline, LSQ+ with its offset, is better than LSQ at each bit-width.', where: 'CVPR Tables 2 and 3', statistic: `Baseline minus LSQ: ${AP50}`, artefact: 'voc-comparison', experiment: { name: 'voc-comparison' }, digits: 1,
    differences: (of) => BITS.map((bits) => difference(method(of, 'Baseline', bits), method(of, 'LSQ', bits))),
  },
  {
    id: 'post-training', statement: 'Without training, at 8-8-8, VT-PTQ is better than Percentile.', where: 'CVPR Tables 2 and 3', statistic: `VT-PTQ minus Percentile, 8-8-8: ${AP50}`, artefact: 'voc-comparison', experiment: { name: 'voc-comparison' }, digits: 1,
    differences: (of) => [difference(method(of, 'VT-PTQ', '8-8-8'), method(of, 'Percentile', '8-8-8'))],
  },
  growing('da-grows', '+ DA', '0.8, 1.2 and 1.9'),
  growing('fqm-grows', '+ FQM', '3.5, 4.1 and 5.2'),
  growing('q-detr-grows', Q_DETR, '4.7, 5.3 and 6.7'),
  bottleneck('4-4-8', ['backbone', 'encoder', 'feed-forward'], ''),
  bottleneck('3-3-8', ['encoder', 'feed-forward'], " (not the backbone, whose bar in the paper's own figure is larger)"),
  {
    id: 'full-imitation', statement: 'At 4-4-8, distilling every query ("full imitation", tau = 0) is worse than no distillation (tau = 1).', where: 'text, book p. 35; Fig. 2.12(a)', statistic: `tau = 1 minus every query, lambda 2.5, 4-4-8: ${AP50}`, artefact: 'figure-2.12a', experiment: TAU_EXPERIMENT, digits: 1,
    differences: (of) => [difference(noDistillation(of), distilled(of, 0, LAMBDA, FULL_IMITATION))],
  },
  {
    id: 'tau-0', statement: 'At 4-4-8, tau = 0 by Eq. 2.34 to the letter (queries with GIoU above 0) is worse than no distillation (tau = 1).', where: 'text, book p. 35; Fig. 2.12(a); decision A14', statistic: `tau = 1 minus tau = 0, lambda 2.5, 4-4-8: ${AP50}`, artefact: 'figure-2.12a', experiment: TAU_EXPERIMENT, digits: 1,
    differences: (of) => [difference(noDistillation(of), distilled(of, 0))],
  },
  { id: 'best-tau', statement: 'At 4-4-8, Q-DETR is best with tau 0.5 and 0.6.', where: 'text, book p. 35; Fig. 2.12(a)', statistic: `tau 0.5 and 0.6 minus each other tau, lambda 2.5, 4-4-8: ${AP50}`, artefact: 'figure-2.12a', experiment: TAU_EXPERIMENT, digits: 1, differences: bestTau },
  { id: 'best-lambda', statement: 'At 4-4-8 and tau 0.6, lambda 2.5 is best.', where: 'text, book p. 35; Fig. 2.12(a)', statistic: `lambda 2.5 minus each other lambda, tau 0.6, 4-4-8: ${AP50}`, artefact: 'figure-2.12a', experiment: TAU_EXPERIMENT, digits: 1, differences: bestLambda },
  {
    id: 'queries-restored', statement: 'At 4-4-8 the distribution of the co-attention\'s queries is nearer to the real-valued detector\'s in Q-DETR than in the baseline.', where: 'Fig. 2.8 (CVPR Fig. 1)',
    statistic: 'distance of the baseline from the real-valued detector minus that of Q-DETR: Wasserstein-1 of the standardized queries, mean over decoder layers, paired by seed', artefact: 'figure-2.8', experiment: { name: 'figure-2.8', bits: ['4-4-8'] }, needsObservations: true, digits: 3,
    differences: ({ observations }) => [difference(queryDistances(observations, 'Baseline', '4-4-8'), queryDistances(observations, Q_DETR, '4-4-8'))],
  },
  {
    id: 'plane-q-detr', statement: 'At 4-4-8, Q-DETR is right of the other students on the information plane.', where: 'Fig. 2.12(b), book pp. 35-36', statistic: `Q-DETR minus another student, 4-4-8: ${PLANE}`, artefact: 'figure-2.12b', experiment: PLANE_EXPERIMENT, digits: 4,
    differences: (of) => (['Baseline', '+ DA', '+ FQM'] as const).map((name) => difference(onPlane(of, Q_DETR), onPlane(of, name))),
  },
  {
    id: 'plane-real', statement: 'The real-valued detector (in the paper the teacher) is right of the students at 4-4-8 on the information plane.', where: 'Fig. 2.12(b), book pp. 35-36', statistic: `real-valued minus a student at 4-4-8: ${PLANE}`, artefact: 'figure-2.12b', experiment: PLANE_EXPERIMENT, digits: 4,
    differences: (of) => PAPER_METHODS.slice(1).map((name) => difference(onPlane(of, 'Real-valued'), onPlane(of, name))),
  },
];
