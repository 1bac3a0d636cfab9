import test from 'ava';
import fc from 'fast-check';
import { combined, difference, side, type Claim, type Difference } from '../../src/experiments/claim.js';
import { CLAIMS } from '../../src/experiments/claims.js';
import type { Cell } from '../../src/experiments/cell.js';
import { claimsJson, claimsMarkdown, claimsPlain } from '../../src/experiments/claims-text.js';
import { experimentNamed } from '../../src/experiments/experiments.js';
import { PAPER_METHODS, Q_DETR } from '../../src/experiments/grid.js';
import { claimRows, judgeClaims, verdictOf, weakest, type Judgement } from '../../src/experiments/judge-claims.js';
import { shapeDistance } from '../../src/experiments/query-distance.js';
import type { ObservationRecord } from '../../src/training/observation-record.js';
import type { RunSummary } from '../../src/training/run-record.js';
import { madeUpRun } from '../figures/summaries.js';

const claim = (id: string): Claim => CLAIMS.find((one) => one.id === id)!;
const judge = (id: string, fresh: RunSummary[], recorded: RunSummary[] = []): Judgement[] => judgeClaims({ recorded, fresh }, undefined, [claim(id)]);

/** Runs of Table 2.2 at some bits: `levels` are AP50 in percent; a seed moves all methods alike, and each a little on its own. */
function tableRuns(levels: readonly number[], { bits = '2-2-8', seeds = [0, 1, 2], noise = 0.02, ...rest }: Partial<RunSummary> & { seeds?: number[]; noise?: number } = {}): RunSummary[] {
  return seeds.flatMap((seed) => levels.map((level, i) =>
    madeUpRun({ method: PAPER_METHODS[i + 1], bits, seed, ap50: (level + 5 * seed + noise * ((seed + i) % 3)) / 100, id: `${bits}/${i}/${seed}/${rest.scale ?? ''}${rest.scope ?? ''}`, ...rest })));
}

const interval = (mean: number, half: number | null, n = 3): Difference => ({ name: `d${mean}`, cells: [], empty: [], runs: [], interval: { mean, n, low: half === null ? null : mean - half, high: half === null ? null : mean + half } });

test('by hand: two seeds, differences 1 and 3: mean 2, interval 2 ± 12.706 x sqrt(2) / sqrt(2)', (t) => {
  const runs = [madeUpRun({ method: '+ DA', seed: 0, ap50: 0.51 }), madeUpRun({ method: '+ DA', seed: 1, ap50: 0.43 }), madeUpRun({ seed: 0, ap50: 0.5 }), madeUpRun({ seed: 1, ap50: 0.4 }), madeUpRun({ seed: 2, ap50: 0.9 })];
  const value = (run: RunSummary): number => 100 * run.evaluations[0].ap50;
  const { interval: found, runs: used } = difference(side('a', runs, (run) => run.method === '+ DA', value), side('b', runs, (run) => run.method === 'Baseline', value));
  t.is(found!.n, 2);
  t.true(Math.abs(found!.mean - 2) < 1e-9);
  t.true(Math.abs(found!.low! - (2 - 12.7062)) < 1e-3);
  t.is(used.length, 5);
});

test('a verdict: all above 0, one below 0, one that holds 0, one seed, none', (t) => {
  t.is(verdictOf([interval(2, 1), interval(1, 0.5)]).verdict, 'reproduced');
  t.deepEqual(verdictOf([interval(2, 1), interval(-1, 0.5)]), { verdict: 'not reproduced', reason: 'd-1 is below 0' });
  t.is(verdictOf([interval(-1, 0.5), interval(-3, 1), interval(-2, 4)]).reason, 'd-3 is below 0');
  t.deepEqual(verdictOf([interval(2, 1), interval(1, 1.5)]), { verdict: 'undecided', reason: 'the interval of d1 holds 0' });
  t.deepEqual(verdictOf([interval(2, null, 1)]), { verdict: 'undecided', reason: 'one seed gives no interval' });
  const lacking = (empty: string[]): Difference => ({ name: 'd', cells: ['a', 'b', 'c'], empty, runs: [], interval: null, missing: 'no seed in common' });
  t.deepEqual(verdictOf([interval(2, 1), lacking(['a', 'b']), lacking(['b', 'c'])]), { verdict: 'undecided', reason: 'no runs of a, b, c' });
  t.deepEqual(verdictOf([interval(2, 1), lacking([])]), { verdict: 'undecided', reason: 'd: no seed in common' });
  t.is(verdictOf([interval(-2, 1), lacking(['a'])]).verdict, 'not reproduced');
});

