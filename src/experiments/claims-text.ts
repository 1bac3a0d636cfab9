import type { Interval } from '../figures/statistics.js';
import type { Difference } from './claim.js';
import type { DecisiveRuns, Judgement } from './judge-claims.js';

/** '1.2 [0.3, 2.1], 3 seeds'. */
function intervalText({ mean, low, high, n }: Interval, digits: number): string {
  const text = (value: number): string => value.toFixed(digits).replace(/^-(0\.?0*)$/, '$1');
  const bounds = low === null || high === null ? '' : ` [${text(low)}, ${text(high)}]`;
  return `${text(mean)}${bounds}, ${n} ${n === 1 ? 'seed' : 'seeds'}`;
}

const differenceText = ({ name, interval, missing }: Difference, digits: number): string => `${name}: ${interval === null ? missing : intervalText(interval, digits)}`;

/** '3 seeds each of Baseline at 4-4-8, + DA at 4-4-8'. */
const cellsText = ({ cells, seeds }: DecisiveRuns): string => `${seeds} seeds each of ${cells.join(', ')}`;

/** Judged claims in plain text: verdict and statement, the runs, each difference with its 95 % interval, the reason, and what would decide it. */
export function claimsPlain(judgements: readonly Judgement[]): string {
  const blocks = judgements.map(({ claim, runs, differences, verdict, reason, decidedBy }) => [
    `${verdict.toUpperCase().padEnd(15)} ${claim.statement}`,
    ...(runs === null ? [] : [`  on ${runs.text}${runs.ids.length > 0 ? `: runs ${runs.ids.join(' ')}` : ''}`, ...differences.map((one) => `  ${differenceText(one, claim.digits)}`)]),
    `  ${reason} (${claim.where})`,
    ...(decidedBy === null ? [] : [`  would decide it: ${cellsText(decidedBy)}`, `    ${decidedBy.command}`]),
  ].join('\n'));
  return [...blocks, countsText(judgements)].join('\n\n');
}

/** Judged claims as GitHub markdown, for figures/claims.md. */
export function claimsMarkdown(judgements: readonly Judgement[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return `${[
    '# What this kit\'s runs say about the paper\'s claims',
    '',
    'Every claim is a list of differences that should be above 0, paired over seeds, with the 95 % t-interval. **Reproduced**: all intervals are above 0.',
    '**Not reproduced**: one is below 0. **Undecided**: neither, or there are too few runs. The runs are of small detectors on MiniVOC, the paper\'s of DETR-R50 on VOC.',
    'Runs of different scopes, scales, data sets, models or origins are never compared: the command that would decide a claim makes all of its runs, on one machine.',
    'An interval needs 2 seeds; where one holds 0, twice as many are proposed, which may be too few. No correction is made for judging many claims.',
    '',
    row(['Claim', 'Where', 'Differences, 95 % interval', 'Runs', 'Verdict', 'What would decide it']),
    row(['---', '---', '---', '---', '---', '---']),
    ...judgements.map(({ claim, runs, differences, verdict, reason, decidedBy }) => row([
      claim.statement, claim.where, runs === null ? '' : differences.map((one) => differenceText(one, claim.digits)).join('<br>'),
      runs === null ? 'none yet' : `${runs.text}${runs.ids.length > 0 ? `: ${runs.ids.map((id) => `\`${id}\``).join(' ')}` : ''}`, `**${verdict}**: ${reason}`,
      decidedBy === null ? '' : `\`${decidedBy.command}\`<br>${cellsText(decidedBy)}`,
    ])),
    '',
    countsText(judgements),
    '',
    '`npx qdetr claims` writes this page; `npx qdetr experiment --list` names the experiments that make the runs.',
  ].join('\n')}\n`;
}

/** Judged claims for programs. */
export function claimsJson(judgements: readonly Judgement[]): string {
  const content = judgements.map(({ claim: { id, statement, where, statistic, artefact }, runs, differences, verdict, reason, decidedBy }) => ({ id, statement, where, statistic, artefact, threshold: 0, runs, differences, verdict, reason, decidedBy }));
  return `${JSON.stringify(content, null, 2)}\n`;
}

function countsText(judgements: readonly Judgement[]): string {
  const count = (verdict: Judgement['verdict']): number => judgements.filter((one) => one.verdict === verdict).length;
  return `${count('reproduced')} reproduced, ${count('not reproduced')} not reproduced, ${count('undecided')} undecided.`;
}