test('the order of Table 2.2: each verdict, from runs where the truth is known', (t) => {
  const verdict = (levels: number[], options = {}): string => judge('order-2-2-8', tableRuns(levels, options))[0].verdict;
  t.is(verdict([40, 42, 45, 47]), 'reproduced');
  t.is(verdict([40, 42, 41, 47]), 'not reproduced');
  t.is(verdict([40, 40.01, 45, 47], { noise: 1 }), 'undecided');
  t.is(verdict([40, 42, 45, 47], { seeds: [0] }), 'undecided');
  t.is(verdict([40, 42, 45]), 'undecided');
  t.is(verdict([40, 42, 45, 47], { scale: 'smoke' }), 'undecided');
});

test('the order of Table 2.2 without + FQM, or with a noisy one: the methods around it decide', (t) => {
  const gap = (levels: number[], options = {}): RunSummary[] => tableRuns(levels, options).filter(({ method }) => method !== '+ FQM');
  const [refuted] = judge('order-2-2-8', gap([40, 42, 0, 38.5]));
  t.deepEqual([refuted.verdict, refuted.reason], ['not reproduced', '+ DA + FQM (Q-DETR) at 2-2-8 minus + DA at 2-2-8 is below 0']);
  t.deepEqual(refuted.differences.map(({ name, interval: found }) => [name.replaceAll(' at 2-2-8', ''), found && Math.round(10 * found.mean) / 10]), [
    ['+ DA minus Baseline', 2], ['+ FQM minus + DA', null], [`${Q_DETR} minus + FQM`, null],
    ['+ FQM minus Baseline', null], [`${Q_DETR} minus + DA`, -3.5], [`${Q_DETR} minus Baseline`, -1.5],
  ]);
  t.is(weakest([interval(-1.5, 4.5), interval(-3.5, 1.3), interval(2, 4)])!.name, 'd-3.5', 'one that holds 0 decides nothing, however low it begins');
  const [open] = judge('order-2-2-8', gap([40, 42, 0, 47]));
  t.deepEqual([open.verdict, open.reason], ['undecided', 'no runs of + FQM at 2-2-8']);
  t.is(judge('order-2-2-8', gap([40, 42, 0, 38.5], { seeds: [0] }))[0].verdict, 'undecided');
  const noisy = [...gap([40, 42, 0, 38.5]), ...[20, 60, 40].map((level, seed) => madeUpRun({ method: '+ FQM', bits: '2-2-8', seed, ap50: level / 100, id: `noisy ${seed}` }))];
  t.is(judge('order-2-2-8', noisy)[0].reason, refuted.reason);
});

test('gains that grow as bits fall', (t) => {
  const runs = (gains: number[]): RunSummary[] => ['4-4-8', '3-3-8', '2-2-8'].flatMap((bits, i) => tableRuns([40, 40 + gains[i]], { bits }));
  t.is(judge('da-grows', runs([0.8, 1.2, 1.9]))[0].verdict, 'reproduced');
  t.is(judge('da-grows', runs([0.8, 1.9, 1.2]))[0].verdict, 'not reproduced');
  t.true(Math.abs(judge('da-grows', runs([0.8, 1.2, 1.9]))[0].differences[1].interval!.mean - 0.7) < 0.1);
});

test('Fig. 2.11: what a group costs is the fall when it is added', (t) => {
  const groups = ['backbone', 'encoder', 'decoder-attention', 'feed-forward'] as const;
  const runs = (levels: number[]): RunSummary[] => [0, 1, 2].flatMap((seed) => levels.map((level, count) =>
    madeUpRun({ artefact: ['figure-2.11'], method: count === 0 ? 'Real-valued' : count === 4 ? 'Baseline' : `Baseline: ${groups.slice(0, count).join(', ')}`, bits: count === 0 ? '32-32-32' : '4-4-8', groups: count === 0 ? undefined : groups.slice(0, count), seed, ap50: (level + seed + 0.02 * ((count + seed) % 2)) / 100 })));
  const [paper] = judge('bottleneck-4-4-8', runs([83.3, 82.2, 81.1, 79.3, 78.8]));
  t.is(paper.verdict, 'reproduced');
  t.deepEqual(paper.differences.map(({ interval: found }) => Math.round(10 * found!.mean) / 10), [0.7, 0.7, 1.3]);
  t.is(judge('bottleneck-4-4-8', runs([83.3, 80.1, 79.3, 77.2, 76.8]))[0].verdict, 'not reproduced');
});

test('tau and lambda: both readings of tau = 0, the best of either', (t) => {
  const cell = (tau: number | null, lambda: number | null, level: number, method: string = Q_DETR): RunSummary[] => [0, 1, 2].map((seed) =>
    madeUpRun({ artefact: ['figure-2.12a'], method, bits: '4-4-8', tau, lambda, seed, ap50: (level + seed + 0.01 * ((seed * level) % 2)) / 100 }));
  const runs = [...cell(null, null, 40, '+ DA'), ...cell(0, 2.5, 38, '+ DA + full imitation'), ...cell(0, 2.5, 43), ...cell(0.4, 2.5, 44), ...cell(0.6, 2.5, 46), ...cell(0.6, 1, 45), ...cell(0.8, 2.5, 42)];
  const verdict = (id: string, of = runs): string => judge(id, of)[0].verdict;
  t.is(verdict('full-imitation'), 'reproduced');
  t.is(verdict('tau-0'), 'not reproduced');
  t.is(verdict('best-tau'), 'reproduced');
  t.is(verdict('best-lambda'), 'reproduced');
  t.is(verdict('best-tau', [...runs, ...cell(0.2, 2.5, 50)]), 'not reproduced');
  t.is(verdict('best-lambda', runs.filter(({ lambda }) => lambda !== 1)), 'undecided');
  t.is(judge('best-tau', runs)[0].differences.length, 4);
});

test('the information plane is judged by its last points', (t) => {
  const runs = PAPER_METHODS.flatMap((method, i) => [0, 1].map((seed) => madeUpRun({ artefact: ['figure-2.12b'], method, bits: i === 0 ? '32-32-32' : '4-4-8', seed,
    informationPlane: [{ epoch: 1, informationX: 0, informationY: 0 }, { epoch: 2, informationX: -0.1 + 0.01 * i + 0.0001 * seed * i, informationY: 0.5 }] })));
  t.is(judge('plane-q-detr', runs)[0].verdict, 'reproduced');
  t.is(judge('plane-real', runs)[0].verdict, 'not reproduced');
});

test('runs of other scales, data sets, models, scopes, origins and protocols are judged apart, and never paired', (t) => {
  const good = tableRuns([40, 42, 45, 47]), bad = [47, 45, 42, 40];
  for (const other of [{ scale: 'minutes' }, { dataset: 'minivoc-64' }, { model: 'smca-detr' }, { scope: 'transformer' }, { experiment: 'start/x' }] as const) {
    const judged = judge('order-2-2-8', [...good, ...tableRuns(bad, { ...other, id: undefined })]);
    t.deepEqual(judged.map(({ verdict }) => verdict).sort(), ['not reproduced', 'reproduced'], JSON.stringify(other));
    const [half, rest] = [tableRuns([40, 42]), tableRuns([40, 42, 45, 47], other).filter(({ method }) => method === '+ FQM' || method === Q_DETR)];
    t.true(judge('order-2-2-8', [...half, ...rest]).every(({ verdict }) => verdict === 'undecided'), JSON.stringify(other));
  }
  t.deepEqual(judge('order-2-2-8', good, tableRuns(bad)).map(({ runs, verdict }) => [runs?.origin, verdict]), [['recorded', 'not reproduced'], ['fresh', 'reproduced']]);
});

test('runs with different numbers of steps are not compared', (t) => {
  const longer = tableRuns([40, 42, 45, 47]).map((run) => (run.method === Q_DETR ? { ...run, evaluations: run.evaluations.map((one) => ({ ...one, step: 20 })) } : run));
  const [{ verdict, reason }] = judge('order-2-2-8', longer);
  t.is(verdict, 'undecided');
  t.regex(reason, /trained for different numbers of steps \(20, 10\)|\(10, 20\)/);
});

test('a constant added to all runs of a seed changes no difference', (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.double({ min: 0, max: 50, noNaN: true }), fc.double({ min: 0, max: 50, noNaN: true }), fc.double({ min: -40, max: 40, noNaN: true })), { minLength: 2, maxLength: 6 }), (rows) => {
    const sides = (shift: number) => [0, 1].map((i) => ({ name: `${i}`, cells: [`${i}`], steps: null, runs: [], values: new Map(rows.map((row, seed) => [seed, row[i] + shift * row[2]])) }));
    const [plain, shifted] = [0, 1].map((shift) => combined(sides(shift).map((one, i) => [i === 0 ? 1 : -1, one] as const), 'd').interval!);
    return Math.abs(plain.mean - shifted.mean) < 1e-9 && Math.abs(plain.low! - shifted.low!) < 1e-6;
  }));
  t.pass();
});

/** An observation whose one histogram has these densities over mean ± 4 deviations. */
function observation(method: string, seed: number, shape: (z: number) => number): ObservationRecord {
  const raw = Array.from({ length: 64 }, (_, i) => shape(-4 + (i + 0.5) / 8)), total = raw.reduce((sum, d) => sum + d, 0);
  const densities = raw.map((d) => (d / total) * 8);
  const mean = raw.reduce((sum, d, i) => sum + (d / total) * (-4 + (i + 0.5) / 8), 0);
  const deviation = Math.sqrt(raw.reduce((sum, d, i) => sum + (d / total) * (-4 + (i + 0.5) / 8 - mean) ** 2, 0));
  const { id, model, scale, dataset, tau, lambda, finishedAt } = observedRun(method, seed);
  return {
    schemaVersion: 1, id, artefact: ['figure-2.8'], method, bits: method === 'Real-valued' ? '32-32-32' : '4-4-8', model, scale, dataset, seed, tau, lambda, finishedAt, images: 1, attention: [], pictures: [],
    queries: [{ layer: 0, place: 'quantizer', low: -4, high: 4, densities, mean, deviation, count: 100, gaussianEntropy: 1, codeEntropy: null, quantizer: null }],
  };
}
const observedRun = (method: string, seed: number): RunSummary => madeUpRun({ artefact: ['figure-2.8'], method, bits: method === 'Real-valued' ? '32-32-32' : '4-4-8', seed });
const normal = (z: number): number => Math.exp(-z * z / 2);

test('the distance of shapes: 0 for the same, whatever place and width; more for a flatter one; the same both ways', (t) => {
  const histogram = (shape: (z: number) => number) => observation('Baseline', 0, shape).queries[0];
  const [gauss, moved, narrow, flat] = [normal, (z: number) => normal(z - 0.5), (z: number) => normal(2 * z), (z: number) => Number(Math.abs(z) < 2)].map(histogram);
  t.is(shapeDistance(gauss, gauss), 0);
  t.true(shapeDistance(gauss, moved) < 0.01);
  t.true(shapeDistance(gauss, narrow) < 0.03);
  t.true(shapeDistance(gauss, flat) > 0.1);
  t.is(shapeDistance(gauss, flat), shapeDistance(flat, gauss));
});

test('the queries of Fig. 2.8: nearer to the real-valued ones with Q-DETR, or not, or not observed', (t) => {
  const seeds = [0, 1, 2], bumps = (weight: number) => (z: number) => normal(z) + weight * normal(4 * (z - 2));
  const methods = ['Real-valued', 'Baseline', Q_DETR], runs = seeds.flatMap((seed) => methods.map((method) => observedRun(method, seed)));
  const verdict = (weights: number[]): string => judgeClaims({ recorded: [], fresh: runs }, { recorded: [], fresh: seeds.flatMap((seed) => methods.map((method, i) => observation(method, seed, bumps(weights[i] * (1 + 0.1 * seed))))) }, [claim('queries-restored')])[0].verdict;
  t.is(verdict([0, 1, 0.1]), 'reproduced');
  t.is(verdict([0, 0.1, 1]), 'not reproduced');
  t.is(judge('queries-restored', runs)[0].verdict, 'undecided');
});

test('without runs every claim is undecided and says so; ids are unique', (t) => {
  const judged = judgeClaims({ recorded: [], fresh: [] });
  t.is(judged.length, CLAIMS.length);
  t.is(new Set(CLAIMS.map(({ id }) => id)).size, CLAIMS.length);
  for (const { runs, verdict, reason } of judged) {
    t.deepEqual([runs, verdict], [null, 'undecided']);
    t.regex(reason, /^no (runs|observations)( at \d-\d-8)? answer it$/);
  }
});

/** What a finished run of a cell would say, as far as claims read it. */
function runOfCell({ experiment, artefact, method, bits, family, scale, scope, seed, groups, distillation, informationPoints }: Cell): RunSummary {
  return madeUpRun({
    experiment: `${experiment}/x`, artefact, method, bits, model: family, scale, scope, seed, groups: bits === '32-32-32' ? undefined : [...groups], ap50: 0.5 + 0.001 * seed,
    tau: distillation?.tau ?? null, lambda: distillation?.lambda ?? null, informationPlane: informationPoints > 0 ? [{ epoch: 1, informationX: -0.1, informationY: 0.5 }] : [],
    id: [experiment, method, bits, seed, distillation?.tau, distillation?.lambda, scope, family].join('/'),
  });
}

/** The runs that a command would make. */
function runsOfCommand(command: string): RunSummary[] {
  const [, name, scale, seeds, , bits, scope, model] = /^npx qdetr experiment (\S+) --scale (\S+) --seeds (\d+)( --bits ((?:\d-\d-8 ?)+))?(?: ?--scope (transformer))?(?: ?--model (smca-detr))?$/.exec(command)!;
  const options = { scale: scale as Cell['scale'], family: (model ?? 'detr') as Cell['family'], seeds: Array.from({ length: Number(seeds) }, (_, seed) => seed), bits: bits?.trim().split(' '), scope: (scope ?? 'detector') as 'detector' };
  return experimentNamed(name).grid(options).map(runOfCell);
}

for (const { id } of CLAIMS) {
  test(`${id}: the command that is said to decide it makes every run that it needs`, (t) => {
    const kinds: RunSummary[][] = [[], [madeUpRun({ artefact: [claim(id).artefact], method: 'x', bits: '5-5-8', scale: 'minutes' })]];
    for (const there of kinds) {
      const { decidedBy, runs, reason } = judge(id, there)[0];
      t.is(runs, null);
      if (there.length > 0) t.regex(reason, /; (there are runs of other cells, at 5-5-8|the runs at 5-5-8 were not observed)$/);
      const made = runsOfCommand(decidedBy!.command), seen = made.map(({ method, seed, id: run, scale, model }) => ({ ...observation(method, seed, normal), id: run, scale, model, dataset: 'minivoc-128' }));
      const [{ differences }] = judgeClaims({ recorded: [], fresh: made }, { recorded: [], fresh: id === 'queries-restored' ? seen : [] }, [claim(id)]);
      t.deepEqual(differences.map(({ interval: found }) => found?.n), differences.map(() => 3), JSON.stringify(differences.map(({ missing }) => missing)));
      t.deepEqual(decidedBy!.cells, [...new Set(differences.flatMap(({ cells }) => cells))]);
    }
  });
}

test('what would decide a claim: the same scope, scale and model, never smoke; twice the seeds where an interval holds 0; nothing where it is decided', (t) => {
  const command = (runs: RunSummary[]): string | undefined => judge('order-2-2-8', runs)[0].decidedBy?.command;
  const levels = [40, 42, 45, 47], one = { seeds: [0] };
  t.is(command(tableRuns(levels)), undefined);
  t.is(command(tableRuns(levels, one)), 'npx qdetr experiment table-2.2 --scale gpu --seeds 3 --bits 2-2-8');
  t.is(command(tableRuns(levels, { ...one, scale: 'smoke' })), 'npx qdetr experiment table-2.2 --scale minutes --seeds 3 --bits 2-2-8');
  t.is(command(tableRuns(levels, { ...one, scale: 'minutes', scope: 'transformer', model: 'smca-detr' })), 'npx qdetr experiment table-2.2 --scale minutes --seeds 3 --bits 2-2-8 --scope transformer --model smca-detr');
  t.is(command(tableRuns([40, 40, 45, 47], { noise: 1 })), 'npx qdetr experiment table-2.2 --scale gpu --seeds 6 --bits 2-2-8');
  const [{ decidedBy, reason }] = judge('order-2-2-8', tableRuns(levels.slice(0, 3), one));
  t.is(reason, 'no runs of + DA + FQM (Q-DETR) at 2-2-8');
  t.deepEqual(decidedBy!.cells, ['+ DA at 2-2-8', 'Baseline at 2-2-8', '+ FQM at 2-2-8', '+ DA + FQM (Q-DETR) at 2-2-8']);
});

test('claims about tau and the information plane name the bits that they want, in statement and cells', (t) => {
  for (const id of ['full-imitation', 'tau-0', 'best-tau', 'best-lambda', 'plane-q-detr', 'plane-real', 'queries-restored']) {
    t.true(claim(id).statement.includes('4-4-8'), id);
    t.true(judge(id, [])[0].decidedBy!.cells.every((cell) => cell === 'Real-valued' || cell.includes('4-4-8')), id);
  }
  t.true(judge('best-tau', [])[0].decidedBy!.cells.includes('+ DA + FQM (Q-DETR) at 4-4-8 (tau 0.4, lambda 2.5)'));
});

test('text, markdown, JSON and the rows of the chart say the same', (t) => {
  const judged = judge('order-2-2-8', tableRuns([40, 42, 41, 47]));
  t.regex(claimsPlain(judged), /^NOT REPRODUCED {2}At 2-2-8, Baseline < \+ DA < \+ FQM < Q-DETR\.\n {2}on fresh, MiniVOC 128 px, small DETR, scale gpu, 3 seeds: runs 2-2-8\/0\/0\/ /);
  t.regex(claimsPlain(judged), /\n {2}\+ FQM at 2-2-8 minus \+ DA at 2-2-8: -1\.0 \[-1\.1, -0\.9\], 3 seeds\n/);
  t.regex(claimsPlain(judged), /\n\n0 reproduced, 1 not reproduced, 0 undecided\.$/);
  t.true(claimsMarkdown(judged).includes('| **not reproduced**: + FQM at 2-2-8 minus + DA at 2-2-8 is below 0 |  |'));
  const few = judge('order-2-2-8', tableRuns([40, 42, 41, 47], { seeds: [0] }));
  t.true(claimsPlain(few).includes('\n  would decide it: 3 seeds each of + DA at 2-2-8, Baseline at 2-2-8, + FQM at 2-2-8, + DA + FQM (Q-DETR) at 2-2-8\n    npx qdetr experiment table-2.2 --scale gpu --seeds 3 --bits 2-2-8\n'));
  t.true(claimsMarkdown(few).includes('| `npx qdetr experiment table-2.2 --scale gpu --seeds 3 --bits 2-2-8`<br>3 seeds each of + DA at 2-2-8,'));
  const [json] = JSON.parse(claimsJson(judged)) as { id: string; verdict: string; differences: Difference[] }[];
  t.deepEqual([json.id, json.verdict, json.differences.length], ['order-2-2-8', 'not reproduced', 6]);
  const [row] = claimRows(judged);
  t.is(row.estimate, weakest(judged[0].differences)!.interval!.mean);
  t.is(row.statistic, 'weakest of 6: + FQM at 2-2-8 minus + DA at 2-2-8');
  t.false(claimsPlain(judge('order-2-2-8', tableRuns([40, 40, 41, 47], { noise: 0 }))).includes('-0.0'));
});
